//! Folders of a container's root, which its user must be able to enter, whatever the umask is.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

/// Makes the folder `inside` below `root`, and those above it, and returns its path.
///
/// # Errors
///
/// `inside` leads elsewhere, or something else is there.
pub fn open_folder(root: &Path, inside: &Path) -> io::Result<PathBuf> {
    let mut path = root.to_owned();
    for part in inside.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::RootDir | Component::CurDir => continue,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
        match fs::create_dir(&path) {
            Ok(()) => fs::set_permissions(&path, Permissions::from_mode(0o755))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}
