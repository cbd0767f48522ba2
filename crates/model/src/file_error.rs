//! An operation on a file or folder that failed: one message, class and hint for bases, adapters,
//! packages and exports.

use std::{io, path::PathBuf};

use openlora_core::error::{ExitClass, Explain, Failure, describe_io};

/// An operation on a file or folder that failed; other errors hold it as a variant.
#[derive(Debug, thiserror::Error)]
#[error("cannot {deed} {}: {}", path.display(), describe_io(source))]
pub struct FileError {
    /// The operation in a few words, for example "read" or "write in".
    pub deed: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl FileError {
    /// Adds the operation and the path to an I/O error.
    pub fn at(deed: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self { deed, path, source }
    }
}

impl Explain for FileError {
    fn class(&self) -> ExitClass {
        ExitClass::Environment
    }

    fn hint(&self) -> Option<String> {
        Failure::io(self.deed, &self.path, &self.source).hint
    }
}
