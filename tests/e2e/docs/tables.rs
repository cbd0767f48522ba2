//! Tables that are generated from the code stand between two comments and are compared with it.

use std::{fs, sync::Mutex};

use clap::CommandFactory;
use openlora::commands::{
    cli::Cli,
    settings::{
        KEYS, SettingKey, SettingKind,
        keys::{DATA_FIELDS, NETWORK_FIELDS},
    },
};
use openlora_core::error::EXIT_CLASSES;
use openlora_payments::x402::Reason;
use openlora_serve::{ROUTES, RouteAudience};
use openlora_tui::keymap::BINDINGS;
use regex::Regex;

use super::read;
use crate::paths::repository;

/// Compares the table between `<!-- generated: NAME -->` and `<!-- end -->` with what the code
/// knows, or writes it when told to.
fn assert_table<const N: usize>(
    file: &str,
    name: &str,
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    // Several tests may write the one file.
    static FILE: Mutex<()> = Mutex::new(());
    let _guard = FILE.lock().unwrap();
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut wanted = line(&header.map(str::to_owned)) + &line(&header.map(|_| "---".to_owned()));
    wanted.extend(rows.into_iter().map(|row| line(&row)));
    let file = format!("docs/src/reference/{file}");
    let text = read(&file);
    let begin = format!("<!-- generated: {name} -->\n\n");
    let start = text.find(&begin).unwrap() + begin.len();
    let end = start + text[start..].find("<!-- end -->").unwrap();
    if std::env::var_os("REGENERATE").is_some() {
        let text = format!("{}{wanted}\n{}", &text[..start], &text[end..]);
        fs::write(repository().join(&file), text).unwrap();
        return;
    }
    assert_eq!(
        text[start..end].trim_end(),
        wanted.trim_end(),
        "{file} is out of date: run REGENERATE=1 scripts/test generated"
    );
}

fn code(text: impl std::fmt::Display) -> String {
    format!("`{text}`")
}

#[test]
fn generated_table_of_verbs_is_current() {
    let mut rows = Vec::new();
    let row = |name: String, verb: &clap::Command| {
        let about = verb.get_about().unwrap().to_string();
        [code(name), about]
    };
    let command = Cli::command();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = verb.get_name();
        let before = rows.len();
        let below = verb.get_subcommands();
        rows.extend(below.map(|below| row(format!("{name} {}", below.get_name()), below)));
        if rows.len() == before {
            rows.push(row(name.to_owned(), verb));
        }
    }
    assert_table("commands.md", "verbs", ["command", "what it does"], rows);
}

#[test]
fn generated_table_of_settings_is_current() {
    let row = |key: &SettingKey| {
        let default = key.default.map_or_else(|| "–".to_owned(), code);
        let about = key.about.to_owned();
        [code(key.name), values(key.kind), default, about]
    };
    let header = ["key", "values", "default", "meaning"];
    assert_table("settings.md", "settings", header, KEYS.iter().map(row));
    let row = |key: &SettingKey| [code(key.name), values(key.kind), key.about.to_owned()];
    let header = ["field", "values", "meaning"];
    assert_table(
        "settings.md",
        "networks",
        header,
        NETWORK_FIELDS.iter().map(row),
    );
    let row = |(name, about): &(&str, &str)| [code(name), (*about).to_owned()];
    let rows = DATA_FIELDS.iter().map(row);
    assert_table("settings.md", "data", ["field", "meaning"], rows);
}

fn values(kind: SettingKind) -> String {
    match kind {
        SettingKind::Integer { min, max } => format!("whole number from {min} to {max}"),
        SettingKind::Number { min, max } => format!("number from {min} to {max}"),
        SettingKind::Boolean => "true or false".to_owned(),
        SettingKind::Text => "text".to_owned(),
        SettingKind::Choice(words) => words.join(", "),
        SettingKind::List => "list of texts".to_owned(),
    }
}

#[test]
fn generated_table_of_exit_codes_is_current() {
    let done = ["0".to_owned(), String::new(), "done".to_owned()];
    let row = |row: &(_, u8, &str, &str)| [row.1.to_string(), code(row.2), row.3.to_owned()];
    let rows = [done].into_iter().chain(EXIT_CLASSES.iter().map(row));
    let header = ["code", "name", "meaning"];
    assert_table("exit-codes.md", "exit codes", header, rows);
}

#[test]
fn generated_table_of_routes_is_current() {
    let rows = ROUTES.iter().map(|route| {
        let path = route.path.replace("{*", "{");
        let audience = match route.audience {
            RouteAudience::Anyone => "anyone",
            RouteAudience::Operator => "the operator",
            RouteAudience::Sellers => "sellers",
        };
        let about = route.about.to_owned();
        [
            code(format!("{} {path}", route.method)),
            audience.to_owned(),
            about,
        ]
    });
    let header = ["method and path", "for", "what"];
    assert_table("http.md", "routes", header, rows);
}

#[test]
fn generated_table_of_payment_reasons_is_current() {
    let row = |reason: &Reason| [code(reason.code()), reason.message().to_owned()];
    let rows = Reason::ALL.iter().map(row);
    assert_table("http.md", "reasons", ["reason", "meaning"], rows);
}

#[test]
fn generated_table_of_keys_is_current() {
    let rows = BINDINGS
        .iter()
        .map(|it| [code(it.keys_shown()), it.about.to_owned()]);
    assert_table("dashboard-keys.md", "keys", ["key", "what it does"], rows);
}

/// Where the events are defined.
const EVENTS: &str = "crates/ledger/src/event.rs";

#[test]
fn generated_table_of_events_is_current() {
    let text = read(EVENTS);
    let body = text.split("pub enum Event {\n").nth(1).unwrap();
    let body = body.split("\n}\n").next().unwrap();
    let variant = Regex::new(r"^    ([A-Z]\w+)[ ({,]").unwrap();
    let mut about = Vec::new();
    let mut rows = Vec::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("    /// ") {
            about.push(comment);
        } else if let Some(found) = variant.captures(line) {
            assert!(!about.is_empty(), "{} has no comment", &found[1]);
            rows.push([code(tag(&found[1])), about.join(" ")]);
            about.clear();
        }
    }
    assert!(rows.len() > 20, "{} events", rows.len());
    assert_table("events.md", "events", ["type", "meaning"], rows);
}

/// As serde writes a variant's name.
fn tag(name: &str) -> String {
    let mut tag = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !tag.is_empty() {
            tag.push('_');
        }
        tag.push(letter.to_ascii_lowercase());
    }
    tag
}
