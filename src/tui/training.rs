//! The progress of a training run whose program shows the dashboard.

/// A training run, as its metrics file tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainingProgress {
    /// Steps of the whole run.
    pub steps: u64,
    /// The loss of every step so far, in millionths of a nat.
    pub micro_losses: Vec<u64>,
    pub tokens_per_second: u64,
    /// Since the run began.
    pub elapsed_ms: u64,
}

impl TrainingProgress {
    /// Steps that were taken.
    pub fn step(&self) -> u64 {
        self.micro_losses.len() as u64
    }

    /// Milliseconds to the end at the pace so far; none before the first step.
    pub fn remaining_ms(&self) -> Option<u64> {
        let left = self.steps.saturating_sub(self.step());
        self.elapsed_ms
            .saturating_mul(left)
            .checked_div(self.step())
    }

    /// The losses in at most `columns` bars over the whole run: the mean of the steps that a bar
    /// covers, 0 where no step was taken yet.
    pub fn loss_bars(&self, columns: u16) -> Vec<u128> {
        let steps = self.steps.max(1);
        let bars = u64::from(columns).min(steps);
        let bar = |at: u64| {
            let clip = |step: u64| step.min(self.step()) as usize;
            let (from, to) = (clip(at * steps / bars), clip((at + 1) * steps / bars));
            let taken = self.micro_losses.get(from..to).unwrap_or_default();
            let sum: u128 = taken.iter().map(|loss| u128::from(*loss)).sum();
            sum.checked_div(taken.len() as u128).unwrap_or(0)
        };
        (0..bars).map(bar).collect()
    }
}
