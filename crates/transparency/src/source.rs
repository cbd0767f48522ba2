//! Where entries come from.

use super::error::TlogError;

/// Everything that may be logged, in order. The same index always gives the same bytes.
pub trait EntrySource {
    /// At most `limit` entries from index `from` on.
    ///
    /// # Errors
    ///
    /// The source cannot be read.
    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, TlogError>;

    /// Whether it still has what was logged before.
    fn is_complete(&self) -> bool {
        true
    }
}

/// A source without entries, for logs that cannot be made again.
pub struct NoEntries;

impl EntrySource for NoEntries {
    fn entries(&mut self, _from: u64, _limit: usize) -> Result<Vec<Vec<u8>>, TlogError> {
        Ok(Vec::new())
    }

    fn is_complete(&self) -> bool {
        false
    }
}
