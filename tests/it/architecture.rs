//! The rooms stay apart: who may import whom, which crate belongs to which room, and sizes.

mod graph;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;
use tempfile::TempDir;

use self::graph::{Graph, cycles, edges_of_siblings};

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

/// `(files below src that start with this, rooms besides their own that they may name)`; first match
/// wins.
const IMPORTS: &[(&str, &[&str])] = &[
    (
        "lib.rs",
        &["cli", "commands", "error", "printer", "private", "settings"],
    ),
    ("error.rs", &[]),
    ("atomic.rs", &[]),
    ("private/", &[]),
    ("cli.rs", &["printer", "settings"]),
    ("printer.rs", &["error", "private"]),
    ("settings/", &["error", "private", "settings"]),
    (
        "commands/",
        &[
            "atomic", "cli", "commands", "error", "printer", "private", "runtime", "settings",
            "tui", "wallet",
        ],
    ),
    ("runtime/", &["atomic", "error", "private", "runtime"]),
    ("tui/", &["atomic", "private", "runtime", "tui"]),
    // Of the runtime, only what the wallet implements or writes down.
    (
        "wallet/devchain/",
        &["atomic", "error", "private", "wallet"],
    ),
    (
        "wallet/",
        &["atomic", "error", "private", "runtime", "wallet"],
    ),
];

/// Rooms of the runtime that the wallet may know.
const WALLET_KNOWS: &[&str] = &["event", "ledger", "package", "ports"];

/// And those that the dashboard may know.
const TUI_KNOWS: &[&str] = &["calendar", "event", "ledger", "state"];

/// What the library's modules name of each other.
fn graph() -> &'static Graph {
    static GRAPH: LazyLock<Graph> = LazyLock::new(|| {
        let graph = Graph::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let files: BTreeSet<&String> = graph.files.values().collect();
        let sources = sources().into_iter().map(|source| source.path);
        let unread: Vec<String> = sources.filter(|it| !files.contains(it)).collect();
        assert_eq!(unread, ["main.rs"], "files of no module");
        graph
    });
    &GRAPH
}

/// A module may name its parents and its children; between siblings, each with everything below it,
/// names lead one way.
#[test]
fn modules_form_no_circle() {
    let mut circles = Vec::new();
    for (parent, edges) in edges_of_siblings(&graph().edges) {
        for circle in cycles(&edges) {
            circles.push(format!("below {parent}:"));
            for ((from, to), names) in &edges {
                if circle.contains(from.as_str()) && circle.contains(to.as_str()) {
                    circles.push(format!("  {from} names of {to}: {names:?}"));
                }
            }
        }
    }
    assert_eq!(circles, Vec::<String>::new());
}

/// A small crate that names things in every way.
const SMALL: &[(&str, &str)] = &[
    ("lib.rs", "mod a; pub mod b; mod c; mod d; mod e; mod f;"),
    (
        "a.rs",
        "use crate::{b::{self as bee, Shown}, c}; use regex::Regex; \
         fn f(_: Shown, _: bee::inner::Deep) { c::call(); }",
    ),
    (
        "b.rs",
        "pub mod inner; pub use inner::Shown; pub struct Own;",
    ),
    (
        "b/inner.rs",
        "pub struct Shown; pub struct Deep; fn f(_: super::Own) {}",
    ),
    ("c/mod.rs", "pub use super::d::*; pub fn call() {}"),
    (
        "d.rs",
        "pub struct Star; mod within { fn f() { println!(\"{}\", crate::e::told()); } }",
    ),
    (
        "e.rs",
        "#[serde(with = \"crate::f::form\")] struct Told; pub fn told() -> crate::c::Star {}",
    ),
    (
        "f.rs",
        "use serde_json::json; pub mod form { pub fn serialize() { super::super::a::f() } }",
    ),
];

#[test]
fn the_graph_finds_where_names_are_defined() {
    let dir = TempDir::new().unwrap();
    for (name, text) in SMALL {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let graph = Graph::read(dir.path());
    let edges = graph.edges.keys();
    let edges: Vec<(&str, &str)> = edges.map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let expected = [
        ("crate::a", "crate::b::inner"),
        ("crate::a", "crate::c"),
        ("crate::b", "crate::b::inner"),
        ("crate::b::inner", "crate::b"),
        ("crate::d", "crate::e"),
        ("crate::e", "crate::d"),
        ("crate::f", "crate::a"),
    ];
    assert_eq!(edges, expected);
    assert_eq!(graph.files["crate::c"], "c/mod.rs");
    assert!(graph.outside["crate::a"].contains("regex"));
    assert!(graph.outside["crate::f"].contains("serde_json"));
    let folded = edges_of_siblings(&graph.edges);
    let circles: Vec<_> = folded.values().flat_map(cycles).collect();
    assert_eq!(circles, [BTreeSet::from(["crate::d", "crate::e"])]);
}

#[test]
fn the_wallet_knows_the_runtime_by_its_ports_only() {
    assert_eq!(rooms_beyond("wallet/", WALLET_KNOWS), BTreeSet::new());
}

#[test]
fn the_dashboard_knows_facts_sums_and_days_only() {
    assert_eq!(rooms_beyond("tui/", TUI_KNOWS), BTreeSet::new());
}

/// Rooms of the runtime that the files below `start` name and may not.
fn rooms_beyond(start: &str, known: &[&str]) -> BTreeSet<String> {
    let edges = graph().edges.keys();
    let below = edges.filter(|(from, _)| graph().files[from].starts_with(start));
    let rooms = below.filter_map(|(from, to)| {
        let room = to.strip_prefix("crate::runtime::")?.split("::").next()?;
        (!known.contains(&room)).then(|| format!("{from} names runtime::{room}"))
    });
    rooms.collect()
}

#[test]
fn rooms_import_only_what_they_may() {
    let mut offences = BTreeSet::new();
    for (module, file) in &graph().files {
        let (_, allowed) = IMPORTS
            .iter()
            .find(|(start, _)| file.starts_with(start))
            .unwrap_or_else(|| panic!("{file} belongs to no room"));
        for (_, to) in graph().edges.keys().filter(|(from, _)| from == module) {
            let room = room_of(to);
            if room != room_of(module) && !allowed.contains(&room) {
                offences.insert(format!("{module} names crate::{room}"));
            }
        }
    }
    assert_eq!(offences, BTreeSet::new());
}

/// The name after `crate` in a module's path; none for the root.
fn room_of(module: &str) -> &str {
    module.split("::").nth(1).unwrap_or_default()
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
        &["runtime/journal/", "wallet/devchain/", "wallet/payer/"],
    ),
    ("axum", &["runtime/serve/", "wallet/devchain/server/"]),
    ("anyhow", &["commands/"]),
    ("alloy", &["wallet/", "runtime/ledger/"]),
    ("revm", &["wallet/devchain/"]),
    ("rpassword", &["commands/ask.rs"]),
    ("rustix", &["atomic.rs"]),
    ("ratatui", &["tui/"]),
    ("crossterm", &["tui/"]),
];

#[test]
fn third_parties_stay_in_their_rooms() {
    let mut offences = Vec::new();
    for (name, homes) in THIRD_PARTIES {
        for (module, named) in &graph().outside {
            let file = &graph().files[module];
            if named.contains(*name) && !homes.iter().any(|home| file.starts_with(home)) {
                offences.push(format!("{file} uses {name}"));
            }
        }
    }
    assert_eq!(offences, Vec::<String>::new());
}

/// What writes or renames by itself, and why it may.
const WRITERS: &[(&str, &str)] = &[
    ("atomic.rs", "the one place of replacements"),
    (
        "commands/init.rs",
        "moves files into an empty folder that a shell may stand in",
    ),
    (
        "runtime/serve/engine/view.rs",
        "a scratch folder that ends with the process",
    ),
];

#[test]
fn whatever_is_replaced_is_replaced_atomically() {
    let writes =
        Regex::new(r"fs::write\(|fs::rename\(|File::create|\.persist|NamedTempFile").unwrap();
    let found: Vec<String> = sources()
        .into_iter()
        .filter(|source| writes.is_match(&source.code))
        .map(|source| source.path)
        .collect();
    assert_eq!(found, WRITERS.iter().map(|it| it.0).collect::<Vec<_>>());
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
            "runtime/attribution/call_shares",
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
    assert!(!main.contains("crate::") && !main.contains("mod "));
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
