//! The inputs of a training: settings, flags and, for a resumed run, its locked values.

use std::path::{Path, PathBuf};

use super::{CommandContext, project};
use crate::commands::settings::StatedSetting;
use openlora_core::error::Failure;
use openlora_model::{
    dataset::{ColumnNames, DataSource, LockedSource, Task, load},
    text::TextCodec,
};
use openlora_train::{RunStart, TrainInputs, ValidationOptions, run::lock::RunLock};

/// Opens all inputs that determine a training, with optional data files instead of the project's
/// and a second output folder. A resumed run keeps the values of its original flags.
pub fn inputs(
    context: &CommandContext,
    data: &[PathBuf],
    out: Option<&Path>,
    start: &RunStart,
) -> Result<TrainInputs, Failure> {
    let settings = &context.settings;
    let root = settings.project_dir().to_owned();
    let mut config = project::train_config(settings)?;
    let mut flags = project::flags(settings);
    if !data.is_empty() {
        flags.push("data".to_owned());
    }
    let mut locked = None;
    let mut base = None;
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
            locked = Some(locked_sources(&lock, &root));
        }
        flags = lock.flags;
    }
    let mut sources = match locked {
        Some(sources) => sources,
        None => project::data_sources(context, data)?,
    };
    let columns = ColumnNames::parse(&config.columns)?;
    if matches!(start, RunStart::Resume(_)) {
        sources = project::with_columns(sources, &columns);
    }
    let base = project::base(context, base.as_deref())?;
    let codec = TextCodec::open(&base.dir)?;
    let dataset = load(&sources)?.for_loss(config.loss);
    let task = Task::resolve(&dataset, &project::task_wish(settings))?;
    let validation = match ValidationOptions::parse(config.val.as_deref())? {
        ValidationOptions::File(path) => {
            let stated = settings.train.val.as_ref();
            let own = stated.filter(|stated| stated.value == path);
            let path = own.map_or_else(|| settings.working_dir.join(&path), StatedSetting::path);
            let file = vec![DataSource::of_file(path)];
            let read = load(&project::with_columns(file, &columns.optional()))?;
            Some(read.for_loss(config.loss))
        }
        _ => None,
    };
    let name = settings.project.name.clone();
    let name = name.unwrap_or_else(|| folder_name(&root));
    Ok(TrainInputs {
        name,
        base,
        codec,
        task,
        dataset,
        validation,
        config,
        flags,
        root,
        out: out.map(Path::to_owned),
    })
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
