//! Known advisories about crates of Cargo.lock: none applies without a reason in deny.toml.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;

use crate::{architecture, paths::repository};

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct Database {
    advisory: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    kind: String,
    patched: Vec<String>,
    unaffected: Vec<String>,
}

#[derive(Deserialize)]
struct Deny {
    advisories: Ignored,
}

#[derive(Deserialize)]
struct Ignored {
    ignore: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    id: String,
    reason: String,
}

fn read<T: for<'a> Deserialize<'a>>(path: &str) -> T {
    let path = repository().join(path);
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Major, minor, patch, and whether it is a release rather than a preview of one.
type Version = (u64, u64, u64, bool);

fn version(text: &str) -> (Version, usize) {
    let plain = text.split('+').next().unwrap();
    let (numbers, preview) = match plain.split_once('-') {
        Some((numbers, _)) => (numbers, true),
        None => (plain, false),
    };
    let numbers: Vec<u64> = numbers.split('.').map(|it| it.parse().unwrap()).collect();
    let at = |place: usize| numbers.get(place).copied().unwrap_or(0);
    ((at(0), at(1), at(2), !preview), numbers.len())
}

/// The first version that `^text` leaves out.
fn next_breaking((major, minor, patch, _): Version, given: usize) -> Version {
    match (major, minor) {
        (0, 0) if given > 2 => (0, 0, patch + 1, false),
        (0, _) if given > 1 => (0, minor + 1, 0, false),
        _ => (major + 1, 0, 0, false),
    }
}

/// Whether a version fits a requirement such as `>= 1.2.3, < 1.3.0` or `^0.4.2`.
fn fits(found: Version, requirement: &str) -> bool {
    requirement.split(',').all(|part| {
        let part = part.trim();
        let number = part.trim_start_matches(['<', '>', '=', '^', '~', ' ']);
        let (wanted, given) = version(number);
        match part[..part.len() - number.len()].trim() {
            ">=" => found >= wanted,
            ">" => found > wanted,
            "<=" => found <= wanted,
            "<" => found < wanted,
            "=" => found == wanted,
            "^" | "" => found >= wanted && found < next_breaking(wanted, given),
            other => panic!("`{other}` is not read here: {requirement}"),
        }
    })
}

#[test]
fn requirements_are_read_as_cargo_reads_them() {
    for (found, requirement, expected) in [
        ("1.2.3", ">= 1.2.3", true),
        ("1.2.3", "> 1.2.3", false),
        ("1.2.3", ">=1.2, <1.3.0", true),
        ("1.3.0", ">= 1.2.3, < 1.3.0", false),
        ("1.0.0", "< 1.0.0-0", false),
        ("0.4.9", "^0.4.2", true),
        ("0.5.0", "^0.4.2", false),
        ("1.9.0", "^1.1.1", true),
        ("2.0.0", "^ 1.1.1", false),
        ("2.0.0-beta.4", ">= 2.0.0", false),
        ("2.0.0-beta.4", ">= 1.6.1", true),
        ("0.2.3", "=0.2.3", true),
        ("0.25.4", "0.25.4", true),
    ] {
        assert_eq!(
            fits(version(found).0, requirement),
            expected,
            "{found} {requirement}"
        );
    }
}

#[test]
fn every_advisory_that_applies_has_its_reason() {
    let lock: Lock = read("Cargo.lock");
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &lock.package {
        versions
            .entry(&package.name)
            .or_default()
            .push(&package.version);
    }
    let known: Database = read("tests/data/advisories/rustsec.toml");
    let later: Database = read("tests/data/advisories/later.toml");
    assert!(
        known.advisory.len() > 80,
        "{} are read",
        known.advisory.len()
    );
    let mut applying = BTreeMap::new();
    for advisory in known.advisory.iter().chain(&later.advisory) {
        let found = versions.get(advisory.name.as_str()).into_iter().flatten();
        let hit = found.filter(|it| {
            let found = version(it).0;
            let harmless = advisory.patched.iter().chain(&advisory.unaffected);
            !harmless.clone().any(|it| fits(found, it))
        });
        let hit: Vec<String> = hit.map(|it| format!("{} {it}", advisory.name)).collect();
        if !hit.is_empty() {
            applying.insert(advisory.id.as_str(), (advisory.kind.as_str(), hit));
        }
    }
    let deny: Deny = read("deny.toml");
    let reasons: BTreeMap<&str, &str> = deny
        .advisories
        .ignore
        .iter()
        .map(|it| (it.id.as_str(), it.reason.as_str()))
        .collect();
    let listed: Vec<&&str> = reasons.keys().collect();
    assert_eq!(applying.keys().collect::<Vec<_>>(), listed, "{applying:#?}");
    for (id, (kind, hit)) in &applying {
        assert_eq!(
            *kind, "unmaintained",
            "{id} {hit:?} is no matter of taste: change the version"
        );
        let name = hit[0].split(' ').next().unwrap();
        assert!(
            reasons[id].starts_with(&format!("{name}: ")),
            "{id}: {}",
            reasons[id]
        );
    }
}

/// The packages of this workspace.
fn members() -> Vec<String> {
    let root = repository();
    let name = |folder: &str| {
        let text = fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        manifest["package"]["name"].as_str().unwrap().to_owned()
    };
    let root_too = ".".to_owned();
    let folders = architecture::members().into_iter().chain([root_too]);
    folders.map(|folder| name(&folder)).collect()
}

/// Nothing comes from a repository or another registry, whose contents could change.
#[test]
fn every_crate_comes_from_the_one_registry_by_its_checksum() {
    let lock: Lock = read("Cargo.lock");
    let members = members();
    let strange: Vec<&str> = lock
        .package
        .iter()
        .filter(|it| !members.contains(&it.name))
        .filter(|it| {
            let registry = "registry+https://github.com/rust-lang/crates.io-index";
            it.source.as_deref() != Some(registry) || it.checksum.is_none()
        })
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(strange, Vec::<&str>::new());
}
