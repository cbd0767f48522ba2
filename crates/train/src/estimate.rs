//! `--dry-run`: estimates the cost of a training from a few of its own micro-batches. Nothing is
//! written or trained.

use std::time::Instant;

use serde::Serialize;

use super::{
    adamw::AdamWOptions,
    error::TrainError,
    inputs::TrainInputs,
    memory,
    order::{OrderWalk, RowCursor, RowOrder},
    plan::RunPlan,
    step::TrainStepper,
};

/// The sizes and costs of a run that has not started.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct RunEstimate {
    pub rows: usize,
    pub validation_rows: usize,
    /// Length of the longest row.
    pub longest_row_tokens: usize,
    /// Over all epochs, prompts included.
    pub tokens: u64,
    pub steps: u64,
    pub trainable: u64,
    pub tokens_per_second: f64,
    pub seconds: f64,
    /// Peak memory during trials with the largest micro-batches.
    pub memory_bytes: u64,
}

/// Number of trial micro-batches.
const TRIALS: usize = 4;

/// Measures and extrapolates.
pub fn estimate(inputs: &TrainInputs) -> Result<RunEstimate, TrainError> {
    let config = &inputs.config;
    let (rows, validation) = inputs.rows()?;
    let order = RowOrder::new(&rows.sources, &inputs.weights(), config.seed);
    let per_epoch = order.rows_per_epoch();
    let plan = RunPlan::new(config, per_epoch)?;
    let mut walk = OrderWalk::new(order, RowCursor::default());
    let mut stepper = TrainStepper::new(inputs.decoder()?, AdamWOptions::default(), config.clip)?;

    let mut longest: Vec<usize> = (0..rows.len()).collect();
    longest.sort_by_key(|row| std::cmp::Reverse(rows.encoded[*row].ids.len()));
    longest.truncate(config.batch);
    stepper.measure_step(&rows.batch(&longest))?;

    let (mut tokens, began) = (0, Instant::now());
    for _ in 0..TRIALS {
        let batch = rows.batch(&walk.take(config.batch));
        tokens += batch.ids.len();
        stepper.measure_step(&batch)?;
    }
    let tokens_per_second = tokens as f64 / began.elapsed().as_secs_f64().max(1e-9);
    let per_row = rows.tokens() as f64 / rows.len() as f64;
    let drawn = (plan.steps * config.rows_per_step() as u64).min(per_epoch as u64 * config.epochs);
    let all = per_row * drawn as f64;
    Ok(RunEstimate {
        rows: rows.len(),
        validation_rows: validation.len(),
        longest_row_tokens: rows.encoded[longest[0]].ids.len(),
        tokens: all as u64,
        steps: plan.steps,
        trainable: stepper.trained_values(),
        tokens_per_second,
        seconds: all / tokens_per_second,
        memory_bytes: memory::peak_bytes(),
    })
}
