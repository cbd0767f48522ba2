//! Command lines in hints and errors are ones that the program accepts.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use openlora::commands::cli::Cli;
use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;

use super::commands::commands_of;
use crate::paths::repository;

/// The text of a string literal and where it stands.
struct Text {
    place: String,
    text: String,
}

/// String literals outside comments, also those inside macros.
fn literals(tokens: TokenStream, place: &str, found: &mut Vec<Text>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                let attribute = index.checked_sub(1).is_some_and(
                    |before| matches!(&tokens[before], TokenTree::Punct(it) if it.as_char() == '#'),
                );
                let is_doc = attribute && group.stream().to_string().starts_with("doc");
                if !is_doc {
                    literals(group.stream(), place, found);
                }
            }
            TokenTree::Literal(literal) => {
                if let syn::Lit::Str(text) = syn::Lit::new(literal.clone()) {
                    found.push(Text {
                        place: place.to_owned(),
                        text: text.value(),
                    });
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") && !path.ends_with("benches") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// Every string literal of the program.
fn program_texts() -> Vec<Text> {
    let mut files = Vec::new();
    for folder in ["src", "crates"] {
        rust_files(&repository().join(folder), &mut files);
    }
    let mut found = Vec::new();
    for file in files {
        let place = file.strip_prefix(repository()).unwrap();
        let place = place.display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        let tokens: TokenStream = text.parse().unwrap_or_else(|_| panic!("{place}"));
        literals(tokens, &place, &mut found);
    }
    found
}

/// The command lines in a text: in backticks, or as far as the punctuation after them. Placeholders
/// of `format!` become a word.
fn command_lines(text: &str, verbs: &BTreeSet<String>) -> Vec<String> {
    let filled = Regex::new(r"\{[^{}]*\}").unwrap().replace_all(text, "1");
    let quoted = Regex::new("`([^`]*)`").unwrap();
    let bare = Regex::new(r"\bopenlora (?:--[a-z]+ )*([a-z-]+)[^;,()\n]*").unwrap();
    let marked = quoted.captures_iter(&filled).map(|it| it[1].to_owned());
    let mut lines: Vec<String> = marked.filter(|it| it.starts_with("openlora ")).collect();
    let rest = quoted.replace_all(&filled, "``");
    let unmarked = bare.captures_iter(&rest);
    lines.extend(
        unmarked
            .filter(|it| verbs.contains(&it[1]))
            .map(|it| it[0].to_owned()),
    );
    // `openlora 1` is a line that the program composes.
    lines.retain(|line| !line.starts_with("openlora 1"));
    lines
}

fn verbs() -> BTreeSet<String> {
    let command = Cli::command();
    let verbs = command.get_subcommands();
    verbs.map(|verb| verb.get_name().to_owned()).collect()
}

#[test]
fn command_lines_are_found_in_texts() {
    let lines = |text| command_lines(text, &verbs());
    assert_eq!(
        lines("register it: openlora deploy; or free: openlora serve --local --free"),
        ["openlora deploy", "openlora serve --local --free"]
    );
    assert_eq!(
        lines("go on with `openlora train --resume {run}`, this openlora reads it"),
        ["openlora train --resume 1"]
    );
}

#[test]
fn every_command_of_a_hint_is_accepted_by_the_parser() {
    let verbs = verbs();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for Text { place, text } in program_texts() {
        for line in command_lines(&text, &verbs) {
            let commands = commands_of(&line);
            assert_eq!(commands.len(), 1, "{place}: {line}");
            seen += 1;
            if let Err(error) = Cli::command().try_get_matches_from(&commands[0])
                && error.use_stderr()
            {
                wrong.push(format!("{place}: {line}: {error}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(seen > 60, "{seen} command lines");
}

/// The options of a command and of those below it.
fn options(command: &clap::Command, found: &mut BTreeSet<String>) {
    let long = command.get_arguments().filter_map(|it| it.get_long());
    found.extend(long.map(str::to_owned));
    for below in command.get_subcommands() {
        options(below, found);
    }
}

#[test]
fn every_option_named_in_a_text_exists() {
    let mut known = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
    options(&Cli::command(), &mut known);
    let named = Regex::new(r#"(?:^|[\s(`'"])--([a-z][a-z-]*)"#).unwrap();
    // Command lines of other programs.
    let foreign = Regex::new("`(?:cargo|llama-cli|llama-gguf-split|ollama) [^`]*`").unwrap();
    let mut unknown = Vec::new();
    for Text { place, text } in program_texts() {
        if text.contains("cargo ") {
            continue;
        }
        let text = foreign.replace_all(&text, "``");
        let options = named.captures_iter(&text);
        let other = options.filter(|it| !known.contains(&it[1]));
        unknown.extend(other.map(|it| format!("{place}: --{} in {text}", &it[1])));
    }
    assert_eq!(unknown, Vec::<String>::new());
}
