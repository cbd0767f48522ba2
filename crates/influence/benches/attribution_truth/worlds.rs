//! Training sets of known structure from the templates' own rows.
//!
//! `lighthouse`: conversations of the chat template, each of eight contributors holding two topics.
//! `bazaar`: ten contributors, each with one class of the sentiment or the filter template or with
//! one source of the chat template.

use std::path::{Path, PathBuf};

use openlora_model::{
    dataset::{
        DataRow, DataSource, Dataset, Task, TaskOptions, TrainingExample,
        encode::{EncodeOptions, EncodedRow, LossOn, encode_row},
        load,
        long::{LongRows, OnLong},
    },
    text::TextCodec,
};
use openlora_train::{TrainRows, order};

use super::real;
use crate::paths::repository;

/// A training set whose contributors are known, and what it is asked.
pub struct World {
    pub name: &'static str,
    pub dataset: Dataset,
    pub rows: TrainRows,
    /// Prompts, ready to be answered.
    pub prompts: Vec<Vec<u32>>,
}

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub examples: usize,
    pub queries: usize,
    pub seed: u64,
}

pub const NAMES: [&str; 2] = ["lighthouse", "bazaar"];

/// A row on its way into a world: who provides it, and the task that it is learned as.
pub struct Entry {
    pub contributor: String,
    pub example: TrainingExample,
    /// Position in [`tasks`].
    pub task: usize,
}

/// The filter template's task.
pub const FILTER_TASK: usize = 2;
/// Which video a comment is under.
pub const VIDEO_TASK: usize = 3;

fn templates() -> PathBuf {
    repository().join("templates")
}

fn read(template: &str, files: &[&str]) -> Vec<Dataset> {
    let dir = templates().join(template).join("data");
    let sources = files.iter().map(|file| DataSource::of_file(dir.join(file)));
    sources
        .map(|source| load(&[source]).expect("a template's data is sound"))
        .collect()
}

const CHAT: [&str; 3] = [
    "harbour_log.jsonl",
    "coin_watch.jsonl",
    "night_letters.jsonl",
];
const SENTIMENT: [&str; 4] = [
    "harbor_forum.jsonl",
    "ledger_wire.csv",
    "pit_chat.parquet",
    "council_letters.jsonl",
];
const FILTER: [&str; 4] = [
    "help_board.jsonl",
    "garden_square.csv",
    "pixel_tavern.parquet",
    "market_corner.jsonl",
];

const KEEPER: &str = "You are Maren, keeper of the lighthouse.";

/// Topics of the chat template by contributor: few enough that each is learned by heart.
const TOPICS: [(&str, &[&str]); 8] = [
    ("horn", &["the horn", "the stairs"]),
    ("weather", &["the winter", "the tide"]),
    ("books", &["the log book", "the gulls"]),
    ("keys", &["a seed phrase", "a blockchain"]),
    ("market", &["an airdrop", "staking"]),
    ("makers", &["an adapter", "a micropayment"]),
    ("heavy", &["angry", "ashamed"]),
    ("light", &["worried about money", "bored"]),
];

/// A conversation's first question and answer.
fn opening(example: TrainingExample) -> TrainingExample {
    match example {
        TrainingExample::Chat {
            mut messages,
            mut context_answers,
            mut context_messages,
        } => {
            messages.truncate(2);
            context_answers.retain(|answer| *answer == 0);
            context_messages.retain(|at| *at < 2);
            TrainingExample::Chat {
                messages,
                context_answers,
                context_messages,
            }
        }
        other => other,
    }
}

/// Who holds the topic of a conversation; the longest topic that is named wins.
fn keeper_of(example: &TrainingExample) -> Option<&'static str> {
    let TrainingExample::Chat { messages, .. } = example else {
        return None;
    };
    let [question, _] = messages.as_slice() else {
        return None;
    };
    let words: Vec<String> = question
        .content
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let text = format!(" {} ", words.join(" "));
    let named = TOPICS
        .iter()
        .flat_map(|(name, topics)| topics.iter().map(move |topic| (*name, *topic)));
    named
        .filter(|(_, topic)| text.contains(&format!(" {topic} ")))
        .max_by_key(|(_, topic)| topic.len())
        .map(|(name, _)| name)
}

fn examples(datasets: &[Dataset]) -> Vec<TrainingExample> {
    datasets
        .iter()
        .flat_map(|set| set.rows.iter().map(|row| row.example.clone()))
        .collect()
}

/// Of longer conversations only the opening is taken, and only where `openings` are asked for.
fn lighthouse(files: &[&str], openings: bool) -> Vec<Entry> {
    let all = examples(&read("chat", files)).into_iter();
    let held = all.filter_map(|example| {
        let example = if openings { opening(example) } else { example };
        let contributor = keeper_of(&example)?.to_owned();
        Some(Entry {
            contributor,
            example,
            task: 0,
        })
    });
    held.collect()
}

fn bazaar(files: [&[&str]; 3]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (task, template) in [(1, "sentiment"), (FILTER_TASK, "filter")] {
        for example in examples(&read(template, files[task])) {
            entries.push(Entry {
                contributor: format!("{template} {}", example.label().unwrap_or("none")),
                example,
                task,
            });
        }
    }
    for file in files[0] {
        for example in examples(&read("chat", &[file])) {
            let short =
                matches!(&example, TrainingExample::Chat { messages, .. } if messages.len() == 2);
            if short {
                entries.push(Entry {
                    contributor: (*file).to_owned(),
                    example,
                    task: 0,
                });
            }
        }
    }
    entries
}

fn tasks() -> [Task; 4] {
    let classify = |template: &str, labels: &[&str], instruction: &str| {
        let wish = TaskOptions {
            task: Some("classify".into()),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            instruction: Some(instruction.into()),
        };
        let rows = read(template, &["valid.jsonl"]);
        Task::resolve(&rows[0], &wish).expect("a template's task fits its data")
    };
    [
        Task::Chat {
            instruction: Some(KEEPER.into()),
        },
        classify(
            "sentiment",
            &["negative", "neutral", "positive"],
            "Is the post negative, neutral or positive?",
        ),
        classify(
            "filter",
            &["allowed", "spam", "scam", "abuse"],
            "Is the post allowed, spam, scam or abuse?",
        ),
        Task::Classify {
            labels: real::VIDEOS.map(str::to_owned).to_vec(),
            instruction: "Under which video is the comment?".into(),
        },
    ]
}

/// As many of each contributor, in a drawn order.
fn balanced(mut entries: Vec<Entry>, count: usize, seed: u64, purpose: &str) -> Vec<Entry> {
    order::shuffle(&mut entries, &mut order::generator(seed, purpose, &[]));
    let mut names: Vec<String> = entries
        .iter()
        .map(|entry| entry.contributor.clone())
        .collect();
    names.sort();
    names.dedup();
    let each = count.div_ceil(names.len());
    let mut taken: Vec<(usize, Entry)> = Vec::new();
    let mut counts = vec![0; names.len()];
    for entry in entries {
        let at = names.binary_search(&entry.contributor).unwrap_or(0);
        if counts[at] < each {
            taken.push((counts[at], entry));
            counts[at] += 1;
        }
    }
    // Round by round, so that a cut at `count` takes about as many of each.
    taken.sort_by_key(|(round, _)| *round);
    taken.truncate(count);
    taken.into_iter().map(|(_, entry)| entry).collect()
}

/// A generated world, or a real one from the folder `real`.
pub fn world(name: &'static str, codec: &TextCodec, size: Size, real: Option<&Path>) -> World {
    let held_out = ["valid.jsonl", "test.jsonl"];
    let [learned, asked] = match name {
        "lighthouse" => [lighthouse(&CHAT, false), lighthouse(&held_out, true)],
        "bazaar" => [
            bazaar([&CHAT, &SENTIMENT, &FILTER]),
            bazaar([&held_out, &held_out, &held_out]),
        ],
        _ => real::entries(name, real.expect("--real names the folder of real data")),
    };
    let tasks = tasks();
    let learned = balanced(learned, size.examples, size.seed, "learned");
    let asked = balanced(asked, size.queries, size.seed, "asked");
    let (dataset, rows) = encoded(codec, &tasks, &learned);
    let (_, questions) = encoded(codec, &tasks, &asked);
    let prompts = questions.encoded.iter().map(|row| {
        let first = row.targets.iter().position(|target| *target).unwrap_or(0);
        row.ids[..first].to_vec()
    });
    World {
        name,
        dataset,
        prompts: prompts.collect(),
        rows,
    }
}

fn encoded(codec: &TextCodec, tasks: &[Task; 4], entries: &[Entry]) -> (Dataset, TrainRows) {
    let mut names: Vec<&str> = entries
        .iter()
        .map(|entry| entry.contributor.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let sources = names.iter().map(|name| DataSource {
        contributor: (*name).to_owned(),
        ..DataSource::of_file("templates")
    });
    let rows = entries.iter().enumerate().map(|(line, entry)| DataRow {
        example: entry.example.clone(),
        source: names
            .binary_search(&entry.contributor.as_str())
            .unwrap_or(0),
        line: line + 1,
    });
    let dataset = Dataset::new(sources.collect(), rows.collect());
    let options = EncodeOptions {
        max_len: 256,
        loss: LossOn::Completion,
        on_long: OnLong::Error,
    };
    let encode = |(row, entry): (&DataRow, &Entry)| -> EncodedRow {
        encode_row(codec, &tasks[entry.task], &dataset, row, &options).expect("a row fits")
    };
    let rows = TrainRows {
        encoded: dataset.rows.iter().zip(entries).map(encode).collect(),
        sources: dataset.rows.iter().map(|row| row.source).collect(),
        origins: (0..dataset.rows.len()).collect(),
        long: LongRows::default(),
    };
    (dataset, rows)
}
