//! Training sets of texts that people wrote, from a folder of real data.
//!
//! `youtube_spam`: comments under five videos; the answer is the video, and each contributor holds
//! the spam or the other comments of one video. `forum_filter`: posts with four labels; each
//! contributor holds one label of one source.

use std::path::Path;

use openlora_model::dataset::{DataSource, TrainingExample, load};

use super::worlds::{Entry, FILTER_TASK, VIDEO_TASK};

pub const NAMES: [&str; 2] = ["youtube_spam", "forum_filter"];

pub const VIDEOS: [&str; 5] = ["eminem", "katyperry", "lmfao", "psy", "shakira"];
const SOURCES: [&str; 4] = ["davidson", "janitr", "sms", "youtube"];

/// Words of a text that are taken, so that a world can be trained on many times.
const WORDS: usize = 24;
/// Texts with fewer words are left out, and those whose beginning has more bytes.
const FEWEST_WORDS: usize = 6;
const MOST_BYTES: usize = 200;
/// One of so many comments is asked about and not learned.
const HELD_OUT: usize = 5;

/// A text's beginning and its label.
struct LabelledText {
    text: String,
    label: String,
}

/// What is learned, and what is asked.
pub fn entries(name: &str, folder: &Path) -> [Vec<Entry>; 2] {
    let folder = folder.join(name);
    match name {
        "youtube_spam" => videos(&folder),
        _ => posts(&folder),
    }
}

fn videos(folder: &Path) -> [Vec<Entry>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    for video in VIDEOS {
        let file = format!("by_source/{video}.jsonl");
        for (at, row) in texts(&folder.join(file)).into_iter().enumerate() {
            let asked = usize::from(at % HELD_OUT == 0);
            found[asked].push(Entry {
                contributor: format!("{video} {}", row.label),
                example: TrainingExample::Labelled {
                    text: row.text,
                    label: video.to_owned(),
                },
                task: VIDEO_TASK,
            });
        }
    }
    found
}

/// The sources of held-out posts are not known.
fn posts(folder: &Path) -> [Vec<Entry>; 2] {
    let entry = |source: Option<&str>, row: LabelledText| Entry {
        contributor: match source {
            Some(source) => format!("{source} {}", row.label),
            None => row.label.clone(),
        },
        example: TrainingExample::Labelled {
            text: row.text,
            label: row.label,
        },
        task: FILTER_TASK,
    };
    let of_source = |source: &'static str| {
        let rows = texts(&folder.join(format!("by_source/{source}.jsonl")));
        rows.into_iter().map(move |row| entry(Some(source), row))
    };
    let held_out = |file: &str| {
        texts(&folder.join(file))
            .into_iter()
            .map(|row| entry(None, row))
    };
    [
        SOURCES.into_iter().flat_map(of_source).collect(),
        ["valid.jsonl", "test.jsonl"]
            .into_iter()
            .flat_map(held_out)
            .collect(),
    ]
}

/// The beginning of each text that is long enough.
fn texts(file: &Path) -> Vec<LabelledText> {
    let set = load(&[DataSource::of_file(file)]).expect("real data is sound");
    let beginning = |example: TrainingExample| {
        let TrainingExample::Labelled { text, label } = example else {
            return None;
        };
        let words: Vec<&str> = text.split_whitespace().take(WORDS).collect();
        let text = words.join(" ");
        (words.len() >= FEWEST_WORDS && text.len() <= MOST_BYTES)
            .then_some(LabelledText { text, label })
    };
    let rows = set.rows.into_iter();
    rows.filter_map(|row| beginning(row.example)).collect()
}
