//! Files and folders that the user names. A path that leads to nothing, or to a folder where a file
//! is expected, is wrong input, whichever command it is given to; what is there and cannot be read
//! is up to the machine.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::CommandContext;
use crate::commands::settings::Settings;
use openlora_core::error::{ExitClass, Failure};

#[derive(Clone, Copy, PartialEq, Eq)]
enum PathKind {
    File,
    Folder,
    Either,
}

/// The file at a path as typed; `expected` says what it is to be, such as "a recording".
pub fn file(context: &CommandContext, path: &Path, expected: &str) -> Result<PathBuf, Failure> {
    let path = absolute(context, path);
    require(&path, PathKind::File, expected)?;
    Ok(path)
}

/// The folder at a path as typed.
pub fn folder(context: &CommandContext, path: &Path, expected: &str) -> Result<PathBuf, Failure> {
    let path = absolute(context, path);
    require(&path, PathKind::Folder, expected)?;
    Ok(path)
}

/// The file or folder at a path as typed.
pub fn existing(context: &CommandContext, path: &Path, expected: &str) -> Result<PathBuf, Failure> {
    let path = absolute(context, path);
    require(&path, PathKind::Either, expected)?;
    Ok(path)
}

/// The same for a file, without a command's context.
pub fn require_file(path: &Path, expected: &str) -> Result<(), Failure> {
    require(path, PathKind::File, expected)
}

/// A folder that is written and need not be there.
pub fn new_folder(
    context: &CommandContext,
    path: &Path,
    expected: &str,
) -> Result<PathBuf, Failure> {
    let path = absolute(context, path);
    if path.exists() {
        require(&path, PathKind::Folder, expected)?;
    }
    Ok(path)
}

/// A path as messages show it: relative to the working directory if it is in it, and never empty.
pub fn shown(settings: &Settings, path: &Path) -> PathBuf {
    match path.strip_prefix(&settings.working_dir) {
        Ok(below) if below.as_os_str().is_empty() => PathBuf::from("."),
        Ok(below) => below.to_path_buf(),
        Err(_) => path.to_path_buf(),
    }
}

/// Below the working directory, and without `.`, which would hide the folder's name.
pub fn absolute(context: &CommandContext, path: &Path) -> PathBuf {
    let path = context.settings.working_dir.join(path);
    path.components().collect()
}

fn require(path: &Path, kind: PathKind, expected: &str) -> Result<(), Failure> {
    let found = match (path.metadata(), kind) {
        (Ok(_), PathKind::Either) => return Ok(()),
        (Ok(found), _) if found.is_dir() == (kind == PathKind::Folder) => return Ok(()),
        (Ok(_), PathKind::File) => "a folder",
        (Ok(_), PathKind::Folder) => "a file",
        (Err(error), _) if !leads_nowhere(&error) => {
            return Err(Failure::io("read", path, &error));
        }
        (Err(_), PathKind::File) => "no such file",
        (Err(_), PathKind::Folder | PathKind::Either) => "no such folder",
    };
    let message = format!("{}: {found}, expected {expected}", path.display());
    Err(Failure::new(ExitClass::BadInput, message))
}

fn leads_nowhere(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
