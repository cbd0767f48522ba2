//! `data check`: every fault, and the figures that tell whether the data is any good.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;

use super::{encode_options, held_out, open_codec, project, sources};
use crate::{
    commands::Context,
    error::{ExitClass, ExitStatus, Explain, Failure},
    runtime::dataset::{
        self, DataError, Dataset, Inspection, Task,
        duplicates::{self, Duplicate, Part},
        statistics::{self, Lengths, SourceFigures},
    },
};

/// Faults that are listed for one file; the rest are counted as there being more.
const FAULTS_SHOWN: usize = 20;
/// Duplicates that are listed for a person; `--json` has them all.
const DUPLICATES_SHOWN: usize = 10;

/// What `data check` found.
#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
pub struct Report {
    ok: bool,
    task: Option<Task>,
    parts: Vec<PartReport>,
    duplicates: Vec<Duplicate>,
    errors: Vec<ErrorReport>,
    /// Files with more faults than are listed.
    cut_short: Vec<PathBuf>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PartReport {
    name: &'static str,
    rows: usize,
    digest: String,
    sources: Vec<SourceFigures>,
    labels: BTreeMap<String, usize>,
    lengths: Option<Lengths>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ErrorReport {
    message: String,
    hint: Option<String>,
}

impl From<DataError> for ErrorReport {
    fn from(error: DataError) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
        }
    }
}

/// A part of the data and what reading it found.
struct Checked {
    name: &'static str,
    found: Inspection,
    lengths: Option<Lengths>,
}

/// Checks the files named, or all data of the project.
pub fn check(context: &Context, files: &[PathBuf]) -> Result<ExitStatus, Failure> {
    let mut parts = read(context, files)?;
    let mut errors: Vec<DataError> = Vec::new();
    for part in &mut parts {
        errors.append(&mut part.found.errors);
    }
    let mut task = None;
    if errors.is_empty() {
        match settle(context, &parts) {
            Ok(settled) => {
                errors.extend(measure(context, &settled, &mut parts)?);
                task = Some(settled);
            }
            Err(error) => errors.push(error),
        }
    }
    let report = report(task, &parts, errors);
    print(context, &report);
    Ok(if report.ok {
        ExitStatus::Success
    } else {
        ExitStatus::Verdict(ExitClass::BadInput)
    })
}

fn read(context: &Context, files: &[PathBuf]) -> Result<Vec<Checked>, Failure> {
    let own = sources(context, files);
    if own.is_empty() {
        return Err(DataError::NoSources.into());
    }
    let mut parts = vec![("train", own)];
    if files.is_empty() {
        parts.extend(held_out(&context.settings));
    }
    let inspected = |(name, sources): (_, Vec<_>)| Checked {
        name,
        found: dataset::inspect(&sources, FAULTS_SHOWN),
        lengths: None,
    };
    Ok(parts.into_iter().map(inspected).collect())
}

fn settle(context: &Context, parts: &[Checked]) -> Result<Task, DataError> {
    let task = Task::settle(
        &parts[0].found.dataset,
        &project::task_wish(&context.settings),
    )?;
    for part in &parts[1..] {
        task.check(&part.found.dataset)?;
    }
    Ok(task)
}

/// Counts tokens with the base's tokenizer; the faults are rows that cannot be encoded.
fn measure(
    context: &Context,
    task: &Task,
    parts: &mut [Checked],
) -> Result<Vec<DataError>, Failure> {
    let codec = open_codec(context)?;
    let options = encode_options(&context.settings);
    let mut faults = Vec::new();
    for part in parts {
        let (lengths, found) = statistics::lengths(&codec, task, &part.found.dataset, &options);
        part.lengths = Some(lengths);
        faults.extend(found.into_iter().take(FAULTS_SHOWN));
    }
    Ok(faults)
}

fn report(task: Option<Task>, parts: &[Checked], errors: Vec<DataError>) -> Report {
    let named: Vec<Part<'_>> = parts
        .iter()
        .map(|part| Part {
            name: part.name,
            dataset: &part.found.dataset,
        })
        .collect();
    Report {
        ok: errors.is_empty(),
        task,
        duplicates: duplicates::find(&named),
        parts: parts.iter().map(part_report).collect(),
        errors: errors.into_iter().map(ErrorReport::from).collect(),
        cut_short: parts
            .iter()
            .flat_map(|part| part.found.cut_short.clone())
            .collect(),
    }
}

fn part_report(part: &Checked) -> PartReport {
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
    }
}

fn print(context: &Context, report: &Report) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(report);
    }
    let lines = [
        source_lines(report),
        label_lines(report),
        length_lines(report),
        duplicate_lines(&report.duplicates),
        error_lines(report),
    ];
    let blocks: Vec<String> = lines
        .iter()
        .filter(|block| !block.is_empty())
        .map(|block| block.join("\n"))
        .collect();
    printer.line(blocks.join("\n\n"));
}

fn source_lines(report: &Report) -> Vec<String> {
    let mut cells = vec![row([
        "part",
        "rows",
        "kind",
        "contributor",
        "licence",
        "file",
    ])];
    for part in &report.parts {
        for source in &part.sources {
            cells.push(row([
                part.name,
                &source.rows.to_string(),
                source.kind.unwrap_or("-"),
                &source.contributor,
                source.license.as_deref().unwrap_or("-"),
                &source.path,
            ]));
        }
    }
    aligned(&cells)
}

fn label_lines(report: &Report) -> Vec<String> {
    let mut cells = vec![row(["part", "label", "rows", "share"])];
    for part in &report.parts {
        let all: usize = part.labels.values().sum();
        for (label, &count) in &part.labels {
            let share = format!("{:.1} %", 100.0 * count as f64 / all as f64);
            cells.push(row([part.name, label, &count.to_string(), &share]));
        }
    }
    if cells.len() == 1 {
        Vec::new()
    } else {
        aligned(&cells)
    }
}

fn length_lines(report: &Report) -> Vec<String> {
    let head = ["part", "min", "median", "p95", "max", "tokens", "learned"];
    let mut cells = vec![row(head)];
    for part in &report.parts {
        if let Some(lengths) = &part.lengths {
            let Lengths {
                min,
                median,
                p95,
                max,
                tokens,
                learned,
            } = lengths;
            let figures = [min, median, p95, max, tokens, learned].map(|n| n.to_string());
            cells.push([part.name.to_owned()].into_iter().chain(figures).collect());
        }
    }
    if cells.len() == 1 {
        Vec::new()
    } else {
        aligned(&cells)
    }
}

fn duplicate_lines(found: &[Duplicate]) -> Vec<String> {
    if found.is_empty() {
        return vec!["no duplicates".to_owned()];
    }
    let leaks = found.iter().filter(|duplicate| duplicate.leaks).count();
    let clashes = found
        .iter()
        .filter(|duplicate| duplicate.labels.is_some())
        .count();
    let mut lines = vec![format!(
        "{} duplicates, {leaks} of them across parts, {clashes} with another label",
        found.len()
    )];
    let mut worst: Vec<&Duplicate> = found.iter().collect();
    worst.sort_by_key(|duplicate| (!duplicate.leaks, duplicate.labels.is_none()));
    lines.extend(
        worst
            .iter()
            .take(DUPLICATES_SHOWN)
            .map(|duplicate| duplicate_line(duplicate)),
    );
    if found.len() > DUPLICATES_SHOWN {
        lines.push(format!(
            "  and {} more, see --json",
            found.len() - DUPLICATES_SHOWN
        ));
    }
    lines
}

fn duplicate_line(duplicate: &Duplicate) -> String {
    let Duplicate {
        first,
        second,
        similarity,
        labels,
        ..
    } = duplicate;
    let how = if *similarity == 1.0 {
        "repeats"
    } else {
        "nearly repeats"
    };
    let labels = labels.as_ref().map_or(String::new(), |(one, two)| {
        format!(", labelled {two} and {one}")
    });
    format!(
        "  {} ({}) {how} {} ({}){labels}",
        second.at, second.part, first.at, first.part
    )
}

fn error_lines(report: &Report) -> Vec<String> {
    if report.ok {
        return vec!["no errors".to_owned()];
    }
    let mut lines = vec![format!("{} errors", report.errors.len())];
    for error in &report.errors {
        lines.push(format!("  {}", error.message));
        lines.extend(error.hint.iter().map(|hint| format!("    hint: {hint}")));
    }
    let more = |path: &PathBuf| format!("  {}: reading stopped here", path.display());
    lines.extend(report.cut_short.iter().map(more));
    lines
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Columns padded to their widest cell; those of figures are set to the right.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let figures = |column: usize| {
        rows[1..]
            .iter()
            .all(|row| row[column].starts_with(|c: char| c.is_ascii_digit()))
    };
    let shape: Vec<(usize, bool)> = (0..rows[0].len())
        .map(|column| (width(column), figures(column)))
        .collect();
    let cell = |(text, (width, right)): (&String, &(usize, bool))| {
        if *right {
            format!("{text:>width$}")
        } else {
            format!("{text:<width$}")
        }
    };
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&shape).map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
