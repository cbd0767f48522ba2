//! Putting embedded files where other code can open them, whole or not at all.

use std::{io::Write, path::Path};

use super::error::ModelError;

/// A file that the binary carries.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedFile {
    pub name: &'static str,
    pub bytes: &'static [u8],
}

/// Makes `dir` hold exactly these contents: missing and damaged files are written anew, each by
/// renaming a finished one into place, and right ones are left alone.
///
/// # Errors
/// When the folder or a file cannot be read or written.
pub fn unpack(files: &[EmbeddedFile], dir: &Path) -> Result<(), ModelError> {
    let wrong: Vec<&EmbeddedFile> = files.iter().filter(|file| !is_there(file, dir)).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).map_err(ModelError::io("create", dir))?;
    wrong
        .into_iter()
        .try_for_each(|file| write_whole(&dir.join(file.name), file.bytes))
}

fn is_there(file: &EmbeddedFile, dir: &Path) -> bool {
    let path = dir.join(file.name);
    let right_size = path
        .metadata()
        .is_ok_and(|found| found.len() == file.bytes.len() as u64);
    right_size && std::fs::read(&path).is_ok_and(|found| found == file.bytes)
}

/// Writes a file under another name and renames it when it is complete and on disk.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let failed = |error| ModelError::io("write", path)(error);
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    draft.write_all(bytes).map_err(failed)?;
    draft.as_file().sync_all().map_err(failed)?;
    readable_by_all(draft.as_file()).map_err(failed)?;
    draft.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A draft is private until it is a model file like any other.
fn readable_by_all(file: &std::fs::File) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}
