//! The rooms stay apart: who may import whom, which crate belongs to which room, and sizes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// A source file: its path below `src/` with `/`, and its text without comments.
struct Source {
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut pending = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source {
                    path: path
                        .strip_prefix(&root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .replace('\\', "/"),
                    code: without_comments(&text),
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        found.len() > 20,
        "the scan found only {} files",
        found.len()
    );
    found
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// `(files below src that start with this, rooms they may name as crate::ROOM)`; first match wins.
const IMPORTS: &[(&str, &[&str])] = &[
    ("main.rs", &[]),
    (
        "lib.rs",
        &["cli", "commands", "error", "printer", "private", "settings"],
    ),
    ("error.rs", &[]),
    ("private/", &[]),
    ("cli.rs", &["printer", "settings"]),
    ("printer.rs", &["error", "private"]),
    ("settings/", &["error", "private", "settings"]),
    (
        "commands/",
        &[
            "cli", "commands", "error", "printer", "private", "runtime", "settings", "tui",
            "wallet",
        ],
    ),
    ("runtime/", &["error", "private", "runtime"]),
    ("tui/", &["private", "runtime", "tui"]),
    // Of the runtime, only what the wallet implements or writes down.
    ("wallet/devchain/", &["error", "private", "wallet"]),
    ("wallet/", &["error", "private", "runtime", "wallet"]),
];

/// Rooms of the runtime that the wallet may know.
const WALLET_KNOWS: &[&str] = &["event", "ledger", "package", "ports"];

/// And those that the dashboard may know.
const TUI_KNOWS: &[&str] = &["calendar", "event", "ledger", "state"];

#[test]
fn the_wallet_knows_the_runtime_by_its_ports_only() {
    assert_eq!(rooms_beyond("wallet/", WALLET_KNOWS), Vec::<String>::new());
}

#[test]
fn the_dashboard_knows_facts_sums_and_days_only() {
    assert_eq!(rooms_beyond("tui/", TUI_KNOWS), Vec::<String>::new());
}

/// Rooms of the runtime that the files below `start` name and may not.
fn rooms_beyond(start: &str, known: &[&str]) -> Vec<String> {
    let named = Regex::new(r"runtime::(\{[^;]*\}|\w+)").unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        if !source.path.starts_with(start) {
            continue;
        }
        for found in named.captures_iter(&source.code) {
            let list = &found[1];
            let rooms = match list.strip_prefix('{') {
                Some(inner) => outermost(inner),
                None => vec![leading_name(list)],
            };
            for room in rooms.into_iter().filter(|room| !room.is_empty()) {
                if !known.contains(&room) {
                    offences.push(format!("{} imports runtime::{room}", source.path));
                }
            }
        }
    }
    offences
}

/// What follows `crate::` anywhere: one name, or the outermost names of a braced list.
fn rooms_named(code: &str) -> Vec<&str> {
    let marker = "crate::";
    code.match_indices(marker)
        .flat_map(|(at, _)| {
            let rest = &code[at + marker.len()..];
            match rest.strip_prefix('{') {
                Some(list) => outermost(list),
                None => vec![leading_name(rest)],
            }
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// Names at the level of a list whose opening brace has been read.
fn outermost(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut names) = (1_usize, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && letter == ',') {
            names.push(leading_name(list[start..at].trim_start()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn leading_name(text: &str) -> &str {
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    &text[..end.unwrap_or(text.len())]
}

#[test]
fn names_after_crate_are_found() {
    let code = "use crate::{a, b::{c, d}, e};\ncrate::f::g(); use crate::h;";
    assert_eq!(rooms_named(code), ["a", "b", "e", "f", "h"]);
}

#[test]
fn rooms_import_only_what_they_may() {
    let mut offences = Vec::new();
    for source in sources() {
        let (_, allowed) = IMPORTS
            .iter()
            .find(|(start, _)| source.path.starts_with(start))
            .unwrap_or_else(|| panic!("{} belongs to no room", source.path));
        for room in rooms_named(&source.code) {
            if !allowed.contains(&room) {
                offences.push(format!("{} imports crate::{room}", source.path));
            }
        }
    }
    assert_eq!(offences, Vec::<String>::new());
}

/// `(crate, files below src that may name it)`.
const THIRD_PARTIES: &[(&str, &[&str])] = &[
    ("mistralrs", &["runtime/mistral/"]),
    ("mistralrs_quant", &["runtime/mistral/"]),
    (
        "candle_core",
        &["runtime/decoder/", "runtime/train/", "runtime/influence/"],
    ),
    ("clap", &["cli.rs", "lib.rs", "commands/completions.rs"]),
    ("clap_complete", &["cli.rs", "commands/completions.rs"]),
    ("clap_mangen", &["commands/completions.rs"]),
    ("indicatif", &["printer.rs"]),
    (
        "rusqlite",
        &["runtime/journal/", "wallet/devchain/", "wallet/purse/"],
    ),
    ("axum", &["runtime/serve/", "wallet/devchain/server/"]),
    ("anyhow", &["commands/"]),
    ("alloy", &["wallet/", "runtime/ledger/"]),
    ("revm", &["wallet/devchain/"]),
    ("rpassword", &["commands/ask.rs"]),
    ("ratatui", &["tui/"]),
    ("crossterm", &["tui/"]),
];

#[test]
fn third_parties_stay_in_their_rooms() {
    let mut offences = Vec::new();
    let sources = sources();
    for (name, homes) in THIRD_PARTIES {
        let used = Regex::new(&format!(r"\b{name}::")).unwrap();
        for source in &sources {
            let at_home = homes.iter().any(|home| source.path.starts_with(home));
            if !at_home && used.is_match(&source.code) {
                offences.push(format!("{} uses {name}", source.path));
            }
        }
    }
    assert_eq!(offences, Vec::<String>::new());
}

/// Rooms whose results must be the same everywhere, and what would make them differ.
#[test]
fn pure_rooms_know_no_clock_file_or_randomness() {
    let impure =
        Regex::new(r"std::fs|std::time|SystemTime|Instant::|rand::|tokio::|async fn|\bf(32|64)\b")
            .unwrap();
    for source in sources() {
        if [
            "runtime/state",
            "runtime/ledger/",
            "runtime/attribution/shares/",
            "runtime/attribution/recompute",
            "runtime/attribution/settle",
        ]
        .iter()
        .any(|room| source.path.starts_with(room))
        {
            let found: Vec<&str> = impure
                .find_iter(&source.code)
                .map(|hit| hit.as_str())
                .collect();
            assert_eq!(found, Vec::<&str>::new(), "{}", source.path);
        }
    }
}

#[test]
fn main_is_tiny_and_every_module_says_what_it_owns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let main = fs::read_to_string(root.join("main.rs")).unwrap();
    assert!(main.lines().count() <= 40);
    let silent: Vec<String> = sources()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| {
            !fs::read_to_string(root.join(path))
                .unwrap()
                .starts_with("//!")
        })
        .collect();
    assert_eq!(silent, Vec::<String>::new());
}
