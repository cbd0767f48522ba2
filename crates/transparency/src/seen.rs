//! The last checkpoint that was seen of each log. A log that later shows another history is refused.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tlog_tiles::Hash;

use super::{
    checkpoint::{CheckpointVerifier, SignedCheckpoint},
    error::TlogError,
    proof::verify_consistency,
};
use openlora_core::{
    atomic::{self, FileAccess},
    private::files,
};

/// A folder with one checkpoint per log.
#[derive(Clone, Debug)]
pub struct SeenCheckpoints {
    dir: PathBuf,
}

impl SeenCheckpoints {
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    fn path(&self, verifier: &CheckpointVerifier) -> PathBuf {
        let name = hex::encode(Sha256::digest(verifier.vkey()));
        self.dir.join(format!("{}.checkpoint", &name[..32]))
    }

    /// The last checkpoint that was accepted of a log.
    ///
    /// # Errors
    ///
    /// It cannot be read, or was changed.
    pub fn last(
        &self,
        verifier: &CheckpointVerifier,
    ) -> Result<Option<SignedCheckpoint>, TlogError> {
        let path = self.path(verifier);
        match std::fs::read(&path) {
            Ok(note) => verifier.open(&note).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TlogError::io("read", &path, &error)),
        }
    }

    /// Keeps a checkpoint. `hashes` prove that it contains the last one.
    ///
    /// # Errors
    ///
    /// It does not: the log was rolled back, forked or changed. The last one is kept then.
    pub fn accept(
        &self,
        verifier: &CheckpointVerifier,
        checkpoint: &SignedCheckpoint,
        hashes: &[Hash],
    ) -> Result<(), TlogError> {
        if let Some(last) = self.last(verifier)? {
            verify_consistency(last.head(), checkpoint.head(), hashes)?;
            if last.size == checkpoint.size {
                return Ok(());
            }
        }
        let dir = &self.dir;
        files::folder(dir).map_err(|error| TlogError::io("create the folder", dir, &error))?;
        let path = self.path(verifier);
        atomic::replace_file(&path, checkpoint.note.as_bytes(), FileAccess::Owner)
            .map_err(|error| TlogError::io("write", &path, &error))
    }
}
