//! The index of training examples: what it holds, what it refuses, and that it is true.

mod classes;
mod oracle;
mod pairs;
mod parts;
mod refused;
mod truth;

use std::path::Path;

use openlora_influence::{
    AttributionDir, BuiltIndex, CheckpointFacts, GradientInputs, IndexBinding, IndexContributor,
    IndexDraft, IndexFile, IndexJob, IndexMethod, IndexParameters, IndexedExample,
    QuantisedRows as IndexRows, SuffixArray, adapter_digest, build,
};
use openlora_model::{
    BaseModel, BaseRequest, WeightPrecision,
    dataset::{DataRow, DataSource, Dataset},
    open_base,
};
use openlora_train::{RunDir, RunStart, TrainConfig, TrainFlow, TrainInputs, TrainRows, train};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use crate::tiny;

/// A finished run on a tiny base.
pub struct Trained {
    _dir: TempDir,
    pub inputs: TrainInputs,
    pub run: RunDir,
}

impl Trained {
    pub fn new() -> Self {
        Self::with(TrainConfig::default())
    }

    /// With the form of the adapter and of the base's weights that `form` has.
    pub fn with(form: TrainConfig) -> Self {
        let dir = TempDir::new().unwrap();
        let base = tiny::base(dir.path());
        let config = TrainConfig {
            rank: 2,
            lr: 1e-2,
            warmup: 2,
            epochs: 3,
            batch: 4,
            max_len: 128,
            ..form
        };
        let inputs = tiny::inputs(dir.path(), &base, 40, config);
        let start = RunStart::Fresh {
            runs: dir.path().join("runs"),
        };
        let (outcome, _) = train(&inputs, &start, &mut |_| TrainFlow::Continue).unwrap();
        let run = RunDir::find(&dir.path().join("runs"), outcome.run.to_str()).unwrap();
        Self {
            _dir: dir,
            inputs,
            run,
        }
    }

    pub fn rows(&self) -> TrainRows {
        self.inputs.rows().unwrap().0
    }

    pub fn material(&self, method: IndexMethod) -> GradientInputs {
        GradientInputs::of_run(&self.run, &self.inputs.config, method).unwrap()
    }

    pub fn job<'a>(
        &'a self,
        rows: &'a TrainRows,
        material: &'a GradientInputs,
        method: IndexMethod,
    ) -> IndexJob<'a> {
        IndexJob {
            base: &self.inputs.base,
            precision: WeightPrecision::F32,
            dataset: &self.inputs.dataset,
            rows,
            material,
            adapter: adapter_digest(&self.run.adapter()).unwrap(),
            method,
            width: 128,
            damping: 0.1,
        }
    }

    pub fn build(&self, method: IndexMethod, dir: &Path) -> (BuiltIndex, AttributionDir) {
        let (rows, material) = (self.rows(), self.material(method));
        let places = AttributionDir::new(dir);
        let built = build(&self.job(&rows, &material, method), &places, &mut |_| {}).unwrap();
        (built, places)
    }
}

#[test]
fn a_copy_of_a_row_that_was_held_out_is_credited_to_the_first() {
    let mut trained = Trained::new();
    let mut rows = trained.inputs.dataset.rows.clone();
    let copy = |of: &DataRow, line: usize| DataRow {
        source: 1,
        line,
        ..of.clone()
    };
    let copies = [copy(&rows[3], 1), copy(&rows[4], 2)];
    rows.extend(copies);
    let mut sources = trained.inputs.dataset.sources.clone();
    sources[0].contributor = "first".into();
    let copier = DataSource {
        contributor: "copier".into(),
        ..DataSource::of_file("copy.jsonl")
    };
    sources.push(copier);
    trained.inputs.dataset = Dataset::new(sources, rows);
    let all = trained.rows();
    // Row 3 is held out, its copy is trained on; row 4 and its copy both are.
    let kept: Vec<usize> = (0..all.len()).filter(|at| *at != 3).collect();
    let (rows, material) = (all.select(&kept), trained.material(IndexMethod::Gradient));
    let dir = TempDir::new().unwrap();
    let places = AttributionDir::new(dir.path());
    let job = trained.job(&rows, &material, IndexMethod::Gradient);
    build(&job, &places, &mut |_| {}).unwrap();
    let index = IndexFile::open(&places.index()).unwrap();
    let examples = index.examples();
    let whose = |at: usize| {
        index.contributors()[examples[at].contributor as usize]
            .name
            .as_str()
    };
    let (of_held_out, of_trained) = (examples.len() - 2, examples.len() - 1);
    assert_eq!(examples[of_held_out].cluster as usize, of_held_out);
    assert_eq!(whose(of_held_out), "first");
    assert_eq!(whose(examples[of_trained].cluster as usize), "first");
    assert_eq!(whose(of_trained), "copier");
}

/// An index of random rows: `examples` examples of `contributors` contributors.
pub fn random_draft(examples: usize, contributors: usize, shape: [usize; 2]) -> IndexDraft {
    let [checkpoints, width] = shape;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut rows = IndexRows::default();
    for _ in 0..checkpoints {
        let values: Vec<f32> = (0..examples * width)
            .map(|_| rng.random::<f32>() - 0.5)
            .collect();
        rows.push(&values, width, 1.0);
    }
    let documents: Vec<Vec<u32>> = (0..examples as u32)
        .map(|at| (0..8).map(|place| (at * 3 + place) % 97).collect())
        .collect();
    IndexDraft {
        binding: IndexBinding {
            base: "b".into(),
            adapter: "a".into(),
            tokenizer: "t".into(),
            data: "d".into(),
            sources: vec![],
            parameters: IndexParameters {
                method: IndexMethod::Influence,
                width,
                damping: 0.1,
                leverage: None,
                pairs: None,
                pictures: None,
                seed: "00".repeat(32),
                lora_scale: 2.0,
                lora_scales: std::collections::BTreeMap::new(),
                precision: WeightPrecision::F32,
            },
            checkpoints: (0..checkpoints as u64)
                .map(|step| CheckpointFacts {
                    step,
                    rate: 1.0,
                    sha256: String::new(),
                })
                .collect(),
            preconditioner: None,
        },
        contributors: (0..contributors)
            .map(|at| IndexContributor {
                name: format!("contributor {at}"),
                address: (at % 2 == 0).then(|| format!("0x{at:040x}")),
            })
            .collect(),
        examples: (0..examples as u32)
            .map(|at| IndexedExample {
                hash: [at as u8; 32],
                dataset: 0,
                contributor: at % contributors.max(1) as u32,
                cluster: at,
                tokens: 8,
                self_influence: 1.0,
            })
            .collect(),
        rows,
        suffixes: SuffixArray::build(documents.iter().map(Vec::as_slice)).unwrap(),
    }
}

pub fn written(draft: &IndexDraft) -> (TempDir, IndexFile) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("index.bin");
    std::fs::write(&path, draft.encode()).unwrap();
    let index = IndexFile::open(&path).unwrap();
    (dir, index)
}

/// An index over these documents; `clusters` names each one's original.
pub fn index_of(documents: &[Vec<u32>], clusters: &[u32]) -> (TempDir, IndexFile) {
    let mut draft = random_draft(documents.len(), 2, [1, 64]);
    for ((example, document), cluster) in draft.examples.iter_mut().zip(documents).zip(clusters) {
        example.tokens = document.len() as u32;
        example.cluster = *cluster;
    }
    draft.suffixes = SuffixArray::build(documents.iter().map(Vec::as_slice)).unwrap();
    written(&draft)
}

/// The embedded base, in a folder of its own.
pub fn nano() -> (TempDir, BaseModel) {
    let dir = TempDir::new().unwrap();
    let request = BaseRequest {
        id: "nano".into(),
        revision: "main".into(),
        endpoint: String::new(),
        models_dir: dir.path().join("models"),
        nano_dir: dir.path().join("nano"),
        token: None,
        offline: true,
    };
    let base = open_base(&request, &mut |_| {}).unwrap();
    (dir, base)
}
