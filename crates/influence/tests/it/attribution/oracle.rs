//! Agreement with tests/oracles/attribution.py, which derives the same scores in float64 from the
//! formulas.

use std::{collections::BTreeMap, fs, path::PathBuf};

use candle_core::{Device, Tensor, safetensors};
use openlora_decoder::{Decoder, TokenBatch};
use openlora_influence::{
    GradientCheckpoint, GradientInputs, GradientPass, GradientSketch, IndexJob, IndexMethod,
    influence_rows,
};
use openlora_model::{
    BaseModel, ModelConfig, WeightPrecision,
    dataset::{DataSource, Dataset, encode::EncodedRow, long::LongRows},
};
use openlora_train::TrainRows;
use serde::Deserialize;

use crate::paths::repository;

#[derive(Deserialize)]
struct Case {
    rows: Vec<Row>,
    weights: Vec<f64>,
    queries: Vec<Query>,
    rates: Vec<f64>,
    scale: f64,
    damping: f64,
    data: String,
    adapter: String,
    cases: Vec<Expected>,
    sketched: Sketched,
}

#[derive(Deserialize)]
struct Sketched {
    width: usize,
    /// `[checkpoints][queries][width]`
    gradients: Vec<Vec<Vec<f32>>>,
}

#[derive(Deserialize)]
struct Row {
    ids: Vec<u32>,
    targets: Vec<bool>,
}

#[derive(Deserialize)]
struct Query {
    prompt: Vec<u32>,
    answer: Vec<u32>,
}

#[derive(Deserialize)]
struct Expected {
    method: IndexMethod,
    width: usize,
    /// `[queries][rows]`
    scores: Vec<Vec<f64>>,
}

fn folder() -> PathBuf {
    repository().join("tests/data/attribution")
}

fn tensors(name: &str) -> BTreeMap<String, Tensor> {
    let loaded = safetensors::load(folder().join(name), &Device::Cpu).unwrap();
    loaded.into_iter().collect()
}

fn material(case: &Case, method: IndexMethod) -> GradientInputs {
    let kept = match method {
        IndexMethod::Influence => vec![0, 1, 2],
        IndexMethod::Datainf | IndexMethod::Gradient => vec![2],
    };
    GradientInputs {
        checkpoints: kept
            .into_iter()
            .map(|at| GradientCheckpoint {
                step: at as u64,
                rate: case.rates[at],
                weights: tensors(&format!("factors-{at}.safetensors")),
            })
            .collect(),
        moments: match method {
            IndexMethod::Influence => tensors("moments.safetensors"),
            IndexMethod::Datainf | IndexMethod::Gradient => BTreeMap::new(),
        },
        lora_scale: case.scale,
        lora_scales: BTreeMap::new(),
    }
}

/// Two sources, the second drawn twice as often.
fn dataset(case: &Case) -> Dataset {
    let source = |weight| DataSource {
        weight,
        ..DataSource::of_file("rows.jsonl")
    };
    Dataset {
        sources: vec![source(1.0), source(2.0)],
        rows: vec![],
        digest: case.data.clone(),
        source_digests: vec![],
        unread: vec![],
        left_out: vec![],
        left_out_messages: vec![],
    }
}

fn rows(case: &Case) -> TrainRows {
    TrainRows {
        encoded: case
            .rows
            .iter()
            .map(|row| EncodedRow {
                ids: row.ids.clone(),
                targets: row.targets.clone(),
            })
            .collect(),
        sources: case
            .weights
            .iter()
            .map(|weight| usize::from(*weight > 1.0))
            .collect(),
        origins: (0..case.rows.len()).collect(),
        long: LongRows::default(),
    }
}

fn base() -> BaseModel {
    BaseModel {
        id: "oracle".into(),
        revision: None,
        dir: folder(),
        config: ModelConfig::read(&folder().join("config.json")).unwrap(),
        digest: String::new(),
        gguf: None,
        lease: None,
    }
}

/// The weight, the rows and the queries' gradients of one checkpoint.
fn checkpoint(
    case: &Case,
    method: IndexMethod,
    width: usize,
    at: usize,
) -> (f64, Vec<f32>, Vec<Vec<f32>>) {
    let (base, dataset, rows) = (base(), dataset(case), rows(case));
    let material = material(case, method);
    let job = IndexJob {
        base: &base,
        precision: WeightPrecision::F32,
        dataset: &dataset,
        rows: &rows,
        material: &material,
        adapter: case.adapter.clone(),
        method,
        width,
        damping: case.damping,
    };
    let rate = match method {
        IndexMethod::Influence => material.checkpoints[at].rate,
        _ => 1.0,
    };
    let (found, projector) = influence_rows(&job, at).unwrap();
    let decoder = Decoder::load(&base, WeightPrecision::F32).unwrap();
    let mut pass = GradientPass::new(material.place(&decoder, at).unwrap(), projector);
    let gradient = |query: &Query| {
        let ids = [query.prompt.clone(), query.answer.clone()].concat();
        let targets: Vec<bool> = (0..ids.len()).map(|at| at >= query.prompt.len()).collect();
        let batch = TokenBatch::from_rows([(ids.as_slice(), targets.as_slice())]);
        pass.project_batch(&batch).unwrap()
    };
    (rate, found, case.queries.iter().map(gradient).collect())
}

/// Scores `[queries][rows]` in floats, before anything is rounded to 8 bits.
fn scores(case: &Case, method: IndexMethod, width: usize) -> Vec<Vec<f64>> {
    let mut scores = vec![vec![0.0; case.rows.len()]; case.queries.len()];
    for at in 0..material(case, method).checkpoints.len() {
        let (rate, found, asked) = checkpoint(case, method, width, at);
        for (gradient, scores) in asked.iter().zip(&mut scores) {
            // Kept apart by tensor for DataInf's rows, a query's parts add up.
            let mut folded = vec![0f64; width];
            for (at, value) in gradient.iter().enumerate() {
                folded[at % width] += f64::from(*value);
            }
            for (score, row) in scores.iter_mut().zip(found.chunks(width)) {
                let products = row.iter().zip(&folded);
                *score += rate * products.map(|(u, q)| f64::from(*u) * q).sum::<f64>();
            }
        }
    }
    scores
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    order
        .into_iter()
        .enumerate()
        .for_each(|(rank, at)| ranks[at] = rank as f64);
    ranks
}

fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let distance: f64 = ranks(a)
        .iter()
        .zip(ranks(b))
        .map(|(a, b)| (a - b) * (a - b))
        .sum();
    let n = a.len() as f64;
    1.0 - 6.0 * distance / (n * (n * n - 1.0))
}

#[test]
fn every_method_agrees_with_the_second_derivation() {
    let text = fs::read_to_string(folder().join("case.json")).unwrap();
    let case: Case = serde_json::from_str(&text).unwrap();
    assert_eq!(case.cases.len(), 9);
    for expected in &case.cases {
        let found = scores(&case, expected.method, expected.width);
        for (found, wanted) in found.iter().zip(&expected.scores) {
            let square = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
            let differences: Vec<f64> = found.iter().zip(wanted).map(|(a, b)| a - b).collect();
            let error = (square(&differences) / square(wanted)).sqrt();
            let what = format!("{:?} at width {}", expected.method, expected.width);
            assert!(error <= 1e-4, "{what}: relative error {error:.2e}");
            let agreement = spearman(found, wanted);
            assert!(agreement >= 0.9999, "{what}: Spearman {agreement}");
        }
    }
}

/// A sketch that somebody else makes of the same tokens, in other arithmetic, is the same within
/// what is promised; one of another answer is not.
#[test]
fn a_sketch_comes_out_again_in_other_arithmetic() {
    let text = fs::read_to_string(folder().join("case.json")).unwrap();
    let case: Case = serde_json::from_str(&text).unwrap();
    let Sketched { width, gradients } = &case.sketched;
    let ours: Vec<Vec<Vec<f32>>> = (0..gradients.len())
        .map(|at| checkpoint(&case, IndexMethod::Influence, *width, at).2)
        .collect();
    let sketch = |gradients: &[Vec<Vec<f32>>], query: usize| {
        let of = gradients.iter().map(|checkpoint| checkpoint[query].clone());
        GradientSketch::quantise(&of.collect::<Vec<_>>())
    };
    for query in 0..case.queries.len() {
        let (one, two) = (sketch(&ours, query), sketch(gradients, query));
        assert!(one.agrees(&two), "{one:?} is not {two:?}");
        let other = sketch(gradients, (query + 1) % case.queries.len());
        assert!(!one.agrees(&other));
    }
}
