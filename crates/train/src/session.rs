//! The training loop.
//!
//! Each step of a run is determined by the configuration, the data and the state, and a checkpoint
//! contains the state. Between two steps, in this order: validate if due, save if due, stop if
//! requested. An interrupted and resumed run therefore equals an uninterrupted one, byte for byte
//! on a CPU. Nothing is printed: events go to the caller, whose return value decides whether to
//! continue.

use std::{path::PathBuf, time::Instant};

use candle_core::Tensor;
use serde::Serialize;

use super::{
    chart::{self, LossChart},
    error::TrainError,
    evaluate::loss_over,
    event::{RunStarted, TrainEvent, TrainFlow, TrainStep, ValidationPass},
    export,
    inputs::TrainInputs,
    memory,
    order::{OrderWalk, RowOrder},
    plan::RunPlan,
    rows::TrainRows,
    run::{
        RunDir,
        checkpoint::{self, BestValidation, CheckpointState},
        files,
        lock::RunLock,
        metrics::{MetricsFile, MetricsLine, read},
    },
    schedule::RateSchedule,
    step::{NoiseState, StepResult, TrainStepper},
    watchdog::LossVerdict,
};
use openlora_decoder::Decoder;
use openlora_model::dataset::long::LongRows;

/// The starting point of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStart {
    /// In a new folder under this one.
    Fresh { runs: PathBuf },
    /// At the newest checkpoint of this run.
    Resume(RunDir),
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct RunOutcome {
    pub run: PathBuf,
    pub adapter: PathBuf,
    pub steps: u64,
    /// Number of training tokens, prompts included; of pictures, their patches.
    pub tokens: u64,
    /// Time spent in steps.
    pub seconds: f64,
    pub tokens_per_second: f64,
    pub peak_memory_bytes: u64,
    /// Training loss of the last step.
    pub final_loss: f64,
    /// The training rows that were longer than the limit, if any were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_rows: Option<LongRows>,
    /// The validation whose weights were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<BestValidation>,
}

/// The listener of a run.
pub type TrainListener<'a> = dyn FnMut(TrainEvent) -> TrainFlow + 'a;

/// Trains to the end; returns the outcome, and the decoder as it was saved.
pub fn train(
    inputs: &TrainInputs,
    start: &RunStart,
    listener: &mut TrainListener<'_>,
) -> Result<(RunOutcome, Decoder), TrainError> {
    let mut session = TrainSession::open(inputs, start, listener)?;
    session.run()?;
    session.finish()
}

struct TrainSession<'a> {
    inputs: &'a TrainInputs,
    run: RunDir,
    rows: TrainRows,
    validation: TrainRows,
    plan: RunPlan,
    schedule: RateSchedule,
    stepper: TrainStepper,
    walk: OrderWalk,
    state: CheckpointState,
    /// The step of the newest checkpoint.
    saved: Option<u64>,
    metrics: MetricsFile,
    chart: LossChart,
    listener: &'a mut TrainListener<'a>,
    stop: bool,
}

impl<'a> TrainSession<'a> {
    fn open(
        inputs: &'a TrainInputs,
        start: &RunStart,
        listener: &'a mut TrainListener<'a>,
    ) -> Result<Self, TrainError> {
        let config = &inputs.config;
        let (rows, validation) = inputs.rows()?;
        let order = RowOrder::new(&rows.sources, &inputs.weights(), config.seed);
        let plan = RunPlan::new(config, order.rows_per_epoch())?;
        let (run, state) = begin(start, &inputs.lock(), plan.steps)?;
        if let Some(out) = &inputs.out {
            run.keep_out(out)?;
        }
        let options = config.optimizer();
        let mut stepper = TrainStepper::new(inputs.decoder()?, options, config.clip)?;
        let saved = (state.step > 0).then_some(state.step);
        if let Some(step) = saved {
            restore(&mut stepper, &run, step)?;
        }
        let metrics = MetricsFile::open(&run.metrics(), state.metrics)?;
        let chart = history(&run, &inputs.name)?;
        let schedule = RateSchedule::new(config.schedule, config.lr, config.warmup, plan.steps);
        let walk = OrderWalk::new(order, state.cursor);
        let stop = false;
        Ok(Self {
            inputs,
            run,
            rows,
            validation,
            plan,
            schedule,
            stepper,
            walk,
            state,
            saved,
            metrics,
            chart,
            listener,
            stop,
        })
    }

    fn run(&mut self) -> Result<(), TrainError> {
        self.notify(TrainEvent::Started(self.sizes()));
        while self.state.step < self.plan.steps && !self.out_of_patience() {
            if self.stop {
                return Err(self.interrupted()?);
            }
            self.step()?;
            let improved = self
                .plan
                .validates(self.state.step, !self.validation.is_empty())
                && self.validate()?;
            if improved || self.plan.saves(self.state.step) {
                self.save()?;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), TrainError> {
        let (step, lr) = (self.state.step + 1, self.schedule.at(self.state.step));
        let epoch = self.walk.cursor().epoch + 1;
        let config = &self.inputs.config;
        let rows = self.walk.take(config.rows_per_step());
        let batches: Vec<_> = rows
            .chunks(config.batch)
            .map(|picks| self.rows.batch(picks))
            .collect();
        let began = Instant::now();
        let noise = NoiseState {
            seed: config.seed,
            counter: self.state.micro_batches,
        };
        let stepped = self.stepper.step(&batches, lr, noise)?;
        let seconds = began.elapsed().as_secs_f64();
        self.judge(step, lr, stepped)?;
        self.state.step = step;
        self.state.micro_batches += batches.len() as u64;
        self.state.cursor = self.walk.cursor();
        self.state.tokens += stepped.tokens;
        self.state.seconds += seconds;
        self.state.last_loss = stepped.loss;
        self.report(TrainStep {
            step,
            steps: self.plan.steps,
            epoch,
            loss: stepped.loss,
            lr,
            grad_norm: stepped.norm,
            targets: stepped.targets,
            tokens: self.state.tokens,
            tokens_per_second: stepped.tokens as f64 / seconds.max(1e-9),
        })
    }

    fn judge(&mut self, step: u64, lr: f64, stepped: StepResult) -> Result<(), TrainError> {
        let StepResult { loss, norm, .. } = stepped;
        match self.state.watchdog.observe(loss, norm) {
            LossVerdict::Healthy => Ok(()),
            LossVerdict::NotFinite => Err(TrainError::NotFinite {
                step,
                loss,
                norm,
                lr,
            }),
            LossVerdict::Diverged { smoothed, best } => Err(TrainError::Diverged {
                step,
                best,
                smoothed,
                lr,
            }),
        }
    }

    fn report(&mut self, step: TrainStep) -> Result<(), TrainError> {
        self.chart.train.push((step.step, step.loss));
        let written = self.metrics.write(&MetricsLine::Step(step));
        self.unsaved(written)?;
        self.notify(TrainEvent::Step(step));
        Ok(())
    }

    /// Whether this validation is the best so far.
    fn validate(&mut self) -> Result<bool, TrainError> {
        let (sum, targets) =
            loss_over(&mut self.stepper.decoder, &self.validation, &mut |_, _| {})?;
        let (step, validation_loss) = (self.state.step, sum / targets as f64);
        let best = self
            .state
            .best
            .is_none_or(|best| validation_loss < best.validation_loss);
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
        self.inputs
            .config
            .patience
            .is_some_and(|patience| self.state.stale >= patience)
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let step = self.state.step;
        if self.saved == Some(step) {
            return Ok(());
        }
        self.state.metrics = self.metrics.length();
        let weights: Vec<(String, Tensor)> = self
            .stepper
            .trainable()
            .iter()
            .map(|(name, var)| (name.clone(), var.as_detached_tensor()))
            .collect();
        let optimizer = self.stepper.optimizer.state();
        let written = checkpoint::save(&self.run, &self.state, &weights, &optimizer);
        let path = self.unsaved(written)?;
        self.saved = Some(step);
        checkpoint::prune(
            &self.run,
            self.plan.steps,
            self.state.best.map(|best| best.step),
        )?;
        self.draw()?;
        self.notify(TrainEvent::Saved { step, path });
        Ok(())
    }

    fn draw(&self) -> Result<(), TrainError> {
        self.unsaved(files::replace(
            &self.run.chart(),
            chart::draw(&self.chart).as_bytes(),
        ))
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
        RunStarted {
            run: self.run.path().to_owned(),
            rows: self.rows.len(),
            validation_rows: self.validation.len(),
            epoch_tokens: self.rows.tokens(),
            done: self.state.step,
            steps: self.plan.steps,
            trainable: self.stepper.trained_values(),
            long_rows: self.rows.long,
            long_validation_rows: self.validation.long,
        }
    }

    /// Writes the adapter to a second folder if requested, and into the run; returns where a user
    /// finds it. The run comes last: a run with an adapter is finished, and one whose second folder
    /// could not be written is resumed to write it again.
    fn export(&self) -> Result<PathBuf, TrainError> {
        let own = self.run.adapter();
        let out = self.inputs.out.as_ref();
        for place in out.into_iter().chain([&own]) {
            let written = export::write_adapter(place, self.inputs, self.stepper.trainable());
            self.unsaved(written)?;
        }
        Ok(out.cloned().unwrap_or(own))
    }

    /// Restores the best weights if early stopping is enabled, and writes the adapter.
    fn finish(mut self) -> Result<(RunOutcome, Decoder), TrainError> {
        let (steps, best) = (self.state.step, self.state.best);
        if let (Some(best), Some(_)) = (best, self.inputs.config.patience) {
            if steps < self.plan.steps {
                self.notify(TrainEvent::StoppedEarly {
                    at: steps,
                    best: best.step,
                });
            }
            if best.step != steps {
                set_weights(
                    &self.stepper,
                    &checkpoint::load(&self.run, best.step)?.weights,
                )?;
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
        let adapter = self.export()?;
        let state = &self.state;
        let outcome = RunOutcome {
            run: self.run.path().to_owned(),
            adapter,
            steps,
            tokens: state.tokens,
            seconds: state.seconds,
            tokens_per_second: state.tokens as f64 / state.seconds.max(1e-9),
            peak_memory_bytes: memory::peak_bytes(),
            final_loss: state.last_loss,
            long_rows: self.rows.long.if_any(),
            best: best.filter(|_| self.inputs.config.patience.is_some()),
        };
        Ok((outcome, self.stepper.decoder))
    }
}

/// The run's folder and its starting state.
pub(super) fn begin(
    start: &RunStart,
    lock: &RunLock,
    steps: u64,
) -> Result<(RunDir, CheckpointState), TrainError> {
    match start {
        RunStart::Fresh { runs } => {
            let run = RunDir::create(runs)?;
            lock.write(&run.lock())?;
            Ok((
                run,
                CheckpointState {
                    steps,
                    ..CheckpointState::default()
                },
            ))
        }
        RunStart::Resume(run) => {
            RunLock::read(&run.lock())?.require_same(lock, &run.id())?;
            checkpoint::recover(run)?;
            let Some(step) = checkpoint::newest(run)? else {
                return Err(TrainError::NoCheckpoint { run: run.id() });
            };
            let (state, _) = checkpoint::load_files(run, step)?;
            if run.adapter().is_dir() {
                return Err(TrainError::Complete {
                    run: run.id(),
                    step,
                    steps,
                });
            }
            Ok((run.clone(), state))
        }
    }
}

fn restore(stepper: &mut TrainStepper, run: &RunDir, step: u64) -> Result<(), TrainError> {
    let loaded = checkpoint::load(run, step)?;
    set_weights(stepper, &loaded.weights)?;
    stepper.optimizer.restore(&loaded.optimizer, step)
}

fn set_weights(
    stepper: &TrainStepper,
    weights: &std::collections::HashMap<String, Tensor>,
) -> Result<(), TrainError> {
    for (name, var) in stepper.trainable() {
        let Some(value) = weights.get(name) else {
            return Err(TrainError::MissingTensor {
                name: name.clone(),
                shape: var.dims().to_vec(),
            });
        };
        var.set(&value.to_device(var.device())?)?;
    }
    Ok(())
}

/// The loss curves of the steps by earlier processes.
pub(super) fn history(run: &RunDir, name: &str) -> Result<LossChart, TrainError> {
    let mut chart = LossChart {
        title: format!("{name}: loss"),
        ..LossChart::default()
    };
    for line in read(&run.metrics())? {
        match line {
            MetricsLine::Step(step) => chart.train.push((step.step, step.loss)),
            MetricsLine::Validated(v) => chart.validation.push((v.step, v.validation_loss)),
        }
    }
    Ok(chart)
}
