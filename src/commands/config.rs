//! `config show | get | path | set`: shows settings with their origins, and changes one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Serialize;
use toml_edit::{DocumentMut, Item, Table};

use super::{CommandContext, network};
use crate::commands::settings::{
    SettingKey, SettingOrigin, SettingValue, SettingsError, SourceEntry, closest, keys,
    keys::NETWORK_FIELDS,
};
use openlora_chain::network::{rpc_url, shown_rpc};
use openlora_core::{
    atomic::{self, FileAccess},
    error::{ExitClass, ExitStatus, Failure},
    private::files,
};

/// Prints every key, its value and, if requested, its origin.
pub fn print_settings(context: &CommandContext, origin: bool) -> Result<ExitStatus, Failure> {
    if context.printer.is_json() {
        context.printer.json(&shown(context));
        return Ok(ExitStatus::Success);
    }
    let keys = context.settings.rows().map(|(key, value)| {
        let from = value.map_or("unset".to_owned(), |(_, origin)| origin.to_string());
        (assignment(key, value.map(|(value, _)| value)), from)
    });
    let networks = network_rows(context).into_iter();
    let networks =
        networks.map(|(key, (value, origin))| (format!("{key} = {value}"), origin.to_string()));
    let rows: Vec<(String, String)> = keys.chain(networks).collect();
    let width = rows
        .iter()
        .map(|(left, _)| left.chars().count())
        .max()
        .unwrap_or(0);
    for (left, from) in rows {
        match origin {
            true => context.printer.line(format!("{left:width$}  # {from}")),
            false => context.printer.line(left),
        }
    }
    for source in &context.settings.sources {
        let license = source.license.as_deref().unwrap_or("no licence named");
        context.printer.line(format!(
            "data {} ({}, {license}, weight {})",
            source.path.display(),
            source.contributor,
            source.weight
        ));
    }
    Ok(ExitStatus::Success)
}

/// The fields of networks that settings files state, without the access keys of RPCs.
fn network_rows(context: &CommandContext) -> BTreeMap<String, (SettingValue, SettingOrigin)> {
    let mut rows = context.settings.network_rows();
    for (key, (value, _)) in &mut rows {
        if let SettingValue::Text(rpc) = value
            && key.ends_with(".rpc")
        {
            *rpc = shown_rpc(rpc);
        }
    }
    rows
}

fn assignment(key: &SettingKey, value: Option<&SettingValue>) -> String {
    match value {
        Some(value) => format!("{} = {value}", key.name),
        None => format!("# {} is unset: {}", key.name, key.about),
    }
}

/// The result of `config show`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigReport<'a> {
    /// By key, such as `train.rank`.
    settings: BTreeMap<String, ConfigValue>,
    data: &'a [SourceEntry],
}

/// The result of `config get`, and a part of that of `config show`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigValue {
    value: Option<SettingValue>,
    /// A flag, a variable, a file and line, `default` or `unset`.
    origin: String,
}

impl ConfigValue {
    fn new(found: Option<&(SettingValue, SettingOrigin)>) -> Self {
        Self {
            value: found.map(|(value, _)| value.clone()),
            origin: found.map_or("unset".to_owned(), |(_, origin)| origin.to_string()),
        }
    }
}

fn shown(context: &CommandContext) -> ConfigReport<'_> {
    let keys = context.settings.rows();
    let keys = keys.map(|(key, found)| (key.name.to_owned(), ConfigValue::new(found)));
    let networks = network_rows(context).into_iter();
    let networks = networks.map(|(key, found)| (key, ConfigValue::new(Some(&found))));
    ConfigReport {
        settings: keys.chain(networks).collect(),
        data: &context.settings.sources,
    }
}

/// Prints the value of one key alone, for scripts too.
pub fn get(context: &CommandContext, name: &str) -> Result<ExitStatus, Failure> {
    let (key, found) = match name
        .strip_prefix("network.")
        .and_then(|it| it.rsplit_once('.'))
    {
        Some((network, field)) => {
            let key = known_field(network, field)?;
            (key, network_value(context, network, key)?)
        }
        None => {
            let key = known_key("config get", name)?;
            (key, context.settings.get(key.name).cloned())
        }
    };
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&ConfigValue::new(found.as_ref()));
        return Ok(ExitStatus::Success);
    }
    match found {
        Some((SettingValue::Text(text), _)) => printer.line(text),
        Some((value, _)) => printer.line(value.to_string()),
        None => printer.note(format!("{name} is unset: {}", key.about)),
    }
    Ok(ExitStatus::Success)
}

/// The value of a network's field: that of the settings files, or else that of the preset.
fn network_value(
    context: &CommandContext,
    name: &str,
    key: &SettingKey,
) -> Result<Option<(SettingValue, SettingOrigin)>, Failure> {
    let full = format!("network.{name}.{}", key.name);
    if let Some(stated) = network_rows(context).remove(&full) {
        return Ok(Some(stated));
    }
    let network = network::named(context, name)?;
    let value = network::field_value(&network, key.name);
    Ok(value.map(|value| (value, SettingOrigin::Default)))
}

fn known_field(network: &str, field: &str) -> Result<&'static SettingKey, SettingsError> {
    let full = |field: &str| format!("network.{network}.{field}");
    let mut fields = NETWORK_FIELDS.iter();
    let names = fields.clone().map(|key| key.name);
    fields
        .find(|key| key.name == field)
        .ok_or_else(|| SettingsError::UnknownKey {
            place: "config get".to_owned(),
            key: full(field),
            suggestion: closest(field, names).map(|near| full(&near)),
        })
}

fn known_key(place: &str, name: &str) -> Result<&'static SettingKey, SettingsError> {
    keys::find(name).ok_or_else(|| SettingsError::UnknownKey {
        place: place.to_owned(),
        key: name.to_owned(),
        suggestion: closest(name, keys::KEYS.iter().map(|key| key.name)),
    })
}

/// The result of `config path`: files and folders in use.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigPaths {
    project: Option<PathBuf>,
    user: PathBuf,
    config: PathBuf,
    data: PathBuf,
    cache: PathBuf,
}

/// Prints the files and folders in use.
pub fn path(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let paths = ConfigPaths {
        project: context.settings.project_file.clone(),
        user: context.dirs.user_file(),
        config: context.dirs.config.clone(),
        data: context.dirs.data.clone(),
        cache: context.dirs.cache.clone(),
    };
    if context.printer.is_json() {
        context.printer.json(&paths);
        return Ok(ExitStatus::Success);
    }
    let rows = [
        ("project", paths.project.as_ref()),
        ("user", Some(&paths.user)),
        ("config", Some(&paths.config)),
        ("data", Some(&paths.data)),
        ("cache", Some(&paths.cache)),
    ];
    for (name, path) in rows {
        let path = path.map_or("none".to_owned(), |path| path.display().to_string());
        context.printer.line(format!("{name:8} {path}"));
    }
    Ok(ExitStatus::Success)
}

/// Changes one key in a settings file; comments and order are preserved.
pub fn set(
    context: &CommandContext,
    name: &str,
    text: &str,
    user: bool,
) -> Result<ExitStatus, Failure> {
    // The fields of networks are checked with the file.
    if !name.starts_with("network.") {
        known_key("config set", name)?;
    }
    let rpc_of = name.strip_prefix("network.");
    if let Some(network) = rpc_of.and_then(|it| it.strip_suffix(".rpc")) {
        rpc_url(network, text)?;
    }
    let file = match (user, &context.settings.project_file) {
        (true, _) => context.dirs.user_file(),
        (false, Some(file)) => file.clone(),
        (false, None) => {
            return Err(Failure::new(
                ExitClass::Usage,
                "config set: there is no project file here",
            )
            .with_hint("run it in a project folder, which `openlora init` makes, or add --user"));
        }
    };
    let changed = change(&file, name, text)?;
    if !user {
        context.settings.check_project(&file, &changed)?;
    }
    write_atomically(&file, &changed)?;
    context
        .printer
        .note(format!("{name} = {text} in {}", file.display()));
    Ok(ExitStatus::Success)
}

/// The file's text with the key changed, parsed strictly before it is accepted.
fn change(file: &Path, name: &str, text: &str) -> Result<String, Failure> {
    let old = match std::fs::read_to_string(file) {
        Ok(old) => old,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::io("read", file, &error)),
    };
    crate::commands::settings::parse(file, &old, None)?;
    let mut document: DocumentMut = old.parse().map_err(|error: toml_edit::TomlError| {
        Failure::new(
            ExitClass::BadInput,
            format!("{}: {}", file.display(), error.message()),
        )
    })?;
    let (sections, field) = name.rsplit_once('.').unwrap_or(("", name));
    let table = sections
        .split('.')
        .try_fold(document.as_table_mut(), |table, section| {
            table.entry(section).or_insert(new_table()).as_table_mut()
        });
    let value = text
        .parse::<toml_edit::Value>()
        .unwrap_or_else(|_| toml_edit::Value::from(text));
    if let Some(table) = table {
        table[field] = Item::Value(value);
    }
    let new = document.to_string();
    crate::commands::settings::parse(file, &new, None)?;
    Ok(new)
}

/// A table whose header is written only if it has values of its own.
fn new_table() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

fn write_atomically(file: &Path, text: &str) -> Result<(), Failure> {
    let dir = file.parent().unwrap_or(Path::new("."));
    files::new_folder(dir).map_err(|error| Failure::io("create", dir, &error))?;
    atomic::replace_file(file, text.as_bytes(), FileAccess::Owner)
        .map_err(|error| Failure::io("write", file, &error))
}
