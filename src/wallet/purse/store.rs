//! The file of a purse, which many processes share: WAL mode, every commit synced, writers one
//! after the other, readable by its owner alone.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::{PurseError, deposit, lease::Lease};
use crate::{error::describe_io, private::files};

/// `application_id` of the file: "olpu".
const APPLICATION: i64 = 0x6f6c_7075;
/// `user_version` of the file. A change of the schema raises it and brings a migration.
const FORMAT: i64 = 3;
const SCHEMA: &str = include_str!("schema.sql");
/// What format 2 has more than format 1.
const SCHEMA_2: &str = include_str!("schema_2.sql");
/// What format 3 has more than format 2.
const SCHEMA_3: &str = include_str!("schema_3.sql");
/// How long a writer waits for the others.
const BUSY: Duration = Duration::from_secs(60);

/// A payer's memory of what was signed, paid and put into channels.
#[derive(Debug)]
pub struct Purse {
    connection: Mutex<Connection>,
    path: PathBuf,
    locks: PathBuf,
}

/// What ends a transaction: the database's word, or ours.
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Json(serde_json::Error),
    Purse(PurseError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl From<PurseError> for Fault {
    fn from(error: PurseError) -> Self {
        Self::Purse(error)
    }
}

impl Purse {
    /// The purse in the data folder `dir`, made when there is none.
    pub fn open(dir: &Path) -> Result<Self, PurseError> {
        let path = dir.join("purse.db");
        let locks = dir.join("purse.locks");
        let io = |error: std::io::Error| store(&path, describe_io(&error));
        files::folder(dir).map_err(io)?;
        files::folder(&locks).map_err(io)?;
        // Of several processes that find no purse, one makes it.
        let _making = Lease::take(&locks.join("purse")).map_err(io)?;
        // SQLite gives the files beside it the same mode.
        files::file(&path).map_err(io)?;
        let connection = connect(&path).map_err(|error| store(&path, error.to_string()))?;
        let purse = Self {
            connection: Mutex::new(connection),
            path,
            locks,
        };
        purse.prepare()?;
        Ok(purse)
    }

    fn prepare(&self) -> Result<(), PurseError> {
        self.write(|transaction| {
            let number = |name: &str| {
                transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            };
            match (number("application_id")?, number("user_version")?) {
                (APPLICATION, FORMAT) => Ok(()),
                (0, 0) => {
                    transaction.execute_batch(SCHEMA)?;
                    transaction.execute_batch(SCHEMA_2)?;
                    transaction.execute_batch(SCHEMA_3)?;
                    transaction.pragma_update(None, "application_id", APPLICATION)?;
                    transaction.pragma_update(None, "user_version", FORMAT)?;
                    Ok(())
                }
                (APPLICATION, found @ (1 | 2)) => {
                    if found == 1 {
                        transaction.execute_batch(SCHEMA_2)?;
                        deposit::take_over(transaction)?;
                    }
                    transaction.execute_batch(SCHEMA_3)?;
                    transaction.pragma_update(None, "user_version", FORMAT)?;
                    Ok(())
                }
                (_, found) => Err(Fault::Purse(PurseError::Format {
                    path: self.path.clone(),
                    found,
                    expected: FORMAT,
                })),
            }
        })
    }

    /// One change, whole or not at all, on disk when this returns.
    pub(super) fn write<T>(
        &self,
        deed: impl FnOnce(&Transaction) -> Result<T, Fault>,
    ) -> Result<T, PurseError> {
        // A panic elsewhere left the connection as it was: its transaction was rolled back.
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let done = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Fault::from)
            .and_then(|transaction| {
                let done = deed(&transaction)?;
                transaction.commit()?;
                Ok(done)
            });
        done.map_err(|fault| self.explain(fault))
    }

    pub(super) fn read<T>(
        &self,
        deed: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, PurseError> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        deed(&connection).map_err(|fault| self.explain(fault))
    }

    /// The lease of what is called `name`, or none when it is taken.
    pub(super) fn try_lease(&self, name: &str) -> Result<Option<Lease>, PurseError> {
        let path = self.locks.join(name);
        Lease::try_take(&path).map_err(|error| store(&path, describe_io(&error)))
    }

    /// Waits until nobody else sends transactions of an account from here.
    pub async fn lease_account(
        &self,
        account: crate::runtime::ledger::Address,
    ) -> Result<Lease, PurseError> {
        let path = self.locks.join(format!("account-{account}"));
        let waited = path.clone();
        let taken = tokio::task::spawn_blocking(move || Lease::take(&waited)).await;
        match taken {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(error)) => Err(store(&path, describe_io(&error))),
            Err(error) => Err(store(&path, error.to_string())),
        }
    }

    fn explain(&self, fault: Fault) -> PurseError {
        match fault {
            Fault::Purse(error) => error,
            Fault::Sql(error) => store(&self.path, error.to_string()),
            Fault::Json(error) => store(&self.path, format!("a row cannot be read: {error}")),
        }
    }
}

fn store(path: &Path, problem: String) -> PurseError {
    PurseError::Store {
        path: path.to_owned(),
        problem,
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Unix time in milliseconds.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
