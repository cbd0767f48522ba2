//! One row: its format, and conversion to an example.

use serde_json::{Map, Value};

use super::{
    RowFault, TrainingExample, columns,
    marks::{self, LossMark},
    shape::{RowShape, SHAPES},
    similar::closest,
};
use crate::text::ChatMessage;

/// An example, and what is to be reported of its row.
pub(super) struct ReadExample {
    pub example: TrainingExample,
    pub notes: RowNotes,
}

/// What is to be reported of a row that was read.
#[derive(Default)]
pub(super) struct RowNotes {
    /// Columns that were not read.
    pub unread: Vec<String>,
    /// Marks by which answers are not learned.
    pub marks: Vec<String>,
    /// Marks by which other messages are not learned.
    pub message_marks: Vec<String>,
}

impl RowShape {
    /// The format that a row's keys belong to.
    pub(super) fn from_keys<'a>(
        keys: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, RowFault> {
        let has = |key: &str| keys.clone().any(|other| other == key);
        let complete = SHAPES
            .iter()
            .find(|entry| has(entry.2[0]))
            .map(|entry| entry.0);
        let partial = || SHAPES.iter().find(|entry| has(entry.2[entry.2.len() - 1]));
        let shape = complete.or_else(|| partial().map(|entry| entry.0));
        let renames = match shape {
            None => columns::renames(keys.clone()),
            Some(_) => Vec::new(),
        };
        // Two columns under other names are no accident.
        if renames.len() < 2 {
            check_spelling(shape, keys.clone())?;
        }
        if shape.is_none() {
            columns::refuse_any(keys.clone())?;
        }
        let quoted = || keys.clone().map(|key| format!("`{key}`"));
        shape.ok_or_else(|| RowFault::UnknownShape {
            keys: quoted().collect::<Vec<_>>().join(", "),
            renames,
        })
    }

    /// Reads a row of this format.
    pub(super) fn example(self, row: &Map<String, Value>) -> Result<ReadExample, RowFault> {
        let mut notes = RowNotes {
            unread: self.sort_columns(row)?,
            ..RowNotes::default()
        };
        let get = RowFields { row, shape: self };
        if !matches!(self, Self::Chat | Self::ShareGpt) {
            marks::of_whole_row(row)?;
        }
        let example = match self {
            Self::Chat => chat(&get, &MESSAGES, &mut notes)?,
            Self::ShareGpt => chat(&get, &CONVERSATIONS, &mut notes)?,
            Self::Alpaca => alpaca(&get)?,
            Self::Prompt => prompted(&get)?,
            Self::Labelled => TrainingExample::Labelled {
                text: get.text("text")?,
                label: get.label()?,
            },
            Self::Text => TrainingExample::Text {
                text: get.text("text")?,
            },
        };
        Ok(ReadExample { example, notes })
    }
}

/// A key that differs by one typing error from a known missing key is an error: as an unknown key
/// it would silently change the example.
fn check_spelling<'a>(
    shape: Option<RowShape>,
    keys: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), RowFault> {
    let own = |known: &&str| keys.clone().any(|key| key == *known);
    let missing = |known: &&str| !own(known);
    let candidates: Vec<&str> = match shape {
        None | Some(RowShape::Text | RowShape::Labelled) => {
            RowShape::known_keys().filter(missing).collect()
        }
        Some(shape) => shape.own_columns().filter(missing).collect(),
    };
    for key in keys
        .clone()
        .filter(|key| RowShape::known_keys().all(|known| known != *key))
    {
        let near = |known: &&str| {
            let slips = strsim::osa_distance(&key.to_lowercase(), known);
            slips <= if known.len() > 5 { 2 } else { 1 }
        };
        if let Some(meant) = candidates.iter().copied().find(near) {
            return Err(RowFault::Misspelt {
                key: key.to_owned(),
                meant: meant.to_owned(),
            });
        }
    }
    Ok(())
}

/// The fields of one row.
struct RowFields<'a> {
    row: &'a Map<String, Value>,
    shape: RowShape,
}

impl<'a> RowFields<'a> {
    fn field(&self, field: &'static str) -> Result<&'a Value, RowFault> {
        self.row.get(field).ok_or_else(|| RowFault::Missing {
            field,
            shape: self.shape,
            meant: columns::other_name_of(field, self.row.keys().map(String::as_str)),
        })
    }

    fn text(&self, field: &'static str) -> Result<String, RowFault> {
        text(self.field(field)?, field)
    }

    /// A label: a text, or a number or boolean as it is written in CSV.
    fn label(&self) -> Result<String, RowFault> {
        match self.field("label")? {
            Value::Bool(label) => Ok(label.to_string()),
            Value::Number(label) => Ok(label.to_string()),
            label => Ok(text(label, "label")?.trim().to_owned()),
        }
    }

    /// A text that may be absent, null or empty.
    fn optional(&self, field: &'static str) -> Result<Option<String>, RowFault> {
        match self.row.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(value)) if value.trim().is_empty() => Ok(None),
            Some(value) => text(value, field).map(Some),
        }
    }

    /// The system message of a row outside of its list of messages.
    fn system(&self) -> Result<Option<ChatMessage>, RowFault> {
        let system = self.optional("system")?;
        let prompt = self.optional("system_prompt")?;
        let content = match (system, prompt) {
            (Some(one), Some(two)) if one != two => {
                return Err(RowFault::TwoSystems {
                    field: "system",
                    other: "system_prompt".to_owned(),
                });
            }
            (one, two) => one.or(two),
        };
        Ok(content.map(|content| message("system", content)))
    }

    fn list(&self, field: &'static str) -> Result<&'a Vec<Value>, RowFault> {
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
    filled(text, field)
}

fn filled(text: &str, field: &str) -> Result<String, RowFault> {
    if text.trim().is_empty() {
        return Err(RowFault::Empty {
            field: field.to_owned(),
        });
    }
    Ok(text.replace("\r\n", "\n"))
}

/// A message's content: a text, or parts of type `text` that are joined without a separator, as in
/// a request to the server.
fn content(value: &Value, field: &str) -> Result<String, RowFault> {
    let Value::Array(parts) = value else {
        return text(value, field);
    };
    let part = |(at, part): (usize, &Value)| {
        let place = format!("{field}[{at}]");
        let wrong = || wrong_type(&place, "an object with type and text", part);
        let fields = part.as_object().ok_or_else(wrong)?;
        match fields.get("type").and_then(Value::as_str) {
            Some("text") => {
                let place = format!("{place}.text");
                let text = fields.get("text").unwrap_or(&Value::Null);
                let wrong = || wrong_type(&place, "a text", text);
                text.as_str().map(str::to_owned).ok_or_else(wrong)
            }
            kind => Err(RowFault::PartType {
                field: format!("{place}.type"),
                found: kind.unwrap_or("none").to_owned(),
            }),
        }
    };
    let parts: Result<String, RowFault> = parts.iter().enumerate().map(part).collect();
    filled(&parts?, field)
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

fn message(role: &str, content: String) -> ChatMessage {
    ChatMessage {
        role: role.to_owned(),
        content,
    }
}

/// Instruction, followed by the input if there is one; the output is the answer.
fn alpaca(get: &RowFields<'_>) -> Result<TrainingExample, RowFault> {
    let mut request = get.text("instruction")?;
    if let Some(input) = get.optional("input")? {
        request = format!("{request}\n\n{input}");
    }
    let system = get.system()?.into_iter();
    let turns = [
        message("user", request),
        message("assistant", get.text("output")?),
    ];
    Ok(TrainingExample::chat(system.chain(turns).collect()))
}

/// A pair; with a system message it is a conversation.
fn prompted(get: &RowFields<'_>) -> Result<TrainingExample, RowFault> {
    let (prompt, completion) = (get.text("prompt")?, get.text("completion")?);
    Ok(match get.system()? {
        None => TrainingExample::Completion { prompt, completion },
        Some(system) => TrainingExample::chat(vec![
            system,
            message("user", prompt),
            message("assistant", completion),
        ]),
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
        ("developer", "system"),
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

impl ChatKeys {
    /// The wording of one message: lists of both names are found with either.
    fn of_message(&self, message: &Map<String, Value>) -> &Self {
        let writes = |keys: &&&Self| message.contains_key(keys.role);
        let wordings = [self, &MESSAGES, &CONVERSATIONS];
        wordings.iter().find(writes).copied().unwrap_or(self)
    }
}

/// One message of a list, and what its marks say.
struct ReadTurn {
    message: ChatMessage,
    mark: Option<LossMark>,
}

fn chat(
    get: &RowFields<'_>,
    wording: &'static ChatKeys,
    notes: &mut RowNotes,
) -> Result<TrainingExample, RowFault> {
    let list = get.list(wording.list)?;
    let row_marks = marks::of_messages(get.row, wording.list, list.len())?;
    let mut turns = Vec::with_capacity(list.len());
    for (index, (value, mark)) in list.iter().zip(row_marks).enumerate() {
        let place = format!("{}[{index}]", wording.list);
        let mut read = turn(value, wording, &place, &mut notes.unread)?;
        read.mark = marks::stricter(read.mark, mark);
        turns.push(read);
    }
    let marked = turns
        .iter()
        .map(|turn| (turn.message.role.as_str(), &turn.mark));
    let context_answers = marks::context_answers(marked)?;
    let mut context_messages = Vec::new();
    for (at, turn) in turns.iter().enumerate() {
        let mark = turn.mark.as_ref().and_then(LossMark::leaves_out);
        match mark.map(str::to_owned) {
            Some(mark) if turn.message.role == "assistant" => notes.marks.push(mark),
            Some(mark) => {
                notes.message_marks.push(mark);
                context_messages.push(at);
            }
            None => {}
        }
    }
    let mut messages: Vec<ChatMessage> = turns.into_iter().map(|turn| turn.message).collect();
    if let Some(system) = get.system()? {
        match messages.first() {
            Some(first) if first.role == "system" && *first != system => {
                return Err(RowFault::TwoSystems {
                    field: "system",
                    other: format!("{}[0]", wording.list),
                });
            }
            Some(first) if *first == system => {}
            _ => {
                messages.insert(0, system);
                context_messages.iter_mut().for_each(|at| *at += 1);
            }
        }
    }
    Ok(TrainingExample::Chat {
        messages,
        context_answers,
        context_messages,
    })
}

fn turn(
    value: &Value,
    wording: &'static ChatKeys,
    place: &str,
    unread: &mut Vec<String>,
) -> Result<ReadTurn, RowFault> {
    let object = value
        .as_object()
        .ok_or_else(|| wrong_type(place, "an object", value))?;
    let keys = wording.of_message(object);
    for key in columns::sort_message(object, place, &[keys.role, keys.content])? {
        unread.push(format!("{}[].{key}", wording.list));
    }
    let value = |key: &str| object.get(key).unwrap_or(&Value::Null);
    let field = format!("{place}.{}", keys.role);
    let said = text(value(keys.role), &field)?;
    let role = keys.roles.iter().find(|(word, _)| *word == said);
    let unknown = || RowFault::UnknownRole {
        field,
        role: said.clone(),
        expected: keys.expected,
        meant: closest(&said, keys.roles.iter().map(|(word, _)| *word)),
    };
    let (_, role) = role.ok_or_else(unknown)?;
    let spoken = content(value(keys.content), &format!("{place}.{}", keys.content))?;
    Ok(ReadTurn {
        message: message(role, spoken),
        mark: LossMark::of_message(object, place)?,
    })
}
