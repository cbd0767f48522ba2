//! Training sets of texts that people wrote, from a folder of real data.
//!
//! `youtube_spam`: comments under five videos, continued as plain text; each contributor holds the
//! spam or the other comments of one video. `forum_filter`: posts with four labels; each contributor
//! holds one label of one source. `books`: passages of two authors, continued as plain text; each
//! contributor holds a quarter of one book.

use std::path::Path;

use openlora_model::dataset::{DataSource, Dataset, TrainingExample, load};

use super::worlds::{Entry, FILTER_TASK, TEXT_TASK};

pub const NAMES: [&str; 3] = ["youtube_spam", "forum_filter", "books"];

/// Words of a text that are taken, so that a world can be trained on many times.
const WORDS: usize = 24;
/// Texts with fewer words are left out.
const FEWEST_WORDS: usize = 6;
/// Consecutive parts of a book.
const PARTS: usize = 4;

const HELD_OUT: [&str; 2] = ["valid.jsonl", "test.jsonl"];

pub fn learned(name: &str, folder: &Path) -> Vec<Entry> {
    match name {
        "books" => ["devils_dictionary", "tinyshakespeare"]
            .iter()
            .flat_map(|book| parts(book, rows(&folder.join(book), &["train.jsonl"])))
            .collect(),
        _ => by_source(name, &folder.join(name)),
    }
}

/// Held-out texts; of them the contributors are not known.
pub fn asked(name: &str, folder: &Path) -> Vec<Entry> {
    let (books, task): (&[&str], usize) = match name {
        "books" => (&["devils_dictionary", "tinyshakespeare"], TEXT_TASK),
        "forum_filter" => (&["forum_filter"], FILTER_TASK),
        _ => (&["youtube_spam"], TEXT_TASK),
    };
    let of = |book: &&str| {
        let held_out = rows(&folder.join(book), &HELD_OUT);
        let book = (*book).to_owned();
        held_out.into_iter().map(move |(text, label)| {
            entry(
                label.clone().unwrap_or_else(|| book.clone()),
                text,
                label,
                task,
            )
        })
    };
    books.iter().flat_map(of).collect()
}

/// Each label of each source is a contributor's.
fn by_source(name: &str, folder: &Path) -> Vec<Entry> {
    let task = if name == "forum_filter" {
        FILTER_TASK
    } else {
        TEXT_TASK
    };
    let folder = folder.join("by_source");
    let files = std::fs::read_dir(&folder).expect("the folder of real data has sources");
    let mut names: Vec<String> = files
        .map(|file| {
            file.expect("a folder lists")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    let of = |file: &String| {
        let source = file.trim_end_matches(".jsonl").to_owned();
        rows(&folder, &[file])
            .into_iter()
            .map(move |(text, label)| {
                let contributor = format!("{source} {}", label.as_deref().unwrap_or("none"));
                entry(contributor, text, label, task)
            })
    };
    names.iter().flat_map(of).collect()
}

/// A quarter of the book to each contributor, in its order.
fn parts(book: &str, rows: Vec<(String, Option<String>)>) -> Vec<Entry> {
    let each = rows.len().div_ceil(PARTS).max(1);
    let of = |(at, (text, label)): (usize, (String, Option<String>))| {
        entry(format!("{book} {}", at / each + 1), text, label, TEXT_TASK)
    };
    rows.into_iter().enumerate().map(of).collect()
}

fn entry(contributor: String, text: String, label: Option<String>, task: usize) -> Entry {
    let example = match label {
        Some(label) if task == FILTER_TASK => TrainingExample::Labelled { text, label },
        _ => TrainingExample::Text { text },
    };
    Entry {
        contributor,
        example,
        task,
    }
}

/// The beginning of each text that is long enough, and its label.
fn rows(folder: &Path, files: &[&str]) -> Vec<(String, Option<String>)> {
    let read = |file: &&str| -> Dataset {
        load(&[DataSource::of_file(folder.join(file))]).expect("real data is sound")
    };
    let sets: Vec<Dataset> = files.iter().map(read).collect();
    let examples = sets.iter().flat_map(|set| &set.rows);
    examples
        .filter_map(|row| {
            let (text, label) = match &row.example {
                TrainingExample::Labelled { text, label } => (text, Some(label.clone())),
                TrainingExample::Text { text } => (text, None),
                TrainingExample::Chat { .. } | TrainingExample::Completion { .. } => return None,
            };
            let words: Vec<&str> = text.split_whitespace().take(WORDS).collect();
            (words.len() >= FEWEST_WORDS).then(|| (words.join(" "), label))
        })
        .collect()
}
