//! Atomic file operations of a run, with errors that name the files.

use std::{fs, path::Path};

use super::super::error::TrainError;
use openlora_core::atomic::{self, FileAccess, FolderDraft};

type RunFileResult<T> = Result<T, TrainError>;

/// Replaces `path` with `bytes`.
pub fn replace(path: &Path, bytes: &[u8]) -> RunFileResult<()> {
    atomic::replace_file(path, bytes, FileAccess::Everyone)
        .map_err(|error| TrainError::io("write", path, error))
}

/// Replaces the folder `path` with one that holds these files.
pub fn replace_folder(path: &Path, files: &[(&str, Vec<u8>)]) -> RunFileResult<()> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| TrainError::io("write", &path, error)
    };
    let draft = FolderDraft::in_folder(atomic::parent(path)).map_err(failed(path))?;
    for (name, bytes) in files {
        draft.write(name, bytes).map_err(failed(&path.join(name)))?;
    }
    draft.replace(path).map_err(failed(path))
}

pub fn create_folder(path: &Path) -> RunFileResult<()> {
    fs::create_dir_all(path).map_err(|error| TrainError::io("create", path, error))
}

/// Removes a folder; a missing folder is not an error.
pub fn clear(path: &Path) -> RunFileResult<()> {
    atomic::remove_folder(path).map_err(|error| TrainError::io("remove", path, error))
}

pub fn read(path: &Path) -> RunFileResult<Vec<u8>> {
    fs::read(path).map_err(|error| TrainError::io("read", path, error))
}
