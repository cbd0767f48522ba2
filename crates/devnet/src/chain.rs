//! The chain: its head, its clock and its pool.
//!
//! One thread owns a chain. A call returns after its changes have been committed to the file, so
//! that an acknowledged transaction survives the end of the process.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use alloy::{
    consensus::Header,
    eips::eip1559::BaseFeeParams,
    primitives::{Address, B256, keccak256},
};
use tokio::sync::broadcast;

use super::{
    accounts::DevAccounts,
    changes::{AccountRecord, StateChanges},
    error::ChainError,
    execute::{ExecutionContext, ExecutionRules, block_env},
    genesis::{self, GenesisState},
    header::{FIRST_BASE_FEE, blank_header, now},
    integrity,
    notice::BlockNotice,
    pool::{PendingTx, TxPool},
    state::{StateCache, StateOverlay, WorldState},
    store::{ChainCommit, ChainStore, StoredBlock},
};

/// Notices that a slow subscriber may lag behind.
const NOTICES: usize = 1024;
/// Options for opening a chain.
#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// The chain's file; created if missing.
    pub path: PathBuf,
    pub chain_id: u64,
    /// Used when the file is new.
    pub genesis: GenesisState,
}

/// The chain's clock, relative to the system clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChainClock {
    /// Offset from the system clock in seconds.
    pub offset: i64,
    /// Time of the next block, if set explicitly.
    pub next: Option<u64>,
}

/// A development chain.
pub struct DevChain {
    pub(super) store: ChainStore,
    pub(super) cache: StateCache,
    pub(super) chain_id: u64,
    pub(super) accounts: DevAccounts,
    pub(super) head: StoredBlock,
    /// The newest step and its commitment: that of the head or of a later edit.
    pub(super) step: (u64, B256),
    pub(super) pool: TxPool,
    pub(super) clock: ChainClock,
    pub(super) impersonated: HashSet<Address>,
    pub(super) automine: bool,
    /// The number of reorganisations, which makes re-created blocks differ.
    pub(super) reorgs: u64,
    pub(super) notices: broadcast::Sender<Arc<BlockNotice>>,
}

impl DevChain {
    /// Opens the chain and verifies it, or creates it from its genesis.
    pub fn open(options: ChainOptions) -> Result<Self, ChainError> {
        let accounts = DevAccounts::derive()?;
        let (mut store, existing) = ChainStore::open(&options.path)?;
        if !existing {
            genesis::write(
                &mut store,
                options.chain_id,
                &options.genesis,
                &accounts.addresses(),
            )?;
        }
        check_chain_id(&store, options.chain_id)?;
        integrity::verify(&store)?;
        let head = head_of(&store)?;
        let step = newest_step(&store)?;
        let offset = store.meta("time_offset")?;
        let offset = offset.and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)));
        let reorgs = store.number("reorgs")?.unwrap_or_default();
        let mut pool = TxPool::default();
        for waiting in store.waiting()? {
            if let Some(pending) = PendingTx::restore(&waiting) {
                pool.insert(pending);
            }
        }
        Ok(Self {
            store,
            cache: StateCache::default(),
            chain_id: options.chain_id,
            accounts,
            head,
            step,
            pool,
            clock: ChainClock {
                offset: offset.unwrap_or_default(),
                next: None,
            },
            impersonated: HashSet::new(),
            automine: true,
            reorgs,
            notices: broadcast::channel(NOTICES).0,
        })
    }

    /// Number and hash of the newest block.
    pub fn head(&self) -> (u64, B256) {
        (self.head.header.number, self.head.header.hash())
    }

    /// Addresses of the funded accounts.
    pub fn accounts(&self) -> Vec<Address> {
        self.accounts.addresses()
    }

    /// Subscribes to future events of the chain.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<BlockNotice>> {
        self.notices.subscribe()
    }

    pub(super) fn account(&mut self, address: Address) -> Result<AccountRecord, ChainError> {
        let overlay = StateOverlay::default();
        let mut world = WorldState {
            store: &self.store,
            cache: &mut self.cache,
            at: None,
            overlay: &overlay,
        };
        Ok(world.record(address)?.unwrap_or_default())
    }

    /// The account's next nonce, pending transactions included.
    pub(super) fn pending_nonce(&mut self, address: Address) -> Result<u64, ChainError> {
        let nonce = self.account(address)?.nonce;
        Ok(nonce + self.pool.ready(address, nonce).len() as u64)
    }

    /// The first block after the genesis keeps its base fee, as on other development nodes.
    pub(super) fn next_base_fee(&self) -> u64 {
        if self.head.header.number == 0 {
            return FIRST_BASE_FEE;
        }
        self.head
            .header
            .next_block_base_fee(BaseFeeParams::ethereum())
            .unwrap_or(FIRST_BASE_FEE)
    }

    /// Time of the next block, and the resulting clock offset.
    pub(super) fn next_time(&self) -> (u64, i64) {
        let now = now();
        match self.clock.next {
            Some(exact) => (exact, exact.cast_signed() - now.cast_signed()),
            None => {
                let time = now.saturating_add_signed(self.clock.offset);
                (time.max(self.head.header.timestamp), self.clock.offset)
            }
        }
    }

    /// The next block's header without the fields that depend on its transactions.
    pub(super) fn next_header(&self) -> Header {
        let parent = &self.head.header;
        let mut seed = parent.hash().to_vec();
        seed.extend_from_slice(&self.reorgs.to_be_bytes());
        Header {
            parent_hash: parent.hash(),
            number: parent.number + 1,
            timestamp: self.next_time().0,
            base_fee_per_gas: Some(self.next_base_fee()),
            mix_hash: keccak256(seed),
            ..blank_header()
        }
    }

    pub(super) fn place(&self, header: &Header, rules: ExecutionRules) -> ExecutionContext {
        ExecutionContext {
            chain_id: self.chain_id,
            block: block_env(header),
            rules,
        }
    }

    /// Changes the state between blocks, for the development methods.
    pub(super) fn edit(&mut self, changes: &StateChanges) -> Result<(), ChainError> {
        let step = self.step.0 + 1;
        let commitment = changes.commit_to(self.step.1);
        self.store.commit(&ChainCommit {
            step: Some((step, commitment, changes)),
            ..ChainCommit::default()
        })?;
        self.step = (step, commitment);
        self.cache.apply(changes);
        Ok(())
    }

    /// Reloads the newest state from the file after a rewind.
    pub(super) fn reload(&mut self) -> Result<(), ChainError> {
        self.cache.clear_values();
        self.head = head_of(&self.store)?;
        self.step = newest_step(&self.store)?;
        Ok(())
    }
}

fn check_chain_id(store: &ChainStore, expected: u64) -> Result<(), ChainError> {
    let found = store.number("chain_id")?.unwrap_or_default();
    if found == expected {
        return Ok(());
    }
    Err(ChainError::OtherChain {
        path: store.path().to_owned(),
        expected,
        found,
    })
}

fn head_of(store: &ChainStore) -> Result<StoredBlock, ChainError> {
    let number = store.newest_block()?.unwrap_or_default();
    store
        .block(number)?
        .ok_or_else(|| store.damaged(number, "a block", "none"))
}

fn newest_step(store: &ChainStore) -> Result<(u64, B256), ChainError> {
    store
        .newest_step()?
        .ok_or_else(|| store.damaged(0, "a step", "none"))
}
