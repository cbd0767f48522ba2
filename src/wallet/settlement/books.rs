//! What the settling side reads of the journal: the ledger as it is now, and what an earlier
//! process left open. Where the journal is kept is unknown here.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, PoisonError, RwLock},
};

use crate::{
    error::Failure,
    runtime::{
        event::{Event, Intent},
        ledger::{Book, Word},
        ports::FactLog,
    },
};

/// Whoever folds the journal as it grows.
pub trait Books: Send + Sync {
    /// Shows the ledger with every fact in it that is durable by now.
    fn look(&self, look: &mut dyn FnMut(&Book));
}

/// One answer out of the ledger.
pub(super) fn ask<T: Default>(books: &dyn Books, question: impl FnOnce(&Book) -> T) -> T {
    let (mut question, mut answer) = (Some(question), T::default());
    books.look(&mut |book| {
        if let Some(question) = question.take() {
            answer = question(book);
        }
    });
    answer
}

impl Books for Mutex<Book> {
    fn look(&self, look: &mut dyn FnMut(&Book)) {
        look(&self.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Books for RwLock<Book> {
    fn look(&self, look: &mut dyn FnMut(&Book)) {
        look(&self.read().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A log of facts with the ledger that they make, for processes that have no other.
pub struct Ledger<L> {
    log: L,
    book: Mutex<Book>,
}

impl<L> Ledger<L> {
    pub fn new(log: L, book: Book) -> Self {
        Self {
            log,
            book: Mutex::new(book),
        }
    }

    pub fn book(&self) -> Book {
        self.book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait::async_trait]
impl<L: FactLog> FactLog for Ledger<L> {
    async fn keep(&self, event: Event) -> Result<(), Failure> {
        self.log.keep(event.clone()).await?;
        self.book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(&event);
        Ok(())
    }
}

impl<L: Send + Sync> Books for Ledger<L> {
    fn look(&self, look: &mut dyn FnMut(&Book)) {
        self.book.look(look);
    }
}

/// Transactions whose end is not in the journal, and facts that are there of them already: fold
/// every event in before anything is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    open: Vec<Intent>,
    told: Vec<Event>,
    /// Where the latest facts stand, oldest first.
    marks: VecDeque<Mark>,
    /// Transactions whose blocks went away; their chain may take them again.
    undone: BTreeSet<String>,
}

/// Where a fact stands on its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub chain_id: u64,
    pub tx: String,
    pub block: u64,
    pub hash: Word,
}

impl History {
    /// Facts whose blocks are looked at again when a process starts.
    const MARKS: usize = 256;

    pub fn apply(&mut self, event: &Event) {
        if let Some(mark) = mark(event) {
            self.undone.remove(&mark.tx);
            if self.marks.len() >= Self::MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back(mark);
        }
        match event {
            Event::TransactionIntended(intent) => self.open.push(Intent::clone(intent)),
            Event::Reorganised { txs, .. } => {
                self.marks.retain(|it| !txs.contains(&it.tx));
                self.undone.extend(txs.iter().cloned());
            }
            // Transactions of a chain that is gone mean nothing on another.
            Event::ChainEnded { chain_id } => {
                self.open.retain(|it| it.chain_id != *chain_id);
                self.marks.retain(|it| it.chain_id != *chain_id);
                let elsewhere = |mark: Mark| mark.chain_id != *chain_id;
                self.told.retain(|it| mark(it).is_some_and(elsewhere));
            }
            Event::TransactionSettled { tx, .. } => {
                self.open.retain(|it| it.tx != *tx);
                self.told
                    .retain(|fact| mark(fact).is_some_and(|it| it.tx != *tx));
            }
            fact if mark(fact).is_some_and(|mark| self.is_open(&mark.tx)) => {
                self.told.push(fact.clone());
            }
            _ => {}
        }
    }

    fn is_open(&self, tx: &str) -> bool {
        self.open.iter().any(|it| it.tx == tx)
    }

    /// Whether a fact is in the journal since an attempt that was cut off.
    pub(super) fn knows(&self, fact: &Event) -> bool {
        self.told.contains(fact)
    }

    pub(super) fn marks(&self, chain_id: u64) -> impl Iterator<Item = &Mark> {
        let here = move |mark: &&Mark| mark.chain_id == chain_id;
        self.marks.iter().filter(here)
    }

    /// Whether a transaction of ours was mined once, and then was not.
    pub(super) fn is_undone(&self, tx: &str) -> bool {
        self.undone.contains(tx)
    }

    pub(super) fn has_undone(&self) -> bool {
        !self.undone.is_empty()
    }

    /// What is open, in the order of intending.
    pub fn open(&self) -> &[Intent] {
        &self.open
    }
}

/// Where a fact stands; nothing for events that are no facts of a mined transaction.
fn mark(event: &Event) -> Option<Mark> {
    macro_rules! at {
        ($fact:expr, $key:ident) => {
            Some(Mark {
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
        Event::Anchored(fact) => Some(Mark {
            chain_id: fact.chain_id,
            tx: fact.tx.clone(),
            block: fact.block,
            hash: fact.block_hash,
        }),
        _ => None,
    }
}
