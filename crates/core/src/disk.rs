//! Space on disks.

use std::{io, path::Path};

/// Bytes that an ordinary user may still write on the file system of `folder`, which must exist.
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
