//! The hash chain that makes edits of the journal detectable.
//!
//! The hash of a record is SHA-256(previous hash ‖ sequence ‖ time ‖ body). Both numbers are 8
//! bytes, big-endian. The body is stored exactly as hashed: the compact JSON that serde_json
//! produced when the event was written. The hash before the first record is SHA-256("openlora
//! journal v1" ‖ salt), so that it covers the salt too. The chain reveals edits, gaps and
//! reordering; a truncated tail is visible only to a reader that kept a later head.

use sha2::{Digest, Sha256};

use super::{
    error::JournalError,
    row::{RecordHash, StoredRow},
};

/// The last record of a journal, or the state before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// 0 before the first record.
    pub sequence: u64,
    /// Unix time in milliseconds; 0 before the first record.
    pub time_ms: u64,
    pub hash: RecordHash,
}

impl JournalHead {
    /// The state of an empty journal.
    pub fn genesis(salt: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update("openlora journal v1")
            .chain_update(salt)
            .finalize();
        Self {
            sequence: 0,
            time_ms: 0,
            hash: hash.into(),
        }
    }

    /// The head after one more record. Its time is `now_ms`, or the previous time if the clock went
    /// back.
    pub fn next(&self, now_ms: u64, body: &[u8]) -> Self {
        let (sequence, time_ms) = (self.sequence + 1, self.time_ms.max(now_ms));
        let hash = Sha256::new()
            .chain_update(self.hash)
            .chain_update(sequence.to_be_bytes())
            .chain_update(time_ms.to_be_bytes())
            .chain_update(body)
            .finalize();
        Self {
            sequence,
            time_ms,
            hash: hash.into(),
        }
    }

    /// The head after `row`, if `row` continues this head.
    pub(super) fn follow(&self, row: &StoredRow) -> Result<Self, JournalError> {
        let expected = self.sequence + 1;
        if row.sequence != expected {
            return Err(JournalError::Gap {
                expected,
                found: row.sequence,
            });
        }
        let next = self.next(row.time_ms, &row.body);
        if next.hash != row.hash || next.time_ms != row.time_ms {
            return Err(JournalError::Edited {
                sequence: row.sequence,
            });
        }
        Ok(next)
    }
}
