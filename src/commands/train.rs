//! `train`: trains a LoRA adapter on the project's data, or resumes an interrupted run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;

use super::{
    CommandContext, attribution,
    data::{tell_long, tell_unlearned},
    figures, named_paths, picture_project, project,
    train_inputs::{RequestedTraining, picture_inputs, text_inputs},
};
use crate::commands::printer::{Printer, ProgressReport};
use openlora_core::{
    atomic,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_decoder::Decoder;
use openlora_influence::BuiltIndex;
use openlora_model::{adapter, dataset::ColumnNames};
use openlora_pictures::folder::FolderWarning;
use openlora_train::{
    RunDir, RunOutcome, RunStart, TrainEvent, TrainFlow,
    estimate::{RunEstimate, estimate},
    evaluate::{EvalReport, EvalSet},
    pictures::{
        HeldOutPictures, PictureEvalReport, PictureModel, PictureRunEstimate, PictureTrainInputs,
        estimate_on_pictures, train_on_pictures,
    },
    run::{lock::RunLock, result::RunResult},
    train,
};

/// The command-line request besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainRequest {
    /// Data files instead of the project's.
    pub data: Vec<PathBuf>,
    /// A second output folder for the adapter.
    pub out: Option<PathBuf>,
    /// A run to continue: its name or folder, or `latest`.
    pub resume: Option<String>,
    /// Predict the costs, and train nothing.
    pub plan: bool,
}

/// The final `--json` result.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct TrainSummary {
    #[serde(flatten)]
    outcome: RunOutcome,
    eval: Option<HeldOutReport>,
    /// The attribution index; absent if disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    attribution: Option<BuiltIndex>,
}

/// What `--plan --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum PlannedTraining {
    Text(RunEstimate),
    Pictures(PictureRunEstimate),
}

/// Figures over held-out rows or pictures.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum HeldOutReport {
    Text(EvalReport),
    Pictures(PictureEvalReport),
}

/// Trains on a separate thread, so that Ctrl-C is handled.
pub async fn run(context: &CommandContext, request: TrainRequest) -> Result<ExitStatus, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let listener = tokio::spawn(raise_on_interrupt(stop.clone(), context.printer.clone()));
    let context = context.clone();
    let work = tokio::task::spawn_blocking(move || work(&context, &request, &stop));
    let outcome = work.await;
    listener.abort();
    outcome
        .map_err(|error| Failure::new(ExitClass::Internal, format!("training stopped: {error}")))?
}

/// The first Ctrl-C stops at the next step; the second stops immediately.
async fn raise_on_interrupt(stop: Arc<AtomicBool>, printer: Printer) {
    while tokio::signal::ctrl_c().await.is_ok() {
        if stop.swap(true, Ordering::SeqCst) {
            std::process::exit(ExitClass::Interrupted.code().into());
        }
        printer.note("stopping after this step and saving; Ctrl-C again leaves at once");
    }
}

fn work(
    context: &CommandContext,
    request: &TrainRequest,
    stop: &AtomicBool,
) -> Result<ExitStatus, Failure> {
    let start = start(context, request)?;
    let out = second_folder(context, request, &start)?;
    check_places(&start, out.as_deref())?;
    let requested = RequestedTraining::new(context, &request.data, &start)?;
    if requested.makes_pictures(&context.settings) {
        let inputs = picture_inputs(context, requested, out.as_deref())?;
        return on_pictures(context, request, &inputs, &start, stop);
    }
    let inputs = text_inputs(context, requested, out.as_deref())?;
    let read = [Some(&inputs.dataset), inputs.validation.as_ref()];
    for dataset in read.into_iter().flatten() {
        tell_unlearned(context, dataset, inputs.config.loss);
    }
    if request.plan {
        show_estimate(context, PlannedTraining::Text(estimate(&inputs)?));
        return Ok(ExitStatus::Success);
    }
    let columns = ColumnNames::parse(&inputs.config.columns)?.optional();
    let held_out = project::held_out(context, &[], &columns)?
        .map(|rows| {
            tell_unlearned(context, &rows, inputs.config.loss);
            EvalSet::new(
                &inputs.codec,
                &inputs.task,
                &rows,
                &inputs.config.encode_options(),
                inputs.base.config.max_positions,
            )
        })
        .transpose()?;
    if let Some(set) = &held_out {
        tell_long(context, "held-out rows", &set.long_rows());
    }
    let mut watch = TrainProgress {
        context,
        printer: &context.printer,
        progress: None,
        stop,
        patches: None,
    };
    let (outcome, decoder) = train(&inputs, &start, &mut |event| watch.hear(event))?;
    let eval = held_out
        .map(|set| evaluate(context, &set, decoder))
        .transpose()?;
    RunResult::now(eval.as_ref(), outcome.long_rows).write(&outcome.run)?;
    let run = RunDir::find(&project::runs(context), outcome.run.to_str())?;
    tell_repeats(&context.printer, &RunLock::read(&run.lock())?);
    let attribution = match context.settings.attribution.enabled {
        true => Some(attribution::index(context, &inputs, &run)?),
        false => None,
    };
    report(
        context,
        TrainSummary {
            outcome,
            eval: eval.map(HeldOutReport::Text),
            attribution,
        },
        None,
    );
    Ok(ExitStatus::Success)
}

/// Trains an adapter that makes pictures.
fn on_pictures(
    context: &CommandContext,
    request: &TrainRequest,
    inputs: &PictureTrainInputs,
    start: &RunStart,
    stop: &AtomicBool,
) -> Result<ExitStatus, Failure> {
    if request.plan {
        let planned = estimate_on_pictures(inputs)?;
        show_estimate(context, PlannedTraining::Pictures(planned));
        return Ok(ExitStatus::Success);
    }
    for warning in &inputs.dataset.warnings {
        // How many pictures repeat others is told of the whole data.
        if !matches!(warning, FolderWarning::SamePicture { .. }) {
            context.printer.warn(warning.to_string());
        }
    }
    let held_out = picture_project::held_out(context, &[], inputs.model.side())?;
    let set = held_out.map(|held_out| HeldOutPictures::new(&inputs.model, &held_out));
    let set = set.transpose()?;
    let mut watch = TrainProgress {
        context,
        printer: &context.printer,
        progress: None,
        stop,
        patches: Some(inputs.model.denoiser.config().patches() as u64),
    };
    let trained = train_on_pictures(inputs, start, &mut |event| watch.hear(event));
    let (outcome, adapter) = trained?;
    let eval = set.map(|set| {
        let mut progress = context.printer.progress("evaluating", 2 * set.work(None));
        let mut count = |done| progress.update(done, "");
        set.compare(&inputs.model, &adapter, None, &mut count)
    });
    let eval = eval.transpose()?;
    let metrics = eval.as_ref().map(PictureEvalReport::metrics);
    RunResult::with_metrics(metrics.unwrap_or_default()).write(&outcome.run)?;
    let run = RunDir::find(&project::runs(context), outcome.run.to_str())?;
    tell_repeats(&context.printer, &RunLock::read(&run.lock())?);
    let attribution = match context.settings.attribution.enabled {
        true => Some(attribution::picture_index(context, inputs, &run)?),
        false => None,
    };
    let summary = TrainSummary {
        outcome,
        eval: eval.map(HeldOutReport::Pictures),
        attribution,
    };
    report(context, summary, Some(&inputs.model));
    Ok(ExitStatus::Success)
}

/// Reports contributors whose duplicate rows do not count.
fn tell_repeats(printer: &Printer, lock: &RunLock) {
    let mut rows: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for source in &lock.data {
        let sums = rows.entry(&source.contributor).or_default();
        *sums = (sums.0 + source.rows, sums.1 + source.counted());
    }
    for (contributor, (all, counted)) in rows {
        if counted < all {
            printer.note(format!(
                "{contributor}: {counted} of {all} rows count for its static share, the others \
                 repeat earlier ones"
            ));
        }
    }
}

fn start(context: &CommandContext, request: &TrainRequest) -> Result<RunStart, Failure> {
    let runs = project::runs(context);
    let Some(wanted) = &request.resume else {
        // Says first that there is nothing to train on.
        project::data_sources(context, &request.data)?;
        return Ok(RunStart::Fresh { runs });
    };
    let wanted = (wanted != "latest").then_some(wanted.as_str());
    let run = RunDir::find(&runs, wanted)
        .map_err(|error| project::without_run(context, error, "the run's folder"))?;
    Ok(RunStart::Resume(run))
}

/// The second folder for the adapter; a resumed run keeps the one that it was given.
fn second_folder(
    context: &CommandContext,
    request: &TrainRequest,
    start: &RunStart,
) -> Result<Option<PathBuf>, Failure> {
    match (&request.out, start) {
        (Some(out), _) => {
            named_paths::new_folder(context, out, "a folder for the adapter").map(Some)
        }
        (None, RunStart::Resume(run)) => Ok(run.out()),
        (None, RunStart::Fresh { .. }) => Ok(None),
    }
}

/// Checks that the run can write its results, before time is spent on them.
fn check_places(start: &RunStart, out: Option<&Path>) -> Result<(), Failure> {
    if let Some(out) = out {
        adapter::check_place(out).map_err(|error| {
            Failure::from(error)
                .with_hint("name another folder with --out; the run keeps the adapter anyway")
        })?;
    }
    let own = match start {
        RunStart::Fresh { runs } => runs.as_path(),
        RunStart::Resume(run) => run.path(),
    };
    atomic::probe(&own.join("adapter")).map_err(|error| {
        Failure::io("write in", own, &error)
            .with_hint("the run keeps its checkpoints and the adapter there: make it a folder that can be written")
    })
}

fn evaluate(
    context: &CommandContext,
    set: &EvalSet,
    mut decoder: Decoder,
) -> Result<EvalReport, Failure> {
    let mut progress = context.printer.progress("evaluating", set.rows());
    Ok(set.compare(&mut decoder, true, &mut |done, _| progress.update(done, ""))?)
}

/// Shows events as a progress bar and notes, and forwards Ctrl-C.
struct TrainProgress<'a> {
    context: &'a CommandContext,
    printer: &'a Printer,
    progress: Option<ProgressReport>,
    stop: &'a AtomicBool,
    /// Patches of a picture, for a training on pictures.
    patches: Option<u64>,
}

impl TrainProgress<'_> {
    fn hear(&mut self, event: TrainEvent) -> TrainFlow {
        match event {
            TrainEvent::Started(sizes) => {
                let data = match self.patches {
                    Some(_) => format!("{} pictures", sizes.rows),
                    None => format!(
                        "{} rows ({} tokens an epoch)",
                        sizes.rows, sizes.epoch_tokens
                    ),
                };
                self.printer.note(format!(
                    "training {} parameters on {data}, {} steps",
                    sizes.trainable,
                    sizes.steps - sizes.done
                ));
                tell_long(self.context, "training rows", &sizes.long_rows);
                let validation = &sizes.long_validation_rows;
                tell_long(self.context, "validation rows", validation);
                self.printer.detail(format!("run {}", sizes.run.display()));
                self.progress = Some(self.printer.progress("training", sizes.steps));
            }
            TrainEvent::Step(step) => {
                let (rate, unit) = match self.patches {
                    Some(patches) => (step.tokens_per_second / patches as f64, "pictures"),
                    None => (step.tokens_per_second, "tokens"),
                };
                let message = format!("loss {:.4}, {rate:.0} {unit}/s", step.loss);
                if let Some(progress) = &mut self.progress {
                    progress.update(step.step, &message);
                }
            }
            TrainEvent::Validated(found) => self.printer.note(format!(
                "step {}: validation loss {:.4}{}",
                found.step,
                found.validation_loss,
                if found.best { ", the best so far" } else { "" }
            )),
            TrainEvent::Saved { step, path } => {
                self.printer
                    .detail(format!("step {step}: saved {}", path.display()));
            }
            TrainEvent::StoppedEarly { at, best } => {
                self.printer
                    .note(format!("stopped at step {at}: no gain since step {best}"));
            }
            TrainEvent::Restored {
                step,
                validation_loss,
            } => self.printer.note(format!(
                "kept the weights of step {step}, validation loss {validation_loss:.4}"
            )),
        }
        if self.stop.load(Ordering::SeqCst) {
            TrainFlow::Stop
        } else {
            TrainFlow::Continue
        }
    }
}

fn report(context: &CommandContext, summary: TrainSummary, pictures: Option<&PictureModel>) {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&summary);
        return;
    }
    let RunOutcome {
        adapter,
        steps,
        tokens,
        seconds,
        tokens_per_second,
        final_loss,
        ..
    } = &summary.outcome;
    let adapter = named_paths::shown(&context.settings, adapter);
    printer.line(format!("adapter       {}", adapter.display()));
    printer.line(format!("steps         {steps}, final loss {final_loss:.4}"));
    let patches = pictures.map_or(1, |model| model.denoiser.config().patches() as u64);
    printer.line(format!(
        "{:<13} {} in {seconds:.1} s ({:.0}/s), peak memory {} MB",
        if pictures.is_some() {
            "pictures"
        } else {
            "tokens"
        },
        tokens / patches,
        tokens_per_second / patches as f64,
        summary.outcome.peak_memory_bytes / 1_000_000
    ));
    if let Some(built) = &summary.attribution {
        printer.line(format!("attribution   {}", attribution::sizes(built)));
    }
    match &summary.eval {
        Some(HeldOutReport::Text(eval)) => {
            printer.line("");
            figures::print(printer, eval);
        }
        Some(HeldOutReport::Pictures(eval)) => {
            printer.line("");
            figures::print_pictures(printer, eval);
        }
        None => {}
    }
    printer.hint("register it with `openlora deploy`, then serve it with `openlora serve --local`");
}

fn show_estimate(context: &CommandContext, planned: PlannedTraining) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(&planned);
    }
    match planned {
        PlannedTraining::Text(found) => print_text_estimate(context, &found),
        PlannedTraining::Pictures(found) => print_picture_estimate(printer, &found),
    }
    printer.hint("leave --plan out to train");
}

fn print_picture_estimate(printer: &Printer, found: &PictureRunEstimate) {
    printer.line(format!(
        "pictures      {} to train on, {} to validate, {side} × {side} pixels",
        found.pictures,
        found.validation_pictures,
        side = found.side
    ));
    printer.line(format!("steps         {}", found.steps));
    printer.line(format!("trainable     {} parameters", found.trainable));
    let megabytes = found.memory_bytes / 1_000_000;
    printer.line(format!("memory        {megabytes} MB"));
    printer.line(format!(
        "time          {:.0} s at {:.1} pictures/s, from {} steps; {:.0} s to validate",
        found.seconds, found.pictures_per_second, found.probed_steps, found.validation_seconds
    ));
}

fn print_text_estimate(context: &CommandContext, found: &RunEstimate) {
    let printer = &context.printer;
    printer.line(format!(
        "rows          {} to train on, {} to validate, longest {} tokens",
        found.rows, found.validation_rows, found.longest_row_tokens
    ));
    if let Some(long) = found
        .long_rows
        .and_then(|long| long.sentence("training rows"))
    {
        printer.line(format!("long rows     {long}"));
    }
    printer.line(format!(
        "steps         {}, {} tokens",
        found.steps, found.tokens
    ));
    printer.line(format!("trainable     {} parameters", found.trainable));
    printer.line(format!(
        "memory        {} MB",
        found.memory_bytes / 1_000_000
    ));
    printer.line(format!(
        "time          {:.0} s at {:.0} tokens/s, from {} steps; {:.0} s to validate",
        found.seconds, found.tokens_per_second, found.probed_steps, found.validation_seconds
    ));
    if context.settings.attribution.enabled {
        printer.note("evaluating the held-out rows and indexing for attribution come on top");
    }
}
