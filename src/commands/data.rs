//! `data check`, `preview` and `split`: inspection and preparation of training data.

mod check;
mod pictures;
mod report;
mod split;

use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

pub use check::check;
pub use pictures::PicturePreview;
pub use report::DataReport as CheckReport;
pub use split::{SplitReport, SplitRequest, split};

use super::{CommandContext, named_paths, picture_project, project};
use crate::commands::settings::Settings;
use openlora_core::{
    error::{ExitClass, ExitStatus, Failure},
    private::foreign_text::clean_text,
};
use openlora_model::{
    dataset::{
        self, DataError, DataRow, DataSource, Dataset, Task, TrainingExample,
        encode::{self, EncodeOptions, EncodedRow, LossOn, TextSegment},
        long::{LongRows, OnLong, limited_length, shortened},
        warnings,
    },
    text::TextCodec,
};

/// Style of tokens that the loss covers.
const LEARNED: Style = AnsiColor::Green.on_default().bold();

/// Which rows to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewRequest {
    /// The project's files when empty.
    pub files: Vec<PathBuf>,
    /// This row only, from 1.
    pub row: Option<usize>,
    /// Number of rows.
    pub rows: usize,
}

/// A shown row, of text or of a picture.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum ShownRow {
    Text(RowPreview),
    Picture(PicturePreview),
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct RowPreview {
    row: usize,
    place: String,
    contributor: String,
    tokens: usize,
    learned: usize,
    /// What becomes of the row, if it is longer than the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_long: Option<OnLong>,
    segments: Vec<TextSegment>,
}

/// Shows rows as the model sees them.
pub fn preview(context: &CommandContext, request: &PreviewRequest) -> Result<ExitStatus, Failure> {
    let sources = sources(context, &request.files)?;
    if picture_project::makes_pictures(&context.settings, &sources) {
        return pictures::preview(context, &sources, request);
    }
    let dataset = dataset::load(&sources)?;
    let options = encode_options(&context.settings)?;
    tell_unlearned(context, &dataset, options.loss);
    let task = Task::resolve(&dataset, &project::task_wish(&context.settings))?;
    let chosen = chosen(dataset.rows.len(), request)?;
    let codec = open_codec(context)?;
    let rows = PreviewedRows {
        options,
        codec,
        task,
        dataset,
    };
    let shown = chosen.map(|number| rows.preview(number));
    let shown = shown.collect::<Result<Vec<_>, DataError>>()?;
    print_preview(context, &shown);
    Ok(ExitStatus::Success)
}

/// Rows, and what is needed to show them.
struct PreviewedRows {
    options: EncodeOptions,
    codec: TextCodec,
    task: Task,
    dataset: Dataset,
}

impl PreviewedRows {
    /// A row as it is learned. One that is left out or split, and a plain text that is cut, is shown
    /// whole.
    fn preview(&self, number: usize) -> Result<RowPreview, DataError> {
        let (row, limit) = (&self.dataset.rows[number - 1], self.options.max_len);
        let whole = EncodeOptions {
            max_len: usize::MAX,
            ..self.options
        };
        let (mut encoded, mut segments) = self.segments(row, &whole)?;
        let (codec, task, dataset) = (&self.codec, &self.task, &self.dataset);
        let tokens = encoded.ids.len();
        let length = limited_length(codec, task, &row.example, tokens, &self.options);
        let is_long = length.map_err(|fault| dataset.row_error(row, fault))? > limit;
        let is_text = matches!(row.example, TrainingExample::Text { .. });
        match self.options.on_long {
            OnLong::Error if is_long => (encoded, segments) = self.segments(row, &self.options)?,
            OnLong::Truncate if is_long && !is_text => {
                let cut = shortened(codec, task, dataset, row, &self.options)?;
                (encoded, segments) = self.segments(&cut, &whole)?;
            }
            _ => {}
        }
        Ok(RowPreview {
            row: number,
            place: self.dataset.place(row),
            contributor: self.dataset.sources[row.source].contributor.clone(),
            tokens: encoded.ids.len(),
            learned: encoded.targets.iter().filter(|target| **target).count(),
            on_long: is_long.then_some(self.options.on_long),
            segments,
        })
    }

    fn segments(
        &self,
        row: &DataRow,
        options: &EncodeOptions,
    ) -> Result<(EncodedRow, Vec<TextSegment>), DataError> {
        encode::segments(&self.codec, &self.task, &self.dataset, row, options)
    }
}

/// Positions of the rows to show.
fn chosen(
    last: usize,
    request: &PreviewRequest,
) -> Result<std::ops::RangeInclusive<usize>, Failure> {
    match request.row {
        None => Ok(1..=request.rows.min(last)),
        Some(row) if (1..=last).contains(&row) => Ok(row..=row),
        Some(row) => Err(Failure::new(
            ExitClass::Usage,
            format!("there is no row {row}: the data has {last}"),
        )
        .with_hint(format!("give --row a number from 1 to {last}"))),
    }
}

fn print_preview(context: &CommandContext, shown: &[RowPreview]) {
    if context.printer.is_json() {
        return context.printer.json(&shown);
    }
    for (at, row) in shown.iter().enumerate() {
        if at > 0 {
            context.printer.line("");
        }
        let RowPreview {
            row: number,
            place,
            contributor,
            tokens,
            learned,
            on_long,
            ..
        } = row;
        let long = on_long.map_or_else(String::new, |on_long| {
            format!(", too long: {}", on_long.name())
        });
        context.printer.line(format!(
            "row {number}  {place}  {contributor}  {tokens} tokens, {learned} learned{long}"
        ));
        let painted: String = row
            .segments
            .iter()
            .map(|segment| painted(context, segment))
            .collect();
        context.printer.painted(painted.trim_end_matches('\n'));
    }
}

/// Trained text in colour, or between double brackets without colour.
fn painted(context: &CommandContext, segment: &TextSegment) -> String {
    match segment {
        TextSegment {
            text,
            learned: false,
        } => clean_text(text).into_owned(),
        TextSegment { text, .. } if context.printer.paints() => {
            context.printer.paint(LEARNED, &clean_text(text))
        }
        TextSegment { text, .. } => format!("[[{}]]", clean_text(text)),
    }
}

/// The named files, or those of the project, with paths as the user wrote them.
fn sources(context: &CommandContext, files: &[PathBuf]) -> Result<Vec<DataSource>, Failure> {
    let sources = project::data_sources(context, files)?.into_iter();
    let shortened = |source: DataSource| DataSource {
        path: named_paths::shown(&context.settings, &source.path),
        ..source
    };
    Ok(sources.map(shortened).collect())
}

/// Notes which columns and messages nothing is learned from.
pub fn tell_unlearned(context: &CommandContext, dataset: &Dataset, loss: LossOn) {
    for warning in warnings::of_reading(dataset, loss) {
        let warning = warning.with_path(|path| named_paths::shown(&context.settings, path));
        context.printer.warn(warning.to_string());
    }
}

/// Says how many rows of this name are longer than the limit, and what becomes of them.
pub fn tell_long(context: &CommandContext, rows: &str, long: &LongRows) {
    if let Some(sentence) = long.sentence(rows) {
        context.printer.warn(sentence);
    }
}

/// How rows are encoded, from the settings.
fn encode_options(settings: &Settings) -> Result<EncodeOptions, Failure> {
    Ok(project::train_config(settings)?.encode_options())
}

/// Tokenizer and chat template of the configured base.
fn open_codec(context: &CommandContext) -> Result<TextCodec, Failure> {
    Ok(TextCodec::open(&project::base(context, None)?.dir)?)
}

/// The project's validation or test rows, which are read from files other than `[[data]]`.
fn held_out(settings: &Settings) -> Result<Vec<(&'static str, Vec<DataSource>)>, Failure> {
    let columns = project::columns(settings, false)?.optional();
    let file = |path: &Path| DataSource {
        columns: columns.clone(),
        ..DataSource::of_file(named_paths::shown(settings, path))
    };
    let valid = settings.train.val.iter();
    let valid = valid.filter(|stated| stated.value.parse::<f64>().is_err());
    let tests = settings.eval.data.iter();
    let parts: [(_, Vec<DataSource>); 2] = [
        ("valid", valid.map(|stated| file(&stated.path())).collect()),
        ("test", tests.map(|path| file(path)).collect()),
    ];
    let filled = parts.into_iter().filter(|(_, sources)| !sources.is_empty());
    Ok(filled.collect())
}

/// The source of a row.
fn source_of<'a>(dataset: &'a Dataset, row: &DataRow) -> &'a DataSource {
    &dataset.sources[row.source]
}
