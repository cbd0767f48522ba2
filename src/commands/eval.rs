//! `eval`: an adapter's metrics on held-out rows compared with its base, and a gate for scripts.

use std::path::{Path, PathBuf};

use super::{
    CommandContext,
    data::{tell_long, tell_unlearned},
    figures, picture_project, project,
};
use crate::commands::settings::Settings;
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_model::{
    adapter::{self, LoraAdapter},
    dataset::{DataError, RowFault, Task, encode::EncodeOptions},
    text::TextCodec,
};
use openlora_pictures::judge::PictureJudge;
use openlora_runtime::provenance::trained_row_options;
use openlora_train::{
    TrainConfig, TrainError,
    evaluate::{EvalFigures, EvalReport, EvalSet},
    load_with_adapter,
    pictures::{HeldOutPictures, PictureEvalReport},
};

/// The command-line request besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvalRequest {
    /// An adapter folder or a run; defaults to the latest run.
    pub adapter: Option<PathBuf>,
    pub vs_base: bool,
    /// Held-out files instead of the project's.
    pub data: Vec<PathBuf>,
}

pub async fn run(context: &CommandContext, request: EvalRequest) -> Result<ExitStatus, Failure> {
    let context = context.clone();
    let work = tokio::task::spawn_blocking(move || work(&context, &request));
    work.await.map_err(|error| {
        Failure::new(
            ExitClass::Internal,
            format!("the evaluation stopped: {error}"),
        )
    })?
}

fn work(context: &CommandContext, request: &EvalRequest) -> Result<ExitStatus, Failure> {
    let settings = &context.settings;
    let folder = folder(context, request.adapter.as_deref())?;
    let adapter = adapter::read(&folder)?;
    if adapter
        .task
        .as_ref()
        .is_some_and(|card| card.task == Task::Image)
    {
        return on_pictures(context, request, &adapter);
    }
    let columns = project::columns(settings, false)?;
    let Some(rows) = project::held_out(context, &request.data, &columns)? else {
        return Err(TrainError::EvalNeeds {
            what: "held-out rows",
        }
        .into());
    };
    let config = project::train_config(settings)?;
    let base = project::base(context, None)?;
    adapter::verify_base(&adapter, &base.digest)?;
    let task = match &adapter.task {
        Some(card) => card.task.clone(),
        None => Task::resolve(&rows, &project::task_wish(settings))?,
    };
    let codec = TextCodec::open(&base.dir)?;
    let options = row_options(settings, &config, trained_row_options(&folder, &adapter)?);
    tell_unlearned(context, &rows, options.loss);
    let most = base.config.max_positions;
    let set = EvalSet::new(&codec, &task, &rows, &options, most).map_err(too_long)?;
    tell_long(context, "held-out rows", &set.long_rows());
    let mut decoder = load_with_adapter(&base, &adapter, config.precision)?;
    let least = settings.eval.min_gain;
    let with_base = request.vs_base || least.is_some();
    let mut progress = context.printer.progress("evaluating", set.rows());
    let report = set.compare(&mut decoder, with_base, &mut |done, _| {
        progress.update(done, "")
    })?;
    progress.finish();
    print_report(context, &report);
    require_gain(&report, least)
}

/// Measures an adapter that makes pictures.
fn on_pictures(
    context: &CommandContext,
    request: &EvalRequest,
    adapter: &LoraAdapter,
) -> Result<ExitStatus, Failure> {
    picture_project::refuse_text_settings(context)?;
    let opened = picture_project::open(context, None)?;
    adapter::verify_base(adapter, &opened.base.digest)?;
    let model = &opened.model;
    let held_out = picture_project::held_out(context, &request.data, model.side())?;
    let Some(held_out) = held_out else {
        return Err(TrainError::EvalNeeds {
            what: "held-out pictures",
        }
        .into());
    };
    let set = HeldOutPictures::new(model, &held_out)?;
    if set.is_empty() {
        return Err(TrainError::EvalNeeds {
            what: "at least one picture",
        }
        .into());
    }
    let factors = model.adapter(&opened.base, adapter)?;
    let least = context.settings.eval.min_gain;
    let with_base = request.vs_base || least.is_some();
    let judge = PictureJudge::embedded().map_err(|error| {
        Failure::new(
            ExitClass::Internal,
            format!("the judge of pictures: {error}"),
        )
    })?;
    let judge = Some(&judge);
    let models = if with_base { 2 } else { 1 };
    let mut progress = context
        .printer
        .progress("evaluating", models * set.work(judge));
    let mut count = |done| progress.update(done, "");
    let report = match with_base {
        true => set.compare(model, &factors, judge, &mut count)?,
        false => {
            let own = set.evaluate(model, Some(&factors), judge, &mut count)?;
            PictureEvalReport::new(own, None)
        }
    };
    progress.finish();
    match context.printer.is_json() {
        true => context.printer.json(&report),
        false => figures::print_pictures(&context.printer, &report),
    }
    require(report.gain, least, "the loss falls by a part of")
}

/// Rows are encoded as those of the training were, as far as that is known and the command line does
/// not say otherwise.
fn row_options(
    settings: &Settings,
    config: &TrainConfig,
    trained: Option<EncodeOptions>,
) -> EncodeOptions {
    let own = config.encode_options();
    let Some(trained) = trained else { return own };
    let flags = project::flags(settings);
    let is_given = |key: &str| flags.iter().any(|flag| flag == key);
    EncodeOptions {
        max_len: match is_given("train.max_len") {
            true => own.max_len,
            false => trained.max_len,
        },
        on_long: match is_given("train.on_long") {
            true => own.on_long,
            false => trained.on_long,
        },
        loss: trained.loss,
    }
}

const OTHER_THAN_SPLIT: &str = "long rows become what they did in the training, unless --on-long says \
                                otherwise: give --on-long truncate or --on-long drop";

/// The settings are not what decides here.
fn too_long(error: TrainError) -> Failure {
    let hint = match &error {
        TrainError::Data(DataError::Row { fault, .. }) => match fault {
            RowFault::TooLong { .. } | RowFault::ManyTooLong { .. } => {
                "the limit is that of the training: raise it with --max-len, or have long rows cut or \
                 left out with --on-long truncate or --on-long drop"
            }
            RowFault::Uncut { .. } => {
                "instructions and answers are never cut: raise the limit, which is that of the \
                 training, with --max-len, or leave such rows out with --on-long drop"
            }
            RowFault::Undivided { .. } => OTHER_THAN_SPLIT,
            _ => return error.into(),
        },
        TrainError::Data(DataError::Indivisible { .. }) => OTHER_THAN_SPLIT,
        TrainError::AllLong { .. } => {
            "the limit is that of the training: raise it with --max-len, or have long rows cut with \
             --on-long truncate"
        }
        _ => return error.into(),
    };
    Failure::from(error).with_hint(hint)
}

/// The adapter folder: named directly, by its run, or that of the latest run.
fn folder(context: &CommandContext, wanted: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(wanted) = wanted else {
        let run = project::finished_run(context, None, "the adapter's folder")?;
        return Ok(run.adapter());
    };
    project::adapter_folder(context, wanted)
}

fn print_report(context: &CommandContext, report: &EvalReport) {
    if context.printer.is_json() {
        context.printer.json(report);
    } else {
        figures::print(&context.printer, report);
    }
}

fn require_gain(report: &EvalReport, least: Option<f64>) -> Result<ExitStatus, Failure> {
    let what = match report.adapter {
        EvalFigures::Labels(_) => "accuracy gains",
        EvalFigures::Text(_) => "nats per token: the adapter saves",
    };
    require(report.gain, least, what)
}

fn require(gain: Option<f64>, least: Option<f64>, what: &str) -> Result<ExitStatus, Failure> {
    let (Some(gain), Some(least)) = (gain, least) else {
        return Ok(ExitStatus::Success);
    };
    if gain >= least {
        return Ok(ExitStatus::Success);
    }
    let message = format!("{what} {gain:.4} over the base, at least {least:.4} was demanded");
    Err(Failure::new(ExitClass::Gate, message)
        .with_hint("train longer, add data, or lower --min-gain"))
}
