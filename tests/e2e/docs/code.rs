//! Names of code in the book are names that the code has.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;

use super::read;
use crate::paths::repository;

const PAID_CALL: &str = "docs/src/architecture/paid-call.md";

/// Cells of the rows of the first table of a text, after its header.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().skip_while(|line| !line.starts_with("| --- "));
    let lines = lines.skip(1).take_while(|line| line.starts_with("| "));
    let cells = |line: &str| {
        let cells = line.trim_matches(['|', ' ']).split(" | ");
        cells.map(|it| it.trim().to_owned()).collect()
    };
    lines.map(cells).collect()
}

#[test]
fn the_walk_of_a_paid_call_names_functions_that_exist() {
    let text = read(PAID_CALL);
    let mut sections = text.split("\n## ").map(rows);
    let call = sections.next().unwrap();
    assert!((15..=20).contains(&call.len()), "{} rows", call.len());
    let after: Vec<Vec<String>> = sections.flatten().collect();
    assert_eq!(after.len(), 10, "{after:?}");
    let mut missing = Vec::new();
    for row in call.iter().chain(&after) {
        let [_step, file, function, holds] = row.as_slice() else {
            panic!("four cells are expected in {row:?}");
        };
        assert!(!holds.is_empty(), "{row:?}");
        let (file, function) = (file.trim_matches('`'), function.trim_matches('`'));
        let text = fs::read_to_string(repository().join(file)).unwrap_or_default();
        let name = function.rsplit("::").next().unwrap();
        let defined = Regex::new(&format!(r"\bfn {name}\b")).unwrap();
        if !defined.is_match(&text) {
            missing.push(format!("{file}: fn {name}"));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_code_of_an_http_error_is_in_the_book() {
    let mut text = String::new();
    for folder in ["src", "crates"].map(|it| repository().join(it)) {
        if folder.is_dir() {
            sources(&folder, &mut text);
        }
    }
    // The status comes first, by its name or in a variable; messages begin with a capital letter.
    let built = Regex::new(
        r#"(?:Refusal|ApiError|Self)::(?:new|invalid|unavailable)\(\s*(?:(?:StatusCode::\w+|status),\s*)?"([a-z_]+)""#,
    )
    .unwrap();
    let used: BTreeSet<String> = built
        .captures_iter(&text)
        .map(|it| it[1].to_owned())
        .collect();
    let page = read("docs/src/reference/http.md");
    let errors = page.split("## Errors").nth(1).unwrap();
    let listed: BTreeSet<String> = rows(errors)
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(listed, used);
}
