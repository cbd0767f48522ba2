//! Early detection of failed training: a pure fold over losses.

use serde::{Deserialize, Serialize};

/// Smoothing factor of the loss.
const MEMORY: f64 = 0.9;
/// Steps before divergence is checked; the first losses are too few for smoothing.
const GRACE: u64 = 10;
/// A smoothed loss above this multiple of its minimum, and above the initial loss, has diverged.
const RATIO: f64 = 3.0;

/// The verdict on a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossVerdict {
    Healthy,
    /// The loss or the gradient is NaN or infinite.
    NotFinite,
    /// The smoothed loss rose far above its minimum.
    Diverged {
        smoothed: f64,
        best: f64,
    },
}

/// The smoothed loss and its history, as stored in a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossWatchdog {
    seen: u64,
    average: f64,
    first: f64,
    best: f64,
}

impl LossWatchdog {
    /// Adds the loss and gradient norm of one step.
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

    /// Exponential moving average of the losses, corrected for its start at zero.
    pub fn smoothed(&self) -> f64 {
        let missing = MEMORY.powi(i32::try_from(self.seen).unwrap_or(i32::MAX));
        if self.seen == 0 {
            0.0
        } else {
            self.average / (1.0 - missing)
        }
    }
}
