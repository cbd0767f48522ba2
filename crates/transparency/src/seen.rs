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

    /// Keeps the key of the log at a place. The first one that is seen there is believed.
    ///
    /// # Errors
    ///
    /// The place had another key.
    pub fn pin(&self, place: &str, verifier: &CheckpointVerifier) -> Result<(), TlogError> {
        let dir = &self.dir;
        let name = hex::encode(Sha256::digest(place));
        let path = dir.join(format!("{}.vkey", &name[..32]));
        match std::fs::read_to_string(&path) {
            Ok(kept) if kept.trim() == verifier.vkey() => Ok(()),
            Ok(kept) => Err(TlogError::OtherKey {
                place: place.to_owned(),
                expected: kept.trim().to_owned(),
                found: verifier.vkey().to_owned(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                files::folder(dir)
                    .map_err(|error| TlogError::io("create the folder", dir, &error))?;
                atomic::replace_file(&path, verifier.vkey().as_bytes(), FileAccess::Owner)
                    .map_err(|error| TlogError::io("write", &path, &error))
            }
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
