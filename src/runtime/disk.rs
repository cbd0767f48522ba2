//! Files and folders that are there whole or not at all, and that stay when the power goes.

pub mod frozen;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    Owner,
    Everyone,
}

/// Replaces `path` with `bytes`: written beside it, on disk, then renamed.
pub fn replace_file(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    replace_file_from(parent(path), path, bytes, readers)
}

/// The same with the draft in `staging`, a folder of the same file system, for folders in which no
/// other file may ever be seen.
pub fn replace_file_from(
    staging: &Path,
    path: &Path,
    bytes: &[u8],
    readers: Readers,
) -> io::Result<()> {
    let mut draft = tempfile::NamedTempFile::new_in(staging)?;
    draft.write_all(bytes)?;
    if readers == Readers::Everyone {
        set_mode(draft.path(), 0o644)?;
    }
    draft.as_file().sync_all()?;
    draft.persist(path).map(drop).map_err(|error| error.error)
}

/// Gives the complete folder `fresh` the name `dir`. What had the name is gone afterwards; a crash in
/// the middle leaves it beside, under a hidden name.
pub fn replace_folder(fresh: &Path, dir: &Path) -> io::Result<()> {
    sync_folder(fresh)?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let old = dir.with_file_name(format!(".{name}.replaced-{}", std::process::id()));
    remove_folder(&old)?;
    let replaces = dir.exists();
    if replaces {
        fs::rename(dir, &old)?;
    }
    if let Err(error) = fs::rename(fresh, dir) {
        if replaces {
            // The error above is what counts; the old folder lies beside when this fails too.
            let _ = fs::rename(&old, dir);
        }
        return Err(error);
    }
    sync_folder(parent(dir))?;
    remove_folder(&old)
}

/// Removes a folder; none being there is fine.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Renames last only once the folder that holds the names is on disk. Only Unix can sync a folder,
/// and needs to.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The folder that holds `path`; the working directory for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Temporary files and folders are private until they are opened to others.
#[cfg(unix)]
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}
