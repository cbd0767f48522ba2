//! `data check` and `data preview` of folders of pictures.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    PreviewRequest, held_out,
    report::{self, DataFinding, DataReport, PartReport, PictureSizes},
};
use crate::commands::{CommandContext, named_paths, picture_project};
use openlora_core::{
    error::{ExitClass, ExitStatus, Explain, Failure},
    private::foreign_text::clean_line,
};
use openlora_model::dataset::{
    DataSource, Task,
    duplicates::{DuplicateRow, RowPlace},
    statistics::SourceFigures,
};
use openlora_pictures::folder::{CaptionLength, FolderWarning, unfamiliar_captions};
use openlora_train::{
    TrainError,
    pictures::{CaptionCache, PictureDataset, PictureInspection, PictureModel},
};

/// Maximum errors listed.
const FAULTS_SHOWN: usize = 20;

/// A picture with its caption, as `preview --json` prints it.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PicturePreview {
    row: usize,
    /// Where the caption is.
    place: String,
    file: PathBuf,
    contributor: String,
    /// As in the file, in pixels.
    width: u32,
    height: u32,
    /// Tokens of the caption.
    tokens: usize,
    caption: String,
}

/// A part of the data.
struct PicturePart {
    name: &'static str,
    found: PictureDataset,
    /// Tokens of each caption that can be read.
    tokens: Vec<usize>,
}

/// Checks the training folders, and those for validation and test if `with_held_out`.
pub fn check(
    context: &CommandContext,
    own: Vec<DataSource>,
    with_held_out: bool,
) -> Result<ExitStatus, Failure> {
    picture_project::refuse_text_settings(context)?;
    let model = picture_project::open(context, None)?.model;
    let mut wanted = vec![("train", own)];
    if with_held_out {
        wanted.extend(held_out(&context.settings)?);
    }
    let (mut parts, mut errors) = (Vec::new(), Vec::new());
    for (name, sources) in wanted {
        let PictureInspection {
            dataset,
            errors: found,
        } = PictureDataset::inspect(&sources, model.side(), usize::MAX);
        errors.extend(found);
        let captions = read_captions(&model, &dataset);
        errors.extend(captions.errors);
        let mut found = dataset;
        found.warnings.extend(captions.warning);
        parts.push(PicturePart {
            name,
            found,
            tokens: captions.tokens,
        });
    }
    let more_errors = errors.len().saturating_sub(FAULTS_SHOWN);
    errors.truncate(FAULTS_SHOWN);
    let report = DataReport {
        ok: errors.is_empty(),
        task: Some(Task::Image),
        duplicates: duplicates(&parts),
        warnings: warnings(context, &parts),
        parts: parts.iter().map(part_report).collect(),
        errors: errors.iter().map(finding).collect(),
        more_errors,
        cut_short: Vec::new(),
    };
    report::print(context, &report);
    Ok(match report.ok {
        true => ExitStatus::Success,
        false => ExitStatus::Verdict(ExitClass::BadInput),
    })
}

/// What was read of captions.
struct ReadCaptions {
    /// Tokens of each caption that can be read.
    tokens: Vec<usize>,
    errors: Vec<TrainError>,
    /// Captions in words that the tokenizer hardly knows.
    warning: Option<FolderWarning>,
}

fn read_captions(model: &PictureModel, data: &PictureDataset) -> ReadCaptions {
    let mut captions = CaptionCache::new(model);
    let (mut lengths, mut errors) = (Vec::new(), Vec::new());
    for row in &data.rows {
        match captions.of_row(row) {
            Ok(caption) => lengths.push(CaptionLength {
                place: &row.place,
                bytes: row.caption.len(),
                tokens: caption.tokens(),
            }),
            Err(error) => errors.push(error),
        }
    }
    ReadCaptions {
        warning: unfamiliar_captions(&lengths),
        tokens: lengths.iter().map(|length| length.tokens).collect(),
        errors,
    }
}

fn finding(error: &TrainError) -> DataFinding {
    DataFinding {
        message: error.to_string(),
        hint: error.hint(),
    }
}

fn part_report(part: &PicturePart) -> PartReport {
    let data = &part.found;
    let sides = || data.rows.iter().map(|row| row.width.min(row.height));
    let captions: std::collections::BTreeSet<&str> =
        data.rows.iter().map(|row| row.caption.as_str()).collect();
    let sizes = PictureSizes {
        smallest_side: sides().min().unwrap_or_default(),
        largest_side: sides().max().unwrap_or_default(),
        captions: captions.len(),
        longest_caption_tokens: part.tokens.iter().max().copied().unwrap_or_default(),
    };
    PartReport {
        name: part.name,
        rows: data.len(),
        digest: data.digest.clone(),
        sources: sources(data),
        labels: Default::default(),
        lengths: None,
        long_rows: Vec::new(),
        pictures: (!data.is_empty()).then_some(sizes),
    }
}

fn sources(data: &PictureDataset) -> Vec<SourceFigures> {
    let all = data.sources.iter().zip(&data.source_digests).enumerate();
    let figures = all.map(|(index, (source, digest))| SourceFigures {
        path: source.path.display().to_string(),
        contributor: source.contributor.clone(),
        license: source.license.clone(),
        kind: Some("picture"),
        rows: data.rows.iter().filter(|row| row.source == index).count(),
        labels: Default::default(),
        digest: digest.clone(),
    });
    figures.collect()
}

/// Pictures that repeat an earlier one of any part.
fn duplicates(parts: &[PicturePart]) -> Vec<DuplicateRow> {
    let rows = || {
        parts
            .iter()
            .flat_map(|part| part.found.rows.iter().map(move |row| (part, row)))
    };
    let place = |at: usize| {
        let found = rows().nth(at);
        found.map(|(part, row)| RowPlace {
            part: part.name.to_owned(),
            at: row.place.clone(),
        })
    };
    let all = rows().map(|(_, row)| row.clone()).collect();
    let repeats = PictureDataset::new(Vec::new(), all).repeats().into_iter();
    let repeats = repeats.filter_map(|repeat| {
        let (first, second) = (place(repeat.first)?, place(repeat.second)?);
        Some(DuplicateRow {
            similarity: if repeat.exact { 1.0 } else { 0.99 },
            leaks: first.part != second.part,
            labels: None,
            first,
            second,
        })
    });
    repeats.collect()
}

/// What can be read and may still train badly. Repeated pictures are listed apart.
fn warnings(context: &CommandContext, parts: &[PicturePart]) -> Vec<DataFinding> {
    let all = parts.iter().flat_map(|part| &part.found.warnings);
    let all = all.filter(|warning| !matches!(warning, FolderWarning::SamePicture { .. }));
    let mut found: Vec<DataFinding> = all.map(folder_finding).collect();
    let settings = &context.settings;
    if settings.train.val.is_none() && settings.eval.data.is_empty() {
        let hint = "name a folder under eval.data, or hold some out with train.val = \"0.1\"";
        found.push(DataFinding {
            message: "no pictures are held out".to_owned(),
            hint: Some(hint.to_owned()),
        });
    }
    found
}

fn folder_finding(warning: &FolderWarning) -> DataFinding {
    let hint = match warning {
        FolderWarning::Cut { .. } => {
            "cut them to squares yourself where the margins have what the caption says"
        }
        FolderWarning::Enlarged { .. } => "use larger pictures: enlarged ones are blurred",
        FolderWarning::Unfamiliar { .. } => {
            "the base reads captions best in the words and the language that it was trained with"
        }
        FolderWarning::UnreadKeys { .. } => "a caption is in `text` or `caption`",
        FolderWarning::UnreadFiles { .. } => "pictures are PNG, JPEG or WebP files",
        FolderWarning::SamePicture { .. } => "remove one of them",
    };
    DataFinding {
        message: warning.to_string(),
        hint: Some(hint.to_owned()),
    }
}

/// Shows pictures with their captions.
pub fn preview(
    context: &CommandContext,
    sources: &[DataSource],
    request: &PreviewRequest,
) -> Result<ExitStatus, Failure> {
    picture_project::refuse_text_settings(context)?;
    let model = picture_project::open(context, None)?.model;
    let data = PictureDataset::load(sources, model.side())?;
    let rows = super::chosen(data.len(), request)?;
    let mut captions = CaptionCache::new(&model);
    let previews = rows.map(|number| {
        let row = &data.rows[number - 1];
        Ok(PicturePreview {
            row: number,
            place: row.place.clone(),
            file: named_paths::shown(&context.settings, &row.path),
            contributor: data.sources[row.source].contributor.clone(),
            width: row.width,
            height: row.height,
            tokens: captions.of_row(row)?.tokens(),
            caption: row.caption.clone(),
        })
    });
    let previews = previews.collect::<Result<Vec<_>, TrainError>>()?;
    if context.printer.is_json() {
        context.printer.json(&previews);
        return Ok(ExitStatus::Success);
    }
    for (at, it) in previews.iter().enumerate() {
        if at > 0 {
            context.printer.line("");
        }
        let head = format!(
            "row {}  {}  {}  {} × {} pixels, {} tokens",
            it.row,
            it.file.display(),
            it.contributor,
            it.width,
            it.height,
            it.tokens
        );
        context.printer.line(clean_line(&head));
        context.printer.line(clean_line(&it.caption));
    }
    Ok(ExitStatus::Success)
}
