//! Commands in the documents are ones that the program has, with options that it has.

use clap::CommandFactory;
use openlora::commands::{cli::Cli, settings::KEYS};
use regex::Regex;

use super::{blocks, documents, read};

/// The words of each `openlora` command in a line of a shell.
pub(super) fn commands_of(line: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars().chain(['\n']) {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\n' | '|' | '&' | ';' | '(' | ')' | '<' | '>') => {
                words.extend(word.take());
                if letter != ' ' {
                    commands.push(std::mem::take(&mut words));
                }
            }
            (None, '#') if word.is_none() => break,
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    commands.push(words);
    commands.retain(|words| words.first().is_some_and(|it| it == "openlora"));
    commands
}

#[test]
fn commands_are_found_in_lines() {
    let found = commands_of("openlora call \"a | b\" --max-price 1 || echo no # openlora x");
    assert_eq!(found, [["openlora", "call", "a | b", "--max-price", "1"]]);
    assert_eq!(commands_of("cd my-model && openlora train").len(), 1);
}

#[test]
fn every_command_shown_is_one_of_the_programs() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let templates = ["blank", "chat", "filter", "icons", "sentiment"];
    let templates = templates.map(|it| format!("templates/{it}/README.md"));
    for document in documents().into_iter().chain(templates) {
        for (first, block) in blocks(&read(&document), &["console", "sh", ""]) {
            for (offset, line) in block.lines().enumerate() {
                let line = line.strip_prefix("$ ").unwrap_or(line);
                for words in commands_of(line) {
                    seen += 1;
                    if let Err(error) = Cli::command().try_get_matches_from(&words)
                        && error.use_stderr()
                    {
                        wrong.push(format!("{document}:{}: {error}", first + offset));
                    }
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(seen > 80, "{seen} commands");
}

/// Without it, cargo takes the newest versions of all dependencies, which nobody tested together.
#[test]
fn installing_from_source_takes_the_locked_versions() {
    let mut seen = 0;
    for document in documents() {
        for line in read(&document)
            .lines()
            .filter(|it| it.contains("cargo install --"))
        {
            seen += 1;
            assert!(line.contains("--locked"), "{document}: {line}");
        }
    }
    assert!(seen >= 4, "{seen} lines");
}

#[test]
fn every_setting_named_is_one() {
    let sections: std::collections::BTreeSet<&str> = KEYS
        .iter()
        .filter_map(|key| key.name.split('.').next())
        .collect();
    let quoted = Regex::new(r"`([a-z]+)\.([a-z_]+)(?: = [^`]*)?`").unwrap();
    let mut unknown = Vec::new();
    for document in documents() {
        for found in quoted.captures_iter(&read(&document)) {
            let name = format!("{}.{}", &found[1], &found[2]);
            // The folders of these names hold sources.
            let is_file = matches!(&found[2], "rs" | "bin" | "toml" | "md");
            let known = KEYS.iter().any(|key| key.name == name);
            if sections.contains(&found[1]) && !is_file && !known {
                unknown.push(format!("{document}: {name}"));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}
