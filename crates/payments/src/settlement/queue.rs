//! Transactions of one account on one chain. Nonces are assigned one after the other, and any
//! number of transactions wait for their blocks at once.
//!
//! Before a new nonce is assigned, the outcome of every open transaction that no task waits for is
//! looked up. These are transactions of an earlier process, and those whose sending or waiting
//! failed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy::rpc::types::TransactionReceipt;
use tokio::sync::Notify;

use super::{
    ledger_view::{LedgerView, ask_state},
    sponsor::{SponsorGate, most_gas},
};
use openlora_chain::{
    provider::{Chain, GasFees},
    transaction::{
        FactReader, MinedTx, TransactionError, TxEvent, TxLimits, TxSender, TxSubmission,
        greatest_cost, recover,
    },
};
use openlora_core::{
    Amount,
    error::{ExitClass, Failure},
};
use openlora_ledger::{
    SponsorLimit, Sponsored, SponsoredDeed, TxKey,
    event::{Event, TxIntent},
};
use openlora_ports::FactLog;
use openlora_wallet::WalletAccount;

/// Receives progress that a waiting user may want to see.
pub type ProgressListener = Arc<dyn Fn(TxEvent) + Send + Sync>;

/// How many resolved transactions are kept for a later request with the same key.
const RESOLVED: usize = 256;

/// What a queue works with.
pub(super) struct TxQueueConfig {
    pub chain: Chain,
    pub account: WalletAccount,
    pub limits: TxLimits,
    /// Limits sponsored transactions.
    pub gate: SponsorGate,
    pub facts: Arc<dyn FactLog>,
    pub ledger: Arc<dyn LedgerView>,
    pub progress: ProgressListener,
    /// Reads the effects of a mined transaction.
    pub read: FactReader,
}

pub(super) struct TxQueue {
    pub chain: Chain,
    pub account: WalletAccount,
    pub limits: TxLimits,
    pub gate: SponsorGate,
    facts: Arc<dyn FactLog>,
    ledger: Arc<dyn LedgerView>,
    progress: ProgressListener,
    read: FactReader,
    /// Held while a nonce is assigned.
    order: tokio::sync::Mutex<()>,
    /// Whether too little gas was left for sponsored transactions at the last check.
    low: AtomicBool,
    /// Whether too little was left for the claims that are due, and for one more.
    short: AtomicBool,
    short_of_more: AtomicBool,
    /// Notifies when a running transaction has ended.
    ended: Notify,
    state: Mutex<QueueState>,
}

struct QueueState {
    /// Nonces of transactions that a task waits for.
    awaited: BTreeSet<u64>,
    /// Keys of running transactions, from the first step to the last.
    running: Vec<TxKey>,
    /// Mined transactions that were looked up, oldest first.
    resolved: VecDeque<(TxKey, MinedTx)>,
}

/// A nonce that a task waits for, until dropped.
struct AwaitedNonce<'a> {
    queue: &'a TxQueue,
    nonce: u64,
}

impl Drop for AwaitedNonce<'_> {
    fn drop(&mut self) {
        self.queue.state().awaited.remove(&self.nonce);
    }
}

/// Marks a transaction as running until dropped.
struct RunningTx {
    queue: Arc<TxQueue>,
    key: TxKey,
}

impl RunningTx {
    fn begin(queue: &Arc<TxQueue>, key: &TxKey) -> Self {
        queue.state().running.push(key.clone());
        Self {
            queue: Arc::clone(queue),
            key: key.clone(),
        }
    }
}

impl Drop for RunningTx {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Some(at) = state.running.iter().position(|key| *key == self.key) {
            state.running.swap_remove(at);
        }
        drop(state);
        self.queue.ended.notify_waiters();
    }
}

impl TxQueue {
    pub fn new(config: TxQueueConfig) -> Self {
        let queue = Self {
            chain: config.chain,
            account: config.account,
            limits: config.limits,
            gate: config.gate,
            facts: config.facts,
            ledger: config.ledger,
            progress: config.progress,
            read: config.read,
            order: tokio::sync::Mutex::new(()),
            low: AtomicBool::new(false),
            short: AtomicBool::new(false),
            short_of_more: AtomicBool::new(false),
            ended: Notify::new(),
            state: Mutex::new(QueueState {
                awaited: BTreeSet::new(),
                running: Vec::new(),
                resolved: VecDeque::new(),
            }),
        };
        for intent in queue.unsettled() {
            if let Err(unknown) = intent.read_key() {
                tracing::warn!("{unknown}; until its outcome is known, nothing else is sent");
            }
        }
        queue
    }

    /// A queue of another account on the same chain, over the same journal.
    pub fn of_account(&self, account: WalletAccount) -> Self {
        let gate = SponsorGate {
            chain_id: self.gate.chain_id,
            account: account.address(),
            books: Arc::clone(&self.gate.books),
            allowance: self.gate.allowance,
            worth: self.gate.worth,
        };
        Self::new(TxQueueConfig {
            chain: self.chain.clone(),
            account,
            limits: self.limits,
            gate,
            facts: Arc::clone(&self.facts),
            ledger: Arc::clone(&self.ledger),
            progress: Arc::clone(&self.progress),
            read: Arc::clone(&self.read),
        })
    }

    /// Sends a transaction and waits until it is mined. Continues if the caller stops waiting. The
    /// events in `first` are recorded once it is certain that the transaction may be sent.
    pub async fn send(
        self: &Arc<Self>,
        call: TxSubmission,
        first: Vec<Event>,
    ) -> Result<MinedTx, TransactionError> {
        let running = RunningTx::begin(self, &call.key);
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
        first: Vec<Event>,
    ) -> Result<MinedTx, TransactionError> {
        let progress = |news| (self.progress)(news);
        let read = |receipt: &TransactionReceipt| (self.read)(receipt);
        let sender = self.sender(&progress, &read);
        let order = self.order.lock().await;
        self.find_out(&sender).await?;
        if let Some(asked) = &call.sponsored {
            self.admit(asked, call.gas, &call.label).await?;
        }
        for fact in first {
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
            // The transaction was sent, whatever else fails.
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

    /// The one check of every sponsored transaction: whether this much gas may be spent on it. An
    /// early check only saves work. The check right before signing is the one that counts: no other
    /// transaction can be signed until the journal has this one's intent. Returns the gas fees.
    pub async fn admit(
        &self,
        asked: &Sponsored,
        gas: u64,
        label: &str,
    ) -> Result<GasFees, TransactionError> {
        let (fees, _) = self.limits.offer(&self.chain).await?;
        let reserve = Amount(u128::from(gas).saturating_mul(fees.max_fee));
        let asked = Sponsored {
            reserve,
            ..asked.clone()
        };
        let refused = match self.gate.check(&asked) {
            Ok(()) => self.check_floor(reserve, fees.max_fee).await?.err(),
            Err((limit, alarm)) => {
                if let Some(alarm) = alarm {
                    let network = &self.chain.network.name;
                    tracing::error!(%network, %limit, "deposits, refunds and transfers of payers are not sent until tomorrow (UTC)");
                    let kept = self.keep(*alarm).await;
                    kept.map_err(TransactionError::Unrecorded)?;
                }
                Some(limit)
            }
        };
        match refused {
            None => Ok(fees),
            Some(limit) => Err(TransactionError::Limited {
                network: self.chain.network.name.clone(),
                deed: label.to_owned(),
                limit,
            }),
        }
    }

    /// Whether the account keeps its own gas reserve if `reserve` is spent in addition to
    /// everything in flight. If it does not, this is reported at once.
    async fn check_floor(
        &self,
        reserve: Amount,
        price: u128,
    ) -> Result<Result<(), SponsorLimit>, TransactionError> {
        // In this order, a transaction that is mined meanwhile is counted twice rather than not at
        // all.
        let (in_flight, sponsored) = (self.in_flight(|_| true), self.in_flight(is_sponsored));
        let held = self.chain.balance(self.account.address()).await?;
        let held = Amount(u128::try_from(held).unwrap_or(u128::MAX));
        self.check_claims(held.saturating_sub(sponsored), price);
        let (left, floor) = (held.saturating_sub(in_flight), self.gate.floor(price));
        if left >= floor.saturating_add(reserve) {
            return Ok(Ok(()));
        }
        if !self.low.swap(true, Ordering::SeqCst) {
            let (chain_id, account) = (self.gate.chain_id, self.gate.account);
            tracing::error!(chain_id, %account, %left, %floor, "too little is left for gas: deposits, refunds and transfers of payers are not sent");
            let low = Event::GasLow {
                chain_id,
                account,
                left,
            };
            if let Err(failure) = self.keep(low).await {
                self.low.store(false, Ordering::SeqCst);
                return Err(TransactionError::Unrecorded(failure));
            }
        }
        Ok(Err(SponsorLimit::Floor {
            left,
            reserve,
            floor,
        }))
    }

    /// Whether this balance pays for the claims that are due. Claims in flight are still due.
    fn check_claims(&self, left: Amount, price: u128) {
        let due = self.gate.claims(0, price);
        self.short_of_more
            .store(left < self.gate.claims(1, price), Ordering::SeqCst);
        let is_short = left < due;
        if is_short && !self.short.swap(is_short, Ordering::SeqCst) {
            let (chain_id, account) = (self.gate.chain_id, self.gate.account);
            tracing::error!(chain_id, %account, %left, %due, "too little is left for the claims that are due: calls from channels are refused");
        }
        self.short.store(is_short, Ordering::SeqCst);
    }

    /// Whether the claims that are due are paid for, and one more unless it `is_due` itself.
    pub fn affords_claim(&self, is_due: bool) -> bool {
        let lacking = if is_due {
            &self.short
        } else {
            &self.short_of_more
        };
        !lacking.load(Ordering::SeqCst)
    }

    /// The maximum costs of the transactions that count and whose outcome is not known, in wei.
    fn in_flight(&self, counts: impl Fn(&TxIntent) -> bool) -> Amount {
        let mut by_nonce: BTreeMap<u64, Amount> = BTreeMap::new();
        for intent in self.unsettled().into_iter().filter(counts) {
            let cost = by_nonce.entry(intent.nonce).or_default();
            *cost = greatest_cost(&intent).max(*cost);
        }
        let mut costs = by_nonce.into_values();
        costs
            .try_fold(Amount::ZERO, Amount::checked_add)
            .unwrap_or(Amount(u128::MAX))
    }

    /// Checks whether the account could send the most expensive sponsored transaction now.
    pub async fn look_at_gas(&self) -> Result<(), TransactionError> {
        const DEAREST: u64 = most_gas(SponsoredDeed::SignedRefund);
        let (fees, _) = self.limits.offer(&self.chain).await?;
        let reserve = Amount(u128::from(DEAREST).saturating_mul(fees.max_fee));
        if self.check_floor(reserve, fees.max_fee).await?.is_ok() {
            self.low.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    pub fn is_low(&self) -> bool {
        self.low.load(Ordering::SeqCst)
    }

    /// Waits while a transaction with this key is running.
    pub async fn until_idle(&self, key: &TxKey) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if !self.state().running.contains(key) {
                return;
            }
            ended.await;
        }
    }

    /// Looks up the outcome of every open transaction that no task waits for.
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
            let known = lost.iter().find(|intent| intent.tx == tx);
            if let Some(Ok(Some(key))) = known.map(TxIntent::read_key) {
                let mut state = self.state();
                if state.resolved.len() >= RESOLVED {
                    state.resolved.pop_front();
                }
                state.resolved.push_back((key, mined));
            }
        }
        Ok(())
    }

    /// Takes the outcome of a transaction that was no longer tracked.
    pub fn resolved(&self, key: &TxKey) -> Option<MinedTx> {
        let mut state = self.state();
        let at = state.resolved.iter().position(|(it, _)| it == key)?;
        state.resolved.remove(at).map(|(_, mined)| mined)
    }

    /// The hash of a transaction whose outcome is not known, and which has this key or may have it.
    pub fn open(&self, key: &TxKey) -> Option<String> {
        let mut open = self.unsettled().into_iter();
        open.rfind(|it| it.may_be(key)).map(|it| it.tx)
    }

    /// Whether a transaction with exactly this key has no known outcome.
    pub fn has_begun(&self, key: &TxKey) -> bool {
        let mut open = self.unsettled().into_iter();
        open.any(|it| matches!(it.read_key(), Ok(Some(it)) if it == *key))
    }

    /// Whether our transaction was mined and then undone by a reorganisation.
    pub fn is_undone(&self, tx: &str) -> bool {
        ask_state(&*self.ledger, |state| state.facts.is_undone(tx))
    }

    pub fn has_undone(&self) -> bool {
        ask_state(&*self.ledger, |state| state.facts.has_undone())
    }

    /// The facts of a receipt of ours.
    pub fn facts_of(&self, receipt: &TransactionReceipt) -> Vec<Event> {
        (self.read)(receipt)
    }

    pub fn has_lost(&self) -> bool {
        !self.lost().is_empty()
    }

    fn lost(&self) -> Vec<TxIntent> {
        let mut open = self.unsettled();
        let state = self.state();
        open.retain(|it| !state.awaited.contains(&it.nonce));
        open
    }

    /// This account's transactions whose outcome is not known, in the order of their intents.
    fn unsettled(&self) -> Vec<TxIntent> {
        ask_state(&*self.ledger, |state| {
            let mine = state.unsettled.iter().filter(|it| self.is_mine(it));
            mine.cloned().collect()
        })
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

fn is_sponsored(intent: &TxIntent) -> bool {
    intent.sponsored.is_some()
}

/// A fact that is already in the journal is not repeated.
#[async_trait::async_trait]
impl FactLog for TxQueue {
    async fn keep(&self, event: Event) -> Result<(), Failure> {
        if ask_state(&*self.ledger, |state| state.has_fact(&event)) {
            return Ok(());
        }
        self.facts.keep(event).await
    }
}
