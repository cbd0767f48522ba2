//! Training speed on one job, beside the machine's matrix products measured in the same process.
//! `benches/train_vs_peft.py` writes jobs and runs the same ones with PEFT:
//! `cargo bench -p openlora-train --bench training -- (prepare|products|train) JOB`.
//!
//! `prepare` writes what both need to do the same work: the encoded batches of every step, the
//! learning rates, the initial factors and the test rows. `train` prints one line of JSON.

#![allow(clippy::print_stdout, reason = "prints its result")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench stops at the first surprise"
)]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::{Tensor, safetensors};
use openlora_decoder::{
    Decoder, TokenBatch,
    kernels::matmul::{MatmulTarget, MatmulThreads, StridedMatrix, multiply},
};
use openlora_model::{
    BaseModel, LoraConfig, ModelConfig, WeightPrecision,
    dataset::{
        DataSource, Task, TrainingExample,
        choices::LabelChoices,
        encode::{EncodeOptions, EncodedRow, LossOn, encode_row},
        load,
        long::OnLong,
    },
    shapes::projections,
    text::TextCodec,
};
use openlora_train::{
    DatasetRole, RateCurve, RateSchedule, TrainRows,
    adamw::AdamWOptions,
    evaluate::EvalSet,
    order::{OrderWalk, RowCursor, RowOrder},
    step::{NoiseState, TrainStepper},
};
use serde::{Deserialize, Serialize};

/// What to train, and where to write it.
#[derive(Deserialize)]
struct TrainingJob {
    base: PathBuf,
    train: PathBuf,
    test: Option<PathBuf>,
    labels: Vec<String>,
    instruction: String,
    /// Rows of this many tokens, all learned, cut from the text of the data.
    dense: Option<usize>,
    max_len: usize,
    epochs: u64,
    /// Ends earlier.
    steps: Option<u64>,
    batch: usize,
    rank: usize,
    alpha: f64,
    targets: Vec<String>,
    lr: f64,
    seed: u64,
    precision: WeightPrecision,
    /// Folder of what both trainers read.
    plan: PathBuf,
}

/// The work of a job, as both trainers do it.
#[derive(Serialize)]
struct TrainingPlan {
    rates: Vec<f64>,
    /// The rows of every step.
    steps: Vec<Vec<PlannedRow>>,
    test: Vec<TestRow>,
}

#[derive(Serialize)]
struct PlannedRow {
    ids: Vec<u32>,
    targets: Vec<bool>,
}

/// A prompt, the first tokens of the labels and the position of the true one.
#[derive(Serialize)]
struct TestRow {
    ids: Vec<u32>,
    choices: Vec<u32>,
    truth: usize,
}

#[derive(Serialize)]
struct TrainingFigures {
    losses: Vec<f64>,
    tokens: usize,
    rows: usize,
    seconds: f64,
    processor_seconds: f64,
    accuracy: Option<f64>,
    peak_memory_bytes: u64,
    /// Floating-point operations that the losses and gradients need, without padding.
    operations: f64,
    /// Operations per second of matrix products at the model's shapes, by wall clock.
    ceiling: f64,
    /// The same per second of processor time.
    processor_ceiling: f64,
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let (Some(verb), Some(path)) = (arguments.next(), arguments.next()) else {
        println!("usage: training (prepare|products|train) JOB");
        return;
    };
    let job: TrainingJob = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    match verb.as_str() {
        "prepare" => job.prepare(),
        "products" => show_products(&job),
        "train" => println!("{}", serde_json::to_string(&job.train()).unwrap()),
        other => panic!("unknown verb {other}"),
    }
}

impl TrainingJob {
    fn codec(&self) -> TextCodec {
        TextCodec::open(&self.base).unwrap()
    }

    fn task(&self) -> Task {
        Task::Classify {
            labels: self.labels.clone(),
            instruction: self.instruction.clone(),
        }
    }

    fn options(&self) -> EncodeOptions {
        EncodeOptions {
            max_len: self.max_len,
            loss: LossOn::Completion,
            on_long: OnLong::Error,
        }
    }

    fn rows(&self) -> TrainRows {
        let codec = self.codec();
        let Some(length) = self.dense else {
            let dataset = load(&[DataSource::of_file(&self.train)]).unwrap();
            return TrainRows::encode(
                &codec,
                &self.task(),
                &dataset,
                &self.options(),
                DatasetRole::Training,
            )
            .unwrap();
        };
        let ids = codec
            .encode(&fs::read_to_string(&self.train).unwrap(), false)
            .unwrap();
        let row = |ids: &[u32]| EncodedRow {
            ids: ids.to_vec(),
            targets: vec![true; length],
        };
        let encoded: Vec<EncodedRow> = ids.chunks_exact(length).map(row).collect();
        TrainRows {
            sources: vec![0; encoded.len()],
            origins: (0..encoded.len()).collect(),
            encoded,
            ..TrainRows::default()
        }
    }

    /// The rows of every step, and its learning rate.
    fn steps(&self, rows: &TrainRows) -> (Vec<Vec<usize>>, Vec<f64>) {
        let order = RowOrder::new(&rows.sources, &[1.0], self.seed);
        let all = (order.rows_per_epoch().div_ceil(self.batch)) as u64 * self.epochs;
        let total = self.steps.map_or(all, |steps| steps.min(all));
        let schedule = RateSchedule::new(RateCurve::Cosine, self.lr, 10, total);
        let mut walk = OrderWalk::new(order, RowCursor::default());
        (0..total)
            .map(|step| (walk.take(self.batch), schedule.at(step)))
            .unzip()
    }

    fn decoder(&self) -> Decoder {
        let base = BaseModel::open_dir("base", &self.base).unwrap();
        let mut decoder = Decoder::load(&base, self.precision).unwrap();
        let lora = LoraConfig {
            rank: self.rank,
            alpha: self.alpha,
            targets: self.targets.clone(),
            dropout: 0.0,
            rslora: false,
            ..LoraConfig::default()
        };
        decoder.attach_lora(&lora, self.seed).unwrap();
        decoder
    }

    fn prepare(&self) {
        fs::create_dir_all(&self.plan).unwrap();
        let rows = self.rows();
        let (steps, rates) = self.steps(&rows);
        let planned = |pick: usize| PlannedRow {
            ids: rows.encoded[pick].ids.clone(),
            targets: rows.encoded[pick].targets.clone(),
        };
        let plan = TrainingPlan {
            rates,
            steps: steps
                .into_iter()
                .map(|picks| picks.into_iter().map(planned).collect())
                .collect(),
            test: self
                .test
                .as_deref()
                .map_or(Vec::new(), |path| self.test_rows(path)),
        };
        fs::write(
            self.plan.join("plan.json"),
            serde_json::to_vec(&plan).unwrap(),
        )
        .unwrap();
        let factors: HashMap<String, Tensor> = self
            .decoder()
            .trainable()
            .into_iter()
            .map(|(name, var)| (name, var.as_detached_tensor()))
            .collect();
        safetensors::save(&factors, self.plan.join("start.safetensors")).unwrap();
    }

    fn test_rows(&self, path: &Path) -> Vec<TestRow> {
        let (codec, task) = (self.codec(), self.task());
        let dataset = load(&[DataSource::of_file(path)]).unwrap();
        let row = |row: &openlora_model::dataset::DataRow| {
            let TrainingExample::Labelled { text, label } = &row.example else {
                panic!("test rows have labels");
            };
            let sequence = |label: &String| {
                let mut row = row.clone();
                row.example = TrainingExample::Labelled {
                    text: text.clone(),
                    label: label.clone(),
                };
                encode_row(&codec, &task, &dataset, &row, &self.options())
                    .unwrap()
                    .ids
            };
            let sequences: Vec<Vec<u32>> = self.labels.iter().map(sequence).collect();
            let choices = LabelChoices::new(&sequences, &self.labels).unwrap();
            TestRow {
                ids: choices.prefix,
                choices: choices.tails.iter().map(|tail| tail[0]).collect(),
                truth: self.labels.iter().position(|known| known == label).unwrap(),
            }
        };
        dataset.rows.iter().map(row).collect()
    }

    fn train(&self) -> TrainingFigures {
        let rows = self.rows();
        let (steps, rates) = self.steps(&rows);
        let mut stepper = TrainStepper::new(
            self.decoder(),
            AdamWOptions {
                weight_decay: 0.0,
                ..AdamWOptions::default()
            },
            1.0,
        )
        .unwrap();
        let config = stepper.decoder.config().clone();
        let tokens = self.batch * self.dense.unwrap_or(40);
        let before = ProductRates::ceiling(&config, tokens);
        let batches: Vec<TokenBatch> = steps.iter().map(|picks| rows.batch(picks)).collect();
        let (mut losses, began, used) = (Vec::new(), Instant::now(), processor_seconds());
        for (batch, rate) in batches.iter().zip(rates) {
            let result = stepper.step(std::slice::from_ref(batch), rate, NoiseState::default());
            losses.push(result.unwrap().loss);
        }
        let (seconds, processor) = (began.elapsed().as_secs_f64(), processor_seconds() - used);
        let peak_memory_bytes = peak_bytes();
        let ceiling = before.max(ProductRates::ceiling(&config, tokens));
        let factors = stepper.trained_values() as f64;
        TrainingFigures {
            losses,
            tokens: batches.iter().map(|batch| batch.ids.len()).sum(),
            rows: steps.iter().map(Vec::len).sum(),
            seconds,
            processor_seconds: processor,
            accuracy: self
                .test
                .as_deref()
                .map(|path| self.accuracy(path, &mut stepper.decoder)),
            peak_memory_bytes,
            operations: batches
                .iter()
                .map(|batch| operations(&config, batch, factors))
                .sum(),
            ceiling: ceiling.clock,
            processor_ceiling: ceiling.processor,
        }
    }

    fn accuracy(&self, path: &Path, decoder: &mut Decoder) -> f64 {
        let dataset = load(&[DataSource::of_file(path)]).unwrap();
        let set = EvalSet::new(
            &self.codec(),
            &self.task(),
            &dataset,
            &self.options(),
            usize::MAX,
        )
        .unwrap();
        match set.evaluate(decoder, &mut |_, _| {}).unwrap() {
            openlora_train::evaluate::EvalFigures::Labels(scores) => scores.accuracy,
            openlora_train::evaluate::EvalFigures::Text(_) => panic!("test rows have labels"),
        }
    }
}

/// Two operations per weight and token forward and as many backward, six per factor value, the head
/// at the targets only, and causal attention.
fn operations(config: &ModelConfig, batch: &TokenBatch, factors: f64) -> f64 {
    let linear: usize = projections(config)
        .iter()
        .map(|p| p.in_dim * p.out_dim)
        .sum();
    let tokens = batch.ids.len() as f64;
    let head = 4.0 * (config.vocab_size * config.hidden_size * batch.target_count()) as f64;
    let pairs: usize = batch
        .offsets
        .windows(2)
        .map(|row| (row[1] - row[0]).pow(2) / 2)
        .sum();
    // Two products forward and four backward.
    let attention = 12.0 * (pairs * config.heads * config.head_dim * config.layers) as f64;
    tokens * (4.0 * (linear * config.layers) as f64 + 6.0 * factors) + head + attention
}

/// Rates of matrix products, in operations per second.
#[derive(Clone, Copy)]
struct ProductRates {
    /// By wall clock.
    clock: f64,
    /// By processor time.
    processor: f64,
}

impl ProductRates {
    /// The rate of one product, m×k by k×n, the best of several runs by the clock; `transposed` reads the second factor by
    /// columns.
    fn of(m: usize, k: usize, n: usize, transposed: bool) -> Self {
        let (a, b, mut c) = (vec![0.5f32; m * k], vec![0.25f32; n * k], vec![0f32; m * n]);
        // The system counts processor time in ticks of a few milliseconds.
        let (mut clock, mut work, used) = (0f64, 0f64, processor_seconds());
        while work == 0.0 || processor_seconds() - used < 0.2 {
            let began = Instant::now();
            for _ in 0..4 {
                let b = match transposed {
                    true => StridedMatrix::new(&b, n, k).t(),
                    false => StridedMatrix::new(&b, k, n),
                };
                let a = StridedMatrix::new(&a, m, k);
                multiply(
                    MatmulTarget::new(&mut c, m, n),
                    1.0,
                    a,
                    b,
                    MatmulThreads::All,
                );
            }
            let done = 8.0 * (m * n * k) as f64;
            clock = clock.max(done / began.elapsed().as_secs_f64());
            work += done;
        }
        Self {
            clock,
            processor: work / (processor_seconds() - used),
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            clock: self.clock.max(other.clock),
            processor: self.processor.max(other.processor),
        }
    }

    /// The best of large square products and those of the model's shapes.
    fn ceiling(config: &ModelConfig, tokens: usize) -> Self {
        let square = Self::of(1024, 1024, 1024, false);
        projections(config).iter().fold(square, |best, p| {
            best.max(Self::of(tokens, p.in_dim, p.out_dim, true))
                .max(Self::of(tokens, p.out_dim, p.in_dim, false))
        })
    }
}

/// Prints the rate of each of the model's products at several numbers of tokens.
fn show_products(job: &TrainingJob) {
    let config = job.decoder().config().clone();
    let shown = |what: &str, rate: ProductRates| {
        let [clock, processor] = [rate.clock, rate.processor].map(|rate| rate / 1e9);
        println!("{what:32} {clock:6.0} GFLOP/s {processor:6.0} per processor");
    };
    shown(
        "1024 x 1024 x 1024",
        ProductRates::of(1024, 1024, 1024, false),
    );
    for tokens in [64, 512, 1024] {
        for p in projections(&config) {
            let (width, out) = (p.in_dim, p.out_dim);
            let forward = ProductRates::of(tokens, width, out, true);
            shown(&format!("{tokens:5} {width:5} -> {out:5} forward"), forward);
            let backward = ProductRates::of(tokens, out, width, false);
            shown(
                &format!("{tokens:5} {width:5} -> {out:5} backward"),
                backward,
            );
        }
        let (rank, width) = (job.rank, config.hidden_size);
        shown(
            &format!("{tokens:5} {width:5} -> {rank:5} A"),
            ProductRates::of(tokens, width, rank, true),
        );
        shown(
            &format!("{tokens:5} {rank:5} -> {width:5} B"),
            ProductRates::of(tokens, rank, width, true),
        );
    }
}

/// Processor time of this process's threads, where Linux tells.
fn processor_seconds() -> f64 {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return f64::NAN;
    };
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// Peak resident memory, where Linux tells.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
