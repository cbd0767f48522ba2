//! What a value of a setting is, what a kind accepts, and where a value came from.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Serialize;
use toml_edit::Item;

/// The type of a setting and the values it accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Integer {
        min: i64,
        max: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    Boolean,
    Text,
    /// Text restricted to these words.
    Choice(&'static [&'static str]),
    /// A list of texts; a single text or a comma-separated one is accepted too.
    List,
    /// A path, relative to the file that sets it.
    Path,
}

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Text(String),
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// As it would stand in a settings file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{}", toml_edit::Value::from(*value)),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{}", toml_edit::Value::from(value.as_str())),
            Self::List(values) => {
                write!(
                    f,
                    "{}",
                    toml_edit::Value::from_iter(values.iter().map(String::as_str))
                )
            }
        }
    }
}

impl Value {
    /// `None` for tables, dates and lists of anything but text.
    pub(super) fn from_toml(item: &Item) -> Option<Self> {
        match item.as_value()? {
            toml_edit::Value::Integer(value) => Some(Self::Integer(*value.value())),
            toml_edit::Value::Float(value) => Some(Self::Number(*value.value())),
            toml_edit::Value::Boolean(value) => Some(Self::Boolean(*value.value())),
            toml_edit::Value::String(value) => Some(Self::Text(value.value().clone())),
            toml_edit::Value::Array(values) => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .map(Self::List),
            _ => None,
        }
    }
}

impl Kind {
    /// The words of an error's "must be …".
    pub fn describe(&self) -> String {
        match self {
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Boolean => "true or false".to_owned(),
            Self::Text | Self::Path => "a text".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::List => "a list of texts".to_owned(),
        }
    }

    /// Checks a value against the kind; paths become absolute to `base`. The error is what was
    /// found, as text.
    pub(super) fn accept(&self, value: Value, base: &Path) -> Result<Value, String> {
        let refused = value.to_string();
        let accepted = match (self, value) {
            (Self::Integer { min, max }, Value::Integer(number)) => (*min..=*max)
                .contains(&number)
                .then_some(Value::Integer(number)),
            (Self::Number { min, max }, Value::Integer(number)) => {
                in_range(number as f64, *min, *max)
            }
            (Self::Number { min, max }, Value::Number(number)) => in_range(number, *min, *max),
            (Self::Boolean, value @ Value::Boolean(_)) => Some(value),
            (Self::Text, Value::Text(text)) if !text.trim().is_empty() => Some(Value::Text(text)),
            (Self::Text, Value::Integer(number)) => Some(Value::Text(number.to_string())),
            (Self::Text, Value::Number(number)) => Some(Value::Text(number.to_string())),
            (Self::Choice(words), Value::Text(text)) if words.contains(&text.as_str()) => {
                Some(Value::Text(text))
            }
            (Self::List, Value::Text(text)) => Some(Value::List(split_list(&text))),
            (Self::List, value @ Value::List(_)) => Some(value),
            (Self::Path, Value::Text(text)) if !text.is_empty() => {
                Some(Value::Text(base.join(text).display().to_string()))
            }
            _ => None,
        };
        accepted.ok_or(refused)
    }

    /// Reads a flag's or a variable's text.
    pub(super) fn read_text(&self, text: &str, base: &Path) -> Result<Value, String> {
        let value = match self {
            Self::Integer { .. } => text.parse().ok().map(Value::Integer),
            Self::Number { .. } => text.parse().ok().map(Value::Number),
            Self::Boolean => text.parse().ok().map(Value::Boolean),
            Self::Text | Self::Choice(_) | Self::List | Self::Path => {
                Some(Value::Text(text.to_owned()))
            }
        };
        let quoted = format!("{text:?}");
        self.accept(value.ok_or_else(|| quoted.clone())?, base)
            .map_err(|_| quoted)
    }
}

fn in_range(number: f64, min: f64, max: f64) -> Option<Value> {
    (min..=max)
        .contains(&number)
        .then_some(Value::Number(number))
}

fn split_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Which layer a value came from, strongest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// A settings file, as `path:line`.
    File {
        place: String,
    },
    Environment {
        variable: String,
    },
    Flag {
        flag: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { place } => f.write_str(place),
            Self::Environment { variable } => f.write_str(variable),
            Self::Flag { flag } => f.write_str(flag),
        }
    }
}

/// One `[[data]]` entry, its path already relative to nothing.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SourceEntry {
    pub path: PathBuf,
    pub contributor: String,
    pub address: Option<String>,
    pub license: Option<String>,
    pub weight: f64,
}

/// One `[network.NAME]` table: fields of [`super::keys::NETWORK_FIELDS`] and their values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkEntry {
    pub name: String,
    pub values: Vec<(&'static str, Value)>,
    /// Whether the project file says so.
    #[serde(skip)]
    pub by_project: bool,
}

/// The value of each key that has one, and where it was set.
pub(super) type Values = BTreeMap<&'static str, (Value, Origin)>;
