//! One row: its format, and conversion to an example.

use serde_json::{Map, Value};

use super::{
    RowFault, TrainingExample,
    shape::{RowShape, SHAPES},
};
use crate::text::ChatMessage;

/// Keys that would change the meaning of a row and are not supported.
const UNSUPPORTED: &[&str] = &["tools", "functions"];
const UNSUPPORTED_IN_MESSAGES: &[&str] = &["tool_calls", "function_call", "weight"];

impl RowShape {
    /// The format that a row's keys belong to.
    pub(super) fn from_keys<'a>(
        keys: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, RowFault> {
        let has = |key: &str| keys.clone().any(|other| other == key);
        let shape = SHAPES
            .iter()
            .find(|entry| has(entry.2[0]))
            .map(|entry| entry.0);
        if shape.is_none_or(|shape| matches!(shape, RowShape::Text | RowShape::Labelled)) {
            check_spelling(keys.clone())?;
        }
        let partial = || SHAPES.iter().find(|entry| has(entry.2[entry.2.len() - 1]));
        shape
            .or_else(|| partial().map(|entry| entry.0))
            .ok_or_else(|| RowFault::UnknownShape {
                keys: keys
                    .map(|key| format!("`{key}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// Reads a row of this format.
    pub(super) fn example(self, row: &Map<String, Value>) -> Result<TrainingExample, RowFault> {
        let get = RowFields { row, shape: self };
        if let Some(key) = UNSUPPORTED.iter().find(|key| present(row, key)) {
            return Err(RowFault::Unsupported {
                field: (*key).to_owned(),
            });
        }
        Ok(match self {
            Self::Chat => chat(messages(get.list("messages")?, &MESSAGES)?)?,
            Self::ShareGpt => chat(messages(get.list("conversations")?, &CONVERSATIONS)?)?,
            Self::Alpaca => alpaca(&get)?,
            Self::Prompt => TrainingExample::Completion {
                prompt: get.text("prompt")?,
                completion: get.text("completion")?,
            },
            Self::Labelled => TrainingExample::Labelled {
                text: get.text("text")?,
                label: get.text("label")?.trim().to_owned(),
            },
            Self::Text => TrainingExample::Text {
                text: get.text("text")?,
            },
        })
    }
}

/// A key that differs by one typing error from a known missing key is an error: as an unknown key
/// it would silently change the example.
fn check_spelling<'a>(keys: impl Iterator<Item = &'a str> + Clone) -> Result<(), RowFault> {
    for key in keys
        .clone()
        .filter(|key| RowShape::known_keys().all(|known| known != *key))
    {
        let near = |known: &&str| {
            let slips = strsim::osa_distance(key, known);
            slips <= if known.len() > 5 { 2 } else { 1 } && keys.clone().all(|own| own != *known)
        };
        if let Some(meant) = RowShape::known_keys().find(near) {
            return Err(RowFault::Misspelt {
                key: key.to_owned(),
                meant,
            });
        }
    }
    Ok(())
}

fn present(row: &Map<String, Value>, key: &str) -> bool {
    row.get(key).is_some_and(|value| !value.is_null())
}

/// The fields of one row.
struct RowFields<'a> {
    row: &'a Map<String, Value>,
    shape: RowShape,
}

impl RowFields<'_> {
    fn field(&self, field: &'static str) -> Result<&Value, RowFault> {
        self.row.get(field).ok_or(RowFault::Missing {
            field,
            shape: self.shape,
        })
    }

    fn text(&self, field: &'static str) -> Result<String, RowFault> {
        text(self.field(field)?, field)
    }

    /// A text that may be absent, null or empty.
    fn optional(&self, field: &'static str) -> Result<Option<String>, RowFault> {
        match self.row.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(value)) if value.trim().is_empty() => Ok(None),
            Some(value) => text(value, field).map(Some),
        }
    }

    fn list(&self, field: &'static str) -> Result<&Vec<Value>, RowFault> {
        let value = self.field(field)?;
        let wrong = || wrong_type(field, "a list of messages", value);
        let list = value.as_array().ok_or_else(wrong)?;
        if list.is_empty() {
            Err(RowFault::Empty {
                field: field.to_owned(),
            })
        } else {
            Ok(list)
        }
    }
}

fn text(value: &Value, field: &str) -> Result<String, RowFault> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong_type(field, "a text", value))?;
    if text.trim().is_empty() {
        return Err(RowFault::Empty {
            field: field.to_owned(),
        });
    }
    Ok(text.replace("\r\n", "\n"))
}

fn wrong_type(field: &str, expected: &'static str, value: &Value) -> RowFault {
    RowFault::WrongType {
        field: field.to_owned(),
        expected,
        found: type_name(value),
    }
}

/// The name of a JSON value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Instruction, followed by the input if there is one; the output is the answer.
fn alpaca(get: &RowFields<'_>) -> Result<TrainingExample, RowFault> {
    let mut request = get.text("instruction")?;
    if let Some(input) = get.optional("input")? {
        request = format!("{request}\n\n{input}");
    }
    let message = |role: &str, content| ChatMessage {
        role: role.to_owned(),
        content,
    };
    let mut messages = Vec::new();
    messages.extend(
        get.optional("system")?
            .map(|content| message("system", content)),
    );
    messages.push(message("user", request));
    messages.push(message("assistant", get.text("output")?));
    Ok(TrainingExample::Chat {
        messages,
        context_answers: Vec::new(),
    })
}

/// How a list of messages is written.
struct ChatKeys {
    list: &'static str,
    role: &'static str,
    content: &'static str,
    /// Words for a role, and the role.
    roles: &'static [(&'static str, &'static str)],
    expected: &'static str,
}

const MESSAGES: ChatKeys = ChatKeys {
    list: "messages",
    role: "role",
    content: "content",
    roles: &[
        ("system", "system"),
        ("user", "user"),
        ("assistant", "assistant"),
    ],
    expected: "system, user or assistant",
};

const CONVERSATIONS: ChatKeys = ChatKeys {
    list: "conversations",
    role: "from",
    content: "value",
    roles: &[
        ("system", "system"),
        ("human", "user"),
        ("user", "user"),
        ("gpt", "assistant"),
        ("assistant", "assistant"),
    ],
    expected: "system, human or gpt",
};

fn messages(list: &[Value], wording: &ChatKeys) -> Result<Vec<ChatMessage>, RowFault> {
    let item = |(index, value): (usize, &Value)| {
        message(value, wording, &format!("{}[{index}]", wording.list))
    };
    list.iter().enumerate().map(item).collect()
}

fn message(value: &Value, wording: &ChatKeys, place: &str) -> Result<ChatMessage, RowFault> {
    let object = value
        .as_object()
        .ok_or_else(|| wrong_type(place, "an object", value))?;
    if let Some(key) = UNSUPPORTED_IN_MESSAGES
        .iter()
        .find(|key| present(object, key))
    {
        return Err(RowFault::Unsupported {
            field: format!("{place}.{key}"),
        });
    }
    let part = |key: &str| {
        let field = format!("{place}.{key}");
        text(object.get(key).unwrap_or(&Value::Null), &field).map(|text| (field, text))
    };
    let (field, said) = part(wording.role)?;
    let role = wording
        .roles
        .iter()
        .find(|(word, _)| *word == said)
        .map(|(_, role)| *role);
    let unknown = || RowFault::UnknownRole {
        field,
        role: said,
        expected: wording.expected,
    };
    let role = role.ok_or_else(unknown)?.to_owned();
    Ok(ChatMessage {
        role,
        content: part(wording.content)?.1,
    })
}

fn chat(messages: Vec<ChatMessage>) -> Result<TrainingExample, RowFault> {
    if messages.iter().all(|message| message.role != "assistant") {
        return Err(RowFault::NoAnswer);
    }
    Ok(TrainingExample::Chat {
        messages,
        context_answers: Vec::new(),
    })
}
