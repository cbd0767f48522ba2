//! JSON Lines: one object per line. Blank lines are skipped but counted.

use std::{fmt, path::Path};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{
    super::{RowFault, row::type_name},
    RawRecord, RawRecords, at,
};

/// The rows of a text whose first character is a brace.
pub(super) fn records(path: &Path, text: String) -> RawRecords<'_> {
    let mut start = 0;
    let mut number = 0;
    Box::new(std::iter::from_fn(move || {
        while start < text.len() {
            let end = text[start..]
                .find('\n')
                .map_or(text.len(), |end| start + end + 1);
            // Files put together keep their byte-order marks.
            let line = text[start..end].trim().trim_start_matches('\u{feff}');
            (start, number) = (end, number + 1);
            if !line.is_empty() {
                let read = value_record(line, number);
                return Some(read.map_err(|(line, fault)| at(path, line, fault)));
            }
        }
        None
    }))
}

/// A record that begins on the given line; an error has its own.
pub(super) fn value_record(text: &str, line: usize) -> Result<RawRecord, (usize, RowFault)> {
    match serde_json::from_str(text) {
        Ok(StrictJson(Value::Object(fields))) => Ok((line, fields)),
        Ok(StrictJson(other)) => {
            let found = type_name(&other);
            Err((line, RowFault::NotObject { found }))
        }
        Err(error) => Err((
            line + error.line().max(1) - 1,
            RowFault::Json {
                column: error.column(),
                reason: reason(&error),
            },
        )),
    }
}

/// The reason without `at line 1 column N`: the line is reported as that of the file, the column
/// separately.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ")
        .map_or(text.as_str(), |end| &text[..end])
        .to_owned()
}

/// JSON in which a duplicate key is an error, because one of its values would be lost.
struct StrictJson(Value);

impl<'de> Deserialize<'de> for StrictJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(StrictJson)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(StrictJson(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, StrictJson(value))) = entries.next_entry::<String, StrictJson>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` occurs twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
