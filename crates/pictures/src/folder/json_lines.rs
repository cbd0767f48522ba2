//! Lines of `metadata.jsonl`: a name and a caption from each.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::error::CaptionFault;

/// Keys under which other tools keep the name of a picture or its caption.
const NAME_LIKE: &[&str] = &[
    "filename",
    "file",
    "image",
    "path",
    "image_path",
    "img",
    "name",
];
const CAPTION_LIKE: &[&str] = &[
    "prompt",
    "description",
    "label",
    "title",
    "captions",
    "texts",
];

/// What a line says.
#[derive(Debug)]
pub(super) struct MetadataLine {
    pub(super) file_name: String,
    pub(super) caption: String,
    /// Keys that are not read.
    pub(super) unread: Vec<String>,
}

/// An object's pairs as they stand there, a repeated key twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairVisitor;
        impl<'de> Visitor<'de> for PairVisitor {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairVisitor)
    }
}

pub(super) fn parse(line: &str) -> Result<MetadataLine, CaptionFault> {
    let start = line.trim_start();
    if !start.starts_with('{') {
        return Err(CaptionFault::NotObject {
            found: match start.chars().next() {
                Some('[') => "a list",
                Some('"') => "a text",
                _ => "something else",
            },
        });
    }
    let Pairs(pairs) = serde_json::from_str(line).map_err(|error| CaptionFault::Json {
        column: error.column(),
        reason: error
            .to_string()
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned(),
    })?;
    for (at, (key, _)) in pairs.iter().enumerate() {
        if pairs[..at].iter().any(|(earlier, _)| earlier == key) {
            return Err(CaptionFault::RepeatedKey { key: key.clone() });
        }
    }
    let meant = |likely: &[&str]| {
        let found = pairs.iter().find(|(key, _)| likely.contains(&key.as_str()));
        found.map(|(key, _)| key.clone())
    };
    let file_name = text(&pairs, "file_name")?.ok_or_else(|| CaptionFault::NoFileName {
        meant: meant(NAME_LIKE),
    })?;
    let caption = match (text(&pairs, "text")?, text(&pairs, "caption")?) {
        (Some(text), Some(caption)) if text != caption => return Err(CaptionFault::TwoCaptions),
        (Some(text), _) => text,
        (None, Some(caption)) => caption,
        (None, None) => {
            return Err(CaptionFault::NoCaption {
                meant: meant(CAPTION_LIKE),
            });
        }
    };
    let is_read = |key: &str| matches!(key, "file_name" | "text" | "caption");
    Ok(MetadataLine {
        file_name,
        caption,
        unread: pairs
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| !is_read(key))
            .collect(),
    })
}

/// The text of a key, if it is there.
fn text(pairs: &[(String, Value)], key: &'static str) -> Result<Option<String>, CaptionFault> {
    let Some((_, value)) = pairs.iter().find(|(name, _)| name == key) else {
        return Ok(None);
    };
    let found = match value {
        Value::String(text) => return Ok(Some(text.clone())),
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Err(CaptionFault::WrongType { key, found })
}
