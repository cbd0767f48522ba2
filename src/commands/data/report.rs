//! The report of `data check`: as JSON, and as tables.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;

use crate::commands::CommandContext;
use openlora_core::{error::Explain, private::foreign_text::clean_line};
use openlora_model::dataset::{
    DataError, Task,
    duplicates::DuplicateRow,
    long::LongRows,
    statistics::{SourceFigures, TokenLengths},
    warnings::DataWarning,
};

/// Duplicates listed in the tables; `--json` has all.
const DUPLICATES_SHOWN: usize = 10;

/// What `data check` found.
#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
pub struct DataReport {
    pub ok: bool,
    pub task: Option<Task>,
    pub parts: Vec<PartReport>,
    pub duplicates: Vec<DuplicateRow>,
    /// What can be read and may still train badly.
    pub warnings: Vec<DataFinding>,
    pub errors: Vec<DataFinding>,
    /// Errors that are not listed.
    pub more_errors: usize,
    /// Files whose reading stopped after the maximum number of errors.
    pub cut_short: Vec<PathBuf>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PartReport {
    pub name: &'static str,
    pub rows: usize,
    pub digest: String,
    pub sources: Vec<SourceFigures>,
    pub labels: BTreeMap<String, usize>,
    pub lengths: Option<TokenLengths>,
    /// What each value of `train.on_long` does about the rows that are too long.
    pub long_rows: Vec<LongRows>,
    /// Of a part with pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<PictureSizes>,
}

/// Sizes of pictures and of their captions.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PictureSizes {
    /// The shorter side of a picture at least and at most, in pixels.
    pub smallest_side: u32,
    pub largest_side: u32,
    /// Different captions.
    pub captions: usize,
    pub longest_caption_tokens: usize,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DataFinding {
    pub message: String,
    pub hint: Option<String>,
}

impl From<DataError> for DataFinding {
    fn from(error: DataError) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
        }
    }
}

impl From<DataWarning> for DataFinding {
    fn from(warning: DataWarning) -> Self {
        Self {
            message: warning.to_string(),
            hint: Some(warning.hint().to_owned()),
        }
    }
}

/// Prints the report.
pub fn print(context: &CommandContext, report: &DataReport) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(report);
    }
    let lines = [
        source_lines(report),
        label_lines(report),
        length_lines(report),
        picture_lines(report),
        long_row_lines(report),
        duplicate_lines(&report.duplicates),
        warning_lines(report),
        error_lines(report),
    ];
    // What rows and files are called cannot begin a line of this report.
    let block = |lines: &Vec<String>| {
        let lines = lines.iter().map(|line| clean_line(line));
        lines.collect::<Vec<_>>().join("\n")
    };
    let blocks = lines.iter().filter(|lines| !lines.is_empty()).map(block);
    let blocks: Vec<String> = blocks.collect();
    printer.text(&blocks.join("\n\n"));
}

fn source_lines(report: &DataReport) -> Vec<String> {
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

fn label_lines(report: &DataReport) -> Vec<String> {
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

fn length_lines(report: &DataReport) -> Vec<String> {
    let head = [
        "part", "min", "median", "p95", "p99", "max", "tokens", "learned",
    ];
    let mut cells = vec![row(head)];
    for part in &report.parts {
        if let Some(lengths) = &part.lengths {
            let TokenLengths {
                min,
                median,
                p95,
                p99,
                max,
                tokens,
                learned,
            } = lengths;
            let figures = [min, median, p95, p99, max, tokens, learned].map(|n| n.to_string());
            cells.push([part.name.to_owned()].into_iter().chain(figures).collect());
        }
    }
    if cells.len() == 1 {
        Vec::new()
    } else {
        aligned(&cells)
    }
}

fn picture_lines(report: &DataReport) -> Vec<String> {
    let head = [
        "part",
        "pictures",
        "captions",
        "smallest",
        "largest",
        "longest caption",
    ];
    let mut cells = vec![row(head)];
    for part in &report.parts {
        if let Some(sizes) = &part.pictures {
            let figures = [
                part.rows.to_string(),
                sizes.captions.to_string(),
                format!("{} px", sizes.smallest_side),
                format!("{} px", sizes.largest_side),
                format!("{} tokens", sizes.longest_caption_tokens),
            ];
            cells.push([part.name.to_owned()].into_iter().chain(figures).collect());
        }
    }
    match cells.len() {
        1 => Vec::new(),
        _ => aligned(&cells),
    }
}

/// The rows that are too long, and what each choice about them does.
fn long_row_lines(report: &DataReport) -> Vec<String> {
    let long = |part: &&PartReport| part.long_rows.iter().any(|choice| choice.long > 0);
    let parts: Vec<&PartReport> = report.parts.iter().filter(long).collect();
    let Some(limit) = parts.first().and_then(|part| part.long_rows.first()) else {
        return Vec::new();
    };
    let head = [
        "part", "on_long", "long", "of", "tokens", "become", "with", "refused",
    ];
    let mut cells = vec![row(head)];
    for part in parts {
        for choice in &part.long_rows {
            let LongRows {
                rows,
                long,
                tokens,
                kept_rows,
                kept_tokens,
                refused,
                ..
            } = choice;
            let figures = [long, rows, tokens, kept_rows, kept_tokens, refused];
            let names = [part.name, choice.on_long.name()].map(str::to_owned);
            cells.push(
                names
                    .into_iter()
                    .chain(figures.map(|n| n.to_string()))
                    .collect(),
            );
        }
    }
    let mut lines = vec![format!(
        "rows of more than {} tokens (train.max_len), and what train.on_long makes of them:",
        limit.max_len
    )];
    lines.extend(aligned(&cells));
    lines
}

fn duplicate_lines(found: &[DuplicateRow]) -> Vec<String> {
    if found.is_empty() {
        return vec!["no duplicates".to_owned()];
    }
    let leaks = found.iter().filter(|duplicate| duplicate.leaks).count();
    let clashes = found
        .iter()
        .filter(|duplicate| duplicate.labels.is_some())
        .count();
    let count = found.len();
    let mut lines = vec![format!(
        "duplicates: {count}, across parts: {leaks}, with another label: {clashes}"
    )];
    let mut worst: Vec<&DuplicateRow> = found.iter().collect();
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

fn duplicate_line(duplicate: &DuplicateRow) -> String {
    let DuplicateRow {
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

fn warning_lines(report: &DataReport) -> Vec<String> {
    if report.warnings.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("warnings: {}", report.warnings.len())];
    lines.extend(finding_lines(&report.warnings));
    lines
}

fn error_lines(report: &DataReport) -> Vec<String> {
    if report.ok {
        return vec!["no errors".to_owned()];
    }
    let count = report.errors.len() + report.more_errors;
    let mut lines = vec![format!("errors: {count}")];
    lines.extend(finding_lines(&report.errors));
    if report.more_errors > 0 {
        lines.push(format!("  and {} more", report.more_errors));
    }
    let more = |path: &PathBuf| format!("  {}: reading stopped here", path.display());
    lines.extend(report.cut_short.iter().map(more));
    lines
}

/// Findings with their hints; those of the same kind in a row share one hint.
fn finding_lines(findings: &[DataFinding]) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, finding) in findings.iter().enumerate() {
        lines.push(format!("  {}", finding.message));
        let next = findings.get(at + 1);
        if next.is_none_or(|next| next.hint != finding.hint) {
            let hint = finding.hint.iter();
            lines.extend(hint.map(|hint| format!("    hint: {hint}")));
        }
    }
    lines
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Columns padded to their widest cell; numbers are right-aligned.
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
