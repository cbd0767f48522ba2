//! Project data that several commands need: base model, datasets and training settings.

use std::path::{Path, PathBuf};

use super::{CommandContext, named_paths};
use crate::commands::printer::{Printer, ProgressReport};
use crate::commands::settings::{KEYS, SettingOrigin, SettingValue, Settings, SourceEntry};
use openlora_core::{
    atomic,
    error::{ExitClass, Failure},
    private::files,
};
use openlora_model::{
    BaseModel, BaseProgress, BaseRequest, DownloadProgress, HubToken, PictureBase, SelectedBase,
    adapter::CONFIG_FILE,
    dataset::{ColumnNames, DataSource, Dataset, TaskOptions, load},
    gguf::ConversionProgress,
    nano::{NANO, PICO},
    open_base, open_picture_base, select_base,
};
use openlora_train::{RunDir, TrainConfig, TrainError};

const MEGABYTE: u64 = 1_000_000;

/// Folder of the project's runs.
pub fn runs(context: &CommandContext) -> PathBuf {
    context.settings.project_dir().join("runs")
}

/// The run that is named, or the newest that is finished.
///
/// # Errors
///
/// There is no such run, or it has no adapter. `instead` says what the user may name where there is
/// no project.
pub fn finished_run(
    context: &CommandContext,
    wanted: Option<&str>,
    instead: &str,
) -> Result<RunDir, Failure> {
    let runs = runs(context);
    if let Some(wanted) = wanted {
        let run = RunDir::find(&runs, Some(wanted))?;
        run.require_adapter()?;
        return Ok(run);
    }
    let newest = RunDir::newest(&runs).map_err(|error| without_run(context, error, instead))?;
    if let Some(unfinished) = newest.unfinished {
        context.printer.note(format!(
            "the run {} has no adapter yet: taking the run {}",
            unfinished.id(),
            newest.finished.id()
        ));
    }
    Ok(newest.finished)
}

/// The folder of an adapter that is named by itself or by its run.
pub fn adapter_folder(context: &CommandContext, wanted: &Path) -> Result<PathBuf, Failure> {
    let here = context.settings.working_dir.join(wanted);
    atomic::recover_folder(&here).map_err(|error| Failure::io("recover", &here, &error))?;
    if here.join(CONFIG_FILE).exists() {
        return Ok(here);
    }
    if let Ok(run) = RunDir::find(&runs(context), Some(&wanted.to_string_lossy())) {
        run.require_adapter()?;
        return Ok(run.adapter());
    }
    // Neither: reading the folder reports what is missing.
    let here = named_paths::folder(context, wanted, "an adapter or a run")?;
    let inside = here.join("adapter");
    Ok(if inside.is_dir() { inside } else { here })
}

/// Outside of a project, a training could not start either.
pub fn without_run(context: &CommandContext, error: TrainError, instead: &str) -> Failure {
    match error {
        TrainError::NoRun { .. } if context.settings.project_file.is_none() => {
            no_project(&context.settings, instead)
        }
        error => error.into(),
    }
}

fn no_project(settings: &Settings, instead: &str) -> Failure {
    let message = format!(
        "no project here: neither {} nor a folder above it has an openlora.toml",
        settings.working_dir.display()
    );
    Failure::new(ExitClass::BadInput, message).with_hint(format!(
        "make one with `openlora init` and go into its folder, or name {instead}"
    ))
}

/// Opens the base `id` for text (by default the configured one), and downloads it if necessary.
pub fn base(context: &CommandContext, id: Option<&str>) -> Result<BaseModel, Failure> {
    opened(context, id, |request, report| {
        Ok(open_base(request, report)?)
    })
}

/// Opens the base `id` for pictures, like [`base`].
pub fn picture_base(context: &CommandContext, id: Option<&str>) -> Result<PictureBase, Failure> {
    opened(context, id, |request, report| {
        Ok(open_picture_base(request, report)?)
    })
}

/// Opens the base `id` of either kind, like [`base`].
pub fn any_base(context: &CommandContext, id: Option<&str>) -> Result<SelectedBase, Failure> {
    opened(context, id, |request, report| {
        Ok(select_base(request, report)?)
    })
}

type BaseOpening<B> = fn(&BaseRequest, &mut dyn FnMut(BaseProgress)) -> Result<B, Failure>;

fn opened<B>(
    context: &CommandContext,
    id: Option<&str>,
    open: BaseOpening<B>,
) -> Result<B, Failure> {
    let wanted = &context.settings.base;
    let request = BaseRequest {
        id: id.map_or_else(|| wanted.located(), str::to_owned),
        revision: wanted.revision.clone(),
        endpoint: wanted.endpoint.clone(),
        models_dir: context.dirs.models(),
        nano_dir: context.dirs.nano(),
        token: hub_token(context),
        offline: context.offline,
    };
    let mut report = BaseReport::new(context);
    if ![NANO, PICO].contains(&request.id.as_str()) {
        // Files downloaded into it inherit its private permissions.
        let cache = &context.dirs.cache;
        files::new_folder(cache)
            .map_err(|error| Failure::io("create the folder", cache, &error))?;
    }
    open(&request, &mut |progress| report.show_progress(progress))
}

/// Shows what takes long about opening a base.
struct BaseReport<'a> {
    printer: &'a Printer,
    conversion: Option<(ProgressReport, u64)>,
}

impl<'a> BaseReport<'a> {
    fn new(context: &'a CommandContext) -> Self {
        Self {
            printer: &context.printer,
            conversion: None,
        }
    }

    fn show_progress(&mut self, progress: BaseProgress) {
        match progress {
            BaseProgress::Download(DownloadProgress::Started { file, bytes }) => {
                let size = bytes / MEGABYTE;
                self.printer.note(format!("fetching {file} ({size} MB)"));
            }
            BaseProgress::Download(_) => {}
            BaseProgress::Conversion(progress) => self.show_conversion(progress),
        }
    }

    fn show_conversion(&mut self, progress: ConversionProgress) {
        match progress {
            ConversionProgress::Waiting { file } => {
                let text = format!("another process converts {file}; waiting for it");
                self.printer.note(text);
            }
            ConversionProgress::Started { file, kind, bytes } => {
                let (kind, size) = (kind.name(), bytes / MEGABYTE);
                self.printer.note(format!(
                    "converting {file} ({kind}) once, to {size} MB in the cache of models"
                ));
                let report = self.printer.progress("converted MB", size);
                self.conversion = Some((report, 0));
            }
            ConversionProgress::Advanced { bytes } => {
                if let Some((report, done)) = &mut self.conversion {
                    *done += bytes;
                    report.update(*done / MEGABYTE, "");
                }
            }
            ConversionProgress::Finished => self.conversion = None,
        }
    }
}

/// The Hub token is sent only to the Hub that the user configured: a foreign project file could
/// name another one.
pub fn hub_token(context: &CommandContext) -> Option<HubToken> {
    let token = std::env::var("HF_TOKEN").ok();
    let token = token.filter(|token| !token.is_empty())?;
    match context.settings.is_own("base.endpoint") {
        true => Some(HubToken(token)),
        false => {
            let hub = &context.settings.base.endpoint;
            context.printer.note(format!(
                "HF_TOKEN is not sent to {hub}, which the project file names; send it with: \
                 openlora config set --user base.endpoint {hub}"
            ));
            None
        }
    }
}

/// The same as [`sources`], of which there must be one.
///
/// # Errors
///
/// No file is named and there is no project, or the project lists no data.
pub fn data_sources(
    context: &CommandContext,
    files: &[PathBuf],
) -> Result<Vec<DataSource>, Failure> {
    let settings = &context.settings;
    let columns = columns(settings, files.is_empty())?;
    let found = sources(context, files);
    if !found.is_empty() {
        return Ok(with_columns(found, &columns));
    }
    let Some(file) = &settings.project_file else {
        return Err(no_project(settings, "the data files"));
    };
    let message = format!("{}: no `[[data]]` entry names a data file", file.display());
    Err(Failure::new(ExitClass::BadInput, message).with_hint(
        "add a `[[data]]` with `path` and `contributor` for each file, or name the data files",
    ))
}

/// The named files, or the project's sources. A file that the project also lists keeps its
/// contributor.
pub fn sources(context: &CommandContext, files: &[PathBuf]) -> Vec<DataSource> {
    let settings = &context.settings;
    let own: Vec<DataSource> = settings.sources.iter().map(source).collect();
    if files.is_empty() {
        return own;
    }
    let named = |file: &PathBuf| {
        let path = named_paths::absolute(context, file);
        let found = own.iter().find(|source| same_file(&source.path, &path));
        found.cloned().unwrap_or_else(|| DataSource::of_file(path))
    };
    files.iter().map(named).collect()
}

/// The columns that have other names in data files. Where a settings file says so, it means the
/// project's own data: other files may have the names of the formats, as those of `data split`.
pub fn columns(settings: &Settings, is_own_data: bool) -> Result<ColumnNames, Failure> {
    let columns = ColumnNames::parse(&settings.train.columns)?;
    let by_file = settings
        .get("train.columns")
        .is_some_and(|(_, origin)| matches!(origin, SettingOrigin::File { .. }));
    Ok(match by_file && !is_own_data {
        true => columns.optional(),
        false => columns,
    })
}

/// The sources, with these names of their columns.
pub fn with_columns(sources: Vec<DataSource>, columns: &ColumnNames) -> Vec<DataSource> {
    let named = |source| DataSource {
        columns: columns.clone(),
        ..source
    };
    sources.into_iter().map(named).collect()
}

fn source(entry: &SourceEntry) -> DataSource {
    DataSource {
        path: entry.path.clone(),
        contributor: entry.contributor.clone(),
        address: entry.address.clone(),
        license: entry.license.clone(),
        weight: entry.weight,
        columns: ColumnNames::default(),
    }
}

fn same_file(one: &Path, two: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    one == two || real(one).is_some_and(|one| real(two) == Some(one))
}

/// The task options of the project.
pub fn task_wish(settings: &Settings) -> TaskOptions {
    let project = &settings.project;
    TaskOptions {
        task: project.task.clone(),
        labels: project.labels.clone(),
        instruction: project.instruction.clone(),
    }
}

/// The held-out rows of a `--data` flag or of `eval.data`; `None` if neither names a file.
pub fn held_out(
    context: &CommandContext,
    files: &[PathBuf],
    columns: &ColumnNames,
) -> Result<Option<Dataset>, Failure> {
    let sources = held_out_sources(context, files);
    if sources.is_empty() {
        return Ok(None);
    }
    Ok(Some(load(&with_columns(sources, columns))?))
}

/// The held-out files or folders of a `--data` flag or of `eval.data`; empty if neither names one.
pub fn held_out_sources(context: &CommandContext, files: &[PathBuf]) -> Vec<DataSource> {
    let paths: Vec<PathBuf> = if files.is_empty() {
        context.settings.eval.data.clone()
    } else {
        files
            .iter()
            .map(|file| named_paths::absolute(context, file))
            .collect()
    };
    paths.into_iter().map(DataSource::of_file).collect()
}

/// The `train.*` settings.
pub fn train_config(settings: &Settings) -> Result<TrainConfig, Failure> {
    let mut table = toml::Table::new();
    for key in KEYS {
        let Some(name) = key.name.strip_prefix("train.") else {
            continue;
        };
        if let Some((value, _)) = settings.get(key.name) {
            table.insert(name.to_owned(), as_toml(value));
        }
    }
    table.try_into().map_err(|error: toml::de::Error| {
        Failure::new(
            ExitClass::Internal,
            format!("the train settings do not fit: {error}"),
        )
    })
}

/// The settings given as flags of this command line.
pub fn flags(settings: &Settings) -> Vec<String> {
    KEYS.iter()
        .filter(|key| {
            matches!(
                settings.get(key.name),
                Some((_, SettingOrigin::Flag { .. }))
            )
        })
        .map(|key| key.name.to_owned())
        .collect()
}

fn as_toml(value: &SettingValue) -> toml::Value {
    match value {
        SettingValue::Integer(number) => toml::Value::Integer(*number),
        SettingValue::Number(number) => toml::Value::Float(*number),
        SettingValue::Boolean(on) => toml::Value::Boolean(*on),
        SettingValue::Text(text) => toml::Value::String(text.clone()),
        SettingValue::List(texts) => {
            toml::Value::Array(texts.iter().cloned().map(toml::Value::String).collect())
        }
    }
}
