//! The training loop on pictures: that of text, with a trainer of its own.
//!
//! The state after a step depends on the settings, the data and the step's number. A resumed run
//! therefore equals an uninterrupted one, byte for byte, on any number of threads.

use std::{path::PathBuf, sync::Arc, time::Instant};

use openlora_diffusion::{
    CaptionEmbedding, DiffusionError, ImageAdamW, ImageAdapter, ImageExample, ImageTrainOptions,
    ImageTrainer,
};
use openlora_model::dataset::long::LongRows;

use super::{
    super::{
        chart::{self, LossChart},
        config::TrainConfig,
        error::TrainError,
        event::{RunStarted, TrainEvent, TrainFlow, TrainStep, ValidationPass},
        memory,
        order::{OrderWalk, RowOrder},
        plan::RunPlan,
        run::{
            RunDir,
            checkpoint::{self, BestValidation, CheckpointState, TensorFiles},
            files,
            metrics::{MetricsFile, MetricsLine},
        },
        schedule::RateSchedule,
        session::{RunOutcome, RunStart, TrainListener, begin, history},
        watchdog::LossVerdict,
    },
    captions::CaptionCache,
    data::PictureDataset,
    export,
    heldout::HeldOutPictures,
    inputs::PictureTrainInputs,
};

/// Probability with which a caption is left out, so that the adapter also learns what guidance leads
/// away from. That of the base's own training.
const CAPTION_DROPOUT: f64 = 0.1;

/// The trainer's options for these settings.
pub fn trainer_options(config: &TrainConfig) -> ImageTrainOptions {
    ImageTrainOptions {
        seed: config.seed,
        optimizer: ImageAdamW {
            weight_decay: config.weight_decay,
            ..ImageAdamW::default()
        },
        caption_dropout: CAPTION_DROPOUT,
        clip: config.clip,
        mean_decay: 0.0,
    }
}

/// Trains to the end; returns the outcome, and the adapter as it was saved.
///
/// # Errors
///
/// Data or settings that do not fit the base, a training that diverges or is interrupted, or the disk.
pub fn train_on_pictures(
    inputs: &PictureTrainInputs,
    start: &RunStart,
    listener: &mut TrainListener<'_>,
) -> Result<(RunOutcome, ImageAdapter), TrainError> {
    let mut session = PictureSession::open(inputs, start, listener)?;
    session.run()?;
    session.finish()
}

struct PictureSession<'a> {
    inputs: &'a PictureTrainInputs,
    run: RunDir,
    rows: TrainPictures<'a>,
    held_out: Option<HeldOutPictures>,
    plan: RunPlan,
    schedule: RateSchedule,
    trainer: ImageTrainer,
    walk: OrderWalk,
    state: CheckpointState,
    /// The step of the newest checkpoint.
    saved: Option<u64>,
    metrics: MetricsFile,
    chart: LossChart,
    listener: &'a mut TrainListener<'a>,
    stop: bool,
}

/// The pictures of a training, as the trainer takes them.
pub struct TrainPictures<'a> {
    rows: PictureDataset,
    captions: CaptionCache<'a>,
    /// Patches of a picture.
    patches: u64,
}

/// A picture and its caption for one step.
type StepPicture = (Vec<f32>, Arc<CaptionEmbedding>);

impl<'a> TrainPictures<'a> {
    pub fn new(inputs: &'a PictureTrainInputs, rows: PictureDataset) -> Self {
        Self {
            captions: CaptionCache::new(&inputs.model),
            patches: inputs.model.denoiser.config().patches() as u64,
            rows,
        }
    }

    /// The pictures at `picks`.
    ///
    /// # Errors
    ///
    /// A caption that the text encoder cannot read, by path and line.
    pub fn batch(&mut self, picks: &[usize]) -> Result<Vec<StepPicture>, TrainError> {
        let one = |pick: &usize| {
            let row = &self.rows.rows[*pick];
            Ok((row.pixels(), self.captions.of_row(row)?))
        };
        picks.iter().map(one).collect()
    }
}

/// One step of the trainer on a batch.
///
/// # Errors
///
/// A loss that is not a number.
pub fn train_step(
    trainer: &mut ImageTrainer,
    batch: &[StepPicture],
    rate: f64,
) -> Result<openlora_diffusion::ImageStep, DiffusionError> {
    let examples: Vec<ImageExample<'_>> = batch
        .iter()
        .map(|(pixels, caption)| ImageExample { pixels, caption })
        .collect();
    trainer.step(&examples, rate)
}

impl<'a> PictureSession<'a> {
    fn open(
        inputs: &'a PictureTrainInputs,
        start: &RunStart,
        listener: &'a mut TrainListener<'a>,
    ) -> Result<Self, TrainError> {
        let config = &inputs.config;
        let (rows, validation) = inputs.parts()?;
        let sources: Vec<usize> = rows.rows.iter().map(|row| row.source).collect();
        let order = RowOrder::new(&sources, &inputs.weights(), config.seed);
        let plan = RunPlan::new(config, order.rows_per_epoch())?;
        let adapter = inputs.model.fresh_adapter(config)?;
        let mut rows = TrainPictures::new(inputs, rows);
        // An unreadable caption is reported before the run begins.
        for row in &rows.rows.rows {
            rows.captions.of_row(row)?;
        }
        let held_out = match validation.is_empty() {
            true => None,
            false => Some(HeldOutPictures::new(&inputs.model, &validation)?),
        };
        let (run, state) = begin(start, &inputs.lock(), plan.steps)?;
        if let Some(out) = &inputs.out {
            run.keep_out(out)?;
        }
        let denoiser = inputs.model.denoiser.clone();
        let mut trainer = ImageTrainer::of_adapter(denoiser, adapter, trainer_options(config));
        let saved = (state.step > 0).then_some(state.step);
        if let Some(step) = saved {
            let (_, files) = checkpoint::load_files(&run, step)?;
            trainer.restore(&files.optimizer)?;
        }
        Ok(Self {
            inputs,
            rows,
            held_out,
            schedule: RateSchedule::new(config.schedule, config.lr, config.warmup, plan.steps),
            plan,
            trainer,
            walk: OrderWalk::new(order, state.cursor),
            saved,
            metrics: MetricsFile::open(&run.metrics(), state.metrics)?,
            chart: history(&run, &inputs.name)?,
            run,
            state,
            listener,
            stop: false,
        })
    }

    fn run(&mut self) -> Result<(), TrainError> {
        self.notify(TrainEvent::Started(self.sizes()));
        while self.state.step < self.plan.steps && !self.out_of_patience() {
            if self.stop {
                return Err(self.interrupted()?);
            }
            self.step()?;
            let due = self
                .plan
                .validates(self.state.step, self.held_out.is_some());
            let improved = due && self.validate()?;
            if improved || self.plan.saves(self.state.step) {
                self.save()?;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), TrainError> {
        let (step, lr) = (self.state.step + 1, self.schedule.at(self.state.step));
        let epoch = self.walk.cursor().epoch + 1;
        let picks = self.walk.take(self.inputs.config.rows_per_step());
        let batch = self.rows.batch(&picks)?;
        let began = Instant::now();
        let stepped = match train_step(&mut self.trainer, &batch, lr) {
            Err(DiffusionError::NotFinite { .. }) => {
                let (loss, norm) = (f64::NAN, f64::NAN);
                return Err(TrainError::NotFinite {
                    step,
                    loss,
                    norm,
                    lr,
                });
            }
            stepped => stepped?,
        };
        let seconds = began.elapsed().as_secs_f64();
        let (loss, norm) = (stepped.loss, stepped.gradient);
        if let LossVerdict::Diverged { smoothed, best } = self.state.watchdog.observe(loss, norm) {
            return Err(TrainError::Diverged {
                step,
                best,
                smoothed,
                lr,
            });
        }
        let patches = picks.len() as u64 * self.rows.patches;
        self.state.step = step;
        self.state.micro_batches += 1;
        self.state.cursor = self.walk.cursor();
        self.state.tokens += patches;
        self.state.seconds += seconds;
        self.state.last_loss = loss;
        self.report(TrainStep {
            step,
            steps: self.plan.steps,
            epoch,
            loss,
            lr,
            grad_norm: norm,
            targets: patches,
            tokens: self.state.tokens,
            tokens_per_second: patches as f64 / seconds.max(1e-9),
        })
    }

    fn report(&mut self, step: TrainStep) -> Result<(), TrainError> {
        self.chart.train.push((step.step, step.loss));
        let written = self.metrics.write(&MetricsLine::Step(step));
        self.unsaved(written)?;
        self.notify(TrainEvent::Step(step));
        Ok(())
    }

    /// Whether this validation is the best so far, and early stopping is enabled.
    fn validate(&mut self) -> Result<bool, TrainError> {
        let Some(held_out) = &self.held_out else {
            return Ok(false);
        };
        let adapter = trained(&self.trainer)?;
        let validation_loss = held_out.loss(&self.inputs.model, Some(&adapter), &mut |_, _| {})?;
        let step = self.state.step;
        let before = self.state.best.map(|best| best.validation_loss);
        let best = before.is_none_or(|before| validation_loss < before);
        if best {
            self.state.best = Some(BestValidation {
                step,
                validation_loss,
            });
        }
        self.state.stale = if best { 0 } else { self.state.stale + 1 };
        self.chart.validation.push((step, validation_loss));
        let validated = ValidationPass {
            step,
            validation_loss,
            best,
        };
        let written = self.metrics.write(&MetricsLine::Validated(validated));
        self.unsaved(written)?;
        self.notify(TrainEvent::Validated(validated));
        Ok(best && self.inputs.config.patience.is_some())
    }

    fn out_of_patience(&self) -> bool {
        let patience = self.inputs.config.patience;
        patience.is_some_and(|patience| self.state.stale >= patience)
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let step = self.state.step;
        if self.saved == Some(step) {
            return Ok(());
        }
        self.state.metrics = self.metrics.length();
        let files = TensorFiles {
            weights: export::factor_file(&trained(&self.trainer)?, self.run.path())?,
            optimizer: self.trainer.state()?,
        };
        let written = checkpoint::save_files(&self.run, &self.state, files);
        let path = self.unsaved(written)?;
        self.saved = Some(step);
        let best = self.state.best.map(|best| best.step);
        checkpoint::prune(&self.run, self.plan.steps, best)?;
        self.draw()?;
        self.notify(TrainEvent::Saved { step, path });
        Ok(())
    }

    fn draw(&self) -> Result<(), TrainError> {
        let chart = chart::draw(&self.chart);
        self.unsaved(files::replace(&self.run.chart(), chart.as_bytes()))
    }

    /// Adds to a write error which checkpoint still exists.
    fn unsaved<T>(&self, written: Result<T, TrainError>) -> Result<T, TrainError> {
        written.map_err(|cause| TrainError::NotSaved {
            run: self.run.id(),
            step: self.state.step,
            kept: self.saved,
            cause: Box::new(cause),
        })
    }

    fn interrupted(&mut self) -> Result<TrainError, TrainError> {
        self.save()?;
        Ok(TrainError::Interrupted {
            run: self.run.path().to_owned(),
            step: self.state.step,
            steps: self.plan.steps,
        })
    }

    fn notify(&mut self, event: TrainEvent) {
        self.stop |= (self.listener)(event) == TrainFlow::Stop;
    }

    fn sizes(&self) -> RunStarted {
        let values = self.trainer.adapter().map_or(0, |it| it.values().len());
        RunStarted {
            run: self.run.path().to_owned(),
            rows: self.rows.rows.len(),
            validation_rows: self.held_out.as_ref().map_or(0, HeldOutPictures::len),
            epoch_tokens: self.rows.rows.len() as u64 * self.rows.patches,
            done: self.state.step,
            steps: self.plan.steps,
            trainable: values as u64,
            long_rows: LongRows::default(),
            long_validation_rows: LongRows::default(),
        }
    }

    /// Writes the adapter to a second folder if requested, and into the run; returns where a user
    /// finds it. The run comes last: a run with an adapter is finished.
    fn export(&self, adapter: &ImageAdapter, samples: &[u8]) -> Result<PathBuf, TrainError> {
        let own = self.run.adapter();
        let out = self.inputs.out.as_ref();
        for place in out.into_iter().chain([&own]) {
            let written = export::write_picture_adapter(place, self.inputs, adapter, samples);
            self.unsaved(written)?;
        }
        Ok(out.cloned().unwrap_or(own))
    }

    /// Restores the best weights if early stopping is enabled, and writes the adapter.
    fn finish(mut self) -> Result<(RunOutcome, ImageAdapter), TrainError> {
        let (steps, best) = (self.state.step, self.state.best);
        let kept = best.filter(|_| self.inputs.config.patience.is_some());
        if let Some(best) = kept {
            if steps < self.plan.steps {
                self.notify(TrainEvent::StoppedEarly {
                    at: steps,
                    best: best.step,
                });
            }
            if best.step != steps {
                let (_, files) = checkpoint::load_files(&self.run, best.step)?;
                self.trainer.restore(&files.optimizer)?;
                let BestValidation {
                    step,
                    validation_loss,
                } = best;
                self.notify(TrainEvent::Restored {
                    step,
                    validation_loss,
                });
            }
        }
        self.draw()?;
        let adapter = trained(&self.trainer)?;
        let samples = export::sample_sheet(self.inputs, &self.rows.rows, &adapter)?;
        let path = self.export(&adapter, &samples)?;
        let state = &self.state;
        let outcome = RunOutcome {
            run: self.run.path().to_owned(),
            adapter: path,
            steps,
            tokens: state.tokens,
            seconds: state.seconds,
            tokens_per_second: state.tokens as f64 / state.seconds.max(1e-9),
            peak_memory_bytes: memory::peak_bytes(),
            final_loss: state.last_loss,
            long_rows: None,
            best: kept,
        };
        Ok((outcome, adapter))
    }
}

/// The factors as they are now.
fn trained(trainer: &ImageTrainer) -> Result<ImageAdapter, TrainError> {
    let reason = || DiffusionError::State {
        reason: "it trains a model, expected an adapter".to_owned(),
    };
    Ok(trainer.adapter().cloned().ok_or_else(reason)?)
}
