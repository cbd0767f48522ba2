//! `--plan` for pictures: predicts the cost of a training from some of its own steps. Nothing is
//! written, and the factors that the steps change are thrown away.

use std::time::Instant;

use openlora_diffusion::ImageTrainer;
use serde::Serialize;

use super::{
    super::{
        error::TrainError,
        memory,
        order::{OrderWalk, RowCursor, RowOrder},
        plan::RunPlan,
    },
    heldout::HeldOutPictures,
    inputs::PictureTrainInputs,
    session::{TrainPictures, train_step, trainer_options},
};

/// The sizes and costs of a run on pictures that has not started.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PictureRunEstimate {
    pub pictures: usize,
    pub validation_pictures: usize,
    /// Side of the base's pictures, to which all are cut and scaled, in pixels.
    pub side: u32,
    pub steps: u64,
    pub trainable: u64,
    /// Steps that were measured.
    pub probed_steps: usize,
    /// Of the measured steps.
    pub pictures_per_second: f64,
    /// Time in steps, as a finished run states it.
    pub seconds: f64,
    /// Time in validations, besides.
    pub validation_seconds: f64,
    /// Peak of this process.
    pub memory_bytes: u64,
}

/// The first steps of the run are measured: as many as take this long, in a range.
const PROBE_SECONDS: f64 = 5.0;
const LEAST_PROBES: usize = 3;
const MOST_PROBES: usize = 24;

/// Measures and extrapolates.
///
/// # Errors
///
/// Data or settings that do not fit the base.
pub fn estimate_on_pictures(inputs: &PictureTrainInputs) -> Result<PictureRunEstimate, TrainError> {
    let config = &inputs.config;
    let (rows, validation) = inputs.parts()?;
    let sources: Vec<usize> = rows.rows.iter().map(|row| row.source).collect();
    let order = RowOrder::new(&sources, &inputs.weights(), config.seed);
    let per_epoch = order.rows_per_epoch();
    let plan = RunPlan::new(config, per_epoch)?;
    let adapter = inputs.model.fresh_adapter(config)?;
    let trainable = adapter.values().len() as u64;
    let (pictures, validation_pictures) = (rows.len(), validation.len());
    let denoiser = inputs.model.denoiser.clone();
    let mut trainer = ImageTrainer::of_adapter(denoiser, adapter.clone(), trainer_options(config));
    let mut walk = OrderWalk::new(order, RowCursor::default());
    let mut training = TrainPictures::new(inputs, rows);
    let (mut probed, mut seconds, mut taken) = (0, 0.0, 0);
    let most = MOST_PROBES.min(usize::try_from(plan.steps).unwrap_or(usize::MAX));
    while probed < most && (probed < LEAST_PROBES || seconds < PROBE_SECONDS) {
        let picks = walk.take(config.rows_per_step());
        let batch = training.batch(&picks)?;
        let began = Instant::now();
        train_step(&mut trainer, &batch, config.lr)?;
        seconds += began.elapsed().as_secs_f64();
        taken += picks.len();
        probed += 1;
    }
    let pictures_per_second = taken as f64 / seconds.max(1e-9);
    let epochs = plan.steps as f64 / plan.steps_per_epoch as f64;
    let validations = (1..=plan.steps).filter(|step| plan.validates(*step, true));
    let validation_seconds = match validation.is_empty() {
        true => 0.0,
        false => {
            let held_out = HeldOutPictures::new(&inputs.model, &validation)?;
            let began = Instant::now();
            held_out.loss(&inputs.model, Some(&adapter), &mut |_, _| {})?;
            began.elapsed().as_secs_f64() * validations.count() as f64
        }
    };
    Ok(PictureRunEstimate {
        pictures,
        validation_pictures,
        side: inputs.model.side(),
        steps: plan.steps,
        trainable,
        probed_steps: probed,
        pictures_per_second,
        seconds: epochs * per_epoch as f64 / pictures_per_second,
        validation_seconds,
        memory_bytes: memory::peak_bytes(),
    })
}
