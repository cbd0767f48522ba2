//! The interface of a record store, implemented by SQLite.

use super::{chain::JournalHead, error::JournalError, row::StoredRow, unique::UniqueKey};
use openlora_ledger::{
    CheckedPayment,
    event::{CallKind, Event, EventRecord},
};

/// The writing side. A store has exactly one writer; the code that opens it must ensure this.
pub trait JournalStore: Send {
    /// Appends in order, in one transaction, durable on return: the whole batch or, on an error,
    /// nothing. A duplicate takes no sequence number and does not affect the others.
    fn append(
        &mut self,
        now_ms: u64,
        batch: &[JournalEntry],
    ) -> Result<Vec<AppendOutcome>, JournalError>;

    /// The last committed record, available without disk access: once a batch is committed, no
    /// later failure may make its callers believe that it was not.
    fn head(&self) -> JournalHead;

    /// An independent reader of what has been committed.
    fn reader(&self) -> Result<Box<dyn StoreReader>, JournalError>;
}

/// An event to append, with its enclosure.
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

/// Bytes that are committed together with an event but are not part of the hash chain. The oldest
/// are deleted to make room for new ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedResponse {
    pub request_id: String,
    pub bytes: Vec<u8>,
}

/// Total bytes of enclosures that a store keeps, and the size of the largest.
pub const ENCLOSED: u64 = 32 << 20;
pub const LARGEST_ENCLOSURE: usize = 1 << 20;

/// The result of one event of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    Stored(EventRecord),
    Duplicate(UniqueKey),
}

/// The reading side. There may be any number of readers, in any process.
pub trait StoreReader: Send {
    /// Random bytes, unique to this journal.
    fn salt(&self) -> &[u8];

    /// At most `limit` rows from `from` on, in order.
    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<StoredRow>, JournalError>;

    fn head(&mut self) -> Result<JournalHead, JournalError>;

    /// The one event of its kind of a request.
    fn unique(&mut self, unique: &UniqueKey) -> Result<Option<StoredRow>, JournalError>;

    /// The enclosure of a request, as long as it is kept.
    fn enclosed(&mut self, request_id: &str) -> Result<Option<Vec<u8>>, JournalError>;

    /// Reservations without a `CallMetered`, in order.
    fn open_calls(&mut self) -> Result<Vec<UncountedCall>, JournalError>;

    /// Whether anything was committed since the last call; cheap.
    fn changed(&mut self) -> Result<bool, JournalError>;
}

/// A call that was accepted and is not metered yet.
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
