//! What every jail of this program needs: the program itself, and a folder for its socket.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use openlora_container::{PROGRAM, elf, image, jail::BindMount, limits::CONTAINER_USER};
use openlora_core::error::Failure;

/// This program and the libraries that it needs.
pub fn program_binds(own: &Path) -> Result<Vec<BindMount>, Failure> {
    let bytes = fs::read(own).map_err(|error| Failure::io("read", own, &error))?;
    let program = elf::read(own, &bytes)?;
    let mut binds = vec![(PathBuf::from(PROGRAM), own.to_owned())];
    binds.extend(image::libraries(own, &program)?);
    let binds = binds.into_iter().map(|(target, source)| BindMount {
        source: fs::canonicalize(&source).unwrap_or(source),
        target,
        writable: false,
    });
    Ok(binds.collect())
}

/// Gives the folder of the socket to the user of the inside, if this one may.
pub fn share(folder: &Path) -> Result<(), Failure> {
    match std::os::unix::fs::chown(folder, Some(CONTAINER_USER), Some(CONTAINER_USER)) {
        // A user without that right is the user of the inside.
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::InvalidInput
            ) =>
        {
            Err(Failure::io("share", folder, &error))
        }
        _ => Ok(()),
    }
}
