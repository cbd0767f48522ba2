//! The exclusive right to use a channel, or to send an account's transactions. It is an advisory
//! file lock, which the operating system releases when its process ends, even if it was killed.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use openlora_core::private::files;

/// An exclusive lock, held until dropped. It excludes other tasks and other processes.
#[derive(Debug)]
pub struct ChannelLease {
    file: File,
}

impl ChannelLease {
    /// `None` if another task or process holds it.
    pub(super) fn try_take(path: &Path) -> std::io::Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits until the current holder releases it.
    pub(super) fn take(path: &Path) -> std::io::Result<Self> {
        let file = open(path)?;
        file.lock()?;
        Ok(Self { file })
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    files::open(&mut options, path)
}

impl Drop for ChannelLease {
    /// Explicit unlock: closing the file would leave the lock with a child process that shares it.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}
