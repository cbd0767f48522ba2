//! What training tells its caller while it runs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainStep {
    /// From 1.
    pub step: u64,
    /// From 1.
    pub epoch: u64,
    /// Mean over the step's target tokens, in nats.
    pub loss: f64,
    pub lr: f64,
    /// Before clipping.
    pub grad_norm: f64,
    /// Tokens learned from in this step.
    pub targets: u64,
    /// Tokens read since the run began, prompts included.
    pub tokens: u64,
    /// Of this step.
    pub tokens_per_second: f64,
}

/// One pass over the validation rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationPass {
    pub step: u64,
    /// Mean over all target tokens, in nats.
    pub validation_loss: f64,
    /// The lowest so far.
    pub best: bool,
}

/// A moment of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// Sizes are known and the first step is about to begin.
    Started(RunStarted),
    Step(TrainStep),
    Validated(ValidationPass),
    Saved {
        step: u64,
        path: PathBuf,
    },
    /// Patience ran out; `step` is the best one.
    StoppedEarly {
        at: u64,
        best: u64,
    },
    /// The weights of the best validation were taken back.
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
    /// Tokens in one epoch, prompts included.
    pub epoch_tokens: u64,
    /// Steps done by an earlier process.
    pub done: u64,
    pub steps: u64,
    pub trainable: u64,
}

/// The caller's answer to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainFlow {
    Continue,
    /// Save and leave.
    Stop,
}
