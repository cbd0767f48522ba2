//! The journal: an append-only, hash-chained, replayable event store.
//!
//! An append is durable when it returns. One process writes, through one thread that commits queued
//! events together; any number of processes read. The journal knows events and their uniqueness
//! rules, nothing about HTTP, models or money.
//!
//! ```
//! use openlora_journal::Journal;
//! use openlora_ledger::event::Event;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let folder = tempfile::tempdir()?;
//! let journal = Journal::open(&folder.path().join("journal.sqlite"))?;
//! let started = Event::ServerStarted {
//!     session: "first".to_owned(),
//!     version: "0.1.0".to_owned(),
//! };
//! let record = journal.append(started).await?;
//! assert_eq!(record.sequence, journal.head().sequence);
//! assert_eq!(journal.verify().await?, journal.head());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod error;
mod lock;
pub mod projection;
mod read_only;
mod row;
mod sqlite;
mod store;
mod unique;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::SystemTime,
};

use sha2::{Digest, Sha256};
use tokio::sync::{broadcast, oneshot, watch};

pub use chain::JournalHead;
pub use error::JournalError;
pub use lock::writer_of;
pub use read_only::ReadOnlyJournal;
pub use row::{RecordHash, StoredRow};
pub use sqlite::{SqliteReader, SqliteStore};
pub use store::{
    AppendOutcome, CachedResponse, JournalEntry, JournalStore, LARGEST_ENCLOSURE, StoreReader,
    UncountedCall,
};
pub use unique::UniqueKey;

use openlora_core::error::Failure;
use openlora_ledger::{
    event::{Event, EventRecord},
    state::{CurrentState, LedgerState},
};
use openlora_ports::FactLog;
pub use writer::RecordFollower;
use writer::{JournalWriter, WriterCommand, WriterReply};

/// Unix time in milliseconds.
pub type JournalClock = Box<dyn Fn() -> u64 + Send>;

/// Heads that a slow subscriber may lag behind before it receives only a notice of the lag.
const NEWS: usize = 1024;

/// A handle to a journal that is open for writing. Clones share it; dropping the last one waits
/// until everything queued is written.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<JournalInner>,
}

/// Fields drop in order: the readers close first, then the closed queue stops the writer. The
/// writer closes last and checkpoints SQLite's write-ahead log into the file.
struct JournalInner {
    /// Pages for replays and subscribers.
    pages: Mutex<ReadOnlyJournal>,
    /// Single look-ups, kept apart so that they do not wait for a replay.
    points: Mutex<Box<dyn StoreReader>>,
    commands: mpsc::Sender<WriterCommand>,
    salt: Vec<u8>,
    head: watch::Receiver<JournalHead>,
    news: broadcast::Sender<u64>,
    _thread: JoinOnDrop,
}

/// A thread that is joined on drop.
struct JoinOnDrop(Option<JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A writer that panicked has nothing left to write.
            let _ = thread.join();
        }
    }
}

impl Journal {
    /// Opens or creates the journal file at `path` as its only writer.
    ///
    /// # Errors
    /// Another process writes it, it is no journal or a later format, or the disk refuses.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Self::start(Box::new(SqliteStore::open(path)?), Box::new(system_clock))
    }

    /// Opens the journal at `path` for reading, beside a writer or without one.
    ///
    /// # Errors
    /// There is none, or it is no journal or a later format.
    pub fn open_read_only(path: &Path) -> Result<ReadOnlyJournal, JournalError> {
        Ok(ReadOnlyJournal::new(Box::new(SqliteReader::open(path)?)))
    }

    /// The journal at `path` for reading, also while another process writes it; none if no process has
    /// created it yet.
    ///
    /// # Errors
    ///
    /// It is no journal or a later format, or it cannot be read.
    pub fn open_existing(path: &Path) -> Result<Option<ReadOnlyJournal>, JournalError> {
        match Self::open_read_only(path) {
            Err(JournalError::Missing { .. } | JournalError::Empty { .. }) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Starts the writer over any store, with any clock.
    ///
    /// # Errors
    ///
    /// The store cannot be read, or the system cannot start another thread.
    pub fn start(store: Box<dyn JournalStore>, clock: JournalClock) -> Result<Self, JournalError> {
        let (pages, points, mut reader) = (store.reader()?, store.reader()?, store.reader()?);
        let salt = reader.salt().to_vec();
        let (head, head_seen) = watch::channel(reader.head()?);
        let news = broadcast::Sender::new(NEWS);
        let (commands, queue) = mpsc::channel();
        let writer = JournalWriter {
            store,
            reader,
            clock,
            head,
            news: news.clone(),
            followers: Vec::new(),
            state: None,
        };
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(&queue))
            .map_err(|_| JournalError::Closed)?;
        let inner = JournalInner {
            commands,
            pages: Mutex::new(ReadOnlyJournal::new(pages)),
            points: Mutex::new(points),
            salt,
            head: head_seen,
            news,
            _thread: JoinOnDrop(Some(thread)),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Appends an event; it is durable when this returns its record.
    ///
    /// # Errors
    ///
    /// [`JournalError::Duplicate`] if the request already has an event of this kind; nothing is
    /// written then. Otherwise a disk error; nothing of the event is kept then.
    pub async fn append(&self, event: Event) -> Result<EventRecord, JournalError> {
        self.append_with(event, Vec::new()).await
    }

    /// Appends an event with its enclosure and with related events in one transaction. When this
    /// returns the first event's record, either all of it is durable or nothing was written. If the
    /// first event is a duplicate, the others are written without it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::append`], for the first event.
    pub async fn append_with(
        &self,
        first: impl Into<JournalEntry>,
        more: Vec<Event>,
    ) -> Result<EventRecord, JournalError> {
        let first = Box::new(first.into());
        self.ask(|reply| WriterCommand::Append(first, more, reply))
            .await
    }

    /// The enclosure of a request, as long as it is kept.
    ///
    /// # Errors
    ///
    /// The disk.
    pub async fn cached_response(&self, request_id: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let (inner, id) = (Arc::clone(&self.inner), request_id.to_owned());
        blocking(move || lock(&inner.points).enclosed(&id)).await
    }

    /// Queues an event without waiting for it. It is written soon, after everything queued before
    /// it and before everything queued after it. If the disk refuses it, it is lost and the loss is
    /// logged.
    ///
    /// # Errors
    ///
    /// The writer has stopped.
    pub fn note(&self, event: Event) -> Result<(), JournalError> {
        self.inner.send(WriterCommand::Note(event))
    }

    /// Waits until everything queued so far is on disk.
    ///
    /// # Errors
    /// What was queued since the last commit could not be written.
    pub async fn flush(&self) -> Result<(), JournalError> {
        self.ask(WriterCommand::Flush).await
    }

    /// In one transaction, meters every call that a session other than `session` reserved and did
    /// not meter, with the tokens of its last checkpoint. Returns the new records.
    ///
    /// # Errors
    ///
    /// The disk; no call is metered then.
    pub async fn recover(&self, session: &str) -> Result<Vec<EventRecord>, JournalError> {
        let session = session.to_owned();
        self.ask(|reply| WriterCommand::Recover { session, reply })
            .await
    }

    /// Receives the sequence of the last record after each commit. A subscriber reads the records
    /// itself from where it stopped, so a lagging subscriber loses nothing.
    pub fn subscribe(&self) -> broadcast::Receiver<u64> {
        self.inner.news.subscribe()
    }

    /// Passes every existing record at and after `from` to `follower`, and then each new one before
    /// its append returns. A projection maintained this way is never behind what a caller has seen.
    ///
    /// # Errors
    ///
    /// The disk, or a record that this version cannot read; the follower is not registered then.
    pub async fn follow(&self, from: u64, follower: RecordFollower) -> Result<(), JournalError> {
        self.ask(|reply| WriterCommand::Follow(from, follower, reply))
            .await
    }

    /// Sequence and hash of the last committed record.
    pub fn head(&self) -> JournalHead {
        *self.inner.head.borrow()
    }

    /// Random bytes, unique to this journal.
    pub fn salt(&self) -> &[u8] {
        &self.inner.salt
    }

    /// SHA-256 over the journal's salt and `bytes`, as hex. Equal contents of one journal have
    /// equal hashes; without the salt the hash reveals nothing about the content.
    pub fn salted_hash(&self, bytes: &[u8]) -> String {
        salted(&self.inner.salt, bytes)
    }

    /// At most `limit` records from sequence `from` on.
    ///
    /// # Errors
    /// The disk, or a record that this version cannot read.
    pub async fn read(&self, from: u64, limit: usize) -> Result<Vec<EventRecord>, JournalError> {
        self.on_pages(move |pages| pages.read(from, limit)).await
    }

    /// One record as it is stored, if it is there.
    ///
    /// # Errors
    /// The disk.
    pub async fn stored(&self, sequence: u64) -> Result<Option<StoredRow>, JournalError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let rows = lock(&inner.points).read(sequence, 1)?;
            Ok(rows.into_iter().find(|row| row.sequence == sequence))
        })
        .await
    }

    /// The record that meters a request, if it was metered.
    ///
    /// # Errors
    /// The disk, or a record that this version cannot read.
    pub async fn metered(&self, request_id: &str) -> Result<Option<EventRecord>, JournalError> {
        self.unique(UniqueKey::METERED, request_id).await
    }

    /// The one record of a kind that a request has, see [`UniqueKey`].
    ///
    /// # Errors
    /// The disk, or a record that this version cannot read.
    pub async fn unique(
        &self,
        kind: &'static str,
        request_id: &str,
    ) -> Result<Option<EventRecord>, JournalError> {
        let inner = Arc::clone(&self.inner);
        let unique = UniqueKey::new(kind, request_id);
        blocking(move || {
            let row = lock(&inner.points).unique(&unique)?;
            row.map(|row| row.decode()).transpose()
        })
        .await
    }

    /// Verifies the whole hash chain.
    ///
    /// # Errors
    ///
    /// The first gap, edited record or unreadable record.
    pub async fn verify(&self) -> Result<JournalHead, JournalError> {
        self.on_pages(ReadOnlyJournal::verify).await
    }

    /// Passes every record from `from` on to `visit`, in order; blocks the calling thread.
    ///
    /// # Errors
    ///
    /// The disk, or a record that this version cannot read.
    pub fn replay(&self, from: u64, visit: impl FnMut(&EventRecord)) -> Result<(), JournalError> {
        lock(&self.inner.pages).replay(from, visit)
    }

    /// The state folded from all records. The first call reads the journal; from then on the state
    /// is kept current: it includes each record before its append returns.
    ///
    /// # Errors
    ///
    /// The disk, or a record that this version cannot read.
    pub async fn state(&self) -> Result<Arc<CurrentState>, JournalError> {
        self.ask(WriterCommand::State).await
    }

    /// The state folded from the journal at `path`, also while another process writes it; an empty
    /// state if there is none.
    ///
    /// # Errors
    ///
    /// It is no journal or a later format, or it cannot be read.
    pub fn state_at(path: &Path) -> Result<LedgerState, JournalError> {
        let journal = Self::open_existing(path)?;
        journal.map_or_else(|| Ok(LedgerState::default()), |mut it| it.state())
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(WriterReply<T>) -> WriterCommand,
    ) -> Result<T, JournalError> {
        let (reply, answer) = oneshot::channel();
        self.inner.send(command(reply))?;
        answer.await.unwrap_or(Err(JournalError::Closed))
    }

    async fn on_pages<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut ReadOnlyJournal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&mut lock(&inner.pages))).await
    }
}

#[async_trait::async_trait]
impl FactLog for Journal {
    async fn keep(&self, event: Event) -> Result<(), Failure> {
        self.append(event).await?;
        Ok(())
    }
}

impl JournalInner {
    fn send(&self, command: WriterCommand) -> Result<(), JournalError> {
        self.commands
            .send(command)
            .map_err(|_| JournalError::Closed)
    }
}

/// Disk reads run outside the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(JournalError::Closed))
}

/// A reader remains usable after a panic in another thread.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn salted(salt: &[u8], bytes: &[u8]) -> String {
    hex::encode(
        Sha256::new()
            .chain_update(salt)
            .chain_update(bytes)
            .finalize(),
    )
}

fn system_clock() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
