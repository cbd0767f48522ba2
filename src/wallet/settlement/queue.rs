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

use super::{ledger_view::TxHistory, sponsor::SponsorGate};
use crate::{
    error::{ExitClass, Failure},
    runtime::{
        event::{Event, TxIntent},
        ledger::Amount,
        ports::FactLog,
    },
    wallet::{
        keystore::WalletAccount,
        provider::Chain,
        transaction::{
            FactReader, MinedTx, TransactionError, TxEvent, TxLimits, TxSender, TxSubmission,
            recover,
        },
    },
};

/// Told what a person may want to know while waiting.
pub type ProgressListener = Arc<dyn Fn(TxEvent) + Send + Sync>;

/// How many resolved transactions are remembered for whoever asks for the same deed again.
const RESOLVED: usize = 256;

pub(super) struct TxQueue {
    pub chain: Chain,
    pub account: WalletAccount,
    pub limits: TxLimits,
    pub gate: SponsorGate,
    facts: Arc<dyn FactLog>,
    progress: ProgressListener,
    read: FactReader,
    /// Held while a nonce is given out.
    order: tokio::sync::Mutex<()>,
    /// Somebody stopped waiting.
    ended: Notify,
    state: Mutex<QueueState>,
}

struct QueueState {
    history: TxHistory,
    /// Nonces of transactions that somebody waits for.
    awaited: BTreeSet<u64>,
    /// What is being done, from the first step to the last.
    running: Vec<String>,
    /// Transactions that were found out about, by what they were for.
    resolved: BTreeMap<String, MinedTx>,
}

/// A nonce that somebody waits for, until dropped.
struct AwaitedNonce<'a> {
    queue: &'a TxQueue,
    nonce: u64,
}

impl Drop for AwaitedNonce<'_> {
    fn drop(&mut self) {
        self.queue.state().awaited.remove(&self.nonce);
    }
}

/// A deed that is being done, until dropped.
struct RunningTx {
    queue: Arc<TxQueue>,
    label: String,
}

impl RunningTx {
    fn begin(queue: &Arc<TxQueue>, label: &str) -> Self {
        queue.state().running.push(label.to_owned());
        Self {
            queue: Arc::clone(queue),
            label: label.to_owned(),
        }
    }
}

impl Drop for RunningTx {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Some(at) = state.running.iter().position(|label| *label == self.label) {
            state.running.swap_remove(at);
        }
        drop(state);
        self.queue.ended.notify_waiters();
    }
}

impl TxQueue {
    pub fn new(
        (chain, account): (Chain, WalletAccount),
        (facts, history): (Arc<dyn FactLog>, TxHistory),
        (limits, progress): (TxLimits, ProgressListener),
        (read, gate): (FactReader, SponsorGate),
    ) -> Self {
        Self {
            chain,
            account,
            limits,
            gate,
            facts,
            progress,
            read,
            order: tokio::sync::Mutex::new(()),
            ended: Notify::new(),
            state: Mutex::new(QueueState {
                history,
                awaited: BTreeSet::new(),
                running: Vec::new(),
                resolved: BTreeMap::new(),
            }),
        }
    }

    /// Sends a transaction and waits until it is mined. It goes on when whoever asked goes away.
    /// What is due `first` is written down once it is certain that the transaction may be sent.
    pub async fn send(
        self: &Arc<Self>,
        call: TxSubmission,
        first: Option<Event>,
    ) -> Result<MinedTx, TransactionError> {
        let running = RunningTx::begin(self, &call.label);
        let work = tokio::spawn(async move { running.queue.carry(&call, first).await });
        work.await.unwrap_or_else(|error| {
            let message = format!("sending stopped: {error}");
            Err(TransactionError::Unrecorded(Failure::new(
                ExitClass::Internal,
                message,
            )))
        })
    }

    async fn carry(
        &self,
        call: &TxSubmission,
        first: Option<Event>,
    ) -> Result<MinedTx, TransactionError> {
        let progress = |news| (self.progress)(news);
        let read = |receipt: &TransactionReceipt| (self.read)(receipt);
        let sender = self.sender(&progress, &read);
        let order = self.order.lock().await;
        self.find_out(&sender).await?;
        self.admit(call).await?;
        if let Some(fact) = first {
            let kept = self.keep(fact).await;
            kept.map_err(TransactionError::Unrecorded)?;
        }
        let least = self.state().awaited.last().map_or(0, |nonce| nonce + 1);
        let sent = sender.dispatch(call, least).await?;
        let (tx, nonce) = (sent.tx(), sent.nonce());
        self.state().awaited.insert(nonce);
        let _awaited = AwaitedNonce { queue: self, nonce };
        drop(order);
        sender.finish(sent).await.map_err(|error| match error {
            // It is on its way, whatever else fails.
            TransactionError::Wallet(_) | TransactionError::Unrecorded(_) => {
                TransactionError::Unknown {
                    network: self.chain.network.name.clone(),
                    tx: tx.to_string(),
                    deed: call.label.clone(),
                    reason: error.to_string(),
                }
            }
            error => error,
        })
    }

    /// Whether a transaction for a stranger is within what is done for them in a day. The next one
    /// is not asked about before this one's intent is in the journal.
    async fn admit(&self, call: &TxSubmission) -> Result<(), TransactionError> {
        let Some(mut asked) = call.sponsored.clone() else {
            return Ok(());
        };
        let (fees, _) = self.limits.offer(&self.chain).await?;
        asked.reserve = Amount(u128::from(call.gas).saturating_mul(fees.max_fee));
        let Err((limit, alarm)) = self.gate.check(&asked) else {
            return Ok(());
        };
        let network = self.chain.network.name.clone();
        if let Some(alarm) = alarm {
            tracing::error!(%network, %limit, "deposits and refunds are not sent until tomorrow (UTC)");
            let kept = self.keep(alarm).await;
            kept.map_err(TransactionError::Unrecorded)?;
        }
        Err(TransactionError::Limited {
            network,
            deed: call.label.clone(),
            limit,
        })
    }

    /// Waits while somebody does this very deed.
    pub async fn until_idle(&self, label: &str) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if !self.state().running.iter().any(|it| it == label) {
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
            let progress = |news| (queue.progress)(news);
            let read = |receipt: &TransactionReceipt| (queue.read)(receipt);
            let sender = queue.sender(&progress, &read);
            let _order = queue.order.lock().await;
            queue.find_out(&sender).await
        });
        work.await.unwrap_or(Ok(()))
    }

    async fn find_out(&self, sender: &TxSender<'_>) -> Result<(), TransactionError> {
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
    pub fn resolved(&self, label: &str) -> Option<MinedTx> {
        self.state().resolved.remove(label)
    }

    /// The transaction for a deed whose end is not known.
    pub fn open(&self, label: &str) -> Option<String> {
        let state = self.state();
        let mut open = state.history.open().iter();
        open.rfind(|it| it.purpose == label && self.is_mine(it))
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

    fn lost(&self) -> Vec<TxIntent> {
        let state = self.state();
        let open = state.history.open().iter();
        open.filter(|it| self.is_mine(it) && !state.awaited.contains(&it.nonce))
            .cloned()
            .collect()
    }

    fn is_mine(&self, intent: &TxIntent) -> bool {
        intent.chain_id == self.chain.network.chain_id
            && intent.from == self.account.address().to_string()
    }

    fn sender<'a>(
        &'a self,
        progress: &'a (dyn Fn(TxEvent) + Sync),
        read: &'a (dyn Fn(&TransactionReceipt) -> Vec<Event> + Sync),
    ) -> TxSender<'a> {
        TxSender {
            chain: &self.chain,
            account: &self.account,
            facts: self,
            limits: self.limits,
            progress,
            harvest: read,
        }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Remembers what is open as the journal does; a fact that is there already is not repeated.
#[async_trait::async_trait]
impl FactLog for TxQueue {
    async fn keep(&self, event: Event) -> Result<(), Failure> {
        if self.state().history.knows(&event) {
            return Ok(());
        }
        self.facts.keep(event.clone()).await?;
        self.state().history.apply(&event);
        Ok(())
    }
}
