//! A home's own log as its server shows it: the published files, and proofs of its records.

use std::path::Path;

use super::{
    checkpoint::{CheckpointVerifier, SignedCheckpoint},
    entry::SealedEntry,
    error::TlogError,
    folder::TileFolder,
    proof::TlogProof,
};
use openlora_journal::StoredRow;

/// The folder of a log and the key that its checkpoints are signed with.
#[derive(Clone, Debug)]
pub struct TransparencyView {
    pub folder: TileFolder,
    pub verifier: CheckpointVerifier,
}

impl TransparencyView {
    pub fn new(dir: &Path, verifier: CheckpointVerifier) -> Self {
        Self {
            folder: TileFolder::at(dir),
            verifier,
        }
    }

    /// # Errors
    ///
    /// Nothing was signed yet, or the checkpoint is damaged.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, TlogError> {
        self.folder.checkpoint(&self.verifier)
    }

    /// The proof of a record, with the opening of its entry; none while no checkpoint covers it.
    ///
    /// # Errors
    ///
    /// The log cannot be read or is damaged.
    pub fn prove_row(&self, row: &StoredRow, salt: &[u8]) -> Result<Option<TlogProof>, TlogError> {
        let checkpoint = match self.checkpoint() {
            Err(TlogError::Missing { .. }) => return Ok(None),
            found => found?,
        };
        let Some(index) = row
            .sequence
            .checked_sub(1)
            .filter(|it| *it < checkpoint.size)
        else {
            return Ok(None);
        };
        let sealed = SealedEntry::from_row(row, salt)?;
        let proof = self
            .folder
            .prove_entry(&checkpoint, index, Some(sealed.to_extra()))?;
        proof.verify_in(&checkpoint, &sealed.entry)?;
        Ok(Some(proof))
    }
}
