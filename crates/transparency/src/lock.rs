//! One writer per log: an advisory lock on a file in its folder, which the system releases when the
//! process ends.

use std::{
    fs::{File, TryLockError},
    io::{Read, Write},
    path::Path,
};

use super::error::TlogError;
use openlora_core::private::files;

/// Not part of the published tree: no path of a tile begins like this.
const LOCK_FILE: &str = ".lock";

/// Held as long as the log is open for writing.
#[derive(Debug)]
pub struct TlogLock {
    file: File,
}

impl TlogLock {
    pub fn acquire(dir: &Path) -> Result<Self, TlogError> {
        let path = dir.join(LOCK_FILE);
        let refused = |error: &std::io::Error| TlogError::io("lock", &path, error);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = files::open(&mut options, &path).map_err(|error| refused(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                return Err(TlogError::InUse {
                    path: dir.to_owned(),
                    pid: read.ok().and_then(|_| text.trim().parse().ok()),
                });
            }
            Err(TryLockError::Error(error)) => return Err(refused(&error)),
        }
        // The number only serves messages; a full disk must not keep a log from being opened.
        let _ = file.set_len(0);
        let _ = file.write_all(std::process::id().to_string().as_bytes());
        Ok(Self { file })
    }
}

impl Drop for TlogLock {
    /// Unlocks explicitly, because a child process that was just forked still shares the file.
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}
