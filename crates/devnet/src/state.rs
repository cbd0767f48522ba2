//! State access for the virtual machine: an overlay of current changes, over a cache of the newest
//! values, over the versions in the store. All state is on disk: the cache may be cleared at any
//! time, and opening a chain reads no state.

use std::collections::{HashMap, HashSet};

use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use revm::{
    Database,
    state::{AccountInfo, Bytecode, EvmState},
};

use super::{
    changes::{AccountRecord, StateChanges},
    error::ChainError,
    store::{ChainStore, NEWEST},
};

/// Maximum cached values before the cache is cleared; a value takes about 100 bytes.
const CACHED: usize = 100_000;

/// Values that take precedence over the chain's: those of a block under construction, or a call's
/// overrides.
#[derive(Clone, Debug, Default)]
pub(super) struct StateOverlay {
    pub changes: StateChanges,
    /// Accounts without storage slots outside `changes`.
    pub replaced: HashSet<Address>,
    pub code: HashMap<B256, Bytecode>,
}

impl StateOverlay {
    pub(super) fn add_code(&mut self, code: Bytes) -> B256 {
        let hash = self.changes.add_code(code.clone());
        self.code
            .insert(hash, Bytecode::new_raw_checked(code).unwrap_or_default());
        hash
    }

    /// Applies the changes of a transaction.
    pub(super) fn apply_changes(&mut self, state: EvmState) {
        for (address, account) in state {
            if !account.is_touched() {
                continue;
            }
            if account.is_selfdestructed() {
                // Since Cancun only an account created in the same transaction can be destroyed, so
                // it has no earlier slots.
                self.changes
                    .accounts
                    .insert(address, AccountRecord::default());
                continue;
            }
            let created = account.is_created();
            let info = account.info;
            if let Some(code) = info.code
                && !code.is_empty()
            {
                // Only code deployed by this transaction is new to the store.
                if created || code.is_eip7702() {
                    self.changes
                        .code
                        .entry(info.code_hash)
                        .or_insert_with(|| code.original_bytes());
                }
                self.code.entry(info.code_hash).or_insert(code);
            }
            let record = AccountRecord {
                balance: info.balance,
                nonce: info.nonce,
                code_hash: info.code_hash,
            };
            self.changes.accounts.insert(address, record);
            for (slot, value) in account.storage {
                if value.is_changed() {
                    self.changes
                        .slots
                        .insert((address, slot), value.present_value);
                }
            }
        }
    }
}

/// The newest values that were read so far.
#[derive(Debug, Default)]
pub(super) struct StateCache {
    accounts: HashMap<Address, Option<AccountRecord>>,
    slots: HashMap<(Address, U256), U256>,
    code: HashMap<B256, Bytecode>,
}

impl StateCache {
    /// Applies a step that has been stored.
    pub(super) fn apply(&mut self, changes: &StateChanges) {
        if self.accounts.len() + self.slots.len() > CACHED {
            *self = Self::default();
        }
        for (address, record) in &changes.accounts {
            self.accounts.insert(*address, Some(*record));
        }
        for (key, value) in &changes.slots {
            self.slots.insert(*key, *value);
        }
    }

    /// Clears the cache: the newest values have changed.
    pub(super) fn clear_values(&mut self) {
        self.accounts.clear();
        self.slots.clear();
    }
}

/// State at one point in history, for reading.
pub(super) struct WorldState<'a> {
    pub store: &'a ChainStore,
    pub cache: &'a mut StateCache,
    /// The last step to include; `None` for the newest, which the cache holds.
    pub at: Option<u64>,
    pub overlay: &'a StateOverlay,
}

impl WorldState<'_> {
    pub(super) fn record(&mut self, address: Address) -> Result<Option<AccountRecord>, ChainError> {
        if let Some(record) = self.overlay.changes.accounts.get(&address) {
            return Ok(Some(*record));
        }
        match self.at {
            Some(step) => self.store.account(address, step),
            None => match self.cache.accounts.get(&address) {
                Some(known) => Ok(*known),
                None => {
                    let found = self.store.account(address, NEWEST)?;
                    self.cache.accounts.insert(address, found);
                    Ok(found)
                }
            },
        }
    }

    pub(super) fn slot(&mut self, address: Address, slot: U256) -> Result<U256, ChainError> {
        let key = (address, slot);
        if let Some(value) = self.overlay.changes.slots.get(&key) {
            return Ok(*value);
        }
        if self.overlay.replaced.contains(&address) {
            return Ok(U256::ZERO);
        }
        match self.at {
            Some(step) => self.store.slot(address, slot, step),
            None => match self.cache.slots.get(&key) {
                Some(value) => Ok(*value),
                None => {
                    let value = self.store.slot(address, slot, NEWEST)?;
                    self.cache.slots.insert(key, value);
                    Ok(value)
                }
            },
        }
    }

    pub(super) fn code(&mut self, hash: B256) -> Result<Bytecode, ChainError> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.overlay.code.get(&hash) {
            return Ok(code.clone());
        }
        if let Some(code) = self.cache.code.get(&hash) {
            return Ok(code.clone());
        }
        let code = self.store.code(hash)?;
        let code = Bytecode::new_raw_checked(code).unwrap_or_default();
        self.cache.code.insert(hash, code.clone());
        Ok(code)
    }
}

impl Database for WorldState<'_> {
    type Error = ChainError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ChainError> {
        let Some(record) = self
            .record(address)?
            .filter(|record| *record != AccountRecord::default())
        else {
            return Ok(None);
        };
        let code = self.code(record.code_hash)?;
        Ok(Some(AccountInfo {
            balance: record.balance,
            nonce: record.nonce,
            code_hash: record.code_hash,
            code: Some(code),
            account_id: None,
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, ChainError> {
        self.code(hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ChainError> {
        self.slot(address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ChainError> {
        Ok(self.store.block_hash(number)?.unwrap_or_default())
    }
}
