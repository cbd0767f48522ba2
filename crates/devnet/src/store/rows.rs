//! Conversion between values and rows.

use alloy::primitives::{Address, B256, U256};
use rusqlite::{Connection, Row, Transaction, params};

use super::{StoredBlock, StoredTransaction};
use crate::changes::StateChanges;

/// `application_id` of the file: "olrc".
pub(super) const APPLICATION: i64 = 0x6f6c_7263;
/// `user_version` of the file.
pub(super) const FORMAT: i64 = 1;

const SCHEMA: &str = include_str!("../schema.sql");

pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

pub(super) fn put_meta(
    transaction: &Transaction<'_>,
    key: &str,
    value: &[u8],
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])?;
    Ok(())
}

pub(super) fn insert_step(
    transaction: &Transaction<'_>,
    step: u64,
    commitment: B256,
    changes: &StateChanges,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO steps (step, commitment) VALUES (?1, ?2)")?
        .execute(params![signed(step), commitment.as_slice()])?;
    let mut accounts = transaction.prepare_cached(
        "INSERT INTO accounts (address, step, balance, nonce, code_hash) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (address, record) in &changes.accounts {
        accounts.execute(params![
            address.as_slice(),
            signed(step),
            record.balance.to_be_bytes::<32>(),
            signed(record.nonce),
            record.code_hash.as_slice()
        ])?;
    }
    let mut slots = transaction
        .prepare_cached("INSERT INTO slots (address, slot, step, value) VALUES (?1, ?2, ?3, ?4)")?;
    for ((address, slot), value) in &changes.slots {
        slots.execute(params![
            address.as_slice(),
            slot.to_be_bytes::<32>(),
            signed(step),
            value.to_be_bytes::<32>()
        ])?;
    }
    let mut codes =
        transaction.prepare_cached("INSERT OR IGNORE INTO code (hash, bytes) VALUES (?1, ?2)")?;
    for (hash, bytes) in &changes.code {
        codes.execute(params![hash.as_slice(), &bytes[..]])?;
    }
    Ok(())
}

pub(super) fn insert_block(
    transaction: &Transaction<'_>,
    block: &StoredBlock,
    transactions: &[StoredTransaction],
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO blocks (number, step, hash, header) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            signed(block.header.number),
            signed(block.step),
            block.header.hash().as_slice(),
            alloy::rlp::encode(block.header.inner())
        ])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO transactions (hash, block, position, sender, gas_used, raw, receipt) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for one in transactions {
        insert.execute(params![
            one.hash.as_slice(),
            signed(one.block),
            signed(one.position),
            one.sender.as_slice(),
            signed(one.gas_used),
            &one.raw[..],
            &one.receipt[..]
        ])?;
    }
    Ok(())
}

pub(super) fn transaction_row(row: &Row<'_>) -> rusqlite::Result<StoredTransaction> {
    Ok(StoredTransaction {
        hash: hash(row, 0)?,
        block: unsigned(row, 1)?,
        position: unsigned(row, 2)?,
        sender: address(row, 3)?,
        gas_used: unsigned(row, 4)?,
        raw: row.get::<_, Vec<u8>>(5)?.into(),
        receipt: row.get::<_, Vec<u8>>(6)?.into(),
    })
}

/// SQLite's integers are signed. Steps, numbers and gas never reach the sign bit; nonces that do
/// are restored unchanged.
pub(super) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

pub(super) fn word(row: &Row<'_>, column: usize) -> rusqlite::Result<U256> {
    row.get::<_, [u8; 32]>(column).map(U256::from_be_bytes)
}

pub(super) fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<B256> {
    row.get::<_, [u8; 32]>(column).map(B256::from)
}

pub(super) fn address(row: &Row<'_>, column: usize) -> rusqlite::Result<Address> {
    row.get::<_, [u8; 20]>(column).map(Address::from)
}
