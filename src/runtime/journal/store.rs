//! Where records are kept: what a store must do, so that SQLite and later a database server can.

use super::{chain::JournalHead, error::JournalError, row::StoredRow, unique::UniqueKey};
use crate::runtime::{
    event::{CallKind, Event, EventRecord},
    ledger::CheckedPayment,
};

/// The writing side. A store belongs to one writer; whoever opens it makes sure of that.
pub trait JournalStore: Send {
    /// Appends in order, in one transaction, durable on return: all of the batch or, on an
    /// error, nothing. A duplicate takes no place and does not disturb the others.
    fn append(
        &mut self,
        now_ms: u64,
        batch: &[JournalEntry],
    ) -> Result<Vec<AppendOutcome>, JournalError>;

    /// The last committed record, known without asking the disk: once a batch is committed,
    /// nothing may fail any more that would make its callers believe it was not.
    fn head(&self) -> JournalHead;

    /// An independent reader of what has been committed.
    fn reader(&self) -> Result<Box<dyn StoreReader>, JournalError>;
}

/// An event to be appended, with what is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    pub event: Event,
    pub response: Option<CachedResponse>,
}

impl JournalEntry {
    pub fn with_response(self, response: Option<CachedResponse>) -> Self {
        Self { response, ..self }
    }
}

impl From<Event> for JournalEntry {
    fn from(event: Event) -> Self {
        Self {
            event,
            response: None,
        }
    }
}

/// Bytes that are committed together with an event and are no part of the history: the oldest
/// make room for new ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedResponse {
    pub request_id: String,
    pub bytes: Vec<u8>,
}

/// Bytes of all enclosures that a store keeps, and of the largest.
pub const ENCLOSED: u64 = 32 << 20;
pub const LARGEST_ENCLOSURE: usize = 1 << 20;

/// What became of one event of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    Stored(EventRecord),
    Duplicate(UniqueKey),
}

/// The reading side; any number of them, in any process.
pub trait StoreReader: Send {
    /// Random bytes that belong to this journal alone.
    fn salt(&self) -> &[u8];

    /// At most `limit` rows from `from` on, in order.
    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<StoredRow>, JournalError>;

    fn head(&mut self) -> Result<JournalHead, JournalError>;

    /// The one event of its kind of a request.
    fn unique(&mut self, unique: &UniqueKey) -> Result<Option<StoredRow>, JournalError>;

    /// The one `CallMetered` of a request.
    fn metered(&mut self, request_id: &str) -> Result<Option<StoredRow>, JournalError> {
        self.unique(&UniqueKey::new(UniqueKey::METERED, request_id))
    }

    /// What was enclosed for a request, while it is kept.
    fn enclosed(&mut self, request_id: &str) -> Result<Option<Vec<u8>>, JournalError>;

    /// Reservations without a `CallMetered`, in order.
    fn open_calls(&mut self) -> Result<Vec<UncountedCall>, JournalError>;

    /// Whether anything was committed since the last time this was asked; cheap.
    fn changed(&mut self) -> Result<bool, JournalError>;
}

/// A call that was accepted and not counted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncountedCall {
    pub request_id: String,
    pub session: String,
    pub adapter: String,
    pub adapter_digest: String,
    pub kind: CallKind,
    pub prompt_tokens: u64,
    pub request_hash: String,
    pub reserved_ms: u64,
    pub payment: Option<Box<CheckedPayment>>,
    /// Tokens and time of the last checkpoint.
    pub checkpoint: Option<(u64, u64)>,
}

impl UncountedCall {
    /// The call that a record reserves.
    pub fn from_record(record: EventRecord) -> Option<Self> {
        let Event::CallReserved {
            request_id,
            session,
            adapter,
            adapter_digest,
            kind,
            prompt_tokens,
            request_hash,
            payment,
        } = record.event
        else {
            return None;
        };
        Some(Self {
            request_id,
            session,
            adapter,
            adapter_digest,
            kind,
            prompt_tokens,
            request_hash,
            reserved_ms: record.time_ms,
            payment,
            checkpoint: None,
        })
    }
}
