//! `serve --adapters DIR`: each folder in it is an adapter, under the folder's name.

use std::path::{Path, PathBuf};

use super::as_model_id;
use openlora_core::error::{ExitClass, Failure};

/// An adapter's name, and the folder of the adapter, of its package or of its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFolder {
    pub name: String,
    pub path: PathBuf,
}

/// The folders in `dir`, by name. Files, and folders whose names begin with a dot, are none.
///
/// # Errors
///
/// `dir` cannot be read or holds no folder, or a folder's name is no name of a model.
pub fn named_folders(dir: &Path) -> Result<Vec<NamedFolder>, Failure> {
    let unreadable = |error: std::io::Error| Failure::io("read the folder", dir, &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || !path.is_dir() {
            continue;
        }
        if as_model_id(&name) != name {
            let message = format!(
                "{}: expected a name of letters, digits and any of - _ .",
                path.display()
            );
            return Err(Failure::new(ExitClass::BadInput, message).with_hint(
                "rename the folder, or name its adapter yourself: --adapter NAME=PATH",
            ));
        }
        let name = name.into_owned();
        found.push(NamedFolder { name, path });
    }
    if found.is_empty() {
        let message = format!("{} holds no adapters", dir.display());
        return Err(Failure::new(ExitClass::BadInput, message).with_hint(
            "put each adapter, package or run into a folder of its own there; its name is the model's",
        ));
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}
