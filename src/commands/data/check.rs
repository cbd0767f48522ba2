//! `data check`: lists every error, and statistics about the quality of the data.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    encode_options, held_out, pictures, project,
    report::{self, DataFinding, DataReport, PartReport},
    sources,
};
use crate::commands::{CommandContext, picture_project};
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_model::dataset::{
    self, DataError, DataInspection, DataSource, Dataset, Task,
    duplicates::{self, DatasetPart, DuplicateRow},
    long::{LongRows, check_divisible},
    statistics::{self, MeasuredRows, TokenLengths},
    warnings::{self, DataSurroundings, DataWarning},
};
use openlora_model::text::TextCodec;

/// Maximum errors listed per file; further ones are only counted.
const FAULTS_SHOWN: usize = 20;

/// A part of the data and the result of reading it.
struct CheckedPart {
    name: &'static str,
    found: DataInspection,
    lengths: Option<TokenLengths>,
    choices: Vec<LongRows>,
}

/// Checks the named files, or all data of the project.
pub fn check(context: &CommandContext, files: &[PathBuf]) -> Result<ExitStatus, Failure> {
    let own = sources(context, files)?;
    if picture_project::makes_pictures(&context.settings, &own) {
        return pictures::check(context, own, files.is_empty());
    }
    let mut parts = read(context, own, files.is_empty())?;
    let mut errors: Vec<DataError> = Vec::new();
    let mut more_errors = 0;
    for part in &mut parts {
        errors.append(&mut part.found.errors);
    }
    let mut task = None;
    if errors.is_empty() {
        match resolve_task(context, &parts) {
            Ok(settled) => {
                (errors, more_errors) = measure(context, &settled, &mut parts)?;
                task = Some(settled);
            }
            Err(error) => errors.push(error),
        }
    }
    let report = DataReport {
        more_errors,
        ..assemble(context, task, &parts, errors)?
    };
    report::print(context, &report);
    Ok(if report.ok {
        ExitStatus::Success
    } else {
        ExitStatus::Verdict(ExitClass::BadInput)
    })
}

fn read(
    context: &CommandContext,
    own: Vec<DataSource>,
    with_held_out: bool,
) -> Result<Vec<CheckedPart>, Failure> {
    if own.is_empty() {
        return Err(DataError::NoSources.into());
    }
    let mut parts = vec![("train", own)];
    if with_held_out {
        parts.extend(held_out(&context.settings)?);
    }
    let loss = encode_options(&context.settings)?.loss;
    let inspected = |(name, sources): (_, Vec<_>)| {
        let found = dataset::inspect(&sources, FAULTS_SHOWN);
        CheckedPart {
            name,
            found: DataInspection {
                dataset: found.dataset.for_loss(loss),
                ..found
            },
            lengths: None,
            choices: Vec::new(),
        }
    };
    Ok(parts.into_iter().map(inspected).collect())
}

fn resolve_task(context: &CommandContext, parts: &[CheckedPart]) -> Result<Task, DataError> {
    let task = Task::resolve(
        &parts[0].found.dataset,
        &project::task_wish(&context.settings),
    )?;
    for part in &parts[1..] {
        task.check(&part.found.dataset)?;
    }
    Ok(task)
}

/// Counts tokens with the base's tokenizer. Rows that cannot be encoded or fitted are errors; returns
/// those to list and the number of the rest.
fn measure(
    context: &CommandContext,
    task: &Task,
    parts: &mut [CheckedPart],
) -> Result<(Vec<DataError>, usize), Failure> {
    let base = project::base(context, None)?;
    let codec = TextCodec::open(&base.dir)?;
    let options = encode_options(&context.settings)?;
    let most = base.config.max_positions;
    let (mut faults, mut more) = (Vec::new(), 0);
    for part in parts {
        let MeasuredRows {
            lengths,
            choices,
            errors,
        } = statistics::lengths(&codec, task, &part.found.dataset, &options, most);
        (part.lengths, part.choices) = (Some(lengths), choices);
        more += errors.len().saturating_sub(FAULTS_SHOWN);
        faults.extend(errors.into_iter().take(FAULTS_SHOWN));
    }
    Ok(match check_divisible(task, options.on_long) {
        Ok(()) => (faults, more),
        Err(error) => (vec![error], 0),
    })
}

fn assemble(
    context: &CommandContext,
    task: Option<Task>,
    parts: &[CheckedPart],
    errors: Vec<DataError>,
) -> Result<DataReport, Failure> {
    let named: Vec<DatasetPart<'_>> = parts
        .iter()
        .map(|part| DatasetPart {
            name: part.name,
            dataset: &part.found.dataset,
        })
        .collect();
    let duplicates = duplicates::find(&named);
    let cut_short = parts.iter().flat_map(|part| part.found.cut_short.clone());
    Ok(DataReport {
        ok: errors.is_empty(),
        task,
        warnings: warnings(context, parts, &duplicates)?
            .into_iter()
            .map(DataFinding::from)
            .collect(),
        duplicates,
        parts: parts.iter().map(part_report).collect(),
        errors: errors.into_iter().map(DataFinding::from).collect(),
        more_errors: 0,
        cut_short: cut_short.collect(),
    })
}

fn warnings(
    context: &CommandContext,
    parts: &[CheckedPart],
    duplicates: &[DuplicateRow],
) -> Result<Vec<DataWarning>, Failure> {
    let settings = &context.settings;
    let around = DataSurroundings {
        part: parts[0].name,
        duplicates,
        held_out: settings.train.val.is_some() || !settings.eval.data.is_empty(),
        loss: encode_options(settings)?.loss,
    };
    let mut found = warnings::of_training(&parts[0].found.dataset, &around);
    for part in &parts[1..] {
        found.extend(warnings::of_reading(&part.found.dataset, around.loss));
    }
    Ok(found)
}

fn part_report(part: &CheckedPart) -> PartReport {
    let dataset: &Dataset = &part.found.dataset;
    let sources = statistics::of_sources(dataset);
    let mut labels = BTreeMap::new();
    for (label, count) in sources.iter().flat_map(|source| &source.labels) {
        *labels.entry(label.clone()).or_default() += count;
    }
    PartReport {
        name: part.name,
        rows: dataset.rows.len(),
        digest: dataset.digest.clone(),
        sources,
        labels,
        lengths: part.lengths.clone(),
        long_rows: part.choices.clone(),
        pictures: None,
    }
}
