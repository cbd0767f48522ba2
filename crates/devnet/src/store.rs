//! The chain's file: SQLite in WAL mode, one transaction per block. Committed data survives the end
//! of the process at any moment. A power failure may lose the last blocks, but never part of one.

mod rows;

use std::path::{Path, PathBuf};

use alloy::{
    consensus::{Header, Sealed},
    primitives::{Address, B256, Bytes, U256},
    rlp::Decodable,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use self::rows::{
    APPLICATION, FORMAT, address, create, hash, insert_block, insert_step, put_meta, signed,
    transaction_row, unsigned, word,
};
use super::{
    changes::{AccountRecord, StateChanges},
    error::{ChainError, store_error},
};
use openlora_core::{error::describe_io, private::files};

/// NORMAL in WAL mode: the file is never corrupted, and a killed process loses nothing. Checkpoints
/// run every 32 MiB, so that a page changed by many blocks is written once.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
     PRAGMA wal_autocheckpoint = 8000; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY;";

/// Greater than every step.
pub(super) const NEWEST: u64 = i64::MAX as u64;

pub(super) struct ChainStore {
    connection: Connection,
    path: PathBuf,
}

/// A stored block.
#[derive(Clone, Debug)]
pub(super) struct StoredBlock {
    pub header: Sealed<Header>,
    /// The step of its changes.
    pub step: u64,
}

/// A stored transaction with its receipt.
#[derive(Clone, Debug)]
pub(super) struct StoredTransaction {
    pub hash: B256,
    pub block: u64,
    pub position: u64,
    pub sender: Address,
    pub gas_used: u64,
    pub raw: Bytes,
    pub receipt: Bytes,
}

/// A pending transaction.
#[derive(Clone, Debug)]
pub(super) struct WaitingTx {
    pub hash: B256,
    pub sender: Address,
    pub raw: Bytes,
}

/// The target of `evm_revert`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainSnapshot {
    pub step: u64,
    pub block: u64,
    pub time_offset: i64,
}

/// The data of one commit.
#[derive(Default)]
pub(super) struct ChainCommit<'a> {
    pub step: Option<(u64, B256, &'a StateChanges)>,
    pub block: Option<(&'a StoredBlock, &'a [StoredTransaction])>,
    /// Transactions to remove from the pool.
    pub left: &'a [B256],
    pub time_offset: Option<i64>,
}

impl ChainStore {
    /// Opens or creates the file; the second value states whether it already contains a chain.
    pub(super) fn open(path: &Path) -> Result<(Self, bool), ChainError> {
        let explain = |error: rusqlite::Error| store_error(path, &error);
        files::file(path).map_err(|error| ChainError::Store {
            path: path.to_owned(),
            detail: describe_io(&error),
        })?;
        let mut connection = Connection::open(path).map_err(explain)?;
        connection.set_prepared_statement_cache_capacity(64);
        let identity = |name: &str| {
            connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
        };
        let application = identity("application_id").map_err(explain)?;
        let format = identity("user_version").map_err(explain)?;
        connection.execute_batch(PRAGMAS).map_err(explain)?;
        let existing = match (application, format) {
            (APPLICATION, FORMAT) => true,
            (0, 0) => {
                create(&mut connection).map_err(explain)?;
                false
            }
            (application, format) => {
                return Err(ChainError::Foreign {
                    path: path.to_owned(),
                    detail: format!(
                        "expected application {APPLICATION:#x} format {FORMAT}, found {application:#x} format {format}"
                    ),
                });
            }
        };
        let store = Self {
            connection,
            path: path.to_owned(),
        };
        // A process that died between creating the tables and the first block has stored no block.
        let complete = existing && store.block_count()? > 0;
        Ok((store, complete))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn explain(&self, error: &rusqlite::Error) -> ChainError {
        store_error(&self.path, error)
    }

    fn one<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, ChainError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(parameters, read).optional())
            .map_err(|error| self.explain(&error))
    }

    fn all<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, ChainError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(parameters, read)?.collect())
            .map_err(|error| self.explain(&error))
    }

    fn write(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), ChainError> {
        let done = self.connection.transaction().and_then(|transaction| {
            work(&transaction)?;
            transaction.commit()
        });
        done.map_err(|error| store_error(&self.path, &error))
    }

    /// Writes a step, a block and related data atomically.
    pub(super) fn commit(&mut self, entry: &ChainCommit<'_>) -> Result<(), ChainError> {
        self.write(|transaction| {
            if let Some((step, commitment, changes)) = entry.step {
                insert_step(transaction, step, commitment, changes)?;
            }
            if let Some((block, transactions)) = entry.block {
                insert_block(transaction, block, transactions)?;
            }
            for hash in entry.left {
                transaction
                    .prepare_cached("DELETE FROM pool WHERE hash = ?1")?
                    .execute([hash.as_slice()])?;
            }
            if let Some(offset) = entry.time_offset {
                put_meta(transaction, "time_offset", &offset.to_be_bytes())?;
            }
            Ok(())
        })
    }

    /// Rewinds to a step and a block; the pool is kept.
    pub(super) fn rewind(&mut self, step: u64, block: u64) -> Result<(), ChainError> {
        self.write(|transaction| {
            for table in ["steps", "accounts", "slots"] {
                transaction.execute(
                    &format!("DELETE FROM {table} WHERE step > ?1"),
                    [signed(step)],
                )?;
            }
            for sql in [
                "DELETE FROM transactions WHERE block > ?1",
                "DELETE FROM blocks WHERE number > ?1",
                "DELETE FROM snapshots WHERE block > ?1",
            ] {
                transaction.execute(sql, [signed(block)])?;
            }
            transaction.execute("DELETE FROM snapshots WHERE step > ?1", [signed(step)])?;
            Ok(())
        })
    }

    pub(super) fn account(
        &self,
        address: Address,
        at: u64,
    ) -> Result<Option<AccountRecord>, ChainError> {
        self.one(
            "SELECT balance, nonce, code_hash FROM accounts \
             WHERE address = ?1 AND step <= ?2 ORDER BY step DESC LIMIT 1",
            params![address.as_slice(), signed(at)],
            |row| {
                Ok(AccountRecord {
                    balance: word(row, 0)?,
                    nonce: unsigned(row, 1)?,
                    code_hash: hash(row, 2)?,
                })
            },
        )
    }

    pub(super) fn slot(&self, address: Address, slot: U256, at: u64) -> Result<U256, ChainError> {
        let value = self.one(
            "SELECT value FROM slots \
             WHERE address = ?1 AND slot = ?2 AND step <= ?3 ORDER BY step DESC LIMIT 1",
            params![address.as_slice(), slot.to_be_bytes::<32>(), signed(at)],
            |row| word(row, 0),
        )?;
        Ok(value.unwrap_or_default())
    }

    pub(super) fn code(&self, wanted: B256) -> Result<Bytes, ChainError> {
        let found = self.one(
            "SELECT bytes FROM code WHERE hash = ?1",
            [wanted.as_slice()],
            |row| row.get::<_, Vec<u8>>(0),
        )?;
        found.map(Bytes::from).ok_or_else(|| ChainError::Damaged {
            path: self.path.clone(),
            place: "the codes".to_owned(),
            expected: format!("a code with hash {wanted}"),
            found: "none".to_owned(),
        })
    }

    fn block_count(&self) -> Result<u64, ChainError> {
        let count = self.one("SELECT count(*) FROM blocks", [], |row| unsigned(row, 0))?;
        Ok(count.unwrap_or_default())
    }

    pub(super) fn newest_block(&self) -> Result<Option<u64>, ChainError> {
        self.one(
            "SELECT number FROM blocks ORDER BY number DESC LIMIT 1",
            [],
            |row| unsigned(row, 0),
        )
    }

    pub(super) fn block(&self, number: u64) -> Result<Option<StoredBlock>, ChainError> {
        let found = self.one(
            "SELECT step, hash, header FROM blocks WHERE number = ?1",
            [signed(number)],
            |row| Ok((unsigned(row, 0)?, hash(row, 1)?, row.get::<_, Vec<u8>>(2)?)),
        )?;
        let Some((step, hash, header)) = found else {
            return Ok(None);
        };
        let header = Header::decode(&mut header.as_slice())
            .map_err(|error| self.damaged(number, "a header", &error.to_string()))?;
        let header = Sealed::new_unchecked(header, hash);
        Ok(Some(StoredBlock { header, step }))
    }

    pub(super) fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        self.one(
            "SELECT hash FROM blocks WHERE number = ?1",
            [signed(number)],
            |row| hash(row, 0),
        )
    }

    pub(super) fn block_number(&self, of: B256) -> Result<Option<u64>, ChainError> {
        self.one(
            "SELECT number FROM blocks WHERE hash = ?1",
            [of.as_slice()],
            |row| unsigned(row, 0),
        )
    }

    /// The last step before that of a block.
    pub(super) fn step_before(&self, block: u64) -> Result<Option<u64>, ChainError> {
        let step = self.one(
            "SELECT step FROM blocks WHERE number = ?1",
            [signed(block)],
            |row| unsigned(row, 0),
        )?;
        Ok(step.map(|step| step.saturating_sub(1)))
    }

    pub(super) fn newest_step(&self) -> Result<Option<(u64, B256)>, ChainError> {
        self.one(
            "SELECT step, commitment FROM steps ORDER BY step DESC LIMIT 1",
            [],
            |row| Ok((unsigned(row, 0)?, hash(row, 1)?)),
        )
    }

    pub(super) fn commitment(&self, step: u64) -> Result<Option<B256>, ChainError> {
        self.one(
            "SELECT commitment FROM steps WHERE step = ?1",
            [signed(step)],
            |row| hash(row, 0),
        )
    }

    /// The changes of a step, without code.
    pub(super) fn changes(&self, step: u64) -> Result<StateChanges, ChainError> {
        let accounts = self.all(
            "SELECT balance, nonce, code_hash, address FROM accounts WHERE step = ?1",
            [signed(step)],
            |row| {
                let record = AccountRecord {
                    balance: word(row, 0)?,
                    nonce: unsigned(row, 1)?,
                    code_hash: hash(row, 2)?,
                };
                Ok((address(row, 3)?, record))
            },
        )?;
        let slots = self.all(
            "SELECT address, slot, value FROM slots WHERE step = ?1",
            [signed(step)],
            |row| Ok(((address(row, 0)?, word(row, 1)?), word(row, 2)?)),
        )?;
        Ok(StateChanges {
            accounts: accounts.into_iter().collect(),
            slots: slots.into_iter().collect(),
            ..StateChanges::default()
        })
    }

    pub(super) fn transaction(&self, of: B256) -> Result<Option<StoredTransaction>, ChainError> {
        self.one(
            "SELECT hash, block, position, sender, gas_used, raw, receipt \
             FROM transactions WHERE hash = ?1",
            [of.as_slice()],
            transaction_row,
        )
    }

    pub(super) fn transactions(&self, block: u64) -> Result<Vec<StoredTransaction>, ChainError> {
        self.all(
            "SELECT hash, block, position, sender, gas_used, raw, receipt \
             FROM transactions WHERE block = ?1 ORDER BY position",
            [signed(block)],
            transaction_row,
        )
    }

    pub(super) fn add_waiting(&mut self, waiting: &WaitingTx) -> Result<(), ChainError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO pool (hash, sender, raw) VALUES (?1, ?2, ?3)",
                params![
                    waiting.hash.as_slice(),
                    waiting.sender.as_slice(),
                    &waiting.raw[..]
                ],
            )?;
            Ok(())
        })
    }

    pub(super) fn waiting(&self) -> Result<Vec<WaitingTx>, ChainError> {
        self.all("SELECT hash, sender, raw FROM pool", [], |row| {
            Ok(WaitingTx {
                hash: hash(row, 0)?,
                sender: address(row, 1)?,
                raw: row.get::<_, Vec<u8>>(2)?.into(),
            })
        })
    }

    pub(super) fn add_snapshot(
        &mut self,
        id: u64,
        snapshot: ChainSnapshot,
    ) -> Result<(), ChainError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO snapshots (id, step, block, time_offset) VALUES (?1, ?2, ?3, ?4)",
                params![
                    signed(id),
                    signed(snapshot.step),
                    signed(snapshot.block),
                    snapshot.time_offset
                ],
            )?;
            put_meta(transaction, "snapshots", &(id + 1).to_be_bytes())
        })
    }

    pub(super) fn snapshot(&self, id: u64) -> Result<Option<ChainSnapshot>, ChainError> {
        self.one(
            "SELECT step, block, time_offset FROM snapshots WHERE id = ?1",
            [signed(id)],
            |row| {
                Ok(ChainSnapshot {
                    step: unsigned(row, 0)?,
                    block: unsigned(row, 1)?,
                    time_offset: row.get(2)?,
                })
            },
        )
    }

    /// A snapshot can be used once; using it removes the later ones.
    pub(super) fn drop_snapshots(&mut self, from: u64) -> Result<(), ChainError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM snapshots WHERE id >= ?1", [signed(from)])?;
            Ok(())
        })
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, ChainError> {
        self.one("SELECT value FROM meta WHERE key = ?1", [key], |row| {
            row.get(0)
        })
    }

    pub(super) fn set_meta(&mut self, key: &str, value: &[u8]) -> Result<(), ChainError> {
        self.write(|transaction| put_meta(transaction, key, value))
    }

    /// A number from the meta table.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, ChainError> {
        let bytes = self.meta(key)?;
        Ok(bytes.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?))))
    }

    pub(super) fn damaged(&self, block: u64, expected: &str, found: &str) -> ChainError {
        ChainError::Damaged {
            path: self.path.clone(),
            place: format!("block {block}"),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }
}
