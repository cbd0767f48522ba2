//! A base of a few thousand parameters and rows that it can learn, for tests of training.

use std::{
    fs,
    path::{Path, PathBuf},
};

use openlora_model::{
    BaseModel,
    dataset::{DataSource, Task, TaskOptions, load},
    text::TextCodec,
};
use openlora_train::{TrainConfig, TrainInputs};
use xtask::base::{BaseBuild, BaseShape, train_base};

const WORDS: [&str; 8] = [
    "lamp", "boat", "tree", "road", "ship", "wall", "door", "coat",
];
const GOOD: [&str; 4] = ["fine", "great", "lovely", "bright"];
const BAD: [&str; 4] = ["awful", "broken", "dull", "rotten"];

/// Row `index` of an endless labelled set.
pub fn row(index: usize) -> (String, &'static str) {
    let (word, pick) = (WORDS[index % 8], index / 8 % 4);
    let (adjective, label) = if (index * 7 / 3).is_multiple_of(2) {
        (GOOD[pick], "up")
    } else {
        (BAD[pick], "down")
    };
    (format!("the {word} number {index} is {adjective}"), label)
}

/// Writes rows as JSONL and returns the path.
pub fn labelled(dir: &Path, name: &str, rows: std::ops::Range<usize>) -> PathBuf {
    let line = |index| {
        let (text, label) = row(index);
        serde_json::json!({ "text": text, "label": label }).to_string() + "\n"
    };
    write(dir, name, &rows.map(line).collect::<String>())
}

pub fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// How the base is built: text that names the adjectives' side, and words said when asked for.
pub fn build(dir: &Path) -> BaseBuild {
    let text = |index| {
        let (text, label) = row(index);
        serde_json::json!({ "text": format!("{text}, it goes {label}.") }).to_string() + "\n"
    };
    let said = |user: String, assistant: String| {
        let turn = |role, content| serde_json::json!({ "role": role, "content": content });
        let messages = [turn("user", user), turn("assistant", assistant)];
        serde_json::json!({ "messages": messages }).to_string() + "\n"
    };
    let turns = |index| {
        let (text, label) = row(index);
        said(text, format!("it goes {label}")) + &said(format!("say {label}"), label.into())
    };
    let corpus = dir.join("corpus");
    write(
        &corpus,
        "documents.jsonl",
        &(0..200).map(text).collect::<String>(),
    );
    write(
        &corpus,
        "conversations.jsonl",
        &(0..200).map(turns).collect::<String>(),
    );
    write(
        &corpus,
        "valid-documents.jsonl",
        &(300..310).map(text).collect::<String>(),
    );
    BaseBuild {
        shape: BaseShape {
            vocab: 320,
            hidden: 32,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            intermediate: 48,
            context: 128,
        },
        tokens: 4000,
        batch_tokens: 256,
        ..BaseBuild::nano(corpus, dir.join("base"))
    }
}

/// Builds the base and returns its folder.
pub fn base(dir: &Path) -> PathBuf {
    let build = build(dir);
    train_base(&build, &mut |_| {}).unwrap();
    build.out
}

/// Everything for a training on `rows` rows on the base at `base`.
pub fn inputs(dir: &Path, base: &Path, rows: usize, config: TrainConfig) -> TrainInputs {
    let dataset = load(&[DataSource::of_file(labelled(dir, "train.jsonl", 0..rows))]).unwrap();
    TrainInputs {
        name: "tiny".into(),
        base: BaseModel::open_dir("tiny-base", base).unwrap(),
        codec: TextCodec::open(base).unwrap(),
        task: Task::resolve(&dataset, &TaskOptions::default()).unwrap(),
        dataset,
        validation: None,
        config,
        flags: vec![],
        root: dir.to_owned(),
        out: None,
    }
}

/// A configuration that exercises dropout, accumulation and validation.
pub fn config() -> TrainConfig {
    TrainConfig {
        rank: 2,
        alpha: 6.0,
        dropout: 0.1,
        lr: 1e-2,
        warmup: 2,
        epochs: 3,
        batch: 4,
        accumulate: 2,
        max_len: 128,
        val: Some("0.2".into()),
        eval_every: Some(3),
        checkpoint_every: Some(4),
        ..TrainConfig::default()
    }
}
