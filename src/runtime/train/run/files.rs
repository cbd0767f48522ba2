//! Writing so that a crash or a full disk leaves either the old content or the new, never half.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use super::super::error::TrainError;
use crate::runtime::disk;

type Result<T> = std::result::Result<T, TrainError>;

/// Replaces `path` with `bytes`.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = beside(path);
    let written = write_durably(&fresh, bytes)
        .and_then(|()| fs::rename(&fresh, path).map_err(|e| TrainError::io("write", path, e)));
    if written.is_err() {
        // The error that counts is the one above; a leftover only costs space.
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// Writes a new file and waits until it is on the disk.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| TrainError::io("write", path, error))
}

/// Fills a folder through `fill` and shows it under its name only when it is complete. A folder
/// that has the name already is replaced.
pub fn replace_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let fresh = beside(path);
    clear(&fresh)?;
    let filled = create_folder(&fresh)
        .and_then(|()| fill(&fresh))
        .and_then(|()| sync_folder(&fresh))
        .and_then(|()| clear(path))
        .and_then(|()| fs::rename(&fresh, path).map_err(|e| TrainError::io("write", path, e)));
    if filled.is_err() {
        // As above.
        let _ = fs::remove_dir_all(&fresh);
    }
    filled?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Writes what can be drawn again: without waiting for the disk.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| TrainError::io("write", path, error))
}

pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| TrainError::io("create", path, error))
}

/// Removes a folder; none being there is fine.
pub fn clear(path: &Path) -> Result<()> {
    disk::remove_folder(path).map_err(|error| TrainError::io("remove", path, error))
}

pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| TrainError::io("read", path, error))
}

fn sync_folder(path: &Path) -> Result<()> {
    disk::sync_folder(path).map_err(|error| TrainError::io("write", path, error))
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}
