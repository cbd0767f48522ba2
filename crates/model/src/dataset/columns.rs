//! What the columns of a row mean: read, refused by name, or left unread.
//!
//! A column that would change what is learned is never dropped: it is either used or an error.
//! Every other column beside those of the format is reported as unread.

use serde_json::{Map, Value};

use super::{RowFault, shape::RowShape};

/// Columns that are refused in every format, and what to do about them.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["tools", "functions", "tool_calls", "function_call"],
        "calls of tools cannot be learned: take the column out, or write the call into the text",
    ),
    (
        &[
            "images",
            "image",
            "videos",
            "video",
            "audios",
            "audio",
            "files",
            "attachments",
        ],
        "only text is learned: take the column out if the text makes sense without it",
    ),
    (
        &[
            "chosen",
            "rejected",
            "chosen_response",
            "rejected_response",
            "chosen_messages",
            "rejected_messages",
            "rejected_answer",
        ],
        "preference pairs cannot be learned: keep the chosen answer as the answer of the row, and \
         take the column out",
    ),
    (
        &["mask", "masks", "assistant_mask", "assistant_masks"],
        "it does not say whether 1 is learned: name it loss_mask (1 is learned) or masked (true is \
         not learned)",
    ),
    (
        &["training_detail", "train_detail"],
        "parts of a message cannot be left out: split the message, or take the column out",
    ),
];

/// Columns that are refused in messages besides [`REFUSED`].
const REFUSED_IN_MESSAGES: &[(&[&str], &str)] = &[
    (
        &["tool_call_id", "tool_responses"],
        "calls of tools cannot be learned: take it out, or write it into the text",
    ),
    (
        &["reasoning_content", "reasoning", "thinking", "refusal"],
        "write it into the message's text if it is to be learned, or take it out",
    ),
];

/// Columns that belong to the request of an instruction or a prompt.
const REFUSED_IN_REQUESTS: &[(&[&str], &str)] = &[(
    &[
        "history",
        "context",
        "question",
        "query",
        "passage",
        "document",
        "documents",
        "input",
        "instruction",
    ],
    "write it into the request, or take the column out",
)];

/// Columns of a second text beside `text`, or of an instruction.
const REFUSED_IN_TEXTS: &[(&[&str], &str)] = &[
    (
        &[
            "text_pair",
            "text2",
            "text_b",
            "sentence2",
            "premise",
            "hypothesis",
        ],
        "write it into `text`, or take the column out",
    ),
    (
        &["system", "system_prompt"],
        "for the same instruction in every row set project.instruction; otherwise write it into \
         `text`",
    ),
];

/// Columns that mark the answer of a row as wanted or not (KTO).
pub(super) const APPROVAL: &[&str] = &["label", "kto_tag"];

/// Columns of a system message.
const SYSTEM: &[&str] = &["system", "system_prompt"];

/// Column names that others use for ours.
const OTHER_NAMES: &[(&str, &[&str])] = &[
    (
        "text",
        &[
            "review",
            "sentence",
            "tweet",
            "comment",
            "content",
            "body",
            "post",
            "document",
            "headline",
            "utterance",
            "message",
            "review_text",
            "tweet_text",
            "comment_text",
        ],
    ),
    (
        "label",
        &[
            "sentiment",
            "class",
            "category",
            "target",
            "labels",
            "label_text",
            "label_name",
            "emotion",
            "intent",
            "tag",
            "polarity",
            "classification",
        ],
    ),
    (
        "prompt",
        &["question", "query", "request", "input", "instruction"],
    ),
    (
        "completion",
        &["answer", "response", "reply", "output", "target", "chosen"],
    ),
    ("instruction", &["prompt", "question", "query", "request"]),
    ("output", &["response", "answer", "reply", "completion"]),
    (
        "messages",
        &[
            "message",
            "conversation",
            "dialog",
            "dialogue",
            "chat",
            "items",
            "turns",
        ],
    ),
];

/// What is done with a column.
enum ColumnUse {
    Read,
    Refused(&'static str),
    Unread,
}

impl RowShape {
    /// Columns that this format reads, marks of the loss mask aside.
    pub(super) fn own_columns(self) -> impl Iterator<Item = &'static str> {
        let (own, shared): (&[&str], &[&str]) = match self {
            Self::Chat => (&["messages"], SYSTEM),
            Self::ShareGpt => (&["conversations"], SYSTEM),
            Self::Alpaca => (&["instruction", "input", "output"], SYSTEM),
            Self::Prompt => (&["prompt", "completion"], SYSTEM),
            Self::Labelled => (&["text", "label"], &[]),
            Self::Text => (&["text"], &[]),
        };
        own.iter().chain(shared).copied()
    }

    fn use_of(self, key: &str, value: &Value) -> ColumnUse {
        if self.own_columns().any(|own| own == key) || super::marks::is_mark(key) {
            return ColumnUse::Read;
        }
        let labelled = matches!(self, Self::Labelled | Self::Text);
        if !labelled && APPROVAL.contains(&key) && approval(value).is_some() {
            return ColumnUse::Read;
        }
        let own: &[(&[&str], &str)] = match self {
            Self::Chat | Self::ShareGpt => &[],
            Self::Alpaca | Self::Prompt => REFUSED_IN_REQUESTS,
            Self::Labelled | Self::Text => REFUSED_IN_TEXTS,
        };
        match refusal(REFUSED, key).or_else(|| refusal(own, key)) {
            Some(hint) => ColumnUse::Refused(hint),
            None => ColumnUse::Unread,
        }
    }

    /// Refuses columns that mean something this format cannot honour, and lists those that are
    /// not read.
    pub(super) fn sort_columns(self, row: &Map<String, Value>) -> Result<Vec<String>, RowFault> {
        let mut unread = Vec::new();
        for (key, value) in row.iter().filter(|(_, value)| holds_something(value)) {
            match self.use_of(key, value) {
                ColumnUse::Read => {}
                ColumnUse::Unread => unread.push(key.clone()),
                ColumnUse::Refused(hint) => {
                    return Err(RowFault::Unsupported {
                        field: key.clone(),
                        hint,
                    });
                }
            }
        }
        for key in APPROVAL
            .iter()
            .filter(|_| !matches!(self, Self::Labelled | Self::Text))
        {
            if row.get(*key).and_then(approval) == Some(false) {
                return Err(RowFault::Unwanted { field: key });
            }
        }
        if self == Self::Text {
            refuse_other_label(&unread)?;
        }
        Ok(unread)
    }
}

/// Whether any format reads or refuses a column of this name; others need not be decoded.
pub(super) fn is_known(key: &str) -> bool {
    let tables = [REFUSED, REFUSED_IN_REQUESTS, REFUSED_IN_TEXTS];
    RowShape::known_keys().any(|known| known == key)
        || super::marks::is_mark(key)
        || APPROVAL.contains(&key)
        || SYSTEM.contains(&key)
        || other_name_of("label", std::iter::once(key)).is_some()
        || tables.iter().any(|table| refusal(table, key).is_some())
}

/// Refuses keys without a format of which one is refused in every format, such as those of
/// preference pairs.
pub(super) fn refuse_any<'a>(mut keys: impl Iterator<Item = &'a str>) -> Result<(), RowFault> {
    let refused = keys.find_map(|key| Some((key, refusal(REFUSED, key)?)));
    match refused {
        None => Ok(()),
        Some((key, hint)) => Err(RowFault::Unsupported {
            field: key.to_owned(),
            hint,
        }),
    }
}

/// Whether a column is refused in every format.
pub(super) fn is_refused(key: &str) -> bool {
    refusal(REFUSED, key).is_some()
}

/// Refuses fields of a message that cannot be honoured, and lists those that are not read.
pub(super) fn sort_message(
    message: &Map<String, Value>,
    place: &str,
    read: &[&str],
) -> Result<Vec<String>, RowFault> {
    let mut unread = Vec::new();
    for (key, _) in message.iter().filter(|(_, value)| holds_something(value)) {
        let refused = refusal(REFUSED, key).or_else(|| refusal(REFUSED_IN_MESSAGES, key));
        if let Some(hint) = refused {
            return Err(RowFault::Unsupported {
                field: format!("{place}.{key}"),
                hint,
            });
        }
        if !read.contains(&key.as_str()) && !super::marks::is_mark(key) {
            unread.push(key.clone());
        }
    }
    Ok(unread)
}

/// A table of labelled texts whose label column has another name would be learned as plain texts.
fn refuse_other_label(unread: &[String]) -> Result<(), RowFault> {
    match other_name_of("label", unread.iter().map(String::as_str)) {
        None => Ok(()),
        Some(key) => Err(RowFault::OtherLabel { key }),
    }
}

/// Renames that would give the keys a format, such as `review` to `text`.
pub(super) fn renames<'a>(
    keys: impl Iterator<Item = &'a str> + Clone,
) -> Vec<(String, &'static str)> {
    let rename = |ours: &'static str| Some((other_name_of(ours, keys.clone())?, ours));
    let own = |ours: &str| keys.clone().any(|key| key == ours);
    for pair in [["text", "label"], ["prompt", "completion"]] {
        if pair
            .into_iter()
            .all(|ours| own(ours) || rename(ours).is_some())
        {
            let missing = pair.into_iter().filter(|ours| !own(ours));
            return missing.filter_map(rename).collect();
        }
    }
    let single = ["messages", "text"].into_iter().find_map(rename);
    single.into_iter().collect()
}

/// The column that may have been meant by a missing one.
pub(super) fn other_name_of<'a>(
    ours: &str,
    mut keys: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let other = |key: &&str| {
        let key = key.to_lowercase();
        key == ours || other_names(ours).contains(&key.as_str())
    };
    keys.find(other).map(str::to_owned)
}

fn other_names(ours: &str) -> &'static [&'static str] {
    let entry = OTHER_NAMES.iter().find(|(name, _)| *name == ours);
    entry.map_or(&[], |(_, others)| others)
}

fn refusal(table: &[(&[&str], &'static str)], key: &str) -> Option<&'static str> {
    let entry = table.iter().find(|(keys, _)| keys.contains(&key));
    entry.map(|(_, hint)| *hint)
}

/// Whether an answer is wanted, where a value says so.
fn approval(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(wanted) => Some(*wanted),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        _ => None,
    }
}

/// Null, and empty texts, lists and objects say nothing, also when they are written as texts.
fn holds_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !matches!(text.trim(), "" | "[]" | "{}"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
