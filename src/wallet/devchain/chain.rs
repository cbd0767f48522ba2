//! The chain: its head, its clock, its pool, and the way a transaction takes to a block.
//!
//! One thread owns a chain. A call returns after what it changed has been committed to the file,
//! so that an acknowledged transaction survives the process.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::{
    consensus::{
        EMPTY_OMMER_ROOT_HASH, Header, Transaction as _, TxEnvelope, constants::EMPTY_WITHDRAWALS,
    },
    eips::{eip1559::BaseFeeParams, eip7685::EMPTY_REQUESTS_HASH},
    primitives::{Address, B256, keccak256},
};
use tokio::sync::broadcast;

use super::{
    accounts::DevAccounts,
    error::ChainError,
    execute::{Place, Rules, block_env},
    genesis::{self, Genesis},
    integrity,
    notice::Notice,
    pool::{Pending, Pool, recover},
    rpc::RpcError,
    seal::{Purpose, Sealing},
    state::{Cache, Changes, Overlay, Record, World},
    store::{Entry, Store, StoredBlock},
};

/// Gas of a block, and so the most that a transaction may take.
pub const GAS_LIMIT: u64 = 30_000_000;
/// Base fee of block 0: one gwei.
pub(super) const FIRST_BASE_FEE: u64 = 1_000_000_000;
/// Notices that a slow subscriber may fall behind by.
const NOTICES: usize = 1024;
/// Transactions that may wait.
const POOL: usize = 10_000;

/// What a chain is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The chain's file; made when missing.
    pub path: PathBuf,
    pub chain_id: u64,
    /// Used when the file is new.
    pub genesis: Genesis,
}

/// The chain's time runs beside the machine's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// Seconds ahead of the machine's time.
    pub offset: i64,
    /// Time of the next block, set by hand.
    pub next: Option<u64>,
}

/// A development chain.
pub struct Chain {
    pub(super) store: Store,
    pub(super) cache: Cache,
    pub(super) chain_id: u64,
    pub(super) accounts: DevAccounts,
    pub(super) head: StoredBlock,
    /// The newest step and its commitment: the head's, or an edit's after it.
    pub(super) step: (u64, B256),
    pub(super) pool: Pool,
    pub(super) clock: Clock,
    pub(super) impersonated: HashSet<Address>,
    pub(super) impersonate_all: bool,
    pub(super) automine: bool,
    /// How often the chain was reorganised: blocks made anew differ by it.
    pub(super) reorgs: u64,
    pub(super) notices: broadcast::Sender<Arc<Notice>>,
}

impl Chain {
    /// Opens the chain, or makes it from its genesis; an existing one is verified.
    pub fn open(options: Options) -> Result<Self, ChainError> {
        let accounts = DevAccounts::derive()?;
        let (mut store, existing) = Store::open(&options.path)?;
        if !existing {
            genesis::write(&mut store, &options, &accounts.addresses())?;
        }
        check_chain_id(&store, options.chain_id)?;
        integrity::verify(&store)?;
        let head = head_of(&store)?;
        let step = newest_step(&store)?;
        let offset = store.meta("time_offset")?;
        let offset = offset.and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)));
        let reorgs = store.number("reorgs")?.unwrap_or_default();
        let mut pool = Pool::default();
        for waiting in store.waiting()? {
            if let Some(pending) = Pending::restore(&waiting) {
                pool.insert(pending);
            }
        }
        Ok(Self {
            store,
            cache: Cache::default(),
            chain_id: options.chain_id,
            accounts,
            head,
            step,
            pool,
            clock: Clock {
                offset: offset.unwrap_or_default(),
                next: None,
            },
            impersonated: HashSet::new(),
            impersonate_all: false,
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

    /// What happens on the chain from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    pub(super) fn account(&mut self, address: Address) -> Result<Record, ChainError> {
        let overlay = Overlay::default();
        let mut world = World {
            store: &self.store,
            cache: &mut self.cache,
            at: None,
            overlay: &overlay,
        };
        Ok(world.record(address)?.unwrap_or_default())
    }

    /// The nonce that an account's next transaction needs, waiting ones counted.
    pub(super) fn pending_nonce(&mut self, address: Address) -> Result<u64, ChainError> {
        let nonce = self.account(address)?.nonce;
        Ok(nonce + self.pool.ready(address, nonce).len() as u64)
    }

    /// Takes a signed transaction.
    pub(super) fn submit(&mut self, transaction: TxEnvelope) -> Result<B256, RpcError> {
        let sender = recover(&transaction).ok_or_else(RpcError::undecodable)?;
        let hash = *transaction.tx_hash();
        self.accept(Pending {
            transaction,
            sender,
            hash,
            impersonated: false,
        })
    }

    /// Puts a transaction into a block if its turn has come, else into the pool.
    pub(super) fn accept(&mut self, pending: Pending) -> Result<B256, RpcError> {
        let hash = pending.hash;
        let nonce = self.account(pending.sender)?.nonce;
        self.check(&pending, nonce)?;
        if self.automine && pending.transaction.nonce() == nonce {
            let sender = pending.sender;
            let mut candidates = vec![pending];
            candidates.extend(self.pool.ready(sender, nonce + 1));
            if let Sealing::Refused(reason) = self.seal(candidates, Purpose::Transaction(hash))? {
                return Err(RpcError::refused(&reason));
            }
            self.mine_ready()?;
        } else {
            self.store.add_waiting(&pending.waiting())?;
            self.pool.insert(pending);
        }
        Ok(hash)
    }

    /// What can be said of a transaction before it runs.
    fn check(&mut self, pending: &Pending, nonce: u64) -> Result<(), RpcError> {
        let transaction = &pending.transaction;
        if transaction.is_eip4844() {
            return Err(RpcError::invalid("blob transactions are not supported"));
        }
        if let Some(chain_id) = transaction.chain_id()
            && chain_id != self.chain_id
        {
            return Err(RpcError::rejected("invalid chain id for signer"));
        }
        if transaction.nonce() < nonce {
            return Err(RpcError::rejected("nonce too low"));
        }
        // A nonce that was set back does not make a mined transaction new.
        if self.pool.find(pending.hash).is_some() || self.store.transaction(pending.hash)?.is_some()
        {
            return Err(RpcError::rejected("transaction already imported"));
        }
        if transaction.gas_limit() > GAS_LIMIT {
            return Err(RpcError::server(
                "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit",
            ));
        }
        if let Some(tip) = transaction.max_priority_fee_per_gas()
            && tip > transaction.max_fee_per_gas()
        {
            return Err(RpcError::rejected(
                "max priority fee per gas higher than max fee per gas",
            ));
        }
        if let Some(other) = self.pool.get(pending.sender, transaction.nonce())
            && other.transaction.max_fee_per_gas() >= transaction.max_fee_per_gas()
        {
            return Err(RpcError::rejected("replacement transaction underpriced"));
        }
        if self.pool.all().count() >= POOL {
            return Err(RpcError::rejected("the transaction pool is full"));
        }
        Ok(())
    }

    /// Makes blocks of what has become ready, as long as that gets anywhere.
    pub(super) fn mine_ready(&mut self) -> Result<(), RpcError> {
        while self.automine {
            let candidates = self.ready()?;
            if candidates.is_empty() {
                break;
            }
            match self.seal(candidates, Purpose::Candidates)? {
                Sealing::Made => {}
                Sealing::Empty | Sealing::Refused(_) => break,
            }
        }
        Ok(())
    }

    /// Everything whose turn has come and whose fee suffices.
    pub(super) fn ready(&mut self) -> Result<Vec<Pending>, ChainError> {
        let base_fee = u128::from(self.next_base_fee());
        let mut found = Vec::new();
        for sender in self.pool.senders() {
            let nonce = self.account(sender)?.nonce;
            let queue = self.pool.ready(sender, nonce);
            found.extend(
                queue
                    .into_iter()
                    .take_while(|one| one.transaction.max_fee_per_gas() >= base_fee),
            );
        }
        Ok(found)
    }

    /// Makes one block of what is ready, empty if nothing is.
    pub(super) fn mine(&mut self) -> Result<(), RpcError> {
        let candidates = self.ready()?;
        self.seal(candidates, Purpose::Block)?;
        Ok(())
    }

    /// The first block after the genesis keeps its fee, as on other development nodes.
    pub(super) fn next_base_fee(&self) -> u64 {
        if self.head.header.number == 0 {
            return FIRST_BASE_FEE;
        }
        self.head
            .header
            .next_block_base_fee(BaseFeeParams::ethereum())
            .unwrap_or(FIRST_BASE_FEE)
    }

    /// Time of the next block and the offset that this leaves.
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

    /// The next block's header as far as it is known before its transactions.
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

    pub(super) fn place(&self, header: &Header, rules: Rules) -> Place {
        Place {
            chain_id: self.chain_id,
            block: block_env(header),
            rules,
        }
    }

    /// Changes state between blocks, as the development methods do.
    pub(super) fn edit(&mut self, changes: &Changes) -> Result<(), ChainError> {
        let step = self.step.0 + 1;
        let commitment = changes.commit_to(self.step.1);
        self.store.commit(&Entry {
            step: Some((step, commitment, changes)),
            ..Entry::default()
        })?;
        self.step = (step, commitment);
        self.cache.apply(changes);
        Ok(())
    }

    /// Takes the newest state from the file after going back.
    pub(super) fn reload(&mut self) -> Result<(), ChainError> {
        self.cache.forget();
        self.head = head_of(&self.store)?;
        self.step = newest_step(&self.store)?;
        Ok(())
    }
}

/// Seconds since 1970 by the machine's clock.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// What all headers share; the fields are those of the Osaka rules.
pub(super) fn blank_header() -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        gas_limit: GAS_LIMIT,
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

fn check_chain_id(store: &Store, expected: u64) -> Result<(), ChainError> {
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

fn head_of(store: &Store) -> Result<StoredBlock, ChainError> {
    let number = store.newest_block()?.unwrap_or_default();
    store
        .block(number)?
        .ok_or_else(|| store.damaged(number, "a block", "none"))
}

fn newest_step(store: &Store) -> Result<(u64, B256), ChainError> {
    store
        .newest_step()?
        .ok_or_else(|| store.damaged(0, "a step", "none"))
}
