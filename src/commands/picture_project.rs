//! Projects of pictures: their data are folders, their base makes pictures, and settings that only text
//! has are refused by name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{CommandContext, project};
use crate::commands::settings::{SettingOrigin, Settings};
use openlora_core::error::{ExitClass, Failure};
use openlora_model::{PictureBase, dataset::DataSource, nano::PICO};
use openlora_pictures::PictureKind;
use openlora_train::{
    TEXT_ONLY,
    pictures::{PictureDataset, PictureModel},
};

/// Settings of a project that have no meaning for pictures, besides those of a training.
const TEXT_ONLY_PROJECT: &[&str] = &[
    "project.labels",
    "project.instruction",
    "attribution.method",
];

/// Whether a training on these data makes pictures: `project.task` says so, or is unset and all data
/// are folders of pictures.
pub fn makes_pictures(settings: &Settings, sources: &[DataSource]) -> bool {
    match settings.project.task.as_deref() {
        Some(task) => task == "image",
        None => !sources.is_empty() && sources.iter().all(|source| holds_pictures(&source.path)),
    }
}

/// Files of these kinds are refused by name where a folder's other files are pictures.
const OTHER_PICTURES: &[&str] = &["avif", "bmp", "gif", "heic", "svg", "tif", "tiff"];

/// Whether a folder has pictures, or a table of their captions.
fn holds_pictures(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.any(|path| {
        let is_table = path.file_stem().is_some_and(|stem| stem == "metadata");
        let extension = path.extension().and_then(|it| it.to_str());
        is_table
            || extension.is_some_and(|it| {
                PictureKind::of_extension(it).is_some()
                    || OTHER_PICTURES.contains(&it.to_ascii_lowercase().as_str())
            })
    })
}

/// Refuses settings of the project, of variables and of flags that only text has, and warns of those
/// in the user's own settings.
///
/// # Errors
///
/// There are such settings; the message names all of them.
pub fn refuse_text_settings(context: &CommandContext) -> Result<(), Failure> {
    let settings = &context.settings;
    let (mut refused, mut ignored) = (Vec::new(), Vec::new());
    let of_project = TEXT_ONLY_PROJECT.iter().map(|key| (*key).to_owned());
    let of_training = TEXT_ONLY.iter().map(|key| format!("train.{key}"));
    for key in of_project.chain(of_training) {
        let Some((_, origin)) = settings.get(&key) else {
            continue;
        };
        match origin {
            SettingOrigin::Default => {}
            SettingOrigin::File { place } if !is_of_project(settings, place) => {
                ignored.push(format!("`{key}` ({place})"));
            }
            origin => refused.push(format!("`{key}` ({origin})")),
        }
    }
    if !ignored.is_empty() {
        let all = ignored.join(", ");
        context
            .printer
            .warn(format!("no meaning for pictures, so not used: {all}"));
    }
    if refused.is_empty() {
        return Ok(());
    }
    let message = format!("no meaning for pictures: {}", refused.join(", "));
    Err(Failure::new(ExitClass::BadInput, message)
        .with_hint("leave these settings out; they are for adapters that write text"))
}

/// Whether a place `path:line` is in the project's own file.
fn is_of_project(settings: &Settings, place: &str) -> bool {
    let file = settings.project_file.as_ref();
    file.is_some_and(|file| place.starts_with(&*file.to_string_lossy()))
}

/// The base and its weights.
pub struct OpenPictureBase {
    pub base: PictureBase,
    pub model: PictureModel,
}

/// Opens the base `id`, by default the configured one or else `pico`, and loads it.
///
/// # Errors
///
/// It is no base for pictures, or its files are damaged.
pub fn open(context: &CommandContext, id: Option<&str>) -> Result<OpenPictureBase, Failure> {
    let default = context.settings.base.id.is_default().then_some(PICO);
    let base = project::picture_base(context, id.or(default))?;
    let model = PictureModel::load(&base)?;
    Ok(OpenPictureBase { base, model })
}

/// The held-out pictures of a `--data` flag or of `eval.data`; `None` if neither names a folder.
///
/// # Errors
///
/// A folder, picture or caption that cannot be read.
pub fn held_out(
    context: &CommandContext,
    folders: &[PathBuf],
    side: u32,
) -> Result<Option<PictureDataset>, Failure> {
    let sources = project::held_out_sources(context, folders);
    if sources.is_empty() {
        return Ok(None);
    }
    Ok(Some(PictureDataset::load(&sources, side)?))
}
