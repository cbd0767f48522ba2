//! Progress events of training.

use std::path::PathBuf;

use openlora_model::dataset::long::LongRows;
use serde::{Deserialize, Serialize};

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainStep {
    /// From 1.
    pub step: u64,
    /// Steps of the whole run; 0 in files of earlier versions.
    #[serde(default)]
    pub steps: u64,
    /// From 1.
    pub epoch: u64,
    /// Mean over the step's target tokens, in nats; for pictures, over the squared differences of
    /// velocities.
    pub loss: f64,
    pub lr: f64,
    /// Gradient norm before clipping.
    pub grad_norm: f64,
    /// Target tokens in this step; for pictures, their patches.
    pub targets: u64,
    /// Tokens read since the run began, prompts included; for pictures, their patches.
    pub tokens: u64,
    /// Speed of this step.
    pub tokens_per_second: f64,
}

/// One pass over the validation rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationPass {
    pub step: u64,
    /// Mean over all target tokens, in nats; for pictures, at times and noise that are the same in
    /// every pass.
    pub validation_loss: f64,
    /// The lowest so far.
    pub best: bool,
}

/// A progress event of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// The sizes are known and the first step is about to start.
    Started(RunStarted),
    Step(TrainStep),
    Validated(ValidationPass),
    Saved {
        step: u64,
        path: PathBuf,
    },
    /// Early stopping; `step` is the best one.
    StoppedEarly {
        at: u64,
        best: u64,
    },
    /// The weights of the best validation were restored.
    Restored {
        step: u64,
        validation_loss: f64,
    },
}

/// The sizes of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunStarted {
    pub run: PathBuf,
    pub rows: usize,
    pub validation_rows: usize,
    /// Tokens in one epoch, prompts included; for pictures, their patches.
    pub epoch_tokens: u64,
    /// Steps completed by an earlier process.
    pub done: u64,
    pub steps: u64,
    pub trainable: u64,
    /// Rows that were longer than the limit: of those to train on, and of a validation file.
    pub long_rows: LongRows,
    pub long_validation_rows: LongRows,
}

/// The caller's answer to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainFlow {
    Continue,
    /// Save and stop.
    Stop,
}
