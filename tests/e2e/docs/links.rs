//! Links lead somewhere, and the book's summary lists all of it.

use std::{collections::BTreeSet, path::Path};

use regex::Regex;

use super::{chapters, documents, read};
use crate::paths::repository;

/// Targets of links and pictures, without code blocks.
fn links(text: &str) -> Vec<String> {
    let mut outside = String::new();
    let mut inside = false;
    for line in text.lines() {
        inside ^= line.starts_with("```");
        if !inside {
            outside.push_str(line);
            outside.push('\n');
        }
    }
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let found = link.captures_iter(&outside).map(|it| it[1].to_owned());
    found.collect()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|it| match it {
        ' ' => Some('-'),
        it if it.is_alphanumeric() || it == '-' || it == '_' => Some(it.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

#[test]
fn every_relative_link_resolves() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for document in documents() {
        let text = read(&document);
        let folder = repository().join(&document);
        let folder = folder.parent().unwrap();
        for link in links(&text) {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            seen += 1;
            let (path, wanted) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => repository().join(&document),
                path => folder.join(path),
            };
            let is_anchor = |text: String| {
                let heading = |line: &str| {
                    line.starts_with('#')
                        .then(|| anchor(line.trim_start_matches('#')))
                };
                text.lines().filter_map(heading).any(|it| it == wanted)
            };
            let resolves = target.exists()
                && (wanted.is_empty() || std::fs::read_to_string(&target).is_ok_and(is_anchor));
            if !resolves {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    assert!(seen > 60, "{seen} links");
}

#[test]
fn links_of_the_book_stay_in_it() {
    let book = repository().join("docs/src").canonicalize().unwrap();
    let include = Regex::new(r"\{\{#include ([^}]+)\}\}").unwrap();
    let mut leaving = Vec::new();
    for chapter in chapters() {
        let folder = repository().join(&chapter);
        let folder = folder.parent().unwrap();
        let text = read(&chapter);
        let relative = |link: &String| !link.starts_with("http");
        for link in links(&text).into_iter().filter(relative) {
            let path = link.split('#').next().unwrap_or_default();
            let target = folder.join(path).canonicalize();
            if !path.is_empty() && !target.is_ok_and(|it| it.starts_with(&book)) {
                leaving.push(format!("{chapter}: {link}"));
            }
        }
        // What is included is read in the chapter's place, where its own links would be wrong.
        for file in include.captures_iter(&text) {
            let included = std::fs::read_to_string(folder.join(&file[1])).unwrap();
            let wrong = links(&included).into_iter().filter(relative);
            leaving.extend(wrong.map(|link| format!("{}: {link}", &file[1])));
        }
    }
    assert_eq!(leaving, Vec::<String>::new());
}

#[test]
fn the_summary_lists_every_chapter_once() {
    let listed = links(&read("docs/src/SUMMARY.md"));
    let unique: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len());
    let summary = Path::new("docs/src/SUMMARY.md");
    let chapters: BTreeSet<String> = chapters()
        .into_iter()
        .filter(|it| Path::new(it) != summary)
        .map(|it| it.trim_start_matches("docs/src/").to_owned())
        .collect();
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), chapters);
}

/// Folders whose paths in the documents are checked.
const CHECKED: &[&str] = &[
    "assets",
    "benches",
    "completions",
    "contracts",
    "crates",
    "docs",
    "schemas",
    "scripts",
    "src",
    "templates",
    "tests",
];

#[test]
fn every_path_named_exists() {
    let quoted = Regex::new(r"`([a-z.]+(?:/[\w.-]+)+/?)`").unwrap();
    let mut missing = Vec::new();
    let mut seen = 0;
    for document in documents() {
        for found in quoted.captures_iter(&read(&document)) {
            let path = &found[1];
            let first = path.split('/').next().unwrap_or_default();
            if CHECKED.contains(&first) {
                seen += 1;
                if !repository().join(path).exists() {
                    missing.push(format!("{document}: {path}"));
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(seen > 40, "{seen} paths");
}
