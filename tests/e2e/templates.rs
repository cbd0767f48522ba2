//! The example projects: what `init` copies is complete, licensed, balanced, and held out honestly.
//!
//! The generator writes, beside the projects, which sentence each row came from
//! (`tests/data/templates/NAME.json`). The tests check that record against the rows before they
//! rely on it, so that it cannot claim a separation which the files do not have.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use openlora::commands::settings::keys;
use openlora_model::dataset::{self, DataSource, Dataset, Task, TaskOptions, TrainingExample};
use openlora_pictures::read_folder;
use regex::Regex;
use serde_json::Value;

use crate::paths::repository;

const CLASSIFIERS: [&str; 2] = ["sentiment", "filter"];
const PROJECTS: [&str; 5] = ["sentiment", "filter", "chat", "icons", "blank"];
const TRAIN: &str = "train";
const VALID: &str = "data/valid.jsonl";
const TEST: &str = "data/test.jsonl";

fn root() -> PathBuf {
    repository().join("templates")
}

fn settings(project: &str) -> toml::Table {
    let path = root().join(project).join("openlora.toml");
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn sources(project: &str) -> Vec<toml::Table> {
    let settings = settings(project);
    let entries = settings["data"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry.as_table().unwrap().clone())
        .collect()
}

/// The paths of a project's training files, as `openlora.toml` lists them.
fn training_files(project: &str) -> Vec<String> {
    sources(project)
        .iter()
        .map(|source| source["path"].as_str().unwrap().to_owned())
        .collect()
}

/// A project's data, read as the product reads it.
fn load(project: &str, files: &[String]) -> Dataset {
    let path = |file: &String| DataSource::of_file(root().join(project).join(file));
    dataset::load(&files.iter().map(path).collect::<Vec<_>>()).unwrap()
}

/// The captions of a folder of pictures.
fn read_pictures(folder: &Path) -> Vec<String> {
    let read = read_folder(folder).unwrap();
    read.pictures.into_iter().map(|row| row.caption).collect()
}

/// The (text, label) rows of a labelled file of any of the three formats.
fn labelled(project: &str, file: &str) -> Vec<(String, String)> {
    let rows = load(project, &[file.to_owned()]).rows;
    rows.into_iter()
        .map(|row| match row.example {
            TrainingExample::Labelled { text, label } => (text, label),
            other => panic!("{project}/{file}: {other:?}"),
        })
        .collect()
}

/// What the generator noted: sentences by id, and per file the id (or ids) of each row.
struct Record {
    sentences: BTreeMap<String, String>,
    rows: BTreeMap<String, Vec<String>>,
}

fn record(project: &str) -> Record {
    let path = repository()
        .join("tests/data/templates")
        .join(format!("{project}.json"));
    let value: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    Record {
        sentences: serde_json::from_value(value["templates"].clone()).unwrap(),
        rows: serde_json::from_value(value["rows"].clone()).unwrap(),
    }
}

/// `train`, `valid` or `test`, from the path of a data file.
fn split_of(file: &str) -> &str {
    match file {
        VALID => "valid",
        TEST => "test",
        _ => TRAIN,
    }
}

fn all_files(project: &str) -> Vec<String> {
    let mut files = training_files(project);
    files.extend([VALID.to_owned(), TEST.to_owned()]);
    files
}

/// Lower-case words.
fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '$'))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A pattern for what a sentence template can become: slots are anything, `<a|b>` a choice,
/// `[x]` optional; spaces may have been squeezed.
fn pattern(sentence: &str) -> Regex {
    Regex::new(&format!(r"(?is)^\s*{}\s*$", fragment(sentence))).unwrap()
}

fn fragment(sentence: &str) -> String {
    let mut out = String::new();
    let mut last = 0;
    for found in PARTS.find_iter(sentence) {
        out += &regex::escape(&sentence[last..found.start()]);
        out += &match found.as_str() {
            "[" => "(?:".to_owned(),
            "]" => ")?".to_owned(),
            " " => r"\s*".to_owned(),
            choice if choice.starts_with('<') => choices(choice),
            _ => ".+?".to_owned(),
        };
        last = found.end();
    }
    out + &regex::escape(&sentence[last..])
}

static PARTS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\w+\}|<[^<>]*\|[^<>]*>|\[|\]| ").unwrap());

fn choices(text: &str) -> String {
    let inner = &text[1..text.len() - 1];
    let options: Vec<String> = inner.split('|').map(fragment).collect();
    format!("(?:{})", options.join("|"))
}

type Patterns = BTreeMap<String, Regex>;

fn patterns(record: &Record) -> Patterns {
    let sentences = record.sentences.iter();
    sentences
        .map(|(id, sentence)| (id.clone(), pattern(sentence)))
        .collect()
}

/// Jaccard similarity of two word sets.
fn jaccard(first: &HashSet<String>, second: &HashSet<String>) -> f64 {
    let shared = first.intersection(second).count();
    shared as f64 / (first.len() + second.len() - shared) as f64
}

#[test]
fn projects_use_known_settings_only() {
    let fields: BTreeSet<&str> = keys::DATA_FIELDS.iter().map(|field| field.0).collect();
    for project in PROJECTS {
        for (section, value) in settings(project) {
            if section == "data" {
                continue;
            }
            for name in value.as_table().unwrap().keys() {
                let key = format!("{section}.{name}");
                assert!(keys::find(&key).is_some(), "{project}: {key}");
            }
        }
        for source in sources(project) {
            let unknown: Vec<_> = source
                .keys()
                .filter(|k| !fields.contains(k.as_str()))
                .collect();
            assert_eq!(unknown, Vec::<&String>::new(), "{project}");
        }
    }
}

#[test]
fn projects_are_complete() {
    for project in PROJECTS {
        let folder = root().join(project);
        for file in training_files(project) {
            let path = folder.join(&file);
            match project {
                "icons" => assert!(!read_pictures(&path).is_empty(), "{project}: {file}"),
                _ => assert!(path.is_file(), "{project}: {file}"),
            }
        }
        let ignored = fs::read_to_string(folder.join("gitignore")).unwrap();
        assert_eq!(ignored, "/runs/\n", "{project}");
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        for verb in [
            "data check",
            "train",
            "eval",
            "deploy",
            "serve --local",
            "call",
        ] {
            assert!(
                readme.contains(&format!("openlora {verb}")),
                "{project}: {verb}"
            );
        }
    }
}

#[test]
fn examples_name_several_owners_and_licences() {
    for project in ["sentiment", "filter", "chat", "icons"] {
        let sources = sources(project);
        for field in ["contributor", "address", "license"] {
            let values: BTreeSet<&str> =
                sources.iter().map(|s| s[field].as_str().unwrap()).collect();
            assert_eq!(values.len(), sources.len(), "{project}: {field}");
            assert!(values.len() >= 3, "{project}: {field}");
        }
        let settings = settings(project);
        let (valid, test) = match project {
            "icons" => ("data/valid", "data/test"),
            _ => (VALID, TEST),
        };
        assert_eq!(settings["train"]["val"].as_str(), Some(valid));
        assert_eq!(
            settings["eval"]["data"].as_array().unwrap()[0].as_str(),
            Some(test)
        );
    }
}

#[test]
fn classifiers_have_enough_balanced_rows() {
    for project in CLASSIFIERS {
        let mut totals = BTreeMap::new();
        for file in all_files(project) {
            let rows = labelled(project, &file);
            assert_balanced(project, &file, &rows);
            *totals.entry(split_of(&file).to_owned()).or_insert(0) += rows.len();
        }
        assert!(totals[TRAIN] >= 1_800, "{project}: {totals:?}");
        assert!(totals["valid"] >= 190, "{project}: {totals:?}");
        assert!(totals["test"] >= 300, "{project}: {totals:?}");
    }
}

/// Every declared label occurs, and none is more than a tenth away from an even share.
fn assert_balanced(project: &str, file: &str, rows: &[(String, String)]) {
    let settings = settings(project);
    let labels = settings["project"]["labels"].as_array().unwrap();
    let even = rows.len() as f64 / labels.len() as f64;
    let mut counted = 0;
    for label in labels.iter().map(|label| label.as_str().unwrap()) {
        let count = rows.iter().filter(|row| row.1 == label).count();
        assert!(
            (count as f64 - even).abs() <= 0.1 * even,
            "{project}/{file}: {count} × {label}"
        );
        counted += count;
    }
    assert_eq!(counted, rows.len(), "{project}/{file}: undeclared labels");
}

#[test]
fn no_sentence_stands_in_two_splits() {
    let frame = Regex::new(r"<[^<>]*\{(?:lead|tail)\}[^<>]*>").unwrap();
    for project in ["sentiment", "filter", "chat"] {
        let record = record(project);
        let mut seen: BTreeMap<Vec<String>, &str> = BTreeMap::new();
        for (id, sentence) in &record.sentences {
            let split = id.split('/').next().unwrap();
            let core = frame.replace_all(sentence, "");
            let earlier = seen.insert(words(&core), split).unwrap_or(split);
            assert_eq!(
                earlier, split,
                "{project}: {id} stands in another split too"
            );
        }
        for (file, ids) in &record.rows {
            let strangers: Vec<_> = ids
                .iter()
                .flat_map(|row| row.split(' '))
                .filter(|id| id.split('/').next() != Some(split_of(file)))
                .collect();
            assert_eq!(strangers, Vec::<&str>::new(), "{project}/{file}");
        }
    }
}

#[test]
fn every_label_has_many_sentences() {
    for project in CLASSIFIERS {
        let record = record(project);
        for label in settings(project)["project"]["labels"].as_array().unwrap() {
            let count = |split: &str| {
                let own = |id: &&String| {
                    let parts: Vec<&str> = id.split('/').collect();
                    parts[0] == split && Some(parts[2]) == label.as_str()
                };
                record.sentences.keys().filter(own).count()
            };
            assert!(count(TRAIN) >= 60, "{project}/{label}: {}", count(TRAIN));
            assert!(count("test") >= 25, "{project}/{label}: {}", count("test"));
        }
    }
}

#[test]
fn labelled_rows_come_from_their_sentences() {
    for project in CLASSIFIERS {
        let record = record(project);
        let patterns = patterns(&record);
        for file in all_files(project) {
            let rows = labelled(project, &file);
            let ids = &record.rows[&file];
            assert_eq!(rows.len(), ids.len(), "{project}/{file}");
            for ((text, label), id) in rows.iter().zip(ids) {
                assert!(patterns[id].is_match(text), "{text:?} is not from {id}");
                assert_eq!(
                    id.split('/').nth(2),
                    Some(label.as_str()),
                    "{project}/{file}"
                );
            }
        }
    }
}

#[test]
fn held_out_rows_are_unlike_training_rows() {
    for project in CLASSIFIERS {
        let mut seen = BTreeSet::new();
        let mut sets: BTreeMap<&str, Vec<(String, HashSet<String>)>> = BTreeMap::new();
        let files = all_files(project);
        for file in &files {
            for (text, _) in labelled(project, file) {
                let words = words(&text);
                let set = words.iter().cloned().collect();
                assert!(
                    seen.insert(words),
                    "{project}/{file}: {text:?} occurs twice"
                );
                sets.entry(split_of(file)).or_default().push((text, set));
            }
        }
        for (text, held) in &sets["test"] {
            for (other, trained) in &sets[TRAIN] {
                let shared = jaccard(held, trained);
                assert!(
                    shared <= 0.6,
                    "{project}: {text:?} and {other:?}: {shared:.2}"
                );
            }
        }
    }
}

/// Without the flag, `eval` does not load the base.
#[test]
fn a_comparison_that_a_readme_promises_is_asked_for() {
    let promises = |project: &&str| {
        let text = fs::read_to_string(root().join(project).join("README.md")).unwrap();
        let promise = |line: &&str| line.contains("beside the base model's");
        let lines: Vec<String> = text.lines().filter(promise).map(str::to_owned).collect();
        lines
    };
    let lines: Vec<String> = PROJECTS.iter().flat_map(promises).collect();
    let asked: Vec<&str> = lines
        .iter()
        .map(|line| line.split('#').next().unwrap().trim_end())
        .collect();
    assert_eq!(asked, ["openlora eval --vs base"; 4]);
}

#[test]
fn rows_are_short() {
    for project in CLASSIFIERS {
        for file in all_files(project) {
            for (text, _) in labelled(project, &file) {
                let count = words(&text).len();
                assert!((3..=40).contains(&count), "{project}/{file}: {text:?}");
            }
        }
    }
}

/// What was said, turn by turn, in each conversation of a file.
fn conversations(file: &str) -> Vec<Vec<String>> {
    let rows = load("chat", &[file.to_owned()]).rows;
    rows.into_iter()
        .map(|row| match row.example {
            TrainingExample::Chat { messages, .. } => {
                messages.into_iter().map(|m| m.content).collect()
            }
            other => panic!("{file}: {other:?}"),
        })
        .collect()
}

#[test]
fn conversations_keep_the_manner_and_the_split() {
    let record = record("chat");
    let (patterns, mut total) = (patterns(&record), 0);
    for file in all_files("chat") {
        let rows = conversations(&file);
        let ids = &record.rows[&file];
        assert_eq!(rows.len(), ids.len(), "{file}");
        if split_of(&file) == TRAIN {
            total += rows.len();
        }
        for (texts, ids) in rows.iter().zip(ids) {
            let ids: Vec<&str> = ids.split(' ').collect();
            assert_eq!(texts.len(), ids.len(), "{file}");
            for (text, id) in texts.iter().zip(ids) {
                assert!(patterns[id].is_match(text), "{text:?} is not from {id}");
            }
            for answer in texts.iter().skip(1).step_by(2) {
                assert!(answer.starts_with("Aye"), "{file}: {answer:?}");
            }
        }
    }
    assert!(total >= 400, "{total} conversations");
}

#[test]
fn every_project_settles_its_task() {
    for (project, name) in [
        ("sentiment", "classify"),
        ("filter", "classify"),
        ("chat", "chat"),
        ("blank", "classify"),
    ] {
        let settings = settings(project);
        let text = |key: &str| Some(settings["project"].get(key)?.as_str()?.to_owned());
        let labels = settings["project"]
            .get("labels")
            .and_then(toml::Value::as_array);
        let labels = labels
            .into_iter()
            .flatten()
            .map(|l| l.as_str().unwrap().to_owned());
        let wish = TaskOptions {
            task: text("task"),
            labels: labels.collect(),
            instruction: text("instruction"),
        };
        let task = Task::resolve(&load(project, &training_files(project)), &wish).unwrap();
        assert_eq!(task.name(), name, "{project}");
        if project != "blank" {
            task.check(&load(project, &all_files(project))).unwrap();
        }
    }
}

#[test]
fn no_caption_of_the_icons_stands_in_two_parts() {
    let folder = |name: &str| read_pictures(&root().join("icons/data").join(name));
    let training = ["inkwell_press", "confetti_studio", "lantern_works"];
    let training: HashSet<String> = training.iter().flat_map(|name| folder(name)).collect();
    let (valid, test) = (folder("valid"), folder("test"));
    for caption in valid.iter().chain(&test) {
        assert!(!training.contains(caption), "{caption}");
    }
    assert!(valid.iter().all(|caption| !test.contains(caption)));
    assert_eq!(settings("icons")["project"]["task"].as_str(), Some("image"));
}

/// All texts of a row, whatever its kind.
fn texts_of(example: TrainingExample) -> Vec<String> {
    match example {
        TrainingExample::Labelled { text, .. } | TrainingExample::Text { text } => vec![text],
        TrainingExample::Completion { prompt, completion } => vec![prompt, completion],
        TrainingExample::Chat { messages, .. } => messages.into_iter().map(|m| m.content).collect(),
    }
}

static WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[a-z0-9$']+(?:[.-][a-z0-9]+)*").unwrap());

/// Every eight words in a row; a web address is one word.
fn windows(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let words: Vec<&str> = WORD.find_iter(&text).map(|found| found.as_str()).collect();
    words.windows(8).map(|window| window.join(" ")).collect()
}

/// The text from which the base model was made.
fn corpus() -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let root = repository();
    let done = Command::new("python3")
        .arg(root.join("scripts/nano/corpus.py"))
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(done.success());
    fs::read_dir(folder.path())
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .flat_map(|text| text.lines().map(texts_of_document).collect::<Vec<_>>())
        .collect()
}

fn texts_of_document(line: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(line).unwrap();
    match document["messages"].as_array() {
        Some(messages) => messages
            .iter()
            .map(|m| m["content"].as_str().unwrap().to_owned())
            .collect(),
        None => vec![document["text"].as_str().unwrap().to_owned()],
    }
}

#[test]
fn the_base_model_is_not_taught_held_out_rows() {
    let mut rows = HashSet::new();
    let mut labels = BTreeSet::new();
    for project in ["sentiment", "filter", "chat"] {
        for row in load(project, &[VALID.to_owned(), TEST.to_owned()]).rows {
            labels.extend(row.example.label().map(str::to_owned));
            rows.extend(texts_of(row.example).iter().flat_map(|text| windows(text)));
        }
    }
    let not_a_post = Regex::new(
        r"(?i)\b(opposite|sign|number)\b|^(Pick one:|Choose one of|Say |Which word|Repeat )",
    )
    .unwrap();
    for texts in corpus() {
        for window in texts.iter().flat_map(|text| windows(text)) {
            assert!(!rows.contains(&window), "{window:?} is from a row");
        }
        for turn in texts.windows(2).filter(|turn| labels.contains(&turn[1])) {
            assert!(not_a_post.is_match(&turn[0]), "{turn:?} classifies");
        }
    }
}
