//! Notices early that training has gone wrong: a pure fold over losses.

use serde::{Deserialize, Serialize};

/// Weight of the past in the smoothed loss.
const MEMORY: f64 = 0.9;
/// Steps before divergence is judged; the first losses are too few to smooth.
const GRACE: u64 = 10;
/// A smoothed loss this many times its best, and above the start, has diverged.
const RATIO: f64 = 3.0;

/// What a loss says about the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossVerdict {
    Healthy,
    /// The loss or the gradient is NaN or infinite.
    NotFinite,
    /// The smoothed loss rose far above its best.
    Diverged {
        smoothed: f64,
        best: f64,
    },
}

/// The smoothed loss and its history, as a checkpoint keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossWatchdog {
    seen: u64,
    average: f64,
    first: f64,
    best: f64,
}

impl LossWatchdog {
    /// Takes in the loss and gradient norm of one step.
    pub fn observe(&mut self, loss: f64, grad_norm: f64) -> LossVerdict {
        if !loss.is_finite() || !grad_norm.is_finite() {
            return LossVerdict::NotFinite;
        }
        self.seen += 1;
        self.average = MEMORY * self.average + (1.0 - MEMORY) * loss;
        let smoothed = self.smoothed();
        if self.seen == 1 {
            (self.first, self.best) = (loss, smoothed);
        }
        self.best = self.best.min(smoothed);
        if self.seen > GRACE && smoothed > RATIO * self.best && smoothed > self.first {
            return LossVerdict::Diverged {
                smoothed,
                best: self.best,
            };
        }
        LossVerdict::Healthy
    }

    /// Exponential mean of the losses so far, corrected for its start at zero.
    pub fn smoothed(&self) -> f64 {
        let missing = MEMORY.powi(i32::try_from(self.seen).unwrap_or(i32::MAX));
        if self.seen == 0 {
            0.0
        } else {
            self.average / (1.0 - missing)
        }
    }
}
