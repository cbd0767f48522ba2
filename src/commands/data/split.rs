//! `data split`: writes deterministic train, valid and test files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{encode_options, source_of, sources, tell_unlearned};
use crate::commands::{CommandContext, named_paths, picture_project};
use openlora_core::{
    atomic::{self, FileAccess},
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_model::dataset::{
    self, Dataset,
    split::{self as splitting, DataSplit, DataSplitOptions},
};

/// What to split, how, and the target folder.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitRequest {
    /// The project's files when empty.
    pub files: Vec<PathBuf>,
    pub out: PathBuf,
    pub valid: f64,
    pub test: f64,
    /// Overwrite files that exist.
    pub force: bool,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct SplitFile {
    path: PathBuf,
    rows: usize,
    /// The contributor of the rows; absent if the file has rows of several contributors.
    contributor: Option<String>,
}

/// The files that a split wrote.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct SplitReport {
    pub files: Vec<SplitFile>,
}

/// Rows by the name of their target file.
type FileRows = BTreeMap<String, Vec<usize>>;

/// Splits rows by their text and the seed. Training rows keep one file per source, so that each
/// file has one contributor; held-out rows are combined.
pub fn split(context: &CommandContext, request: &SplitRequest) -> Result<ExitStatus, Failure> {
    named_paths::new_folder(context, &request.out, "a folder for the parts")?;
    let sources = sources(context, &request.files)?;
    if picture_project::makes_pictures(&context.settings, &sources) {
        let message = "`data split` divides files of text, and the data are folders of pictures";
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("hold a part of each folder out while training with --val 0.1"));
    }
    let dataset = dataset::load(&sources)?;
    tell_unlearned(context, &dataset, encode_options(&context.settings)?.loss);
    let wish = DataSplitOptions {
        valid: request.valid,
        test: request.test,
        seed: context.settings.train.seed,
    };
    let files = files(&dataset, splitting::split(&dataset, &wish)?);
    refuse_to_overwrite(request, &files)?;
    let written = write_all(&dataset, &request.out, &files)?;
    print_files(context, written);
    Ok(ExitStatus::Success)
}

fn files(dataset: &Dataset, split: DataSplit) -> FileRows {
    let names = train_names(dataset);
    let mut files = FileRows::new();
    for row in split.train {
        files
            .entry(names[dataset.rows[row].source].clone())
            .or_default()
            .push(row);
    }
    for (name, rows) in [("valid.jsonl", split.valid), ("test.jsonl", split.test)] {
        if !rows.is_empty() {
            files.insert(name.to_owned(), rows);
        }
    }
    files
}

/// `train.jsonl`, or `train-NAME.jsonl` for each of several sources.
fn train_names(dataset: &Dataset) -> Vec<String> {
    if dataset.sources.len() == 1 {
        return vec!["train.jsonl".to_owned()];
    }
    let mut names: Vec<String> = Vec::new();
    for source in &dataset.sources {
        let stem = source
            .path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let plain = format!("train-{stem}.jsonl");
        let taken = names.contains(&plain);
        names.push(if taken {
            format!("train-{stem}-{}.jsonl", names.len() + 1)
        } else {
            plain
        });
    }
    names
}

fn refuse_to_overwrite(request: &SplitRequest, files: &FileRows) -> Result<(), Failure> {
    let mut paths = files.keys().map(|name| request.out.join(name));
    match paths.find(|path| path.exists()) {
        Some(path) if !request.force => {
            let message = format!("{} exists already", path.display());
            Err(Failure::new(ExitClass::Usage, message)
                .with_hint("choose another folder, or overwrite with --force"))
        }
        _ => Ok(()),
    }
}

fn write_all(dataset: &Dataset, out: &Path, files: &FileRows) -> Result<Vec<SplitFile>, Failure> {
    std::fs::create_dir_all(out).map_err(|error| Failure::io("create", out, &error))?;
    let mut written = Vec::new();
    for (name, rows) in files {
        let path = out.join(name);
        write(dataset, rows, &path).map_err(|error| Failure::io("write", &path, &error))?;
        let of_one = name.starts_with("train").then(|| &dataset.rows[rows[0]]);
        written.push(SplitFile {
            path,
            rows: rows.len(),
            contributor: of_one.map(|row| source_of(dataset, row).contributor.clone()),
        });
    }
    Ok(written)
}

/// Written to a draft first: a file is either complete or absent.
fn write(dataset: &Dataset, rows: &[usize], path: &Path) -> std::io::Result<()> {
    let lines: String = rows
        .iter()
        .map(|row| dataset.rows[*row].example.to_json_line() + "\n")
        .collect();
    atomic::replace_file(path, lines.as_bytes(), FileAccess::Owner)
}

fn print_files(context: &CommandContext, written: Vec<SplitFile>) {
    if context.printer.is_json() {
        return context.printer.json(&SplitReport { files: written });
    }
    for SplitFile { path, rows, .. } in written {
        context
            .printer
            .line(format!("{rows:>7}  {}", path.display()));
    }
}
