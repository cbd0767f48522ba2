//! Reads and writes the payer store's file, and holds the leases for it. Writes are serialized.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, Params, Transaction, TransactionBehavior};
use serde::de::DeserializeOwned;

use super::{PayerError, lease::ChannelLease};
use openlora_core::error::describe_io;

/// A payer's records of signatures, payments and deposits.
#[derive(Debug)]
pub struct PayerStore {
    pub(super) connection: Mutex<Connection>,
    pub(super) path: PathBuf,
    pub(super) locks: PathBuf,
}

/// The number of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentNumber(pub(super) i64);

/// The error that aborts a transaction: the database's or our own.
pub(super) enum StoreFault {
    Sql(rusqlite::Error),
    Json(serde_json::Error),
    Purse(PayerError),
}

impl From<rusqlite::Error> for StoreFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<serde_json::Error> for StoreFault {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl From<PayerError> for StoreFault {
    fn from(error: PayerError) -> Self {
        Self::Purse(error)
    }
}

impl PayerStore {
    /// Makes one atomic change, which is on disk when this returns.
    pub(super) fn write<T>(
        &self,
        deed: impl FnOnce(&Transaction) -> Result<T, StoreFault>,
    ) -> Result<T, PayerError> {
        // After a panic elsewhere the connection is usable: its transaction was rolled back.
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let done = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreFault::from)
            .and_then(|transaction| {
                let done = deed(&transaction)?;
                transaction.commit()?;
                Ok(done)
            });
        done.map_err(|fault| self.explain(fault))
    }

    pub(super) fn read<T>(
        &self,
        deed: impl FnOnce(&Connection) -> Result<T, StoreFault>,
    ) -> Result<T, PayerError> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        deed(&connection).map_err(|fault| self.explain(fault))
    }

    /// The lease with this name, or `None` if it is held.
    pub(super) fn try_lease(&self, name: &str) -> Result<Option<ChannelLease>, PayerError> {
        let path = self.locks.join(name);
        ChannelLease::try_take(&path).map_err(|error| unusable(&path, describe_io(&error)))
    }

    /// Waits until no other task or process with this store sends transactions of the account.
    pub async fn lease_account(
        &self,
        account: openlora_core::Address,
    ) -> Result<ChannelLease, PayerError> {
        let path = self.locks.join(format!("account-{account}"));
        let waited = path.clone();
        let taken = tokio::task::spawn_blocking(move || ChannelLease::take(&waited)).await;
        match taken {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(error)) => Err(unusable(&path, describe_io(&error))),
            Err(error) => Err(unusable(&path, error.to_string())),
        }
    }

    fn explain(&self, fault: StoreFault) -> PayerError {
        match fault {
            StoreFault::Purse(error) => error,
            StoreFault::Sql(error) => unusable(&self.path, error.to_string()),
            StoreFault::Json(error) => {
                unusable(&self.path, format!("a row cannot be read: {error}"))
            }
        }
    }
}

/// The records of a table that `which` selects, oldest first.
pub(super) fn records_of<T: DeserializeOwned>(
    connection: &Connection,
    table: &str,
    which: &str,
    key: impl Params,
) -> Result<Vec<(PaymentNumber, T)>, StoreFault> {
    let query = format!("SELECT number, body FROM {table} {which} ORDER BY number");
    let mut all = connection.prepare_cached(&query)?;
    let rows = all.query_map(key, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    rows.map(|row| {
        let (number, body) = row?;
        Ok((PaymentNumber(number), serde_json::from_str(&body)?))
    })
    .collect()
}

pub(super) fn unusable(path: &Path, problem: String) -> PayerError {
    PayerError::Store {
        path: path.to_owned(),
        problem,
    }
}

/// Unix time in milliseconds.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
