//! One writer per journal: an advisory lock on a file next to it. The file contains the writer's
//! process id for error messages. The system releases the lock when the process ends, so the lock
//! of a killed writer can be taken.

use std::{
    fs::{File, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use super::error::JournalError;
use openlora_core::{error::describe_io, private::files};

/// Held as long as the journal is open for writing.
#[derive(Debug)]
pub(super) struct WriterLock {
    file: File,
}

impl WriterLock {
    pub(super) fn acquire(journal: &Path) -> Result<Self, JournalError> {
        let refused = |error: std::io::Error| unwritable(journal, &error);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = files::open(&mut options, &lock_path(journal)).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse {
                    path: journal.to_owned(),
                    pid: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(refused(error)),
        }
        file.set_len(0)
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
            .map_err(refused)?;
        Ok(Self { file })
    }
}

impl Drop for WriterLock {
    /// Unlocks explicitly: a child process that was just forked still shares the file, so closing
    /// alone would leave it locked. If unlocking fails, the end of this process releases the lock.
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// The process that last opened the journal for writing and did not close it. It may have died
/// since. The lock itself is not probed, because a probe could make a starting writer fail.
pub fn writer_of(journal: &Path) -> Option<u32> {
    holder(&mut File::open(lock_path(journal)).ok()?)
}

fn lock_path(journal: &Path) -> PathBuf {
    let mut name = journal.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    journal.with_file_name(name)
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Distinguishes a full disk and a folder without write access from other errors.
pub(super) fn unwritable(journal: &Path, error: &std::io::Error) -> JournalError {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
    let (path, detail) = (journal.to_owned(), describe_io(error));
    match error.kind() {
        StorageFull => JournalError::Full { path },
        PermissionDenied | ReadOnlyFilesystem => JournalError::ReadOnly { path, detail },
        _ => JournalError::Io { path, detail },
    }
}
