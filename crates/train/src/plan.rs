//! The plan of a run: when it steps, validates, saves and ends, computed from counts.

use super::{config::TrainConfig, error::TrainError, run::checkpoint::milestones};

/// The intervals of a run, in optimizer steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlan {
    pub steps: u64,
    pub steps_per_epoch: u64,
    validate_every: u64,
    save_every: u64,
    milestones: Vec<u64>,
}

/// Default number of checkpoints per run.
const CHECKPOINTS: u64 = 10;

impl RunPlan {
    /// For `rows` rows per epoch. The last step of an epoch may have fewer rows.
    pub fn new(config: &TrainConfig, rows: usize) -> Result<Self, TrainError> {
        if rows == 0 {
            return Err(TrainError::NoRows);
        }
        let steps_per_epoch = rows.div_ceil(config.rows_per_step()) as u64;
        let all = steps_per_epoch.saturating_mul(config.epochs);
        let steps = config.max_steps.map_or(all, |most| most.min(all));
        Ok(Self {
            steps,
            steps_per_epoch,
            validate_every: config.eval_every.unwrap_or(steps_per_epoch),
            save_every: config
                .checkpoint_every
                .unwrap_or(steps.div_ceil(CHECKPOINTS)),
            milestones: milestones(steps),
        })
    }

    /// Whether validation follows `step`; it always follows the last step.
    pub fn validates(&self, step: u64, rows: bool) -> bool {
        rows && (step.is_multiple_of(self.validate_every) || step == self.steps)
    }

    /// Whether a checkpoint follows `step`.
    pub fn saves(&self, step: u64) -> bool {
        step.is_multiple_of(self.save_every)
            || step == self.steps
            || self.milestones.contains(&step)
    }
}
