//! Integrity check of the file. Whenever a chain is opened, the newest blocks are checked against
//! their hashes, roots and state commitments; the hash chain covers the rest.

use alloy::{
    consensus::{ReceiptEnvelope, TxEnvelope, proofs},
    eips::eip2718::Decodable2718,
    primitives::{B256, KECCAK256_EMPTY, keccak256},
};

use super::{
    error::ChainError,
    store::{ChainStore, StoredBlock},
};

/// Number of blocks checked on opening, which takes a few milliseconds.
const DEPTH: u64 = 64;

/// Checks the newest blocks.
pub(super) fn verify(store: &ChainStore) -> Result<(), ChainError> {
    let Some(newest) = store.newest_block()? else {
        return Ok(());
    };
    let first = newest.saturating_sub(DEPTH);
    let mut parent: Option<B256> = None;
    for number in first..=newest {
        let block = store
            .block(number)?
            .ok_or_else(|| store.damaged(number, "a block", "none"))?;
        verify_header(store, &block, parent)?;
        verify_body(store, &block)?;
        verify_state(store, &block)?;
        parent = Some(block.header.hash());
    }
    Ok(())
}

fn verify_header(
    store: &ChainStore,
    block: &StoredBlock,
    parent: Option<B256>,
) -> Result<(), ChainError> {
    let header = &block.header;
    let hash = header.inner().hash_slow();
    same(store, header.number, "hash", hash, header.hash())?;
    match parent {
        None => Ok(()),
        Some(parent) => same(store, header.number, "parent", parent, header.parent_hash),
    }
}

fn verify_body(store: &ChainStore, block: &StoredBlock) -> Result<(), ChainError> {
    let number = block.header.number;
    let stored = store.transactions(number)?;
    let unreadable = |what: &str| store.damaged(number, what, "bytes that are none");
    let transactions = stored
        .iter()
        .map(|one| TxEnvelope::decode_2718(&mut &one.raw[..]))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| unreadable("transactions"))?;
    let receipts = stored
        .iter()
        .map(|one| ReceiptEnvelope::decode_2718(&mut &one.receipt[..]))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| unreadable("receipts"))?;
    let root = proofs::calculate_transaction_root(&transactions);
    let expected = block.header.transactions_root;
    same(store, number, "transactions root", expected, root)?;
    let root = proofs::calculate_receipt_root(&receipts);
    let expected = block.header.receipts_root;
    same(store, number, "receipts root", expected, root)
}

fn verify_state(store: &ChainStore, block: &StoredBlock) -> Result<(), ChainError> {
    let number = block.header.number;
    let changes = store.changes(block.step)?;
    let before = match block.step {
        1 => Some(B256::ZERO),
        step => store.commitment(step - 1)?,
    };
    let before = before.ok_or_else(|| store.damaged(number, "the step before it", "none"))?;
    let expected = block.header.state_root;
    let found = changes.commit_to(before);
    same(store, number, "state commitment", expected, found)?;
    for record in changes.accounts.values() {
        if record.code_hash != KECCAK256_EMPTY {
            let code = store.code(record.code_hash)?;
            same(
                store,
                number,
                "code hash",
                record.code_hash,
                keccak256(code),
            )?;
        }
    }
    Ok(())
}

fn same(
    store: &ChainStore,
    block: u64,
    what: &str,
    expected: B256,
    found: B256,
) -> Result<(), ChainError> {
    if expected == found {
        return Ok(());
    }
    Err(store.damaged(block, &format!("{what} {expected}"), &found.to_string()))
}
