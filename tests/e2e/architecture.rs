//! The rooms stay apart: which crate may be named where, what a crate's tests build, and sizes.

mod closure;
mod graph;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;
use serde::Deserialize;
use tempfile::TempDir;

use self::graph::{Graph, cycles, edges_of_siblings};
use crate::paths::repository;

/// A source file: its path below the repository with `/`, and its text without comments.
struct Source {
    path: String,
    code: String,
}

#[derive(Deserialize)]
struct Root {
    workspace: Workspace,
}

#[derive(Deserialize)]
struct Workspace {
    members: Vec<String>,
}

/// Folders of the crates besides the root's.
pub fn members() -> Vec<String> {
    let text = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    toml::from_str::<Root>(&text).unwrap().workspace.members
}

/// Folders of each crate's sources, the root's last.
fn crates() -> Vec<String> {
    let mut folders: Vec<String> = members()
        .into_iter()
        .map(|member| match member.starts_with("src/") {
            true => member,
            false => format!("{member}/src"),
        })
        .collect();
    folders.push("src".to_owned());
    folders
}

/// A path below the repository, with `/`.
fn below_root(path: &Path) -> String {
    let path = path.strip_prefix(repository()).unwrap();
    path.to_str().unwrap().replace('\\', "/")
}

fn sources() -> Vec<Source> {
    let mut pending = vec![repository().join("src"), repository().join("crates")];
    let mut found = Vec::new();
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("tests") && !path.ends_with("benches") {
                    pending.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source {
                    path: below_root(&path),
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

/// What the modules of each crate name of each other, by the folder of its sources.
fn graphs() -> &'static BTreeMap<String, Graph> {
    static GRAPHS: LazyLock<BTreeMap<String, Graph>> = LazyLock::new(|| {
        let read = |folder: String| {
            let graph = Graph::read(&repository().join(&folder));
            (folder, graph)
        };
        let graphs: BTreeMap<String, Graph> = crates().into_iter().map(read).collect();
        let files: BTreeSet<String> = graphs
            .iter()
            .flat_map(|(folder, graph)| {
                let below = move |file: &String| format!("{folder}/{file}");
                graph.files.values().map(below)
            })
            .collect();
        let sources = sources().into_iter().map(|source| source.path);
        let unread: Vec<String> = sources.filter(|it| !files.contains(it)).collect();
        assert_eq!(unread, ["src/main.rs"], "files of no module");
        graphs
    });
    &GRAPHS
}

/// A module may name its parents and its children; between siblings, each with everything below it,
/// names lead one way.
#[test]
fn modules_form_no_circle() {
    let mut circles = Vec::new();
    for (folder, graph) in graphs() {
        for (parent, edges) in edges_of_siblings(&graph.edges) {
            for circle in cycles(&edges) {
                circles.push(format!("{folder}, below {parent}:"));
                for ((from, to), names) in &edges {
                    if circle.contains(from.as_str()) && circle.contains(to.as_str()) {
                        circles.push(format!("  {from} names of {to}: {names:?}"));
                    }
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

/// Crates of the wallet's rooms: keys, chains, and what is signed for and sent to them.
const WALLET: &[&str] = &["chain", "contracts", "payments", "release", "wallet"];

/// Of the others, only what these implement or write down.
#[test]
fn the_wallet_knows_the_runtime_by_its_ports_only() {
    let known = [WALLET, &["core", "ledger", "package", "ports"]].concat();
    let beyond: BTreeSet<String> = WALLET
        .iter()
        .flat_map(|name| crates_beyond(name, &known))
        .collect();
    assert_eq!(beyond, BTreeSet::new());
    let known = ["contracts", "core", "wallet"];
    assert_eq!(crates_beyond("devnet", &known), BTreeSet::new());
}

#[test]
fn the_dashboard_knows_facts_sums_and_days_only() {
    assert_eq!(crates_beyond("tui", &["core", "ledger"]), BTreeSet::new());
}

/// Crates of ours that a crate depends on and may not.
fn crates_beyond(name: &str, known: &[&str]) -> BTreeSet<String> {
    let manifest = closure::Manifest::of(&format!("openlora-{name}"));
    let ours = manifest.dependencies.keys();
    let ours = ours.filter_map(|it| it.strip_prefix("openlora-"));
    let beyond = ours.filter(|it| !known.contains(it));
    beyond.map(|it| format!("{name} depends on {it}")).collect()
}

/// Within the root crate, the root names `commands`, and there is nothing else. Between crates, the
/// compiler sees to it, and none depends on the root.
#[test]
fn rooms_import_only_what_they_may() {
    let mut offences = BTreeSet::new();
    for (from, to) in graphs()["src"].edges.keys() {
        let (room, other) = (room_of(from), room_of(to));
        let may = (room, other) == ("", "commands");
        if room != other && !may {
            offences.insert(format!("{from} names crate::{other}"));
        }
    }
    for member in members() {
        let manifest = closure::Manifest::read(&member);
        if manifest.dependencies.contains_key("openlora") {
            offences.insert(format!("{member} depends on the root"));
        }
    }
    assert_eq!(offences, BTreeSet::new());
}

/// The name after `crate` in a module's path; none for the root.
fn room_of(module: &str) -> &str {
    module.split("::").nth(1).unwrap_or_default()
}

/// `(crate or a part of it, places below the repository that may name it)`.
const THIRD_PARTIES: &[(&str, &[&str])] = &[
    ("mistralrs", &["crates/mistral/"]),
    ("mistralrs_quant", &["crates/mistral/"]),
    (
        "candle_core",
        &[
            "crates/decoder/",
            "crates/train/",
            "crates/influence/",
            // A text encoder that comes from a library.
            "crates/diffusion/src/text_encoder.rs",
            // Trains the embedded base.
            "xtask/",
        ],
    ),
    (
        "clap",
        &[
            "src/commands/cli.rs",
            "src/lib.rs",
            "src/commands/completions.rs",
        ],
    ),
    (
        "clap_complete",
        &["src/commands/cli.rs", "src/commands/completions.rs"],
    ),
    ("clap_mangen", &["src/commands/completions.rs"]),
    ("indicatif", &["src/commands/printer.rs"]),
    (
        "rusqlite",
        &[
            "crates/journal/",
            "crates/devnet/",
            "crates/payments/src/payer/",
        ],
    ),
    (
        "axum",
        &[
            "crates/serve/",
            "crates/devnet/src/server/",
            "crates/market/src/proxy/",
        ],
    ),
    ("anyhow", &["src/commands/"]),
    (
        "alloy",
        &[
            "crates/chain/",
            "crates/contracts/",
            "crates/core/",
            "crates/devnet/",
            "crates/payments/",
            "crates/release/",
            "src/wallet/",
        ],
    ),
    ("alloy::consensus", NETWORK),
    ("alloy::contract", NETWORK),
    ("alloy::eips", NETWORK),
    ("alloy::network", NETWORK),
    ("alloy::providers", NETWORK),
    ("alloy::pubsub", NETWORK),
    ("alloy::rpc", NETWORK),
    ("alloy::signers", NETWORK),
    ("alloy::transports", NETWORK),
    ("revm", &["crates/devnet/"]),
    ("rpassword", &["src/commands/ask.rs"]),
    ("linux_keyutils", &["src/wallet/"]),
    (
        "rustix",
        &[
            "crates/core/src/atomic.rs",
            "crates/core/src/disk.rs",
            "crates/distribution/src/store.rs",
            "crates/distribution/src/store_room.rs",
        ],
    ),
    ("landlock", &["crates/container/"]),
    ("seccompiler", &["crates/container/"]),
    ("ratatui", &["src/tui/"]),
    ("crossterm", &["src/tui/"]),
];

/// Who signs for a chain and talks to it.
const NETWORK: &[&str] = &[
    "crates/chain/",
    "crates/devnet/",
    "crates/payments/",
    "crates/release/",
    "src/wallet/",
];

#[test]
fn third_parties_stay_in_their_rooms() {
    let mut offences = Vec::new();
    for (name, homes) in THIRD_PARTIES {
        for (folder, graph) in graphs() {
            for (module, named) in &graph.outside {
                let file = format!("{folder}/{}", graph.files[module]);
                if named.contains(*name) && !homes.iter().any(|home| file.starts_with(home)) {
                    offences.push(format!("{file} uses {name}"));
                }
            }
        }
    }
    assert_eq!(offences, Vec::<String>::new());
}

/// What writes or renames by itself, and why it may.
const WRITERS: &[(&str, &str)] = &[
    ("crates/core/src/atomic.rs", "the one place of replacements"),
    (
        "crates/mistral/src/model_dir.rs",
        "a scratch folder that ends with the process",
    ),
    (
        "src/commands/init.rs",
        "moves files into an empty folder that a shell may stand in",
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
            "crates/ledger/",
            "crates/attribution/src/shares/",
            "crates/attribution/src/recompute",
            "crates/attribution/src/call_shares",
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
    let main = fs::read_to_string(repository().join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 40);
    assert!(!main.contains("crate::") && !main.contains("mod "));
    let silent: Vec<String> = sources()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| {
            !fs::read_to_string(repository().join(path))
                .unwrap()
                .starts_with("//!")
        })
        .collect();
    assert_eq!(silent, Vec::<String>::new());
}
