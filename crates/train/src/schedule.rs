//! Learning-rate schedules as pure functions of the step.

use serde::{Deserialize, Serialize};

/// Shape of the learning rate after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateCurve {
    /// Half a cosine down to zero (Loshchilov & Hutter 2017, without restarts).
    #[default]
    Cosine,
    /// Linear decay to zero.
    Linear,
    /// No decay.
    Constant,
}

/// A schedule over `total` optimizer steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateSchedule {
    pub curve: RateCurve,
    pub peak: f64,
    pub warmup: u64,
    pub total: u64,
    /// The fraction of the peak at which decay ends.
    pub floor: f64,
}

impl RateSchedule {
    pub fn new(curve: RateCurve, peak: f64, warmup: u64, total: u64) -> Self {
        Self {
            curve,
            peak,
            warmup,
            total,
            floor: 0.0,
        }
    }

    /// Learning rate of optimizer step `step`, counted from 0.
    ///
    /// Warm-up follows `(step + 1) / warmup`, so that no step has rate zero. Decay goes from the
    /// peak at the first step after warm-up to `floor` at step `total`.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let span = self.total.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / span).min(1.0);
        let share = match self.curve {
            RateCurve::Constant => return self.peak,
            RateCurve::Linear => 1.0 - done,
            RateCurve::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        };
        self.peak * (self.floor + (1.0 - self.floor) * share)
    }
}
