//! Files and folders that only their owner can access. They have mode 0600 and 0700 from creation,
//! whatever the umask is; the permissions of existing ones are tightened.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;
/// All permissions of the group and of others.
const OTHERS: u32 = 0o077;

/// Creates a folder and its missing parents. The permissions of an existing folder are left as they
/// are.
pub fn new_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

/// Creates a folder and its missing parents, or removes the permissions of group and others from an
/// existing one.
pub fn folder(path: &Path) -> io::Result<()> {
    new_folder(path)?;
    tighten(path).map(drop)
}

/// Creates an empty file, or removes the permissions of group and others from an existing one.
pub fn file(path: &Path) -> io::Result<()> {
    open(File::options().read(true).write(true).create(true), path).map(drop)
}

/// Opens a file with `options`; only its owner has permissions on it.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(FILE).open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(mode & !OTHERS))?;
    }
    Ok(file)
}

/// Removes the permissions of group and others from everything in a folder, and returns how many
/// entries had any. Symbolic links are left alone.
pub fn tighten_tree(path: &Path) -> io::Result<usize> {
    let mut tightened = usize::from(tighten(path)?);
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            tightened += tighten_tree(&entry.path())?;
        } else if kind.is_file() {
            tightened += usize::from(tighten(&entry.path())?);
        }
    }
    Ok(tightened)
}

/// Whether the group or others have any permission on `path`.
pub fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & OTHERS != 0)
}

/// The owner's permissions do not change.
fn tighten(path: &Path) -> io::Result<bool> {
    let mode = fs::metadata(path)?.permissions().mode();
    let wide = mode & OTHERS != 0;
    if wide {
        fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS))?;
    }
    Ok(wide)
}
