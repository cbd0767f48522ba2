//! `--plan`: predicts the cost of a training from some of its own steps. Nothing is written, and the
//! weights that the steps change are thrown away.
//!
//! The order of rows is known beforehand, so tokens and steps are exact. The time is that of the
//! measured steps, by their tokens; the memory is the peak after the step that needs most and the
//! largest validation batch.

use std::time::Instant;

use serde::Serialize;

use super::{
    adamw::AdamWOptions,
    error::TrainError,
    evaluate::BATCH_TOKENS,
    inputs::TrainInputs,
    memory,
    order::{OrderWalk, RowCursor, RowOrder},
    plan::RunPlan,
    rows::TrainRows,
    step::{NoiseState, TrainStepper},
};
use openlora_decoder::{Decoder, TokenBatch};
use openlora_model::dataset::long::LongRows;

/// The sizes and costs of a run that has not started.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct RunEstimate {
    pub rows: usize,
    pub validation_rows: usize,
    /// Length of the longest row.
    pub longest_row_tokens: usize,
    /// Training rows that are longer than the limit, if any are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_rows: Option<LongRows>,
    /// Over all epochs, prompts included.
    pub tokens: u64,
    pub steps: u64,
    pub trainable: u64,
    /// Steps that were measured.
    pub probed_steps: usize,
    /// Of the measured steps.
    pub tokens_per_second: f64,
    /// Time in steps, as a finished run states it.
    pub seconds: f64,
    /// Time in validations, besides.
    pub validation_seconds: f64,
    /// Peak of this process.
    pub memory_bytes: u64,
}

/// The first steps of the run are measured: as many as take this long, in a range.
const PROBE_SECONDS: f64 = 10.0;
const LEAST_PROBES: usize = 3;
const MOST_PROBES: usize = 24;

/// Measures and extrapolates.
pub fn estimate(inputs: &TrainInputs) -> Result<RunEstimate, TrainError> {
    let config = &inputs.config;
    let (rows, validation) = inputs.rows()?;
    let order = RowOrder::new(&rows.sources, &inputs.weights(), config.seed);
    let plan = RunPlan::new(config, order.rows_per_epoch())?;
    let options = AdamWOptions {
        weight_decay: config.weight_decay,
        ..AdamWOptions::default()
    };
    let mut stepper = TrainStepper::new(inputs.decoder()?, options, config.clip)?;
    let foreseen = ForeseenSteps::new(inputs, &rows, order, plan.steps);
    let mut probe = StepProbe {
        inputs,
        rows: &rows,
        stepper: &mut stepper,
    };
    // The first step of a process takes longer.
    probe.seconds(&foreseen.largest)?;
    let (mut tokens, mut seconds, mut probed_steps) = (0, 0.0, 0);
    for step in &foreseen.first {
        seconds += probe.seconds(step)?;
        tokens += step
            .iter()
            .map(|row| rows.encoded[*row].ids.len())
            .sum::<usize>();
        probed_steps += 1;
        if seconds > PROBE_SECONDS && probed_steps >= LEAST_PROBES {
            break;
        }
    }
    let tokens_per_second = tokens as f64 / seconds.max(1e-9);
    let validations = (1..=plan.steps).filter(|step| plan.validates(*step, true));
    let validation_seconds = validation_seconds(&mut stepper.decoder, &validation)?;
    Ok(RunEstimate {
        rows: rows.len(),
        validation_rows: validation.len(),
        longest_row_tokens: rows
            .encoded
            .iter()
            .map(|row| row.ids.len())
            .max()
            .unwrap_or(0),
        long_rows: rows.long.if_any(),
        tokens: foreseen.tokens,
        steps: plan.steps,
        trainable: stepper.trained_values(),
        probed_steps,
        tokens_per_second,
        seconds: foreseen.tokens as f64 / tokens_per_second,
        validation_seconds: validation_seconds * validations.count() as f64,
        memory_bytes: memory::peak_bytes(),
    })
}

/// The steps of a run, which its seed determines.
struct ForeseenSteps {
    tokens: u64,
    /// The rows of the step with the largest micro-batch.
    largest: Vec<usize>,
    /// The rows of the first steps.
    first: Vec<Vec<usize>>,
}

impl ForeseenSteps {
    fn new(inputs: &TrainInputs, rows: &TrainRows, order: RowOrder, steps: u64) -> Self {
        let config = &inputs.config;
        let size = |row: &usize| rows.encoded[*row].ids.len();
        let widest = |step: &[usize]| {
            let micro_batches = step.chunks(config.batch);
            micro_batches
                .map(|batch| batch.iter().map(size).sum::<usize>())
                .max()
        };
        let mut walk = OrderWalk::new(order, RowCursor::default());
        let mut foreseen = Self {
            tokens: 0,
            largest: Vec::new(),
            first: Vec::new(),
        };
        let mut most = None;
        for _ in 0..steps {
            let picks = walk.take(config.rows_per_step());
            foreseen.tokens += picks.iter().map(size).sum::<usize>() as u64;
            if widest(&picks) > most {
                most = widest(&picks);
                foreseen.largest.clone_from(&picks);
            }
            if foreseen.first.len() < MOST_PROBES {
                foreseen.first.push(picks);
            }
        }
        foreseen
    }
}

/// Takes steps and measures them.
struct StepProbe<'a> {
    inputs: &'a TrainInputs,
    rows: &'a TrainRows,
    stepper: &'a mut TrainStepper,
}

impl StepProbe<'_> {
    fn seconds(&mut self, step: &[usize]) -> Result<f64, TrainError> {
        let config = &self.inputs.config;
        let batches: Vec<TokenBatch> = step
            .chunks(config.batch)
            .map(|picks| self.rows.batch(picks))
            .collect();
        let noise = NoiseState {
            seed: config.seed,
            counter: 0,
        };
        let began = Instant::now();
        self.stepper.step(&batches, config.lr, noise)?;
        Ok(began.elapsed().as_secs_f64())
    }
}

/// Predicted time of a validation, from its largest batch.
fn validation_seconds(decoder: &mut Decoder, validation: &TrainRows) -> Result<f64, TrainError> {
    let batches = validation.batches(BATCH_TOKENS).into_iter();
    let Some(largest) = batches.max_by_key(|batch| batch.ids.len()) else {
        return Ok(0.0);
    };
    decoder.set_training(false);
    let began = Instant::now();
    decoder.loss_sum(&largest)?.0.to_scalar::<f32>()?;
    let share = validation.tokens() as f64 / largest.ids.len() as f64;
    Ok(began.elapsed().as_secs_f64() * share)
}
