//! Locations of files, and parsing of settings files with positions.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use toml_edit::{Document, Item, Table};

use super::{
    keys::{self, DATA_FIELDS, KEYS, NETWORK_FIELDS},
    value::{NetworkEntry, NetworkValue, SettingOrigin, SettingValue, SourceEntry},
};
use openlora_core::{
    error::{ExitClass, Explain},
    private::redact,
};
use openlora_runtime::home::AppDirs;

/// Name of the project file.
pub const PROJECT_FILE: &str = "openlora.toml";

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{place}: unknown key `{key}`")]
    UnknownKey {
        place: String,
        key: String,
        suggestion: Option<String>,
    },
    #[error("{place}: unknown section `[{section}]`")]
    UnknownSection {
        place: String,
        section: String,
        suggestion: Option<String>,
    },
    #[error("{place}: `{key}` must be {expected}, found {found}")]
    BadValue {
        place: String,
        key: String,
        expected: String,
        found: String,
    },
    #[error("{place}: {message}")]
    Syntax { place: String, message: String },
    #[error("{place}: `[[data]]` has no `{field}`")]
    MissingDataField { place: String, field: &'static str },
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("no folder for openlora's files: this system reports no home directory")]
    NoHome,
    #[error("unknown environment variable {variable}")]
    UnknownVariable {
        variable: String,
        suggestion: Option<String>,
    },
    #[error(
        "{place}: a project file does not raise what its reader allows: `{key}` must be {expected}, \
         found {found}"
    )]
    BeyondOwn {
        place: String,
        key: &'static str,
        variable: String,
        expected: String,
        found: String,
        /// The value found, as a shell takes it.
        typed: String,
    },
    /// The table of settings accepts a value that its type cannot represent.
    #[error("`{key}` has a value that cannot be used")]
    Untyped { key: &'static str },
    #[error("profile `{name}` is not defined in {place}")]
    UnknownProfile {
        name: String,
        place: String,
        known: Vec<String>,
    },
}

impl Explain for SettingsError {
    fn class(&self) -> ExitClass {
        match self {
            Self::NoHome | Self::Unreadable { .. } => ExitClass::Environment,
            Self::Untyped { .. } => ExitClass::Internal,
            Self::UnknownVariable { .. } => ExitClass::Usage,
            Self::BadValue { place, .. } if place.starts_with("--") => ExitClass::Usage,
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey {
                suggestion: Some(name),
                ..
            } => Some(format!("did you mean `{name}`?")),
            Self::UnknownSection {
                suggestion: Some(name),
                ..
            } => Some(format!("did you mean `[{name}]`?")),
            Self::UnknownKey { .. } | Self::UnknownSection { .. } => {
                Some("`openlora config show` lists every key".to_owned())
            }
            Self::MissingDataField { field, .. } => Some(format!(
                "every source needs a line such as `{field} = \"…\"`"
            )),
            Self::NoHome => Some("set OPENLORA_HOME to a writable folder".to_owned()),
            Self::UnknownVariable {
                suggestion: Some(name),
                ..
            } => Some(format!("did you mean {name}?")),
            Self::UnknownVariable { .. } => Some(
                "every key of `openlora config show` has a variable, such as OPENLORA_TRAIN_RANK"
                    .to_owned(),
            ),
            Self::BeyondOwn {
                key,
                variable,
                typed,
                ..
            } => Some(format!(
                "take it out of that file; if you mean it yourself: openlora config set --user \
                 {key} {typed}, or {variable}={typed}"
            )),
            Self::UnknownProfile { known, .. } if !known.is_empty() => {
                Some(format!("defined there: {}", known.join(", ")))
            }
            Self::UnknownProfile { name, .. } => Some(format!(
                "add a table `[profile.{name}]` with the keys it changes"
            )),
            _ => None,
        }
    }
}

/// The folders of openlora's own files; `OPENLORA_HOME` moves them.
pub fn discover_dirs(home: Option<&Path>) -> Result<AppDirs, SettingsError> {
    AppDirs::discover(home).ok_or(SettingsError::NoHome)
}

/// The nearest project file at or above `start`.
pub fn find_project_file(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|dir| dir.join(PROJECT_FILE))
        .find(|path| path.is_file())
}

/// The content of one settings file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileLayer {
    pub values: Vec<(&'static str, SettingValue, SettingOrigin)>,
    pub sources: Vec<SourceEntry>,
    pub networks: Vec<NetworkEntry>,
}

/// Reads a settings file strictly, with the keys of `[profile.NAME]` applied on top.
pub fn read_file(path: &Path, profile: Option<&str>) -> Result<FileLayer, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|error| SettingsError::Unreadable {
        path: path.to_owned(),
        reason: openlora_core::error::describe_io(&error),
    })?;
    parse(path, &text, profile)
}

/// Like [`read_file`], for text that was already read.
pub fn parse(path: &Path, text: &str, profile: Option<&str>) -> Result<FileLayer, SettingsError> {
    redact::register_credentials(text);
    let reader = SettingsReader { path, text };
    let document = Document::parse(text).map_err(|error| SettingsError::Syntax {
        place: reader.place(error.span()),
        message: error.message().replace('\n', ", "),
    })?;
    let mut layer = FileLayer::default();
    let root: &Table = document.as_table();
    for (name, item) in root.iter() {
        match name {
            "data" => layer.sources = reader.sources(item)?,
            "network" => layer.networks = reader.networks(item)?,
            "profile" => {}
            _ => reader.section(name, item, root, &mut layer)?,
        }
    }
    if let Some(profile) = profile {
        reader.profile(profile, root, &mut layer)?;
    }
    Ok(layer)
}

struct SettingsReader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl SettingsReader<'_> {
    fn place(&self, span: Option<Range<usize>>) -> String {
        let start = span.map_or(0, |span| span.start.min(self.text.len()));
        let line = self.text.as_bytes()[..start]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        format!("{}:{line}", self.path.display())
    }

    fn key_place(&self, table: &Table, name: &str) -> String {
        self.place(table.key(name).and_then(toml_edit::Key::span))
    }

    fn section(
        &self,
        name: &str,
        item: &Item,
        parent: &Table,
        layer: &mut FileLayer,
    ) -> Result<(), SettingsError> {
        let known = KEYS
            .iter()
            .filter_map(|key| key.name.split_once('.'))
            .map(|(section, _)| section);
        if !known.clone().any(|section| section == name) {
            let sections = known.chain(["data", "network", "profile"]);
            return Err(SettingsError::UnknownSection {
                place: self.key_place(parent, name),
                section: name.to_owned(),
                suggestion: closest(name, sections),
            });
        }
        let Some(table) = item.as_table() else {
            return Err(self.bad_value(name, "a table", item));
        };
        for (key, item) in table.iter() {
            let full = format!("{name}.{key}");
            let Some(known) = keys::find(&full) else {
                let candidates = KEYS.iter().map(|key| key.name);
                return Err(SettingsError::UnknownKey {
                    place: self.key_place(table, key),
                    suggestion: closest(&full, candidates),
                    key: full,
                });
            };
            let place = self.place(item.span());
            let found = SettingValue::from_toml(item)
                .ok_or_else(|| self.bad_value(known.name, &known.kind.describe(), item))?;
            let origin = SettingOrigin::File {
                place: place.clone(),
            };
            let value = known
                .kind
                .accept(found)
                .map_err(|found| SettingsError::BadValue {
                    place,
                    key: known.name.to_owned(),
                    expected: known.kind.describe(),
                    found,
                })?;
            layer.values.retain(|(name, _, _)| *name != known.name);
            layer.values.push((known.name, value, origin));
        }
        Ok(())
    }

    fn profile(
        &self,
        name: &str,
        root: &Table,
        layer: &mut FileLayer,
    ) -> Result<(), SettingsError> {
        let profiles = root.get("profile").and_then(Item::as_table);
        let Some(table) = profiles
            .and_then(|table| table.get(name))
            .and_then(Item::as_table)
        else {
            return Err(SettingsError::UnknownProfile {
                name: name.to_owned(),
                place: self.path.display().to_string(),
                known: profiles
                    .map(|table| table.iter().map(|(name, _)| name.to_owned()).collect())
                    .unwrap_or_default(),
            });
        };
        for (section, item) in table.iter() {
            self.section(section, item, table, layer)?;
        }
        Ok(())
    }

    fn sources(&self, item: &Item) -> Result<Vec<SourceEntry>, SettingsError> {
        let Some(tables) = item.as_array_of_tables() else {
            return Err(self.bad_value("data", "a list of `[[data]]` tables", item));
        };
        tables.iter().map(|table| self.source(table)).collect()
    }

    fn source(&self, table: &Table) -> Result<SourceEntry, SettingsError> {
        for (name, _) in table.iter() {
            if !DATA_FIELDS.iter().any(|(field, _)| *field == name) {
                return Err(SettingsError::UnknownKey {
                    place: self.key_place(table, name),
                    key: format!("data.{name}"),
                    suggestion: closest(name, DATA_FIELDS.iter().map(|(field, _)| *field)),
                });
            }
        }
        let place = self.place(table.span());
        let text = |field: &'static str| -> Result<Option<String>, SettingsError> {
            match table.get(field) {
                None => Ok(None),
                Some(item) => match item.as_str() {
                    Some(text) if !text.trim().is_empty() => Ok(Some(text.to_owned())),
                    _ => Err(self.bad_value(
                        &format!("data.{field}"),
                        "a text that is not empty",
                        item,
                    )),
                },
            }
        };
        let require = |field: &'static str| {
            text(field)?.ok_or_else(|| SettingsError::MissingDataField {
                place: place.clone(),
                field,
            })
        };
        let base = self.path.parent().unwrap_or(Path::new("."));
        Ok(SourceEntry {
            path: base.join(require("path")?),
            contributor: require("contributor")?,
            address: text("address")?,
            license: text("license")?,
            weight: self.weight(table.get("weight"))?,
        })
    }

    fn networks(&self, item: &Item) -> Result<Vec<NetworkEntry>, SettingsError> {
        let Some(tables) = item.as_table() else {
            return Err(self.bad_value("network", "`[network.NAME]` tables", item));
        };
        tables
            .iter()
            .map(|(name, item)| self.network(name, item))
            .collect()
    }

    fn network(&self, name: &str, item: &Item) -> Result<NetworkEntry, SettingsError> {
        let Some(table) = item.as_table() else {
            return Err(self.bad_value(&format!("network.{name}"), "a table", item));
        };
        let mut values = Vec::new();
        for (field, item) in table.iter() {
            let key = format!("network.{name}.{field}");
            let Some(known) = NETWORK_FIELDS.iter().find(|known| known.name == field) else {
                return Err(SettingsError::UnknownKey {
                    place: self.key_place(table, field),
                    suggestion: closest(field, NETWORK_FIELDS.iter().map(|known| known.name)),
                    key,
                });
            };
            let refused = || self.bad_value(&key, &known.kind.describe(), item);
            let found = SettingValue::from_toml(item).ok_or_else(refused)?;
            let value = known.kind.accept(found).map_err(|_| refused())?;
            values.push(NetworkValue {
                field: known.name,
                value,
                place: self.place(item.span()),
            });
        }
        Ok(NetworkEntry {
            name: name.to_owned(),
            values,
            by_project: false,
        })
    }

    fn weight(&self, item: Option<&Item>) -> Result<f64, SettingsError> {
        let Some(item) = item else { return Ok(1.0) };
        let value = item
            .as_float()
            .or_else(|| item.as_integer().map(|whole| whole as f64));
        match value {
            Some(weight) if weight.is_finite() && weight > 0.0 => Ok(weight),
            _ => Err(self.bad_value("data.weight", "a number above 0", item)),
        }
    }

    fn bad_value(&self, key: &str, expected: &str, item: &Item) -> SettingsError {
        SettingsError::BadValue {
            place: self.place(item.span()),
            key: key.to_owned(),
            expected: expected.to_owned(),
            found: describe_item(item),
        }
    }
}

/// A value as the user wrote it, on one line.
fn describe_item(item: &Item) -> String {
    match item {
        Item::Value(value) => value
            .clone()
            .decorated("", "")
            .to_string()
            .replace('\n', " "),
        Item::Table(_) => "a table".to_owned(),
        Item::ArrayOfTables(_) => "a list of tables".to_owned(),
        Item::None => "nothing".to_owned(),
    }
}

/// The closest candidate, if one is close enough.
pub fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
