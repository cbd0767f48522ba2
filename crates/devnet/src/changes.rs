//! The state changes of a step, and the commitment to them.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};

/// The state of an account besides its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountRecord {
    pub balance: U256,
    pub nonce: u64,
    pub code_hash: B256,
}

impl Default for AccountRecord {
    fn default() -> Self {
        Self {
            balance: U256::ZERO,
            nonce: 0,
            code_hash: KECCAK256_EMPTY,
        }
    }
}

/// The changes of a step, in the order of its commitment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StateChanges {
    pub accounts: BTreeMap<Address, AccountRecord>,
    pub slots: BTreeMap<(Address, U256), U256>,
    pub code: BTreeMap<B256, Bytes>,
}

impl StateChanges {
    /// Sets an account's code and returns its hash.
    pub(super) fn add_code(&mut self, code: Bytes) -> B256 {
        if code.is_empty() {
            return KECCAK256_EMPTY;
        }
        let hash = keccak256(&code);
        self.code.insert(hash, code);
        hash
    }

    /// The commitment that follows `previous` after these changes.
    pub(super) fn commit_to(&self, previous: B256) -> B256 {
        let mut bytes = previous.to_vec();
        for (address, record) in &self.accounts {
            bytes.push(b'a');
            bytes.extend_from_slice(address.as_slice());
            bytes.extend_from_slice(&record.balance.to_be_bytes::<32>());
            bytes.extend_from_slice(&record.nonce.to_be_bytes());
            bytes.extend_from_slice(record.code_hash.as_slice());
        }
        for ((address, slot), value) in &self.slots {
            bytes.push(b's');
            bytes.extend_from_slice(address.as_slice());
            bytes.extend_from_slice(&slot.to_be_bytes::<32>());
            bytes.extend_from_slice(&value.to_be_bytes::<32>());
        }
        keccak256(bytes)
    }
}
