//! The inputs of a training: settings, flags and, for a resumed run, its locked values.

use std::path::{Path, PathBuf};

use super::{CommandContext, picture_project, project};
use crate::commands::settings::{Settings, StatedSetting};
use openlora_core::error::Failure;
use openlora_model::{
    dataset::{ColumnNames, DataSource, LockedSource, Task, load},
    text::TextCodec,
};
use openlora_train::{
    RunStart, TrainConfig, TrainInputs, ValidationOptions,
    pictures::{PictureDataset, PictureTrainInputs},
    run::lock::RunLock,
};

/// What was asked for: settings, flags, data and, for a resumed run, its locked values.
pub struct RequestedTraining {
    config: TrainConfig,
    flags: Vec<String>,
    sources: Vec<DataSource>,
    /// The base of a resumed run, if it was a flag.
    base: Option<String>,
    /// The task of a resumed run.
    task: Option<Task>,
}

impl RequestedTraining {
    /// Reads what was asked for, with optional data files instead of the project's. A resumed run
    /// keeps the values of its original flags.
    ///
    /// # Errors
    ///
    /// Settings that cannot be, and no data.
    pub fn new(
        context: &CommandContext,
        data: &[PathBuf],
        start: &RunStart,
    ) -> Result<Self, Failure> {
        let settings = &context.settings;
        let root = settings.project_dir();
        let mut config = project::train_config(settings)?;
        let mut flags = project::flags(settings);
        if !data.is_empty() {
            flags.push("data".to_owned());
        }
        let (mut locked, mut base, mut task) = (None, None, None);
        if let RunStart::Resume(run) = start {
            let lock = RunLock::read(&run.lock())?;
            let kept: Vec<String> = lock
                .flags
                .iter()
                .filter(|flag| !flags.contains(flag))
                .cloned()
                .collect();
            config = config.with_keys_of(&lock.train, &kept);
            if kept.iter().any(|flag| flag == "base.id") {
                base = Some(lock.base.id.clone());
            }
            if kept.iter().any(|flag| flag == "data") {
                locked = Some(locked_sources(&lock, root));
            }
            task = Some(lock.task);
            flags = lock.flags;
        }
        let mut sources = match locked {
            Some(sources) => sources,
            None => project::data_sources(context, data)?,
        };
        if matches!(start, RunStart::Resume(_)) {
            sources = project::with_columns(sources, &ColumnNames::parse(&config.columns)?);
        }
        Ok(Self {
            config,
            flags,
            sources,
            base,
            task,
        })
    }

    /// Whether the adapter will make pictures.
    pub fn makes_pictures(&self, settings: &Settings) -> bool {
        match &self.task {
            Some(task) => *task == Task::Image,
            None => picture_project::makes_pictures(settings, &self.sources),
        }
    }

    /// The validation file or folder, if `train.val` names one.
    fn validation(&self, settings: &Settings) -> Result<Option<DataSource>, Failure> {
        let ValidationOptions::File(path) = ValidationOptions::parse(self.config.val.as_deref())?
        else {
            return Ok(None);
        };
        let stated = settings.train.val.as_ref();
        let own = stated.filter(|stated| stated.value == path);
        let path = own.map_or_else(|| settings.working_dir.join(&path), StatedSetting::path);
        Ok(Some(DataSource::of_file(path)))
    }
}

/// Opens all inputs of a training on text.
///
/// # Errors
///
/// Data and settings that do not fit the base.
pub fn text_inputs(
    context: &CommandContext,
    requested: RequestedTraining,
    out: Option<&Path>,
) -> Result<TrainInputs, Failure> {
    let settings = &context.settings;
    let validation = requested.validation(settings)?;
    let RequestedTraining {
        config,
        flags,
        sources,
        base,
        ..
    } = requested;
    let columns = ColumnNames::parse(&config.columns)?;
    let base = project::base(context, base.as_deref())?;
    let codec = TextCodec::open(&base.dir)?;
    let dataset = load(&sources)?.for_loss(config.loss);
    let task = Task::resolve(&dataset, &project::task_wish(settings))?;
    let validation = match validation {
        Some(file) => {
            let file = project::with_columns(vec![file], &columns.optional());
            Some(load(&file)?.for_loss(config.loss))
        }
        None => None,
    };
    Ok(TrainInputs {
        name: adapter_name(settings),
        base,
        codec,
        task,
        dataset,
        validation,
        config,
        flags,
        root: settings.project_dir().to_owned(),
        out: out.map(Path::to_owned),
    })
}

/// Opens all inputs of a training on pictures.
///
/// # Errors
///
/// Data and settings that do not fit the base, and settings that only text has.
pub fn picture_inputs(
    context: &CommandContext,
    requested: RequestedTraining,
    out: Option<&Path>,
) -> Result<PictureTrainInputs, Failure> {
    let settings = &context.settings;
    picture_project::refuse_text_settings(context)?;
    let opened = picture_project::open(context, requested.base.as_deref())?;
    let side = opened.model.side();
    let validation = requested.validation(settings)?;
    let validation = validation.map(|folder| PictureDataset::load(&[folder], side));
    Ok(PictureTrainInputs {
        name: adapter_name(settings),
        dataset: PictureDataset::load(&requested.sources, side)?,
        validation: validation.transpose()?,
        base: opened.base,
        model: opened.model,
        config: requested.config,
        flags: requested.flags,
        root: settings.project_dir().to_owned(),
        out: out.map(Path::to_owned),
    })
}

fn adapter_name(settings: &Settings) -> String {
    let name = settings.project.name.clone();
    name.unwrap_or_else(|| folder_name(settings.project_dir()))
}

fn locked_sources(lock: &RunLock, root: &Path) -> Vec<DataSource> {
    let source = |locked: &LockedSource| DataSource {
        path: root.join(&locked.path),
        contributor: locked.contributor.clone(),
        address: locked.address.clone(),
        license: locked.license.clone(),
        weight: locked.weight,
        columns: ColumnNames::default(),
    };
    lock.data.iter().map(source).collect()
}

fn folder_name(dir: &Path) -> String {
    dir.file_name().map_or_else(
        || "adapter".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
