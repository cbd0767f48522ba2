//! Laying the layers over one another, and what a value and its origin are.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Serialize;
use toml_edit::Item;

use super::{
    files::{FileLayer, SettingsError, closest},
    keys::{KEYS, Key, Kind, Settings},
};

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

/// A setting given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub key: &'static str,
    /// As typed, with its dashes.
    pub flag: &'static str,
    pub text: String,
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
}

/// The layers before they are merged.
#[derive(Clone, Debug, Default)]
pub struct Layered {
    pub user: FileLayer,
    pub project: FileLayer,
    /// The project file, when there is one.
    pub project_file: Option<PathBuf>,
    /// `OPENLORA_*` variables of the process.
    pub environment: Vec<(String, String)>,
    pub flags: Vec<Override>,
    /// Folder that relative paths of flags and variables refer to.
    pub working_dir: PathBuf,
}

/// The value of each key that has one, and where it was set.
pub(super) type Values = BTreeMap<&'static str, (Value, Origin)>;

/// What settings hold besides keys and values.
pub(super) struct Tables {
    pub sources: Vec<SourceEntry>,
    pub networks: Vec<NetworkEntry>,
    pub project_file: Option<PathBuf>,
    pub working_dir: PathBuf,
}

/// The variable that sets a key.
pub fn variable_of(key: &Key) -> String {
    format!("OPENLORA_{}", key.name.replace('.', "_").to_uppercase())
}

impl Layered {
    /// Merges the layers: flags > environment > project file > user file > defaults.
    pub fn resolve(self) -> Result<Settings, SettingsError> {
        check_variables(&self.environment)?;
        let mut values = BTreeMap::new();
        for key in KEYS {
            if let Some(value) = default_of(key) {
                values.insert(key.name, (value, Origin::Default));
            }
        }
        for (name, value, origin) in self.user.values.into_iter().chain(self.project.values) {
            values.insert(name, (value, origin));
        }
        for key in KEYS {
            let variable = variable_of(key);
            if let Some((_, text)) = self.environment.iter().find(|(name, _)| *name == variable) {
                let value = read(key, text, &self.working_dir, &variable)?;
                values.insert(key.name, (value, Origin::Environment { variable }));
            }
        }
        for given in &self.flags {
            let Some(key) = KEYS.iter().find(|key| key.name == given.key) else {
                continue;
            };
            let value = read(key, &given.text, &self.working_dir, given.flag)?;
            values.insert(
                key.name,
                (
                    value,
                    Origin::Flag {
                        flag: given.flag.to_owned(),
                    },
                ),
            );
        }
        let sources = if self.project.sources.is_empty() {
            self.user.sources
        } else {
            self.project.sources
        };
        let mut networks = self.user.networks;
        networks.extend(self.project.networks);
        let tables = Tables {
            sources,
            networks,
            project_file: self.project_file,
            working_dir: self.working_dir,
        };
        Settings::typed(values, tables).map_err(|key| SettingsError::Untyped { key })
    }
}

/// Variables with our prefix that are no settings.
const OTHER_VARIABLES: &[&str] = &[
    "OPENLORA_HOME",
    "OPENLORA_LOG",
    "OPENLORA_OFFLINE",
    "OPENLORA_PASSWORD_FILE",
    "OPENLORA_TOKEN_FILE",
];

/// A misspelt variable would silently do nothing.
fn check_variables(environment: &[(String, String)]) -> Result<(), SettingsError> {
    let known: Vec<String> = KEYS
        .iter()
        .map(variable_of)
        .chain(OTHER_VARIABLES.iter().map(|name| (*name).to_owned()))
        .collect();
    match environment.iter().find(|(name, _)| !known.contains(name)) {
        None => Ok(()),
        Some((variable, _)) => Err(SettingsError::UnknownVariable {
            variable: variable.clone(),
            suggestion: closest(variable, known.iter().map(String::as_str)),
        }),
    }
}

fn read(key: &Key, text: &str, base: &Path, place: &str) -> Result<Value, SettingsError> {
    key.kind
        .read_text(text, base)
        .map_err(|found| SettingsError::BadValue {
            place: place.to_owned(),
            key: key.name.to_owned(),
            expected: key.kind.describe(),
            found,
        })
}

/// A key's default; a test reads all of them, so a malformed one cannot ship.
pub fn default_of(key: &Key) -> Option<Value> {
    let item: Item = key.default?.parse::<toml_edit::Value>().ok()?.into();
    key.kind
        .accept(Value::from_toml(&item)?, Path::new(""))
        .ok()
}

impl Settings {
    /// The value of a key and where it came from.
    pub fn get(&self, name: &str) -> Option<&(Value, Origin)> {
        self.values.get(name)
    }

    /// Every key with its value, in the table's order.
    pub fn rows(&self) -> impl Iterator<Item = (&'static Key, Option<&(Value, Origin)>)> {
        KEYS.iter().map(|key| (key, self.values.get(key.name)))
    }

    /// The RPC of every `[network.NAME]` table that names one, with the network's name.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.networks.iter().flat_map(|network| {
            network
                .values
                .iter()
                .filter_map(|(field, value)| match value {
                    Value::Text(text) if *field == "rpc" => {
                        Some((network.name.as_str(), text.as_str()))
                    }
                    _ => None,
                })
        })
    }

    /// Folder of the project file, or the working directory.
    pub fn project_dir(&self) -> &Path {
        self.project_file
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(&self.working_dir)
    }
}
