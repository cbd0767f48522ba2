//! Merging of the layers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    bounds,
    files::{FileLayer, SettingsError, closest, parse},
    keys::{KEYS, SettingKey, Settings, Tables, variable_of},
    value::{NetworkEntry, NetworkValue, SettingOrigin, SettingValue, Values},
};

/// A setting given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingOverride {
    pub key: &'static str,
    /// As typed, with its dashes.
    pub flag: &'static str,
    pub text: String,
}

/// The layers before they are merged.
#[derive(Clone, Debug, Default)]
pub struct SettingLayers {
    pub user: FileLayer,
    pub project: FileLayer,
    /// The project file, when there is one.
    pub project_file: Option<PathBuf>,
    /// `OPENLORA_*` variables of the process.
    pub environment: Vec<(String, String)>,
    pub flags: Vec<SettingOverride>,
    /// Folder that relative paths of flags and variables refer to.
    pub working_dir: PathBuf,
}

impl SettingLayers {
    /// Merges the layers: flags > environment > project file > user file > defaults.
    pub fn resolve(self) -> Result<Settings, SettingsError> {
        check_variables(&self.environment)?;
        let mut values = BTreeMap::new();
        for key in KEYS {
            if let Some(value) = default_of(key) {
                values.insert(key.name, (value, SettingOrigin::Default));
            }
        }
        for (name, value, origin) in self.user.values {
            values.insert(name, (value, origin));
        }
        let mut own = values.clone();
        for (name, value, origin) in self.project.values.iter().cloned() {
            values.insert(name, (value, origin));
        }
        let mut set = |name, value: (SettingValue, SettingOrigin)| {
            own.insert(name, value.clone());
            values.insert(name, value);
        };
        for key in KEYS {
            let variable = variable_of(key);
            if let Some((_, text)) = self.environment.iter().find(|(name, _)| *name == variable) {
                let value = read(key, text, &variable)?;
                set(key.name, (value, SettingOrigin::Environment { variable }));
            }
        }
        for given in &self.flags {
            let Some(key) = KEYS.iter().find(|key| key.name == given.key) else {
                continue;
            };
            let value = read(key, &given.text, given.flag)?;
            let flag = given.flag.to_owned();
            set(key.name, (value, SettingOrigin::Flag { flag }));
        }
        bounds::check(&self.project.values, &own)?;
        let sources = if self.project.sources.is_empty() {
            self.user.sources
        } else {
            self.project.sources
        };
        let mut networks = self.user.networks;
        let by_project = |entry| NetworkEntry {
            by_project: true,
            ..entry
        };
        networks.extend(self.project.networks.into_iter().map(by_project));
        let tables = Tables {
            own,
            sources,
            networks,
            project_file: self.project_file,
            working_dir: self.working_dir,
        };
        Settings::typed(values, tables).map_err(|key| SettingsError::Untyped { key })
    }
}

/// Variables with the prefix of settings that are no settings.
const OTHER_VARIABLES: &[&str] = &[
    "OPENLORA_HOME",
    "OPENLORA_LOG",
    "OPENLORA_OFFLINE",
    "OPENLORA_PASSWORD_FILE",
    "OPENLORA_REGISTRY_AUTH",
    "OPENLORA_TOKEN_FILE",
];

/// Otherwise a misspelt variable would be ignored silently.
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

fn read(key: &SettingKey, text: &str, place: &str) -> Result<SettingValue, SettingsError> {
    key.kind
        .read_text(text)
        .map_err(|found| SettingsError::BadValue {
            place: place.to_owned(),
            key: key.name.to_owned(),
            expected: key.kind.describe(),
            found,
        })
}

/// A key's default; a test reads all of them, so a malformed one cannot be released.
pub fn default_of(key: &SettingKey) -> Option<SettingValue> {
    let item: toml_edit::Item = key.default?.parse::<toml_edit::Value>().ok()?.into();
    key.kind.accept(SettingValue::from_toml(&item)?).ok()
}

impl Settings {
    /// Whether a project file with this text would be accepted.
    pub fn check_project(&self, file: &Path, text: &str) -> Result<(), SettingsError> {
        bounds::check(&parse(file, text, None)?.values, &self.own)
    }

    /// Whether a key has the same value without the project file.
    pub fn is_own(&self, name: &str) -> bool {
        let value = |values: &Values| values.get(name).map(|(value, _)| value.clone());
        value(&self.values) == value(&self.own)
    }

    /// The value of a key and its origin.
    pub fn get(&self, name: &str) -> Option<&(SettingValue, SettingOrigin)> {
        self.values.get(name)
    }

    /// Every key with its value, in the table's order.
    pub fn rows(
        &self,
    ) -> impl Iterator<Item = (&'static SettingKey, Option<&(SettingValue, SettingOrigin)>)> {
        KEYS.iter().map(|key| (key, self.values.get(key.name)))
    }

    /// The RPC of every `[network.NAME]` table that names one, with the network's name.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.networks.iter().flat_map(|network| {
            network.values.iter().filter_map(|it| match &it.value {
                SettingValue::Text(text) if it.field == "rpc" => {
                    Some((network.name.as_str(), text.as_str()))
                }
                _ => None,
            })
        })
    }

    /// Every field of `[network.NAME]` tables that counts, by its full key, such as
    /// `network.local.rpc`.
    pub fn network_rows(&self) -> BTreeMap<String, (SettingValue, SettingOrigin)> {
        let of_entry = |entry: &NetworkEntry| {
            let name = entry.name.clone();
            let row = move |it: &NetworkValue| {
                let place = it.place.clone();
                let found = (it.value.clone(), SettingOrigin::File { place });
                (format!("network.{name}.{}", it.field), found)
            };
            entry.accepted().map(row).collect::<Vec<_>>()
        };
        // The project's tables come after the user's.
        self.networks.iter().flat_map(of_entry).collect()
    }

    /// Folder of the project file, or the working directory.
    pub fn project_dir(&self) -> &Path {
        self.project_file
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(&self.working_dir)
    }
}
