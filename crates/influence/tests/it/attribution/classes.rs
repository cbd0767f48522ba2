//! Examples of an answer's class help it: the detection test of DataInf (arXiv:2310.00902) on the
//! three classes of the sentiment template.

use openlora_influence::{
    AttributionDir, GradientInputs, GradientSketcher, IndexFile, IndexJob, IndexMethod, build,
};
use openlora_model::{
    WeightPrecision,
    dataset::{DataSource, Dataset, Task, TaskOptions, load, long::fit_rows},
    text::TextCodec,
};
use openlora_train::{RunDir, RunStart, TrainConfig, TrainFlow, TrainInputs, TrainRows, train};
use tempfile::TempDir;

use crate::paths::repository;

const FILES: [&str; 4] = [
    "harbor_forum.jsonl",
    "ledger_wire.csv",
    "pit_chat.parquet",
    "council_letters.jsonl",
];

/// Every `step`th row of template files.
fn rows_of(files: &[&str], step: usize) -> Dataset {
    let data = repository().join("templates/sentiment/data");
    let sources: Vec<DataSource> = files
        .iter()
        .map(|file| DataSource::of_file(data.join(file)))
        .collect();
    let all = load(&sources).unwrap();
    Dataset::new(
        all.sources.clone(),
        all.rows.into_iter().step_by(step).collect(),
    )
}

/// The chance that an example of the class scores above one of another, and the share of the
/// class among as many best examples as it has.
fn detection(scores: &[i128], same: &[bool]) -> (f64, f64) {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by_key(|at| scores[*at]);
    let members = same.iter().filter(|same| **same).count();
    let others = same.len() - members;
    let (mut below, mut pairs) = (0, 0);
    for at in &order {
        match same[*at] {
            true => pairs += below,
            false => below += 1,
        }
    }
    let found = order
        .iter()
        .rev()
        .take(members)
        .filter(|at| same[**at])
        .count();
    (
        pairs as f64 / (members * others) as f64,
        found as f64 / members as f64,
    )
}

#[test]
fn detection_counts_pairs_and_the_best() {
    assert_eq!(
        detection(&[4, 3, 2, 1], &[true, true, false, false]),
        (1.0, 1.0)
    );
    assert_eq!(
        detection(&[4, 1, 3, 2], &[true, true, false, false]),
        (0.5, 0.5)
    );
    assert_eq!(
        detection(&[1, 2, 3, 4], &[true, true, false, false]),
        (0.0, 0.0)
    );
}

#[test]
fn classes_are_detected_by_their_examples() {
    let (_home, base) = super::nano();
    let dir = TempDir::new().unwrap();
    let dataset = rows_of(&FILES, 6);
    let task = Task::resolve(&dataset, &TaskOptions::default()).unwrap();
    let codec = TextCodec::open(&base.dir).unwrap();
    let config = TrainConfig {
        batch: 8,
        max_len: 128,
        lr: 3e-3,
        ..TrainConfig::default()
    };
    let options = config.encode_options();
    let asked = rows_of(&["test.jsonl"], 11);
    let asked_rows = fit_rows(&codec, &task, &asked, &options).unwrap().encoded;
    let inputs = TrainInputs {
        name: "classes".into(),
        base,
        codec,
        task,
        dataset,
        validation: None,
        config,
        flags: vec![],
        root: dir.path().to_owned(),
        out: None,
    };
    let start = RunStart::Fresh {
        runs: dir.path().join("runs"),
    };
    train(&inputs, &start, &mut |_| TrainFlow::Continue).unwrap();
    let run = RunDir::find(&dir.path().join("runs"), None).unwrap();
    let material = GradientInputs::of_run(&run, &inputs.config, IndexMethod::Influence).unwrap();
    let rows: TrainRows = inputs.rows().unwrap().0;
    let places = AttributionDir::of_run(run.path());
    let job = IndexJob {
        base: &inputs.base,
        precision: WeightPrecision::F32,
        dataset: &inputs.dataset,
        rows: &rows,
        material: &material,
        adapter: "classes".into(),
        method: IndexMethod::Influence,
        width: 1024,
        damping: openlora_influence::DAMPING,
    };
    build(&job, &places, &mut |_| {}).unwrap();
    let index = IndexFile::open(&places.index()).unwrap();
    let mut sketcher = GradientSketcher::open(&places, &inputs.base).unwrap();
    let (mut area, mut recall) = (0.0, 0.0);
    for (row, encoded) in asked.rows.iter().zip(&asked_rows) {
        let first = encoded.targets.iter().position(|target| *target).unwrap();
        let sketch = sketcher
            .sketch(&encoded.ids[..first], &encoded.ids[first..])
            .unwrap();
        let label = row.example.label();
        let same: Vec<bool> = inputs
            .dataset
            .rows
            .iter()
            .map(|row| row.example.label() == label)
            .collect();
        let (a, r) = detection(&index.scores(&sketch).unwrap(), &same);
        area += a / asked.rows.len() as f64;
        recall += r / asked.rows.len() as f64;
    }
    assert!(
        area >= 0.99 && recall >= 0.99,
        "AUC {area:.4}, recall {recall:.4}"
    );
}
