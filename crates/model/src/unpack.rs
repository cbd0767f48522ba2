//! Atomic unpacking of embedded files.

use std::path::Path;

use super::error::ModelError;
use openlora_core::{
    atomic::{self, FileAccess},
    private::files,
};

/// A file embedded in the binary.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedFile {
    pub name: &'static str,
    pub bytes: &'static [u8],
}

/// Makes `dir` contain exactly these contents. Missing and damaged files are written again, each by
/// renaming a complete file into place; valid ones are left unchanged.
///
/// # Errors
///
/// The folder or a file cannot be read or written.
pub fn unpack(embedded: &[EmbeddedFile], dir: &Path) -> Result<(), ModelError> {
    let wrong: Vec<&EmbeddedFile> = embedded
        .iter()
        .filter(|file| !is_there(file, dir))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    files::folder(dir).map_err(ModelError::io("create", dir))?;
    wrong.into_iter().try_for_each(|file| {
        let path = dir.join(file.name);
        atomic::replace_file(&path, file.bytes, FileAccess::Owner)
            .map_err(ModelError::io("write", &path))
    })
}

fn is_there(file: &EmbeddedFile, dir: &Path) -> bool {
    let path = dir.join(file.name);
    let right_size = path
        .metadata()
        .is_ok_and(|found| found.len() == file.bytes.len() as u64);
    right_size && std::fs::read(&path).is_ok_and(|found| found == file.bytes)
}
