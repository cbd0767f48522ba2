//! `attribution audit`: trains without a contributor and compares the effect with the index's
//! scores.

mod pictures;

use std::path::Path;

use serde::Serialize;

use super::{super::CommandContext, RunInputs, finished, on_its_own_thread};
use crate::commands::project;
use openlora_core::{
    atomic,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_decoder::Decoder;
use openlora_influence::{
    AttributionDir, GradientSketcher, IndexContributor, IndexFile, SketchBases,
    audit::{AuditPrompt, ContributorAgreement, answer, compare, contributor_scores, losses},
};
use openlora_model::{
    adapter,
    dataset::{ColumnNames, DataSource, Dataset},
};
use openlora_train::{
    DatasetRole, RunDir, RunStart, TrainFlow, TrainInputs, TrainRows, load_with_adapter,
    run::files, train,
};

/// Longest answer.
const MOST_TOKENS: usize = 64;

/// The command-line request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributionAuditRequest {
    pub run: Option<String>,
    /// Contributors to leave out; each in turn if empty.
    pub contributors: Vec<String>,
    /// Number of answers to compare.
    pub answers: usize,
}

/// What `audit --json` prints; also written next to the index.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct AuditReport {
    /// SHA-256 of the index, hex.
    index: String,
    answers: usize,
    contributors: Vec<ContributorAgreement>,
    /// Share of the answers whose highest-scored contributor is also the one whose removal harms
    /// them most; only if every contributor was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<f64>,
}

pub async fn audit(
    context: &CommandContext,
    request: AttributionAuditRequest,
) -> Result<ExitStatus, Failure> {
    let context = context.clone();
    on_its_own_thread(move || work(&context, &request)).await
}

fn work(
    context: &CommandContext,
    request: &AttributionAuditRequest,
) -> Result<ExitStatus, Failure> {
    let (run, inputs) = finished(context, request.run.as_deref())?;
    match inputs {
        RunInputs::Text(inputs) => text_work(context, request, &run, &inputs),
        RunInputs::Pictures(inputs) => pictures::work(context, request, &run, &inputs),
    }
}

fn text_work(
    context: &CommandContext,
    request: &AttributionAuditRequest,
    run: &RunDir,
    inputs: &TrainInputs,
) -> Result<ExitStatus, Failure> {
    let places = AttributionDir::of_run(run.path());
    let index = IndexFile::open(&places.index())?;
    let file = places.dir.join("audit.json");
    // Before the trainings, which take long.
    atomic::probe(&file).map_err(|error| Failure::io("write", &file, &error))?;
    let adapter = adapter::read(&run.adapter())?;
    index
        .binding()
        .require(&inputs.base.digest, &adapter.digest)?;
    let chosen = chosen(&index, &request.contributors)?;
    let mut decoder = load_with_adapter(&inputs.base, &adapter, inputs.config.precision)?;
    let asked = asked(context, inputs, &decoder, request.answers)?;
    let mut sketcher = GradientSketcher::from_binding(
        index.binding(),
        &places,
        &inputs.base,
        &SketchBases::default(),
    )?;
    let scores = contributor_scores(&index, &mut sketcher, &asked)?;
    let with = losses(&mut decoder, &asked)?;
    let mut harms = Vec::new();
    let mut audited = Vec::new();
    for at in chosen {
        let contributor = &index.contributors()[at];
        context
            .printer
            .note(format!("training without {}", contributor.name));
        let mut other = without(context, run, contributor)?;
        let found = losses(&mut other, &asked)?;
        let own: Vec<f64> = scores.iter().map(|scores| scores[at]).collect();
        audited.push(compare(contributor.clone(), &own, &with, &found));
        harms.push((at, found));
    }
    let report = AuditReport {
        index: index.digest().to_owned(),
        answers: asked.len(),
        top: top(&scores, &harms),
        contributors: audited,
    };
    finish(context, &report, &file)
}

/// Writes a report and prints it.
fn finish(
    context: &CommandContext,
    report: &AuditReport,
    file: &Path,
) -> Result<ExitStatus, Failure> {
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    files::replace(file, text.as_bytes())?;
    print_report(context, report);
    Ok(ExitStatus::Success)
}

fn is_of(source: &DataSource, contributor: &IndexContributor) -> bool {
    source.contributor == contributor.name && source.address == contributor.address
}

fn nothing_left(contributor: &IndexContributor) -> Failure {
    let message = format!("without {} there is nothing to train on", contributor.name);
    Failure::new(ExitClass::BadInput, message)
}

/// A folder for the run of a training without a contributor.
fn fresh_folder() -> Result<tempfile::TempDir, Failure> {
    tempfile::tempdir()
        .map_err(|error| Failure::io("create a folder in", &std::env::temp_dir(), &error))
}

/// Positions of the named contributors, or of all.
fn chosen(index: &IndexFile, names: &[String]) -> Result<Vec<usize>, Failure> {
    let contributors = index.contributors();
    if names.is_empty() {
        return Ok((0..contributors.len()).collect());
    }
    let find = |name: &String| {
        let found = contributors
            .iter()
            .position(|contributor| contributor.name == *name);
        found.ok_or_else(|| {
            let known: Vec<&str> = contributors
                .iter()
                .map(|known| known.name.as_str())
                .collect();
            let message = format!("contributor `{name}` is not in the index");
            let hint = format!("it has {}", known.join(", "));
            Failure::new(ExitClass::Usage, message).with_hint(hint)
        })
    };
    names.iter().map(find).collect()
}

/// Evenly chosen held-out prompts, with the tuned model's answers.
fn asked(
    context: &CommandContext,
    inputs: &TrainInputs,
    decoder: &Decoder,
    count: usize,
) -> Result<Vec<AuditPrompt>, Failure> {
    let columns = ColumnNames::parse(&inputs.config.columns)?.optional();
    let own = project::held_out(context, &[], &columns)?;
    let dataset = own
        .as_ref()
        .or(inputs.validation.as_ref())
        .unwrap_or(&inputs.dataset);
    let options = inputs.config.encode_options();
    let rows = TrainRows::encode(
        &inputs.codec,
        &inputs.task,
        dataset,
        &options,
        DatasetRole::HeldOut,
    )?;
    let rows = rows.encoded;
    let ends = |token: u32| inputs.codec.stop_ids().contains(&token);
    let step = rows.len().div_ceil(count.max(1)).max(1);
    let mut asked = Vec::new();
    for row in rows.iter().step_by(step) {
        let first = row.targets.iter().position(|target| *target).unwrap_or(0);
        let found = answer(decoder, &row.ids[..first], &ends, MOST_TOKENS)?;
        if !found.answer.is_empty() {
            asked.push(found);
        }
    }
    Ok(asked)
}

/// The model trained in the same way without a contributor's rows.
fn without(
    context: &CommandContext,
    run: &RunDir,
    contributor: &IndexContributor,
) -> Result<Decoder, Failure> {
    let (_, RunInputs::Text(mut inputs)) = finished(context, run.path().to_str())? else {
        return Err(nothing_left(contributor));
    };
    let sources = &inputs.dataset.sources;
    let left_out: Vec<bool> = sources.iter().map(|it| is_of(it, contributor)).collect();
    let rows = inputs
        .dataset
        .rows
        .iter()
        .filter(|row| !left_out[row.source])
        .cloned();
    inputs.dataset = Dataset::new(sources.clone(), rows.collect());
    if inputs.dataset.rows.is_empty() {
        return Err(nothing_left(contributor));
    }
    let fresh = fresh_folder()?;
    let start = RunStart::Fresh {
        runs: fresh.path().to_owned(),
    };
    inputs.out = None;
    let (_, decoder) = train(&inputs, &start, &mut |_| TrainFlow::Continue)?;
    Ok(decoder)
}

/// How often score and ground truth name the same contributor.
fn top(scores: &[Vec<f64>], harms: &[(usize, Vec<f64>)]) -> Option<f64> {
    let contributors = scores.first()?.len();
    if harms.len() < contributors {
        return None;
    }
    let largest =
        |values: &[f64]| (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]));
    let right = scores.iter().enumerate().filter(|(query, scores)| {
        let lost: Vec<f64> = harms.iter().map(|(_, losses)| losses[*query]).collect();
        largest(scores) == largest(&lost)
    });
    Some(right.count() as f64 / scores.len() as f64)
}

fn print_report(context: &CommandContext, report: &AuditReport) {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(report);
        return;
    }
    for audited in &report.contributors {
        printer.line(format!(
            "{}: agreement {:.3} over {} answers, loss {:.3} with and {:.3} without",
            audited.contributor.name,
            audited.agreement,
            audited.answers,
            audited.loss_with,
            audited.loss_without
        ));
    }
    if let Some(top) = report.top {
        printer.line(format!(
            "right top contributor in {:.0} % of the answers",
            100.0 * top
        ));
    }
}
