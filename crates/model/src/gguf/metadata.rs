//! Typed access to the metadata of a GGUF file. Every error names the key.

use std::collections::BTreeMap;

use super::header::{MetadataValue, wrong};
use crate::error::GgufProblem;

/// Sizes, counts and token ids stay below this, so that products of two fit into 64 bits.
const LARGEST: i128 = 1 << 31;

/// The metadata, with the prefix of its architecture.
#[derive(Clone, Copy, Debug)]
pub struct GgufMetadata<'a> {
    pub values: &'a BTreeMap<String, MetadataValue>,
    pub architecture: &'a str,
}

impl<'a> GgufMetadata<'a> {
    pub fn new(values: &'a BTreeMap<String, MetadataValue>) -> Result<Self, GgufProblem> {
        let mut metadata = Self {
            values,
            architecture: "",
        };
        metadata.architecture = metadata.required("general.architecture", Self::text)?;
        Ok(metadata)
    }

    /// A key below the architecture's prefix.
    pub fn own(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    /// A value that must be there.
    pub fn required<T>(
        &self,
        key: &str,
        read: impl Fn(&Self, &str) -> Result<Option<T>, GgufProblem>,
    ) -> Result<T, GgufProblem> {
        read(self, key)?.ok_or_else(|| wrong(key, "a value", "missing"))
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>, GgufProblem> {
        self.typed(key, "a text", |value| match value {
            MetadataValue::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>, GgufProblem> {
        self.typed(key, "true or false", |value| match value {
            MetadataValue::Boolean(on) => Some(*on),
            _ => None,
        })
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>, GgufProblem> {
        self.typed(key, "a finite number", |value| match value {
            MetadataValue::Float(number) => Some(*number).filter(|number| number.is_finite()),
            MetadataValue::Integer(number) => Some(*number as f64),
            _ => None,
        })
    }

    /// A size, count or token id.
    pub fn count(&self, key: &str) -> Result<Option<u64>, GgufProblem> {
        self.typed(key, "a whole number", |value| match value {
            MetadataValue::Integer(found) if (0..LARGEST).contains(found) => Some(*found as u64),
            _ => None,
        })
    }

    /// A count, or a list with the count of each layer, which must all be equal.
    pub fn count_of_layers(&self, key: &str) -> Result<Option<u64>, GgufProblem> {
        let Some(MetadataValue::Integers(layers)) = self.values.get(key) else {
            return self.count(key);
        };
        let uniform = match layers.split_first() {
            Some((first, rest)) => rest.iter().all(|other| other == first).then_some(*first),
            None => None,
        };
        let count = uniform.and_then(|count| u64::try_from(count).ok());
        match count {
            Some(count) => Ok(Some(count)),
            None => Err(wrong(key, "the same for every layer", "a list")),
        }
    }

    pub fn texts(&self, key: &str) -> Result<Option<&'a [String]>, GgufProblem> {
        self.typed(key, "a list of texts", |value| match value {
            MetadataValue::Texts(texts) => Some(texts.as_slice()),
            _ => None,
        })
    }

    /// A list with one entry for each of `count` tokens.
    pub fn integers(&self, key: &str, count: usize) -> Result<Option<&'a [i32]>, GgufProblem> {
        let expected = format!("a list of {count} integers");
        self.typed(key, &expected, |value| match value {
            MetadataValue::Integers(list) if list.len() == count => Some(list.as_slice()),
            _ => None,
        })
    }

    /// A list with one entry for each of `count` tokens.
    pub fn floats(&self, key: &str, count: usize) -> Result<Option<&'a [f32]>, GgufProblem> {
        let expected = format!("a list of {count} floats");
        self.typed(key, &expected, |value| match value {
            MetadataValue::Floats(list) if list.len() == count => Some(list.as_slice()),
            _ => None,
        })
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&'a MetadataValue) -> Option<T>,
    ) -> Result<Option<T>, GgufProblem> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(wrong(key, expected, describe(value))),
        }
    }
}

/// A value as a message shows it.
fn describe(value: &MetadataValue) -> String {
    match value {
        MetadataValue::Integer(number) => number.to_string(),
        MetadataValue::Float(number) => number.to_string(),
        MetadataValue::Boolean(on) => on.to_string(),
        MetadataValue::Text(text) => format!("{:?}", text.chars().take(64).collect::<String>()),
        MetadataValue::Texts(list) => format!("a list of {} texts", list.len()),
        MetadataValue::Integers(list) => format!("a list of {} integers", list.len()),
        MetadataValue::Floats(list) => format!("a list of {} floats", list.len()),
        MetadataValue::Skipped => "a list".to_owned(),
    }
}
