//! Marks that say which messages are learned: the names that trainers and data sets use for them.

use serde_json::{Map, Value};

use super::RowFault;

/// Names of marks in lower case without separators, and whether a true value means learned.
const MARKS: &[(&str, bool)] = &[
    ("loss", true),
    ("lossmask", true),
    ("lossmasks", true),
    ("lossscale", true),
    ("lossscales", true),
    ("lossweight", true),
    ("lossweights", true),
    ("computeloss", true),
    ("calculateloss", true),
    ("train", true),
    ("trainmask", true),
    ("trainonturn", true),
    ("training", true),
    ("trainable", true),
    ("istrainable", true),
    ("learn", true),
    ("weight", true),
    ("weights", true),
    ("masked", false),
    ("ismasked", false),
    ("ignore", false),
    ("ignored", false),
    ("ignoreloss", false),
    ("noloss", false),
];

/// Whether a key is a mark.
pub(super) fn is_mark(key: &str) -> bool {
    means_learned(key).is_some()
}

/// For a mark, whether a true value means that the message is learned.
fn means_learned(key: &str) -> Option<bool> {
    let plain = key.replace(['_', '-'], "").to_lowercase();
    let entry = MARKS.iter().find(|(name, _)| *name == plain);
    entry.map(|(_, learned)| *learned)
}

/// What a mark says of a message: its field, and whether the message is learned.
#[derive(Clone, Debug)]
pub(super) struct LossMark {
    /// The mark's own name.
    key: String,
    field: String,
    learned: bool,
}

impl LossMark {
    /// The mark in a field, if its value says something.
    fn read(key: &str, field: &str, value: &Value) -> Result<Option<Self>, RowFault> {
        let Some(meaning) = means_learned(key) else {
            return Ok(None);
        };
        let wrong = || RowFault::BadMark {
            field: field.to_owned(),
            found: value.to_string(),
        };
        let said = match value {
            Value::Null => return Ok(None),
            Value::Bool(said) => *said,
            Value::Number(number) if number.as_f64() == Some(0.0) => false,
            Value::Number(number) if number.as_f64() == Some(1.0) => true,
            // As in CSV.
            Value::String(text) => match text.trim().to_lowercase().as_str() {
                "" => return Ok(None),
                "true" | "1" | "1.0" => true,
                "false" | "0" | "0.0" => false,
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        // A message that is not left out is treated like any other.
        Ok((meaning || said).then(|| Self {
            key: key.to_owned(),
            field: field.to_owned(),
            learned: said == meaning,
        }))
    }

    /// The mark's name, if it leaves the message out.
    pub(super) fn leaves_out(&self) -> Option<&str> {
        (!self.learned).then_some(&self.key)
    }

    /// The marks of one message; of two, the one that leaves it out counts.
    pub(super) fn of_message(
        message: &Map<String, Value>,
        place: &str,
    ) -> Result<Option<Self>, RowFault> {
        let mut found: Option<Self> = None;
        for (key, value) in message {
            let mark = Self::read(key, &format!("{place}.{key}"), value)?;
            found = stricter(found, mark);
        }
        Ok(found)
    }
}

/// Of two marks, the one that leaves the message out.
pub(super) fn stricter(one: Option<LossMark>, two: Option<LossMark>) -> Option<LossMark> {
    match (one, two) {
        (Some(one), Some(two)) if two.learned => Some(one),
        (one, None) => one,
        (_, two) => two,
    }
}

/// The marks of a row: one for each message, or none.
pub(super) fn of_messages(
    row: &Map<String, Value>,
    list: &str,
    count: usize,
) -> Result<Vec<Option<LossMark>>, RowFault> {
    let mut marks: Vec<Option<LossMark>> = vec![None; count];
    for (key, value) in row.iter().filter(|(key, _)| is_mark(key)) {
        let Value::Array(items) = value else {
            of_row(key, value)?;
            continue;
        };
        if items.len() != count {
            return Err(RowFault::MarkCount {
                field: key.clone(),
                found: items.len(),
                expected: count,
                list: list.to_owned(),
            });
        }
        for (at, item) in items.iter().enumerate() {
            let mark = LossMark::read(key, &format!("{key}[{at}]"), item)?;
            marks[at] = stricter(marks[at].take(), mark);
        }
    }
    Ok(marks)
}

/// Refuses marks by which a whole row is not learned.
pub(super) fn of_whole_row(row: &Map<String, Value>) -> Result<(), RowFault> {
    row.iter()
        .filter(|(key, _)| is_mark(key))
        .try_for_each(|(key, value)| of_row(key, value))
}

fn of_row(key: &str, value: &Value) -> Result<(), RowFault> {
    match LossMark::read(key, key, value)? {
        Some(mark) if !mark.learned => Err(RowFault::RowLeftOut { field: mark.field }),
        _ => Ok(()),
    }
}

/// The answers that are not learned, as positions among the answers.
///
/// # Errors
///
/// A message that is no answer is to be learned, or no answer is.
pub(super) fn context_answers<'a>(
    messages: impl Iterator<Item = (&'a str, &'a Option<LossMark>)>,
) -> Result<Vec<usize>, RowFault> {
    let (mut left_out, mut answers) = (Vec::new(), 0);
    for (role, mark) in messages {
        match mark {
            Some(mark) if role != "assistant" && mark.learned => {
                return Err(RowFault::LearnedRequest {
                    field: mark.field.clone(),
                });
            }
            Some(mark) if role == "assistant" && !mark.learned => left_out.push(answers),
            _ => {}
        }
        answers += usize::from(role == "assistant");
    }
    if answers == 0 {
        return Err(RowFault::NoAnswer);
    }
    if left_out.len() == answers {
        return Err(RowFault::NoLearnedAnswer);
    }
    Ok(left_out)
}
