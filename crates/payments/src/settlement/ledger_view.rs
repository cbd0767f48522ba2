//! The parts of the journal that settlement reads: the current ledger, and the transactions that an
//! earlier process left open. Where the journal is stored is unknown here.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, PoisonError, RwLock},
};

use openlora_core::{Word, error::Failure};
use openlora_ledger::{
    Ledger, TxKey, UnknownTxLabel,
    event::{Event, TxIntent},
};
use openlora_ports::FactLog;

/// A ledger that is folded from the journal as the journal grows.
pub trait LedgerView: Send + Sync {
    /// Passes the ledger with every fact that is durable by now.
    fn look(&self, look: &mut dyn FnMut(&Ledger));
}

/// Reads one value from the ledger.
pub(crate) fn ask<T: Default>(ledger: &dyn LedgerView, question: impl FnOnce(&Ledger) -> T) -> T {
    let (mut question, mut answer) = (Some(question), T::default());
    ledger.look(&mut |ledger| {
        if let Some(question) = question.take() {
            answer = question(ledger);
        }
    });
    answer
}

impl LedgerView for Mutex<Ledger> {
    fn look(&self, look: &mut dyn FnMut(&Ledger)) {
        look(&self.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl LedgerView for RwLock<Ledger> {
    fn look(&self, look: &mut dyn FnMut(&Ledger)) {
        look(&self.read().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A log of facts with the ledger folded from it, for processes without a journal.
pub struct LedgerLog<L> {
    log: L,
    ledger: Mutex<Ledger>,
}

impl<L> LedgerLog<L> {
    pub fn new(log: L, ledger: Ledger) -> Self {
        Self {
            log,
            ledger: Mutex::new(ledger),
        }
    }

    pub fn ledger(&self) -> Ledger {
        self.ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait::async_trait]
impl<L: FactLog> FactLog for LedgerLog<L> {
    async fn keep(&self, event: Event) -> Result<(), Failure> {
        self.log.keep(event.clone()).await?;
        self.ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(&event);
        Ok(())
    }
}

impl<L: Send + Sync> LedgerView for LedgerLog<L> {
    fn look(&self, look: &mut dyn FnMut(&Ledger)) {
        self.ledger.look(look);
    }
}

/// Transactions whose outcome is not in the journal, and their facts that are there already. Fold
/// in every event before anything is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxHistory {
    open: Vec<OpenTx>,
    told: Vec<Event>,
    /// Locations of the latest facts, oldest first.
    marks: VecDeque<EventLocation>,
    /// Transactions whose blocks were reorganised away. The chain may include them again.
    undone: BTreeSet<String>,
}

/// A transaction whose outcome is not in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTx {
    pub intent: TxIntent,
    /// Read once. `None` if the label of an earlier version names a kind of transaction only.
    pub key: Result<Option<TxKey>, UnknownTxLabel>,
}

impl OpenTx {
    /// Whether it may be the transaction with this key.
    pub(super) fn may_be(&self, asked: &TxKey) -> bool {
        match &self.key {
            Ok(key) => key.as_ref().is_some_and(|key| key.may_be(asked)),
            Err(_) => true,
        }
    }
}

/// The location of a fact on its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventLocation {
    pub chain_id: u64,
    pub tx: String,
    pub block: u64,
    pub hash: Word,
}

impl TxHistory {
    /// How many facts have their blocks checked again when a process starts.
    const MARKS: usize = 256;

    pub fn apply(&mut self, event: &Event) {
        if let Some(location) = mark(event) {
            self.undone.remove(&location.tx);
            if self.marks.len() >= Self::MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back(location);
        }
        match event {
            Event::TransactionIntended(intent) => self.open.push(OpenTx {
                key: intent.read_key(),
                intent: TxIntent::clone(intent),
            }),
            Event::Reorganised { txs, .. } => {
                self.marks.retain(|it| !txs.contains(&it.tx));
                self.undone.extend(txs.iter().cloned());
            }
            // Transactions of a replaced chain have no meaning on another.
            Event::ChainEnded { chain_id } => {
                self.open.retain(|it| it.intent.chain_id != *chain_id);
                self.marks.retain(|it| it.chain_id != *chain_id);
                let elsewhere = |location: EventLocation| location.chain_id != *chain_id;
                self.told.retain(|it| mark(it).is_some_and(elsewhere));
            }
            Event::TransactionConfirmed { tx, .. } => {
                self.open.retain(|it| it.intent.tx != *tx);
                self.told
                    .retain(|fact| mark(fact).is_some_and(|it| it.tx != *tx));
            }
            fact if mark(fact).is_some_and(|location| self.is_open(&location.tx)) => {
                self.told.push(fact.clone());
            }
            _ => {}
        }
    }

    fn is_open(&self, tx: &str) -> bool {
        self.open.iter().any(|it| it.intent.tx == tx)
    }

    /// Whether a fact is already in the journal, from an attempt that was interrupted.
    pub(super) fn knows(&self, fact: &Event) -> bool {
        self.told.contains(fact)
    }

    pub(super) fn locations(&self, chain_id: u64) -> impl Iterator<Item = &EventLocation> {
        let here = move |location: &&EventLocation| location.chain_id == chain_id;
        self.marks.iter().filter(here)
    }

    /// Whether our transaction was mined and then undone by a reorganisation.
    pub(super) fn is_undone(&self, tx: &str) -> bool {
        self.undone.contains(tx)
    }

    pub(super) fn has_undone(&self) -> bool {
        !self.undone.is_empty()
    }

    /// Open transactions, in the order of their intents.
    pub fn open(&self) -> &[OpenTx] {
        &self.open
    }
}

/// The location of a fact; `None` for an event that is not a fact of a mined transaction.
fn mark(event: &Event) -> Option<EventLocation> {
    macro_rules! at {
        ($fact:expr, $key:ident) => {
            Some(EventLocation {
                chain_id: $fact.$key.chain_id,
                tx: $fact.tx.clone(),
                block: $fact.block,
                hash: $fact.block_hash,
            })
        };
    }
    match event {
        Event::PaymentReceived(fact) => at!(fact, key),
        Event::Claimed(fact) => at!(fact, receiver),
        Event::Settled(fact) => at!(fact, receiver),
        Event::Released(fact) => at!(fact, receiver),
        Event::Refunded(fact) => at!(fact, key),
        Event::ContributionsProposed(fact) => at!(fact, pool),
        Event::ContributionClaimed(fact) => at!(fact, pool),
        Event::Anchored(fact) => Some(EventLocation {
            chain_id: fact.chain_id,
            tx: fact.tx.clone(),
            block: fact.block,
            hash: fact.block_hash,
        }),
        _ => None,
    }
}
