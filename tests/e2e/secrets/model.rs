//! SECURITY.md keeps its word: the tests that it names exist.

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

#[test]
fn every_row_of_the_threat_model_names_tests_that_exist() {
    let root = repository();
    let mut tests = BTreeSet::new();
    let rust = Regex::new(r"\bfn ([a-z0-9_]+)\(").unwrap();
    names(&root.join("tests/e2e"), &rust, &mut tests);
    for member in members() {
        let folder = root.join(member).join("tests/it");
        if folder.is_dir() {
            names(&folder, &rust, &mut tests);
        }
    }
    let solidity = Regex::new(r"\bfunction ((?:test|invariant)\w*)\(").unwrap();
    names(&root.join("contracts/test"), &solidity, &mut tests);
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let model = text.split("## Threat model").nth(1).unwrap();
    let model = model.split("\n## ").next().unwrap();
    let rows = model
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let rows = rows.filter(|line| !line.starts_with("| attack |"));
    let quoted = Regex::new(r"`(\w+)`").unwrap();
    let (mut rows_seen, mut missing) = (0, Vec::new());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 4, "{row}");
        let named: Vec<_> = quoted
            .captures_iter(cells[3])
            .map(|it| it[1].to_owned())
            .collect();
        assert!(!named.is_empty(), "no test proves: {row}");
        missing.extend(named.into_iter().filter(|name| !tests.contains(name)));
        rows_seen += 1;
    }
    assert!(rows_seen > 40, "{rows_seen} rows");
    assert_eq!(missing, Vec::<String>::new());
}
