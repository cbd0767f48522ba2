//! How fast attribution is: `cargo bench --bench attribution [-- scan|trace|build|classes]`.
//!
//! `scan`: scores of 100 000 examples (3 checkpoints, 1024 values) on one thread. `trace`: spans of
//! 256-token answers in a million documents of 128 tokens. `build`: an index beside the epochs of
//! the training that it is of. Percentiles go to stderr.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench stops at the first surprise and prints what it found"
)]

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use openlora_influence::{
    AttributionDir, BuiltIndex, CheckpointFacts, DAMPING, GradientInputs, GradientSketch,
    GradientSketcher, IndexBinding, IndexContributor, IndexDraft, IndexFile, IndexJob, IndexMethod,
    IndexParameters, IndexedExample, QuantisedRows, SuffixArray, WIDTH, adapter_digest, build,
    kernels,
};
use openlora_model::{
    BaseRequest, WeightPrecision,
    dataset::{DataSource, Dataset, Task, TaskOptions, load, long::fit_rows},
    open_base,
    text::TextCodec,
};
use openlora_train::{RunDir, RunStart, TrainConfig, TrainFlow, TrainInputs, train};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|name| !name.starts_with('-'))
        .collect();
    let all: [(&str, fn()); 4] = [
        ("scan", scan),
        ("trace", trace),
        ("build", build_time),
        ("classes", classes),
    ];
    for (name, bench) in all {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            bench();
        }
    }
}

/// Time that this thread had a processor: on a busy machine the wall clock also counts the others'
/// turns.
#[cfg(target_os = "linux")]
fn on_processor() -> Option<Duration> {
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    const THREAD_CPU_TIME: i32 = 3;
    let mut time = [0; 2];
    // SAFETY: the system writes one timespec, two 64-bit numbers here.
    let done = unsafe { clock_gettime(THREAD_CPU_TIME, &raw mut time) };
    let [seconds, nanoseconds] = time.map(|part| u64::try_from(part).ok());
    (done == 0).then_some(Duration::new(seconds?, u32::try_from(nanoseconds?).ok()?))
}

#[cfg(not(target_os = "linux"))]
fn on_processor() -> Option<Duration> {
    None
}

/// Wall clock and processor time of some work.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, Duration, T) {
    let (wall, own) = (Instant::now(), on_processor());
    let done = work();
    let wall = wall.elapsed();
    let own = own
        .zip(on_processor())
        .map_or(wall, |(before, after)| after - before);
    (wall, own, done)
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    eprintln!(
        "{what}: p50 {:?}, p95 {:?}, p99 {:?}",
        at(50),
        at(95),
        at(99)
    );
}

fn draft(documents: &[Vec<u32>], checkpoints: usize, width: usize) -> IndexDraft {
    IndexDraft {
        binding: IndexBinding {
            base: "base".into(),
            adapter: "adapter".into(),
            tokenizer: "tokenizer".into(),
            data: "data".into(),
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
        contributors: vec![IndexContributor {
            name: "one".into(),
            address: None,
        }],
        examples: documents
            .iter()
            .enumerate()
            .map(|(at, document)| IndexedExample {
                cluster: at as u32,
                tokens: document.len() as u32,
                ..IndexedExample::default()
            })
            .collect(),
        rows: QuantisedRows::default(),
        suffixes: SuffixArray::build(documents.iter().map(Vec::as_slice))
            .expect("the text is sorted"),
    }
}

fn open(draft: &IndexDraft) -> (tempfile::TempDir, IndexFile) {
    let dir = tempfile::tempdir().expect("a folder is made");
    let path = dir.path().join("index.bin");
    std::fs::write(&path, draft.encode()).expect("the index is written");
    let began = Instant::now();
    let index = IndexFile::open(&path).expect("the index opens");
    eprintln!(
        "opened {:.0} MB in {:?}",
        index.size() as f64 / 1e6,
        began.elapsed()
    );
    (dir, index)
}

const EXAMPLES: usize = 100_000;

fn scan() {
    let [checkpoints, width] = [3, 1024];
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draft = draft(&vec![vec![]; EXAMPLES], checkpoints, width);
    let mut row = || {
        (0..width)
            .map(|_| rng.random::<f32>() - 0.5)
            .collect::<Vec<f32>>()
    };
    let pool: Vec<Vec<f32>> = (0..64).map(|_| row()).collect();
    let sketch = GradientSketch::quantise(&(0..checkpoints).map(|_| row()).collect::<Vec<_>>());
    for _ in 0..checkpoints {
        for at in 0..EXAMPLES {
            draft.rows.push(&pool[at * 31 % 64], width, 1.0);
        }
    }
    let (_dir, index) = open(&draft);
    let trace: u64 = index.sizes().iter().skip(4).map(|(_, bytes)| bytes).sum();
    let bytes = (index.size() - trace) as f64 / EXAMPLES as f64;
    let (mut walls, mut times) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let (wall, own, scores) = timed(|| index.scores(&sketch).expect("the sketch fits"));
        black_box(scores);
        walls.push(wall);
        times.push(own);
    }
    let what = format!("scan of {EXAMPLES} examples, {bytes:.0} bytes each: wall clock");
    tell(&what, walls);
    tell("scan, processor time of its one thread", times);
    for kernel in kernels() {
        let (left, right) = (vec![3i8; 1024], vec![-5i8; 1024]);
        let began = Instant::now();
        for _ in 0..1_000_000 {
            black_box(kernel.dot(black_box(&left), black_box(&right), -5 * 1024));
        }
        eprintln!(
            "kernel {}: {:?} per row of 1024",
            kernel.name,
            began.elapsed() / 1_000_000
        );
    }
}

const DOCUMENTS: usize = 1_000_000;
const DOCUMENT: usize = 128;

/// Text with common and rare words, a third of it stock phrases.
struct Writer {
    rng: ChaCha8Rng,
    phrases: Vec<Vec<u32>>,
}

impl Writer {
    fn new() -> Self {
        let mut writer = Self {
            rng: ChaCha8Rng::seed_from_u64(2),
            phrases: vec![],
        };
        writer.phrases = (0..20_000).map(|at| writer.words(5 + at % 20)).collect();
        writer
    }

    /// Zipf's law over 32 768 words.
    fn words(&mut self, count: usize) -> Vec<u32> {
        (0..count)
            .map(|_| (32_768f64.powf(self.rng.random::<f64>()) - 1.0) as u32)
            .collect()
    }

    fn text(&mut self, count: usize) -> Vec<u32> {
        let mut text = Vec::with_capacity(count + 32);
        while text.len() < count {
            if self.rng.random::<f32>() < 0.3 {
                let at = self.rng.random_range(0..self.phrases.len());
                text.extend_from_slice(&self.phrases[at]);
            } else {
                let run = self.words(12);
                text.extend(run);
            }
        }
        text.truncate(count);
        text
    }
}

fn trace() {
    let mut writer = Writer::new();
    let documents: Vec<Vec<u32>> = (0..DOCUMENTS).map(|_| writer.text(DOCUMENT)).collect();
    let began = Instant::now();
    let draft = draft(&documents, 0, 1);
    eprintln!(
        "sorted {} tokens in {:?}",
        DOCUMENTS * DOCUMENT,
        began.elapsed()
    );
    drop(documents);
    let (_dir, index) = open(&draft);
    drop(draft);
    let bytes: u64 = index.sizes().iter().skip(4).map(|(_, bytes)| bytes).sum();
    eprintln!(
        "{:.3} bytes per token",
        bytes as f64 / (DOCUMENTS * DOCUMENT) as f64
    );
    let (mut walls, mut times, mut spans) = (Vec::new(), Vec::new(), 0);
    for _ in 0..2000 {
        let (prompt, answer) = (writer.text(64), writer.text(256));
        let (wall, own, trace) = timed(|| index.trace(&prompt, &answer));
        walls.push(wall);
        times.push(own);
        spans += trace.spans.len();
    }
    let each = spans as f64 / 2000.0;
    tell(
        &format!("trace of 256 tokens, {each:.1} spans each: wall clock"),
        walls,
    );
    tell("trace, processor time of its one thread", times);
}

/// A finished training on rows of the sentiment template, every `step`th.
struct Sentiment {
    inputs: TrainInputs,
    run: RunDir,
    seconds: f64,
    _home: tempfile::TempDir,
}

fn sentiment_rows(files: &[&str], step: usize) -> Dataset {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/sentiment/data");
    let sources: Vec<DataSource> = files
        .iter()
        .map(|file| DataSource::of_file(data.join(file)))
        .collect();
    let all = load(&sources).expect("data loads");
    Dataset::new(sources, all.rows.into_iter().step_by(step).collect())
}

fn sentiment(step: usize) -> Sentiment {
    let home = tempfile::tempdir().expect("a folder is made");
    let request = BaseRequest {
        id: "nano".into(),
        revision: "main".into(),
        endpoint: String::new(),
        models_dir: home.path().join("models"),
        nano_dir: home.path().join("nano"),
        token: None,
        offline: true,
    };
    let base = open_base(&request, &mut |_| {}).expect("the embedded base opens");
    let files = [
        "harbor_forum.jsonl",
        "ledger_wire.csv",
        "pit_chat.parquet",
        "council_letters.jsonl",
    ];
    let dataset = sentiment_rows(&files, step);
    let config = TrainConfig {
        epochs: 2,
        batch: 8,
        max_len: 128,
        lr: 3e-3,
        ..TrainConfig::default()
    };
    let inputs = TrainInputs {
        name: "bench".into(),
        codec: TextCodec::open(&base.dir).expect("the tokenizer opens"),
        base,
        task: Task::resolve(&dataset, &TaskOptions::default()).expect("a task fits"),
        dataset,
        validation: None,
        config,
        flags: vec![],
        root: home.path().to_owned(),
        out: None,
    };
    let runs = home.path().join("runs");
    let start = RunStart::Fresh { runs: runs.clone() };
    let (outcome, _) = train(&inputs, &start, &mut |_| TrainFlow::Continue).expect("it trains");
    Sentiment {
        run: RunDir::find(&runs, None).expect("the run is there"),
        seconds: outcome.seconds,
        inputs,
        _home: home,
    }
}

impl Sentiment {
    fn index(&self, damping: f64) -> BuiltIndex {
        let (inputs, run) = (&self.inputs, &self.run);
        let material = GradientInputs::of_run(run, &inputs.config, IndexMethod::Influence)
            .expect("checkpoints");
        let (rows, _) = inputs.rows().expect("rows encode");
        let job = IndexJob {
            base: &inputs.base,
            precision: inputs.config.precision,
            dataset: &inputs.dataset,
            rows: &rows,
            material: &material,
            adapter: adapter_digest(&run.adapter()).expect("an adapter"),
            method: IndexMethod::Influence,
            width: WIDTH,
            damping,
        };
        build(&job, &AttributionDir::of_run(run.path()), &mut |_| {}).expect("an index")
    }
}

fn build_time() {
    let trained = sentiment(1);
    let built = trained.index(DAMPING);
    let epoch = trained.seconds / trained.inputs.config.epochs as f64;
    eprintln!(
        "index of {} examples, {} bytes each: {:.1} s, {:.2} epochs of {epoch:.1} s",
        built.examples,
        built.bytes / built.examples as u64,
        built.seconds,
        built.seconds / epoch
    );
}

/// The chance that an example of the answer's class scores above one of another, and the share of
/// the class among as many best examples as it has; means over answers.
fn classes() {
    let trained = sentiment(6);
    let inputs = &trained.inputs;
    let asked = sentiment_rows(&["test.jsonl"], 11);
    let options = inputs.config.encode_options();
    let encoded = fit_rows(&inputs.codec, &inputs.task, &asked, &options)
        .expect("rows encode")
        .encoded;
    let places = AttributionDir::of_run(trained.run.path());
    for damping in [0.01, 0.03, DAMPING, 0.3, 1.0, 10.0] {
        trained.index(damping);
        let index = IndexFile::open(&places.index()).expect("the index opens");
        let mut sketcher =
            GradientSketcher::open(&places, &inputs.base).expect("the sketcher opens");
        let (mut area, mut recall) = (0.0, 0.0);
        for (row, encoded) in asked.rows.iter().zip(&encoded) {
            let first = encoded
                .targets
                .iter()
                .position(|target| *target)
                .unwrap_or(0);
            let (prompt, answer) = encoded.ids.split_at(first);
            let sketch = sketcher.sketch(prompt, answer).expect("a sketch is made");
            let scores = index.scores(&sketch).expect("the sketch fits");
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by_key(|at| scores[*at]);
            let label = row.example.label();
            let same: Vec<bool> = order
                .iter()
                .map(|at| inputs.dataset.rows[*at].example.label() == label)
                .collect();
            let members = same.iter().filter(|same| **same).count();
            let (mut below, mut pairs) = (0, 0);
            for same in &same {
                match same {
                    true => pairs += below,
                    false => below += 1,
                }
            }
            let best = same
                .iter()
                .rev()
                .take(members)
                .filter(|same| **same)
                .count();
            area += f64::from(pairs) / (members as f64 * f64::from(below));
            recall += best as f64 / members as f64;
        }
        let count = encoded.len() as f64;
        eprintln!(
            "damping {damping}: AUC {:.4}, recall {:.4}",
            area / count,
            recall / count
        );
    }
}
