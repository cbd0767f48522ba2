//! Reading a journal: pages, replay, verification.

use super::{chain::JournalHead, error::JournalError, row::StoredRow, store::StoreReader};
use openlora_ledger::{event::EventRecord, state::LedgerState};

/// Rows fetched at a time: long reads hold no lock between pages, so the writer can go on.
const PAGE: usize = 4096;

/// A journal open for reading, beside its writer or without one.
pub struct ReadOnlyJournal {
    reader: Box<dyn StoreReader>,
}

impl ReadOnlyJournal {
    pub(super) fn new(reader: Box<dyn StoreReader>) -> Self {
        Self { reader }
    }

    /// Random bytes, unique to this journal.
    pub fn salt(&self) -> &[u8] {
        self.reader.salt()
    }

    /// Sequence and hash of the last committed record.
    ///
    /// # Errors
    ///
    /// The disk.
    pub fn head(&mut self) -> Result<JournalHead, JournalError> {
        self.reader.head()
    }

    /// Whether anything was committed since the last call; the first answer is always yes.
    ///
    /// # Errors
    /// The disk.
    pub fn changed(&mut self) -> Result<bool, JournalError> {
        self.reader.changed()
    }

    /// At most `limit` records from sequence `from` on.
    ///
    /// # Errors
    /// The disk, or a record that this version cannot read.
    pub fn read(&mut self, from: u64, limit: usize) -> Result<Vec<EventRecord>, JournalError> {
        self.reader
            .read(from, limit)?
            .iter()
            .map(StoredRow::decode)
            .collect()
    }

    /// At most `limit` records from sequence `from` on, as they are stored.
    ///
    /// # Errors
    /// The disk.
    pub fn read_stored(&mut self, from: u64, limit: usize) -> Result<Vec<StoredRow>, JournalError> {
        self.reader.read(from, limit)
    }

    /// Passes every record from `from` on to `visit`, in order.
    ///
    /// # Errors
    ///
    /// The disk, or a record that this version cannot read.
    pub fn replay(
        &mut self,
        from: u64,
        mut visit: impl FnMut(&EventRecord),
    ) -> Result<(), JournalError> {
        self.walk(from, |row| {
            visit(&row.decode()?);
            Ok(())
        })
    }

    /// The state folded from all records.
    ///
    /// # Errors
    ///
    /// The disk, or a record that this version cannot read.
    pub fn state(&mut self) -> Result<LedgerState, JournalError> {
        let mut state = LedgerState::default();
        self.replay(1, |record| {
            // The journal has no gaps.
            let _ = state.apply(record);
        })?;
        Ok(state)
    }

    /// Verifies the whole hash chain and returns its head.
    ///
    /// # Errors
    ///
    /// The first gap, edited record or unreadable record.
    pub fn verify(&mut self) -> Result<JournalHead, JournalError> {
        let mut head = JournalHead::genesis(self.reader.salt());
        self.walk(1, |row| {
            head = head.follow(row)?;
            row.decode().map(drop)
        })?;
        Ok(head)
    }

    fn walk(
        &mut self,
        from: u64,
        mut step: impl FnMut(&StoredRow) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let mut next = from;
        loop {
            let rows = self.reader.read(next, PAGE)?;
            let Some(last) = rows.last().map(|row| row.sequence) else {
                return Ok(());
            };
            rows.iter().try_for_each(&mut step)?;
            next = last + 1;
        }
    }
}
