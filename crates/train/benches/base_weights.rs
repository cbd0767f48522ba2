//! Memory, speed and loss of trainings on a base of yours, for each form of its frozen weights.
//!
//! ```text
//! cargo bench -p openlora-train --bench base_weights -- BASE DATA [STEPS]
//! ```
//!
//! BASE is a folder, DATA a file of rows, of which a tenth validates; every token is learned from.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::path::{Path, PathBuf};

use openlora_model::{
    BaseModel, WeightPrecision,
    dataset::{DataSource, Task, TaskOptions, encode::LossOn, load},
    text::TextCodec,
};
use openlora_train::{RunStart, TrainConfig, TrainEvent, TrainFlow, TrainInputs, train};

struct Measured {
    bytes: usize,
    tokens_per_second: f64,
    loss: f64,
}

fn inputs(base: &Path, data: &str, steps: u64, precision: WeightPrecision) -> TrainInputs {
    let dataset = load(&[DataSource::of_file(data)]).expect("the data is read");
    TrainInputs {
        name: "bench".to_owned(),
        base: BaseModel::open_dir("bench", base).expect("the base is opened"),
        codec: TextCodec::open(base).expect("the tokenizer is read"),
        task: Task::resolve(&dataset, &TaskOptions::default()).expect("the rows have a task"),
        dataset,
        validation: None,
        config: TrainConfig {
            max_steps: Some(steps),
            epochs: 1000,
            batch: 4,
            lr: 1e-3,
            loss: LossOn::All,
            val: Some("0.1".to_owned()),
            eval_every: Some(steps),
            precision,
            ..TrainConfig::default()
        },
        flags: Vec::new(),
        root: PathBuf::new(),
        out: None,
    }
}

fn measure(inputs: &TrainInputs) -> Measured {
    let runs = tempfile::tempdir().expect("a folder for runs");
    let start = RunStart::Fresh {
        runs: runs.path().to_owned(),
    };
    let mut loss = f64::NAN;
    let (outcome, decoder) = train(inputs, &start, &mut |event| {
        if let TrainEvent::Validated(pass) = event {
            loss = pass.validation_loss;
        }
        TrainFlow::Continue
    })
    .expect("the training ends");
    Measured {
        bytes: decoder.weight_bytes(),
        tokens_per_second: outcome.tokens_per_second,
        loss,
    }
}

fn main() {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let [base, data, rest @ ..] = words.as_slice() else {
        println!("cargo bench -p openlora-train --bench base_weights -- BASE DATA [STEPS]");
        return;
    };
    let steps = rest
        .first()
        .map_or(30, |steps| steps.parse().expect("a number of steps"));
    println!("weights    MB   of f32  tokens/s  validation loss  against f32");
    let mut exact: Option<Measured> = None;
    for (name, precision) in [
        ("f32", WeightPrecision::F32),
        ("bf16", WeightPrecision::Bf16),
        ("q8_0", WeightPrecision::Q8),
        ("q4_0", WeightPrecision::Q4),
    ] {
        let found = measure(&inputs(Path::new(base), data, steps, precision));
        let whole = exact.as_ref().unwrap_or(&found);
        println!(
            "{name:<7} {:>5} {:>8.3} {:>9.1} {:>16.4} {:>+11.2}%",
            found.bytes / 1_000_000,
            found.bytes as f64 / whole.bytes as f64,
            found.tokens_per_second,
            found.loss,
            100.0 * (found.loss / whole.loss - 1.0),
        );
        exact.get_or_insert(found);
    }
}
