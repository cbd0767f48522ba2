//! Values of settings, the values a kind accepts, and their origins.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use toml_edit::Item;

/// The type of a setting and the values it accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SettingKind {
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
}

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SettingValue {
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Text(String),
    List(Vec<String>),
}

impl fmt::Display for SettingValue {
    /// In the notation of a settings file.
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

impl SettingValue {
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

impl SettingKind {
    /// The completion of the error text "must be …".
    pub fn describe(&self) -> String {
        match self {
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Boolean => "true or false".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::List => "a list of texts".to_owned(),
        }
    }

    /// Checks a value against the kind. The error is a description of what was found.
    pub(super) fn accept(&self, value: SettingValue) -> Result<SettingValue, String> {
        let refused = value.to_string();
        let accepted = match (self, value) {
            (Self::Integer { min, max }, SettingValue::Integer(number)) => (*min..=*max)
                .contains(&number)
                .then_some(SettingValue::Integer(number)),
            (Self::Number { min, max }, SettingValue::Integer(number)) => {
                in_range(number as f64, *min, *max)
            }
            (Self::Number { min, max }, SettingValue::Number(number)) => {
                in_range(number, *min, *max)
            }
            (Self::Boolean, value @ SettingValue::Boolean(_)) => Some(value),
            (Self::Text, SettingValue::Text(text)) if !text.trim().is_empty() => {
                Some(SettingValue::Text(text))
            }
            (Self::Text, SettingValue::Integer(number)) => {
                Some(SettingValue::Text(number.to_string()))
            }
            (Self::Text, SettingValue::Number(number)) => {
                Some(SettingValue::Text(number.to_string()))
            }
            (Self::Choice(words), SettingValue::Text(text)) if words.contains(&text.as_str()) => {
                Some(SettingValue::Text(text))
            }
            (Self::List, SettingValue::Text(text)) => Some(SettingValue::List(split_list(&text))),
            (Self::List, value @ SettingValue::List(_)) => Some(value),
            _ => None,
        };
        accepted.ok_or(refused)
    }

    /// Parses a flag's or a variable's text.
    pub(super) fn read_text(&self, text: &str) -> Result<SettingValue, String> {
        let value = match self {
            Self::Integer { .. } => text.parse().ok().map(SettingValue::Integer),
            Self::Number { .. } => text.parse().ok().map(SettingValue::Number),
            Self::Boolean => text.parse().ok().map(SettingValue::Boolean),
            Self::Text | Self::Choice(_) | Self::List => Some(SettingValue::Text(text.to_owned())),
        };
        let quoted = format!("{text:?}");
        self.accept(value.ok_or_else(|| quoted.clone())?)
            .map_err(|_| quoted)
    }
}

fn in_range(number: f64, min: f64, max: f64) -> Option<SettingValue> {
    (min..=max)
        .contains(&number)
        .then_some(SettingValue::Number(number))
}

fn split_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The layer of a value, strongest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
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

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { place } => f.write_str(place),
            Self::Environment { variable } => f.write_str(variable),
            Self::Flag { flag } => f.write_str(flag),
        }
    }
}

/// One `[[data]]` entry, with a resolved path.
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
    pub values: Vec<NetworkValue>,
    /// Whether the project file sets it.
    #[serde(skip)]
    pub by_project: bool,
}

/// A field of a `[network.NAME]` table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkValue {
    pub field: &'static str,
    pub value: SettingValue,
    /// The settings file, as `path:line`.
    #[serde(skip)]
    pub place: String,
}

impl NetworkEntry {
    /// The fields that count: that real money needs no confirmation is the user's to say, not a
    /// project file's.
    pub fn accepted(&self) -> impl Iterator<Item = &NetworkValue> {
        let lowers =
            |it: &NetworkValue| it.field == "mainnet" && it.value == SettingValue::Boolean(false);
        let values = self.values.iter();
        values.filter(move |it| !(self.by_project && lowers(it)))
    }
}

/// The value of each key that has one, and where it was set.
pub(super) type Values = BTreeMap<&'static str, (SettingValue, SettingOrigin)>;
