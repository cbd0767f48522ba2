//! The journal in an SQLite file: WAL mode, every commit synced, one writer, any readers.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior,
    ffi::SQLITE_CONSTRAINT_UNIQUE, params,
};

use super::{
    chain::JournalHead,
    error::JournalError,
    lock::{WriterLock, unwritable},
    row::StoredRow,
    store::{
        AppendOutcome, CachedResponse, ENCLOSED, JournalEntry, JournalStore, StoreReader,
        UncountedCall,
    },
    unique::UniqueKey,
};
use openlora_core::private::files;
use openlora_ledger::event::{Event, EventRecord};

/// `application_id` of the file: "olra".
const APPLICATION: i64 = 0x6f6c_7261;

/// `user_version` of the file. A change of the schema raises it and brings a migration.
const FORMAT: i64 = 1;

const SCHEMA: &str = include_str!("schema.sql");

/// How long a reader or the writer waits for a short lock of the other.
const BUSY: Duration = Duration::from_secs(5);

const INSERT: &str = "INSERT INTO events (sequence, time_ms, body, hash) VALUES (?1, ?2, ?3, ?4)";
const READ: &str = "SELECT sequence, time_ms, body, hash FROM events WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2";
const LAST: &str =
    "SELECT sequence, time_ms, body, hash FROM events ORDER BY sequence DESC LIMIT 1";
/// Tables and indexes that later versions added to [`SCHEMA`].
const ADDITIONS: &str = include_str!("additions.sql");
/// Written out, because SQLite uses the partial index only for a literal kind.
const UNIQUE: &[(&str, &str)] = &[
    (
        UniqueKey::RESERVED,
        "SELECT sequence, time_ms, body, hash FROM events \
         WHERE body ->> '$.type' = 'call_reserved' AND body ->> '$.request_id' = ?1",
    ),
    (
        UniqueKey::METERED,
        "SELECT sequence, time_ms, body, hash FROM events \
         WHERE body ->> '$.type' = 'call_metered' AND body ->> '$.request_id' = ?1",
    ),
    (
        UniqueKey::TRACED,
        "SELECT sequence, time_ms, body, hash FROM events \
         WHERE body ->> '$.type' = 'traced' AND body ->> '$.request_id' = ?1",
    ),
    (
        UniqueKey::ATTRIBUTED,
        "SELECT sequence, time_ms, body, hash FROM events \
         WHERE body ->> '$.type' = 'attributed' AND body ->> '$.request_id' = ?1",
    ),
];
const OPEN: &str = "SELECT sequence, time_ms, body, hash FROM events AS reserved \
     WHERE reserved.body ->> '$.type' = 'call_reserved' AND NOT EXISTS ( \
         SELECT 1 FROM events AS metered WHERE metered.body ->> '$.type' = 'call_metered' \
         AND metered.body ->> '$.request_id' = reserved.body ->> '$.request_id') \
     ORDER BY sequence";
const CHECKPOINT: &str = "SELECT sequence, time_ms, body, hash FROM events WHERE sequence > ?1 \
     AND body ->> '$.type' = 'call_checkpointed' AND body ->> '$.request_id' = ?2 \
     ORDER BY sequence DESC LIMIT 1";

const ENCLOSE: &str = "INSERT OR IGNORE INTO enclosures (request_id, bytes) VALUES (?1, ?2)";
const ENCLOSED_FOR: &str = "SELECT bytes FROM enclosures WHERE request_id = ?1";
const DROP_OLDEST: &str = "DELETE FROM enclosures \
     WHERE age = (SELECT min(age) FROM enclosures) RETURNING length(bytes)";

/// The writing side; it holds the journal's lock.
pub struct SqliteStore {
    file: SqliteFile,
    head: JournalHead,
    /// Bytes of all enclosures.
    enclosed: u64,
    _lock: WriterLock,
}

/// The reading side.
pub struct SqliteReader {
    file: SqliteFile,
    salt: Vec<u8>,
    seen: Option<i64>,
}

/// A connection with its path, for error messages.
struct SqliteFile {
    connection: Connection,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens or creates the journal at `path` and becomes its only writer.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if let Some(parent) = path.parent() {
            files::new_folder(parent).map_err(|error| unwritable(path, &error))?;
        }
        let lock = WriterLock::acquire(path)?;
        for name in ["", "-wal", "-shm"] {
            keep_private(path, name).map_err(|error| unwritable(path, &error))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut file = SqliteFile::connect(path, flags)?;
        file.prepare_for_writing()?;
        let salt = file.salt()?;
        let head = file.head(&salt)?;
        let enclosed = file.bytes_enclosed()?;
        Ok(Self {
            file,
            head,
            enclosed,
            _lock: lock,
        })
    }
}

/// SQLite creates the files next to the journal with the journal's mode; files of earlier versions
/// may exist with another mode.
fn keep_private(journal: &Path, ending: &str) -> std::io::Result<()> {
    let mut name = journal.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    let path = journal.with_file_name(name);
    match ending.is_empty() || path.exists() {
        true => files::file(&path),
        false => Ok(()),
    }
}

impl JournalStore for SqliteStore {
    fn append(
        &mut self,
        now_ms: u64,
        batch: &[JournalEntry],
    ) -> Result<Vec<AppendOutcome>, JournalError> {
        let (mut head, mut enclosed) = (self.head, self.enclosed);
        let path = self.file.path.clone();
        let transaction = self.file.begin()?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for JournalEntry { event, response } in batch {
            let outcome = insert(&transaction, &path, &mut head, now_ms, event)?;
            if let (AppendOutcome::Stored(_), Some(response)) = (&outcome, response) {
                let kept = enclose(&transaction, response);
                enclosed += kept.map_err(|error| explain(&path, error))?;
            }
            outcomes.push(outcome);
        }
        if enclosed > ENCLOSED {
            let dropped = make_room(&transaction, enclosed - ENCLOSED);
            enclosed -= dropped.map_err(|error| explain(&path, error))?;
        }
        transaction
            .commit()
            .map_err(|error| explain(&path, error))?;
        // The head advances only after the commit.
        (self.head, self.enclosed) = (head, enclosed);
        Ok(outcomes)
    }

    fn head(&self) -> JournalHead {
        self.head
    }

    fn reader(&self) -> Result<Box<dyn StoreReader>, JournalError> {
        Ok(Box::new(SqliteReader::open(&self.file.path)?))
    }
}

/// Inserts after `head` and advances it; a duplicate leaves it unchanged.
fn insert(
    transaction: &Transaction,
    path: &Path,
    head: &mut JournalHead,
    now_ms: u64,
    event: &Event,
) -> Result<AppendOutcome, JournalError> {
    let body = serde_json::to_string(event).map_err(|e| JournalError::Unwritable(e.to_string()))?;
    let next = head.next(now_ms, body.as_bytes());
    let inserted = transaction.prepare_cached(INSERT).and_then(|mut insert| {
        insert.execute(params![
            signed(next.sequence),
            signed(next.time_ms),
            body,
            next.hash
        ])
    });
    match (inserted, UniqueKey::from_event(event)) {
        (Ok(_), _) => {
            *head = next;
            let JournalHead {
                sequence,
                time_ms,
                hash,
            } = next;
            let event = event.clone();
            Ok(AppendOutcome::Stored(EventRecord {
                sequence,
                time_ms,
                event,
                hash: hex::encode(hash),
            }))
        }
        (Err(error), Some(unique)) if is_duplicate(&error) => Ok(AppendOutcome::Duplicate(unique)),
        (Err(error), _) => Err(explain(path, error)),
    }
}

/// Returns how many bytes were added.
fn enclose(transaction: &Transaction, response: &CachedResponse) -> rusqlite::Result<u64> {
    let CachedResponse { request_id, bytes } = response;
    let inserted = transaction
        .prepare_cached(ENCLOSE)?
        .execute(params![request_id, bytes])?;
    Ok(inserted as u64 * bytes.len() as u64)
}

/// Deletes the oldest enclosures until `wanted` bytes are free; returns how many bytes that freed.
fn make_room(transaction: &Transaction, wanted: u64) -> rusqlite::Result<u64> {
    let mut freed = 0;
    while freed < wanted {
        let oldest = transaction
            .prepare_cached(DROP_OLDEST)?
            .query_row([], |row| row.get::<_, i64>(0))
            .optional()?;
        match oldest {
            Some(bytes) => freed += unsigned(bytes),
            None => break,
        }
    }
    Ok(freed)
}

fn is_duplicate(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == SQLITE_CONSTRAINT_UNIQUE)
}

impl SqliteReader {
    /// Opens an existing journal without blocking other processes.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.exists() {
            return Err(JournalError::Missing {
                path: path.to_owned(),
            });
        }
        let file = SqliteFile::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        if !file.check_identity()? {
            return Err(JournalError::Empty {
                path: path.to_owned(),
            });
        }
        let salt = file.salt()?;
        Ok(Self {
            file,
            salt,
            seen: None,
        })
    }

    fn rows(
        &self,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<StoredRow>, JournalError> {
        let rows = self
            .file
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement
                    .query_map(parameters, row)?
                    .collect::<Result<Vec<StoredRow>, _>>()
            });
        rows.map_err(|error| self.file.explain(error))
    }

    fn with_checkpoint(&self, reserved: &StoredRow) -> Result<Option<UncountedCall>, JournalError> {
        let Some(mut call) = UncountedCall::from_record(reserved.decode()?) else {
            return Ok(None);
        };
        let rows = self.rows(CHECKPOINT, &[&signed(reserved.sequence), &call.request_id])?;
        if let Some(record) = rows.first().map(StoredRow::decode).transpose()?
            && let Event::CallCheckpointed {
                completion_tokens, ..
            } = record.event
        {
            call.checkpoint = Some((completion_tokens, record.time_ms));
        }
        Ok(Some(call))
    }
}

impl StoreReader for SqliteReader {
    fn salt(&self) -> &[u8] {
        &self.salt
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<StoredRow>, JournalError> {
        self.rows(READ, &[&signed(from), &signed(limit as u64)])
    }

    fn head(&mut self) -> Result<JournalHead, JournalError> {
        self.file.head(&self.salt)
    }

    fn unique(&mut self, unique: &UniqueKey) -> Result<Option<StoredRow>, JournalError> {
        let known = UNIQUE.iter().find(|(kind, _)| *kind == unique.kind);
        let Some((_, sql)) = known else {
            return Ok(None);
        };
        Ok(self.rows(sql, &[&unique.request_id])?.pop())
    }

    fn enclosed(&mut self, request_id: &str) -> Result<Option<Vec<u8>>, JournalError> {
        if !self.file.has_enclosures()? {
            return Ok(None);
        }
        let connection = &self.file.connection;
        let found = connection
            .prepare_cached(ENCLOSED_FOR)
            .and_then(|mut it| it.query_row([request_id], |row| row.get(0)).optional());
        found.map_err(|error| self.file.explain(error))
    }

    fn open_calls(&mut self) -> Result<Vec<UncountedCall>, JournalError> {
        let reserved = self.rows(OPEN, &[])?;
        reserved
            .iter()
            .filter_map(|row| self.with_checkpoint(row).transpose())
            .collect()
    }

    fn changed(&mut self) -> Result<bool, JournalError> {
        let version = self.file.pragma("data_version")?;
        Ok(self.seen.replace(version) != Some(version))
    }
}

/// SQLite's integers are signed; nothing here comes near their limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// This program never writes a negative number. Read as 0 it breaks the hash chain, which reveals
/// it.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn row(row: &rusqlite::Row) -> rusqlite::Result<StoredRow> {
    Ok(StoredRow {
        sequence: unsigned(row.get(0)?),
        time_ms: unsigned(row.get(1)?),
        body: row.get_ref(2)?.as_bytes()?.to_vec(),
        hash: row.get(3)?,
    })
}

impl SqliteFile {
    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, JournalError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| explain(path, error))?;
        let file = Self {
            connection,
            path: path.to_owned(),
        };
        file.connection
            .busy_timeout(BUSY)
            .map_err(|error| file.explain(error))?;
        Ok(file)
    }

    fn explain(&self, error: rusqlite::Error) -> JournalError {
        explain(&self.path, error)
    }

    /// Takes the write lock immediately: a transaction that upgrades later could not be retried.
    fn begin(&mut self) -> Result<Transaction<'_>, JournalError> {
        let begun = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        begun.map_err(|error| explain(&self.path, error))
    }

    fn pragma(&self, name: &str) -> Result<i64, JournalError> {
        let value = self
            .connection
            .pragma_query_value(None, name, |row| row.get(0));
        value.map_err(|error| self.explain(error))
    }

    /// Whether the file is a journal of this format; false if it is empty.
    fn check_identity(&self) -> Result<bool, JournalError> {
        // The tables are read first: a process that creates the journal at this moment commits them
        // together with the identity.
        let tables: i64 = self
            .connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(|error| self.explain(error))?;
        let (application, format) = (self.pragma("application_id")?, self.pragma("user_version")?);
        if application == APPLICATION && format > FORMAT {
            let path = self.path.clone();
            return Err(JournalError::Newer {
                path,
                found: format,
                supported: FORMAT,
            });
        }
        if application == APPLICATION {
            return Ok(true);
        }
        if application == 0 && tables == 0 {
            return Ok(false);
        }
        Err(not_a_journal(
            &self.path,
            "it is a database of another program",
        ))
    }

    fn prepare_for_writing(&mut self) -> Result<(), JournalError> {
        let exists = self.check_identity()?;
        let set = |file: &Self, name, value: &str| {
            let set = file.connection.pragma_update(None, name, value);
            set.map_err(|error| file.explain(error))
        };
        set(self, "journal_mode", "WAL")?;
        // With NORMAL, the last commits would not be synced until the next checkpoint.
        set(self, "synchronous", "FULL")?;
        if !exists {
            self.create()?;
        }
        // Journals of earlier versions get the missing tables and indexes; those versions can still
        // read and write the file.
        let added = self.connection.execute_batch(ADDITIONS);
        added.map_err(|error| self.explain(error))
    }

    /// A journal of an earlier version has no enclosures until it is opened for writing.
    fn has_enclosures(&self) -> Result<bool, JournalError> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'enclosures'";
        let tables = self
            .connection
            .query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(tables.map_err(|error| self.explain(error))? > 0)
    }

    fn bytes_enclosed(&self) -> Result<u64, JournalError> {
        let sql = "SELECT coalesce(sum(length(bytes)), 0) FROM enclosures";
        let sum = self.connection.query_row(sql, [], |row| row.get(0));
        sum.map(unsigned).map_err(|error| self.explain(error))
    }

    /// In one transaction, so that a crash leaves either nothing or a complete journal.
    fn create(&mut self) -> Result<(), JournalError> {
        let salt: [u8; 32] = rand::random();
        let path = self.path.clone();
        let transaction = self.begin()?;
        let created = transaction
            .execute_batch(SCHEMA)
            .and_then(|()| transaction.pragma_update(None, "application_id", APPLICATION))
            .and_then(|()| transaction.pragma_update(None, "user_version", FORMAT))
            .and_then(|()| {
                transaction.execute("INSERT INTO meta (key, value) VALUES ('salt', ?1)", [salt])
            })
            .and_then(|_| transaction.commit());
        created.map_err(|error| explain(&path, error))
    }

    fn salt(&self) -> Result<Vec<u8>, JournalError> {
        let sql = "SELECT value FROM meta WHERE key = 'salt'";
        let salt = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .optional();
        salt.map_err(|error| self.explain(error))?
            .ok_or_else(|| JournalError::Damaged {
                path: self.path.clone(),
                detail: "its salt is missing".into(),
            })
    }

    fn head(&self, salt: &[u8]) -> Result<JournalHead, JournalError> {
        let last = self
            .connection
            .prepare_cached(LAST)
            .and_then(|mut statement| statement.query_row([], row).optional())
            .map_err(|error| self.explain(error))?;
        Ok(last.map_or_else(
            || JournalHead::genesis(salt),
            |row| JournalHead {
                sequence: row.sequence,
                time_ms: row.time_ms,
                hash: row.hash,
            },
        ))
    }
}

fn not_a_journal(path: &Path, found: &str) -> JournalError {
    JournalError::NotAJournal {
        path: path.to_owned(),
        found: found.to_owned(),
    }
}

fn explain(path: &Path, error: rusqlite::Error) -> JournalError {
    let (path, detail) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => JournalError::Full { path },
        Some(ErrorCode::NotADatabase) => not_a_journal(&path, "it is no SQLite file"),
        Some(ErrorCode::DatabaseCorrupt) => JournalError::Damaged { path, detail },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            JournalError::ReadOnly { path, detail }
        }
        Some(_) => JournalError::Io { path, detail },
        // A value in the file has another type than the schema declares.
        None => JournalError::Damaged { path, detail },
    }
}
