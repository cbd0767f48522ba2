//! One account's transactions on one chain: nonces are given out one after the other, and any
//! number of transactions wait for their blocks at once.
//!
//! Before a new nonce is given out, every open transaction that nobody waits for is found out
//! about: those of an earlier process, and those whose sending or waiting failed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy::rpc::types::TransactionReceipt;
use tokio::sync::Notify;

use super::books::History;
use crate::{
    error::{ExitClass, Failure},
    runtime::{
        event::{Event, Intent},
        ports::FactLog,
    },
    wallet::{
        keystore::Account,
        provider::Chain,
        transaction::{
            FactReader, Limits, Mined, News, Sender, Submission, TransactionError, recover,
        },
    },
};

/// Told what a person may want to know while waiting.
pub type Teller = Arc<dyn Fn(News) + Send + Sync>;

/// How many resolved transactions are remembered for whoever asks for the same deed again.
const RESOLVED: usize = 256;

pub(super) struct Queue {
    pub chain: Chain,
    pub account: Account,
    pub limits: Limits,
    facts: Arc<dyn FactLog>,
    tell: Teller,
    read: FactReader,
    /// Held while a nonce is given out.
    order: tokio::sync::Mutex<()>,
    /// Somebody stopped waiting.
    ended: Notify,
    state: Mutex<State>,
}

struct State {
    history: History,
    /// Nonces of transactions that somebody waits for.
    awaited: BTreeSet<u64>,
    /// What is being done, from the first step to the last.
    running: Vec<String>,
    /// Transactions that were found out about, by what they were for.
    resolved: BTreeMap<String, Mined>,
}

/// A nonce that somebody waits for, until dropped.
struct Awaited<'a> {
    queue: &'a Queue,
    nonce: u64,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.queue.state().awaited.remove(&self.nonce);
    }
}

/// A deed that is being done, until dropped.
struct Running {
    queue: Arc<Queue>,
    deed: String,
}

impl Running {
    fn begin(queue: &Arc<Queue>, deed: &str) -> Self {
        queue.state().running.push(deed.to_owned());
        Self {
            queue: Arc::clone(queue),
            deed: deed.to_owned(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Some(at) = state.running.iter().position(|deed| *deed == self.deed) {
            state.running.swap_remove(at);
        }
        drop(state);
        self.queue.ended.notify_waiters();
    }
}

impl Queue {
    pub fn new(
        (chain, account): (Chain, Account),
        (facts, history): (Arc<dyn FactLog>, History),
        (limits, tell): (Limits, Teller),
        read: FactReader,
    ) -> Self {
        Self {
            chain,
            account,
            limits,
            facts,
            tell,
            read,
            order: tokio::sync::Mutex::new(()),
            ended: Notify::new(),
            state: Mutex::new(State {
                history,
                awaited: BTreeSet::new(),
                running: Vec::new(),
                resolved: BTreeMap::new(),
            }),
        }
    }

    /// Sends a transaction and waits until it is mined. It goes on when whoever asked goes away.
    pub async fn send(self: &Arc<Self>, call: Submission) -> Result<Mined, TransactionError> {
        let running = Running::begin(self, &call.deed);
        let work = tokio::spawn(async move { running.queue.carry(&call).await });
        work.await.unwrap_or_else(|error| {
            let message = format!("sending stopped: {error}");
            Err(TransactionError::Unrecorded(Failure::new(
                ExitClass::Internal,
                message,
            )))
        })
    }

    async fn carry(&self, call: &Submission) -> Result<Mined, TransactionError> {
        let tell = |news| (self.tell)(news);
        let read = |receipt: &TransactionReceipt| (self.read)(receipt);
        let sender = self.sender(&tell, &read);
        let order = self.order.lock().await;
        self.find_out(&sender).await?;
        let least = self.state().awaited.last().map_or(0, |nonce| nonce + 1);
        let sent = sender.dispatch(call, least).await?;
        let (tx, nonce) = (sent.tx(), sent.nonce());
        self.state().awaited.insert(nonce);
        let _awaited = Awaited { queue: self, nonce };
        drop(order);
        sender.finish(sent).await.map_err(|error| match error {
            // It is on its way, whatever else fails.
            TransactionError::Wallet(_) | TransactionError::Unrecorded(_) => {
                TransactionError::Unknown {
                    network: self.chain.network.name.clone(),
                    tx: tx.to_string(),
                    deed: call.deed.clone(),
                    reason: error.to_string(),
                }
            }
            error => error,
        })
    }

    /// Waits while somebody does this very deed.
    pub async fn until_idle(&self, deed: &str) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if !self.state().running.iter().any(|it| it == deed) {
                return;
            }
            ended.await;
        }
    }

    /// Finds out what became of every open transaction that nobody waits for.
    pub async fn settle_lost(self: &Arc<Self>) -> Result<(), TransactionError> {
        if self.lost().is_empty() {
            return Ok(());
        }
        let queue = Arc::clone(self);
        let work = tokio::spawn(async move {
            let tell = |news| (queue.tell)(news);
            let read = |receipt: &TransactionReceipt| (queue.read)(receipt);
            let sender = queue.sender(&tell, &read);
            let _order = queue.order.lock().await;
            queue.find_out(&sender).await
        });
        work.await.unwrap_or(Ok(()))
    }

    async fn find_out(&self, sender: &Sender<'_>) -> Result<(), TransactionError> {
        let lost = self.lost();
        if lost.is_empty() {
            return Ok(());
        }
        for mined in recover(sender, &lost).await? {
            let tx = mined.tx.to_string();
            let mut state = self.state();
            if let Some(intent) = lost.iter().find(|intent| intent.tx == tx) {
                if state.resolved.len() >= RESOLVED {
                    state.resolved.pop_first();
                }
                state.resolved.insert(intent.purpose.clone(), mined);
            }
        }
        Ok(())
    }

    /// Takes what became of a deed whose transaction had been lost from sight.
    pub fn resolved(&self, deed: &str) -> Option<Mined> {
        self.state().resolved.remove(deed)
    }

    /// The transaction for a deed whose end is not known.
    pub fn open(&self, deed: &str) -> Option<String> {
        let state = self.state();
        let mut open = state.history.open().iter();
        open.rfind(|it| it.purpose == deed && self.is_mine(it))
            .map(|it| it.tx.clone())
    }

    /// Whether a transaction of ours was mined once, and then was not.
    pub fn is_undone(&self, tx: &str) -> bool {
        self.state().history.is_undone(tx)
    }

    pub fn has_undone(&self) -> bool {
        self.state().history.has_undone()
    }

    /// What a receipt of ours says.
    pub fn facts_of(&self, receipt: &TransactionReceipt) -> Vec<Event> {
        (self.read)(receipt)
    }

    pub fn has_lost(&self) -> bool {
        !self.lost().is_empty()
    }

    fn lost(&self) -> Vec<Intent> {
        let state = self.state();
        let open = state.history.open().iter();
        open.filter(|it| self.is_mine(it) && !state.awaited.contains(&it.nonce))
            .cloned()
            .collect()
    }

    fn is_mine(&self, intent: &Intent) -> bool {
        intent.chain_id == self.chain.network.chain_id
            && intent.from == self.account.address().to_string()
    }

    fn sender<'a>(
        &'a self,
        tell: &'a (dyn Fn(News) + Sync),
        read: &'a (dyn Fn(&TransactionReceipt) -> Vec<Event> + Sync),
    ) -> Sender<'a> {
        Sender {
            chain: &self.chain,
            account: &self.account,
            facts: self,
            limits: self.limits,
            tell,
            harvest: read,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Remembers what is open as the journal does; a fact that is there already is not repeated.
#[async_trait::async_trait]
impl FactLog for Queue {
    async fn keep(&self, event: Event) -> Result<(), Failure> {
        if self.state().history.knows(&event) {
            return Ok(());
        }
        self.facts.keep(event.clone()).await?;
        self.state().history.apply(&event);
        Ok(())
    }
}
