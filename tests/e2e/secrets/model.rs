//! SECURITY.md and the book's page of attacks keep their word: the tests that they name exist.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;

use crate::{architecture::members, paths::repository};

fn names(folder: &Path, pattern: &Regex, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, pattern, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        found.extend(pattern.captures_iter(&text).map(|it| it[1].to_owned()));
    }
}

/// The names of all tests of the workspace.
fn all_tests() -> BTreeSet<String> {
    let root = repository();
    let mut tests = BTreeSet::new();
    let rust = Regex::new(r"\bfn ([a-z0-9_]+)\(").unwrap();
    names(&root.join("tests/e2e"), &rust, &mut tests);
    // Tests that several crates include.
    names(&root.join("tests/support"), &rust, &mut tests);
    for member in members() {
        let folder = root.join(member).join("tests/it");
        if folder.is_dir() {
            names(&folder, &rust, &mut tests);
        }
    }
    let solidity = Regex::new(r"\bfunction ((?:test|invariant)\w*)\(").unwrap();
    names(&root.join("contracts/test"), &solidity, &mut tests);
    tests
}

/// The cells of every row of a text's tables, without their heads.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|line| !line.starts_with("| ---") && !line.starts_with("| attack |"));
    rows.map(|row| row.trim_matches('|').split(" | ").collect())
        .collect()
}

/// The tests that a cell names and that do not exist, and how many it names.
fn missing(cell: &str, tests: &BTreeSet<String>) -> (Vec<String>, usize) {
    let quoted = Regex::new(r"`(\w+)`").unwrap();
    let named = quoted.captures_iter(cell).map(|it| it[1].to_owned());
    let named: Vec<String> = named.collect();
    let count = named.len();
    let missing = named.into_iter().filter(|name| !tests.contains(name));
    (missing.collect(), count)
}

#[test]
fn every_row_of_the_threat_model_names_tests_that_exist() {
    let tests = all_tests();
    let text = fs::read_to_string(repository().join("SECURITY.md")).unwrap();
    let model = text.split("## Threat model").nth(1).unwrap();
    let rows = rows(model.split("\n## ").next().unwrap());
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let (missing, named) = missing(row[3], &tests);
        assert!(named > 0, "no test proves: {row:?}");
        assert_eq!(missing, Vec::<String>::new());
    }
    assert!(rows.len() > 40, "{} rows", rows.len());
}

#[test]
fn every_test_that_the_page_of_attacks_names_exists() {
    let tests = all_tests();
    let page = repository().join("docs/src/security/attacks.md");
    let text = fs::read_to_string(page).unwrap();
    let rows = rows(&text);
    for row in &rows {
        assert_eq!(row.len(), 3, "{row:?}");
        let (missing, named) = missing(row[2], &tests);
        assert!(named > 0 || row[2].trim() == "–", "no test: {row:?}");
        assert_eq!(missing, Vec::<String>::new());
    }
    assert!(rows.len() > 35, "{} rows", rows.len());
}
