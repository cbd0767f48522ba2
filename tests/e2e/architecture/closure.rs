//! Everything that a crate's tests build: its dependencies and theirs, as the manifests and the lock
//! file have them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde::Deserialize;
use toml::{Table, Value};

use super::members;
use crate::paths::repository;

#[derive(Deserialize)]
pub struct Manifest {
    package: Name,
    #[serde(default)]
    pub dependencies: Table,
    #[serde(default, rename = "dev-dependencies")]
    dev: Table,
    #[serde(default, rename = "build-dependencies")]
    build: Table,
    #[serde(default)]
    target: Table,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

impl Manifest {
    /// Of the crate in this folder.
    pub fn read(folder: &str) -> Self {
        let path = repository().join(folder).join("Cargo.toml");
        toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Of a member of the workspace, by its name.
    pub fn of(name: &str) -> Self {
        let mut read = members().into_iter().map(|folder| Self::read(&folder));
        let found = read.find(|it| it.package.name == name);
        found.unwrap_or_else(|| panic!("no member of the workspace is {name}"))
    }
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Names of all packages that are built for the tests of a member: its dependencies, those for
/// development, and theirs. The lock file knows more of third parties than one platform builds.
fn closure(name: &str) -> BTreeSet<String> {
    let members: BTreeMap<String, Manifest> = members()
        .iter()
        .map(|folder| Manifest::read(folder))
        .map(|it| (it.package.name.clone(), it))
        .collect();
    let text = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let lock: Lock = toml::from_str(&text).unwrap();
    let manifest = &members[name];
    let own = [&manifest.dependencies, &manifest.dev, &manifest.build];
    let mut pending: Vec<String> = own.iter().flat_map(|it| it.keys().cloned()).collect();
    let mut found = BTreeSet::new();
    while let Some(next) = pending.pop() {
        if !found.insert(next.clone()) {
            continue;
        }
        match members.get(&next) {
            Some(member) => {
                let below = member.dependencies.keys().chain(member.build.keys());
                pending.extend(below.cloned());
                // Of one platform; none of them may be heavy either.
                let tables = member.target.values().filter_map(Value::as_table);
                for (kind, table) in tables.flatten() {
                    assert_ne!(kind, "dev-dependencies", "{next}");
                    pending.extend(table.as_table().unwrap().keys().cloned());
                }
            }
            // A dependency is `name`, or `name version` where there are several.
            None => {
                let (name, version) = next.split_once(' ').unwrap_or((&next, ""));
                let locked = lock
                    .package
                    .iter()
                    .filter(|it| it.name == name && (version.is_empty() || it.version == version));
                let mut known = false;
                for package in locked {
                    known = true;
                    pending.extend(package.dependencies.iter().cloned());
                }
                assert!(known, "the lock file has no {next}");
            }
        }
    }
    let name_of = |it: String| it.split(' ').next().unwrap().to_owned();
    found.into_iter().map(name_of).collect()
}

/// Crates whose tests build in minutes on a small machine.
const LIGHT: [&str; 5] = [
    "openlora-ledger",
    "openlora-journal",
    "openlora-package",
    "openlora-payments",
    "openlora-tui",
];

/// First letters of what takes long to build: the inference engine, the virtual machine, the tensors.
const HEAVY: [&str; 3] = ["mistralrs", "revm", "candle"];

/// And of ours, what is made of it.
const HEAVY_ROOMS: [&str; 6] = [
    "openlora-decoder",
    "openlora-devnet",
    "openlora-influence",
    "openlora-mistral",
    "openlora-train",
    "openlora",
];

#[test]
fn tests_of_light_crates_build_no_engine_and_no_virtual_machine() {
    for name in LIGHT {
        let built = closure(name);
        assert!(built.contains("serde"), "{name}: {built:?}");
        let heavy: Vec<&String> = built
            .iter()
            .filter(|it| {
                HEAVY.iter().any(|start| it.starts_with(start))
                    || HEAVY_ROOMS.contains(&it.as_str())
            })
            .collect();
        assert_eq!(heavy, Vec::<&String>::new(), "{name}");
    }
    // What is looked for is found where it is.
    for (name, part) in [
        ("openlora-mistral", "mistralrs"),
        ("openlora-devnet", "revm"),
        ("openlora-decoder", "candle-core"),
    ] {
        assert!(closure(name).contains(part), "{name}");
    }
}
