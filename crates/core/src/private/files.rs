//! Files and folders of the owner alone: mode 0600 and 0700 from their first moment, whatever the
//! process's umask is, and those of earlier versions tightened.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;
/// Whatever the group and others may do.
const OTHERS: u32 = 0o077;

/// Makes a folder and those above it that are missing. One that is there is what its owner made it.
pub fn new_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

/// Makes a folder and those above it that are missing, or takes others' rights to one from them.
pub fn folder(path: &Path) -> io::Result<()> {
    new_folder(path)?;
    tighten(path).map(drop)
}

/// Makes an empty file, or takes others' rights to one from them.
pub fn file(path: &Path) -> io::Result<()> {
    open(File::options().read(true).write(true).create(true), path).map(drop)
}

/// Opens a file as `options` say; nobody but its owner has rights to it.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(FILE).open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(mode & !OTHERS))?;
    }
    Ok(file)
}

/// Takes others' rights to everything in a folder from them, and says to how many things they had
/// some. Links are left alone.
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

/// Whether group or others have any right to what is there.
pub fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & OTHERS != 0)
}

/// What the owner may do stays.
fn tighten(path: &Path) -> io::Result<bool> {
    let mode = fs::metadata(path)?.permissions().mode();
    let wide = mode & OTHERS != 0;
    if wide {
        fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS))?;
    }
    Ok(wide)
}
