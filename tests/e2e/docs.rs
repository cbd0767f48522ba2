//! The README and the book: generated tables, links, commands, and names of settings and code.

mod code;
mod commands;
mod hints;
mod links;
mod tables;

use std::{fs, path::PathBuf};

use crate::paths::repository;

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Documents outside the book.
const OTHERS: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "benches/README.md",
    "contracts/README.md",
];

/// Markdown files of the book, relative to the root, sorted.
fn chapters() -> Vec<String> {
    let mut pending = vec![repository().join("docs/src")];
    let mut found = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                let path = path.strip_prefix(repository()).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "{} chapters", found.len());
    found
}

/// Every document, relative to the root.
fn documents() -> Vec<String> {
    let others = OTHERS.iter().map(|it| (*it).to_owned());
    others.chain(chapters()).collect()
}

/// Fenced blocks whose info string begins with one of these languages: the line and the text.
fn blocks(text: &str, languages: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(bool, usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let language = info.split(',').next().unwrap_or_default();
                open = Some((languages.contains(&language), number + 2, String::new()));
            }
            (Some(_), Some(_)) => {
                if let Some((true, first, text)) = open.take() {
                    found.push((first, text));
                }
            }
            (Some((_, _, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block without an end");
    found
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "README.md has {lines} lines");
}

/// Words that stand for a term of the field; the term is clearer.
const RIDDLES: &str = r"(?i)\b(whoever|nobody|deeds?|told|wish|goods|purse|stalls?|sees to)\b";

#[test]
fn the_documents_use_the_terms_of_the_field() {
    let riddle = regex::Regex::new(RIDDLES).unwrap();
    let quoted = regex::Regex::new("`[^`]*`").unwrap();
    let mut found = Vec::new();
    for document in documents() {
        // Names and generated tables say what the program says.
        let mut generated = false;
        for (number, line) in read(&document).lines().enumerate() {
            generated |= line.starts_with("<!-- generated");
            generated &= line != "<!-- end -->";
            if !generated && riddle.is_match(&quoted.replace_all(line, "")) {
                found.push(format!("{document}:{}: {line}", number + 1));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}
