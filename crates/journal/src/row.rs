//! A record as it is stored.

use super::error::JournalError;
use openlora_core::error::describe_decoding;
use openlora_ledger::event::EventRecord;

/// SHA-256 of a record and all before it.
pub type RecordHash = [u8; 32];

/// A record's bytes and its position in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    pub sequence: u64,
    pub time_ms: u64,
    /// The event's JSON, byte for byte as it was hashed.
    pub body: Vec<u8>,
    pub hash: RecordHash,
}

impl StoredRow {
    pub fn decode(&self) -> Result<EventRecord, JournalError> {
        let event =
            serde_json::from_slice(&self.body).map_err(|error| JournalError::Unreadable {
                sequence: self.sequence,
                detail: describe_decoding(&error),
            })?;
        Ok(EventRecord {
            sequence: self.sequence,
            time_ms: self.time_ms,
            event,
            hash: hex::encode(self.hash),
        })
    }
}
