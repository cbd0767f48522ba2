//! Opens the payer store's file, which many processes share: WAL mode, every commit synced,
//! readable only by its owner. Migrates a file of an earlier format.

use std::{path::Path, sync::Mutex, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::{
    PayerError, deposit,
    lease::ChannelLease,
    store::{PayerStore, StoreFault, unusable},
};
use openlora_core::{error::describe_io, private::files};

/// `application_id` of the file: "olpu".
const APPLICATION: i64 = 0x6f6c_7075;
/// `user_version` of the file. A change of the schema raises it and brings a migration.
const FORMAT: i64 = 4;
const SCHEMA: &str = include_str!("schema.sql");
/// What format 2 adds to format 1.
const SCHEMA_2: &str = include_str!("schema_2.sql");
/// What format 3 adds to format 2.
const SCHEMA_3: &str = include_str!("schema_3.sql");
/// What format 4 adds to format 3.
const SCHEMA_4: &str = include_str!("schema_4.sql");
/// How long a writer waits for other writers.
const BUSY: Duration = Duration::from_secs(60);

impl PayerStore {
    /// Opens the payer store in the data folder `dir`. Creates it if there is none.
    pub fn open(dir: &Path) -> Result<Self, PayerError> {
        let path = dir.join("purse.db");
        let locks = dir.join("purse.locks");
        let io = |error: std::io::Error| unusable(&path, describe_io(&error));
        files::folder(dir).map_err(io)?;
        files::folder(&locks).map_err(io)?;
        // If several processes find no store, one of them creates it.
        let _making = ChannelLease::take(&locks.join("purse")).map_err(io)?;
        // SQLite gives its auxiliary files the same mode.
        files::file(&path).map_err(io)?;
        let connection = connect(&path).map_err(|error| unusable(&path, error.to_string()))?;
        let store = Self {
            connection: Mutex::new(connection),
            path,
            locks,
        };
        store.prepare()?;
        Ok(store)
    }

    fn prepare(&self) -> Result<(), PayerError> {
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
                    transaction.execute_batch(SCHEMA_4)?;
                    transaction.pragma_update(None, "application_id", APPLICATION)?;
                    transaction.pragma_update(None, "user_version", FORMAT)?;
                    Ok(())
                }
                (APPLICATION, found @ 1..FORMAT) => {
                    if found == 1 {
                        transaction.execute_batch(SCHEMA_2)?;
                        deposit::take_over(transaction)?;
                    }
                    if found < 3 {
                        transaction.execute_batch(SCHEMA_3)?;
                    }
                    transaction.execute_batch(SCHEMA_4)?;
                    transaction.pragma_update(None, "user_version", FORMAT)?;
                    Ok(())
                }
                (_, found) => Err(StoreFault::Purse(PayerError::Format {
                    path: self.path.clone(),
                    found,
                    expected: FORMAT,
                })),
            }
        })
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
