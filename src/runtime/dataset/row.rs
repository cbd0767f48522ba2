//! One row: which format its keys belong to, and the example that they make.

use serde_json::{Map, Value};

use super::{
    Example, Fault,
    shape::{SHAPES, Shape},
};
use crate::runtime::model::text::Message;

/// Keys that change what a row means and that are not understood here.
const UNSUPPORTED: &[&str] = &["tools", "functions"];
const UNSUPPORTED_IN_MESSAGES: &[&str] = &["tool_calls", "function_call", "weight"];

impl Shape {
    /// The format that a row's keys belong to.
    pub(super) fn of<'a>(keys: impl Iterator<Item = &'a str> + Clone) -> Result<Self, Fault> {
        let has = |key: &str| keys.clone().any(|other| other == key);
        let shape = SHAPES
            .iter()
            .find(|entry| has(entry.2[0]))
            .map(|entry| entry.0);
        if shape.is_none_or(|shape| matches!(shape, Shape::Text | Shape::Labelled)) {
            check_spelling(keys.clone())?;
        }
        let partial = || SHAPES.iter().find(|entry| has(entry.2[entry.2.len() - 1]));
        shape
            .or_else(|| partial().map(|entry| entry.0))
            .ok_or_else(|| Fault::UnknownShape {
                keys: keys
                    .map(|key| format!("`{key}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// Reads a row of this format.
    pub(super) fn example(self, row: &Map<String, Value>) -> Result<Example, Fault> {
        let get = Fields { row, shape: self };
        if let Some(key) = UNSUPPORTED.iter().find(|key| present(row, key)) {
            return Err(Fault::Unsupported {
                field: (*key).to_owned(),
            });
        }
        Ok(match self {
            Self::Chat => chat(messages(get.list("messages")?, &MESSAGES)?)?,
            Self::ShareGpt => chat(messages(get.list("conversations")?, &CONVERSATIONS)?)?,
            Self::Alpaca => alpaca(&get)?,
            Self::Prompt => Example::Completion {
                prompt: get.text("prompt")?,
                completion: get.text("completion")?,
            },
            Self::Labelled => Example::Labelled {
                text: get.text("text")?,
                label: get.text("label")?.trim().to_owned(),
            },
            Self::Text => Example::Text {
                text: get.text("text")?,
            },
        })
    }
}

/// A key one slip away from a known one that the row lacks is taken for a slip: read as an extra
/// key it would silently change what the row teaches.
fn check_spelling<'a>(keys: impl Iterator<Item = &'a str> + Clone) -> Result<(), Fault> {
    for key in keys
        .clone()
        .filter(|key| Shape::known_keys().all(|known| known != *key))
    {
        let near = |known: &&str| {
            let slips = strsim::osa_distance(key, known);
            slips <= if known.len() > 5 { 2 } else { 1 } && keys.clone().all(|own| own != *known)
        };
        if let Some(meant) = Shape::known_keys().find(near) {
            return Err(Fault::Misspelt {
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
struct Fields<'a> {
    row: &'a Map<String, Value>,
    shape: Shape,
}

impl Fields<'_> {
    fn field(&self, field: &'static str) -> Result<&Value, Fault> {
        self.row.get(field).ok_or(Fault::Missing {
            field,
            shape: self.shape,
        })
    }

    fn text(&self, field: &'static str) -> Result<String, Fault> {
        text(self.field(field)?, field)
    }

    /// A text that may be absent, null or empty.
    fn optional(&self, field: &'static str) -> Result<Option<String>, Fault> {
        match self.row.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(value)) if value.trim().is_empty() => Ok(None),
            Some(value) => text(value, field).map(Some),
        }
    }

    fn list(&self, field: &'static str) -> Result<&Vec<Value>, Fault> {
        let value = self.field(field)?;
        let wrong = || wrong_type(field, "a list of messages", value);
        let list = value.as_array().ok_or_else(wrong)?;
        if list.is_empty() {
            Err(Fault::Empty {
                field: field.to_owned(),
            })
        } else {
            Ok(list)
        }
    }
}

fn text(value: &Value, field: &str) -> Result<String, Fault> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong_type(field, "a text", value))?;
    if text.trim().is_empty() {
        return Err(Fault::Empty {
            field: field.to_owned(),
        });
    }
    Ok(text.replace("\r\n", "\n"))
}

fn wrong_type(field: &str, expected: &'static str, value: &Value) -> Fault {
    Fault::WrongType {
        field: field.to_owned(),
        expected,
        found: type_name(value),
    }
}

/// What a JSON value is, in words.
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

/// Instruction, with the input below it when there is one, and the output as the answer.
fn alpaca(get: &Fields<'_>) -> Result<Example, Fault> {
    let mut request = get.text("instruction")?;
    if let Some(input) = get.optional("input")? {
        request = format!("{request}\n\n{input}");
    }
    let message = |role: &str, content| Message {
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
    Ok(Example::Chat { messages })
}

/// How a list of messages is written.
struct Wording {
    list: &'static str,
    role: &'static str,
    content: &'static str,
    /// Words for a role, and the role.
    roles: &'static [(&'static str, &'static str)],
    expected: &'static str,
}

const MESSAGES: Wording = Wording {
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

const CONVERSATIONS: Wording = Wording {
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

fn messages(list: &[Value], wording: &Wording) -> Result<Vec<Message>, Fault> {
    let item = |(index, value): (usize, &Value)| {
        message(value, wording, &format!("{}[{index}]", wording.list))
    };
    list.iter().enumerate().map(item).collect()
}

fn message(value: &Value, wording: &Wording, place: &str) -> Result<Message, Fault> {
    let object = value
        .as_object()
        .ok_or_else(|| wrong_type(place, "an object", value))?;
    if let Some(key) = UNSUPPORTED_IN_MESSAGES
        .iter()
        .find(|key| present(object, key))
    {
        return Err(Fault::Unsupported {
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
    let unknown = || Fault::UnknownRole {
        field,
        role: said,
        expected: wording.expected,
    };
    let role = role.ok_or_else(unknown)?.to_owned();
    Ok(Message {
        role,
        content: part(wording.content)?.1,
    })
}

fn chat(messages: Vec<Message>) -> Result<Example, Fault> {
    if messages.iter().all(|message| message.role != "assistant") {
        return Err(Fault::NoAnswer);
    }
    Ok(Example::Chat { messages })
}
