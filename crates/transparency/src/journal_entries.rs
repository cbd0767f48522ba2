//! The entries of a journal, from which the log can always be made again.

use std::path::Path;

use super::{entry::SealedEntry, error::TlogError, source::EntrySource, writer::TileLogWriter};
use openlora_journal::{Journal, ReadOnlyJournal};

/// Entries that are committed together: full tiles of them share the syncs.
const BATCH: usize = 16 * 1024;

/// The entries of a journal.
pub struct JournalEntries {
    journal: ReadOnlyJournal,
    salt: Vec<u8>,
}

impl JournalEntries {
    /// The journal at `path`, beside its writer or without one.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, TlogError> {
        let journal = Journal::open_read_only(path)?;
        let salt = journal.salt().to_vec();
        Ok(Self { journal, salt })
    }
}

impl EntrySource for JournalEntries {
    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, TlogError> {
        // The journal counts from 1.
        let rows = self.journal.read_stored(from + 1, limit)?;
        let sealed = rows
            .iter()
            .map(|row| SealedEntry::from_row(row, &self.salt));
        sealed.map(|sealed| Ok(sealed?.entry)).collect()
    }
}

/// Appends everything that the source has beyond the log. Returns how many entries these were.
///
/// # Errors
///
/// The source cannot be read, or the disk refuses; what was signed before stays.
pub fn catch_up(log: &mut TileLogWriter, source: &mut dyn EntrySource) -> Result<u64, TlogError> {
    let before = log.size();
    loop {
        let entries = source.entries(log.size(), BATCH)?;
        if entries.is_empty() {
            return Ok(log.size() - before);
        }
        log.append(&entries)?;
    }
}
