//! The facts of mined transactions that are in effect, folded from records: the journal's facts
//! without those recorded twice, reverted by a reorganisation, or on a chain that was reset.
//!
//! This is the only fold over these facts. Income, collected amounts, the audit's records, anchored
//! roots and proposals are read from it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{CallCharge, DAY_MS, ExactKey, PaymentScheme, ReceiverKey};
use crate::event::{
    ContributionClaimed, ContributionsProposed, Event, EventRecord, PaymentReceived,
    ReceiverObserved, RootAnchored, SplitRead,
};
use openlora_core::{Address, Amount, Word};

/// The location of a fact on its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLocation {
    pub chain_id: u64,
    pub tx: String,
    pub block: u64,
    pub hash: Word,
}

impl EventLocation {
    /// `None` for an event that is not a fact of a mined transaction.
    pub fn from_event(event: &Event) -> Option<Self> {
        macro_rules! at {
            ($fact:expr, $($chain:ident).+) => {
                Some(Self {
                    chain_id: $fact.$($chain).+,
                    tx: $fact.tx.clone(),
                    block: $fact.block,
                    hash: $fact.block_hash,
                })
            };
        }
        match event {
            Event::PaymentReceived(fact) => at!(fact, key.chain_id),
            Event::Claimed(fact) => at!(fact, receiver.chain_id),
            Event::Settled(fact) => at!(fact, receiver.chain_id),
            Event::Released(fact) => at!(fact, receiver.chain_id),
            Event::Refunded(fact) => at!(fact, key.chain_id),
            Event::ContributionsProposed(fact) => at!(fact, pool.chain_id),
            Event::ContributionClaimed(fact) => at!(fact, pool.chain_id),
            Event::Anchored(fact) => at!(fact, chain_id),
            _ => None,
        }
    }
}

/// A fact, and when it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainFact {
    pub chain_id: u64,
    /// Days since 1970 (UTC).
    pub day: u64,
    pub event: Event,
}

/// A transfer by an `exact` payment. It becomes income once a call is charged for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactTransfer {
    pub receiver: ReceiverKey,
    pub amount: Amount,
    pub tx: String,
    pub block: u64,
    block_hash: Word,
    pub sequence: u64,
    /// Reverted by a reorganisation and not received again.
    pub is_undone: bool,
}

/// An `exact` payment with its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactIncome {
    /// The latest; absent if only a call names the payment.
    pub transfer: Option<ExactTransfer>,
    /// Day and charge of the first call after the transfer. Another one earns nothing.
    call: Option<(u64, Amount)>,
    /// How many charged calls name the payment.
    calls: u32,
}

impl ExactIncome {
    /// The transfer that is in effect.
    pub fn standing(&self) -> Option<&ExactTransfer> {
        self.transfer.as_ref().filter(|it| !it.is_undone)
    }

    /// The transfer in effect, if exactly one call names it.
    pub(crate) fn of_one_call(&self) -> Option<&ExactTransfer> {
        self.standing().filter(|_| self.calls <= 1)
    }
}

/// Money that moved on a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoneyMovement {
    pub day: u64,
    pub claimed: Amount,
    /// The claimed amount that arrived at the receiver: from the escrow, or by `exact` transfers.
    pub settled: Amount,
    pub released: Amount,
    /// The recipient of a release.
    pub recipient: Option<Address>,
}

/// The facts in effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainFacts {
    /// By sequence. Payments are kept by their keys instead.
    facts: BTreeMap<u64, ChainFact>,
    by_tx: BTreeMap<String, Vec<u64>>,
    pub payments: BTreeMap<ExactKey, ExactIncome>,
    /// The latest block at which the escrow owed a receiver nothing, whichever server settled.
    even_at: BTreeMap<ReceiverKey, u64>,
    /// The latest reading of each splitter.
    splits: BTreeMap<ReceiverKey, SplitRead>,
    /// Transactions whose blocks were reorganised away. The chain may include them again.
    undone: BTreeSet<String>,
    /// The record at which a chain id's earlier chain ended.
    began: BTreeMap<u64, u64>,
}

impl ChainFacts {
    /// How many facts have their blocks checked again when a process starts.
    const LOCATIONS: usize = 256;

    /// Applies a record; unrelated events change nothing.
    pub fn apply(&mut self, record: &EventRecord) {
        let location = EventLocation::from_event(&record.event);
        if let Some(location) = &location {
            self.undone.remove(&location.tx);
        }
        let day = record.time_ms / DAY_MS;
        match &record.event {
            Event::PaymentReceived(paid) => self.receive(record.sequence, paid),
            Event::CallMetered {
                charge: Some(charge),
                ..
            } if charge.scheme == PaymentScheme::Exact && !charge.amount.is_zero() => {
                self.pay_call(day, charge);
            }
            Event::ReceiverObserved(seen) => self.observe(record, seen),
            Event::SplitRead(split) => {
                self.splits.insert(split.receiver, SplitRead::clone(split));
            }
            Event::Reorganised { chain_id, txs } => self.undo(*chain_id, txs),
            Event::ChainEnded { chain_id } => self.end(record.sequence, *chain_id),
            event => {
                if let Some(EventLocation { chain_id, tx, .. }) = location {
                    let known = self.by_tx.entry(tx).or_default();
                    let facts = &self.facts;
                    // A process that was killed in between may have recorded it twice.
                    let same = |at: &u64| facts.get(at).is_some_and(|it| is_same(&it.event, event));
                    if !known.iter().any(same) {
                        known.push(record.sequence);
                        self.insert(record, chain_id);
                    }
                }
            }
        }
    }

    fn insert(&mut self, record: &EventRecord, chain_id: u64) {
        let fact = ChainFact {
            chain_id,
            day: record.time_ms / DAY_MS,
            event: record.event.clone(),
        };
        self.facts.insert(record.sequence, fact);
    }

    /// A payment entitles its payer to a call. Until a call is charged for it, it may belong to
    /// another seller.
    fn receive(&mut self, sequence: u64, paid: &PaymentReceived) {
        let income = self.payments.entry(paid.key).or_default();
        if income.standing().is_some_and(|it| it.tx == paid.tx) {
            return;
        }
        if income.transfer.is_none() {
            // A call that had its payment on a chain that was reset has none on this one.
            income.call = None;
        }
        income.transfer = Some(ExactTransfer {
            receiver: ReceiverKey {
                chain_id: paid.key.chain_id,
                receiver: paid.receiver,
                token: paid.key.token,
            },
            amount: paid.amount,
            tx: paid.tx.clone(),
            block: paid.block,
            block_hash: paid.block_hash,
            sequence,
            is_undone: false,
        });
    }

    fn pay_call(&mut self, day: u64, charge: &CallCharge) {
        let income = self.payments.entry(charge.exact_key()).or_default();
        income.calls = income.calls.saturating_add(1);
        let to = income.transfer.as_ref().map(|it| it.receiver);
        if income.call.is_none() && to == Some(charge.receiver_key()) {
            income.call = Some((day, charge.amount));
        }
    }

    /// Anyone may settle: if nothing is left to settle, all claims have arrived.
    fn observe(&mut self, record: &EventRecord, seen: &ReceiverObserved) {
        let (view, key) = (&seen.view, seen.key);
        if view.claimed == view.settled {
            let block = self.even_at.entry(key).or_default();
            *block = view.block.max(*block);
        }
        let mut since = self.facts.values().rev().take_while(|it| {
            !matches!(&it.event, Event::Settled(it) if it.receiver == key)
                && !matches!(&it.event, Event::ReceiverObserved(it) if it.key == key)
        });
        let last = since.find_map(|it| match &it.event {
            Event::Claimed(claimed) if claimed.receiver == key => Some(claimed.block),
            _ => None,
        });
        if view.settled >= view.claimed && last.is_some_and(|block| view.block >= block) {
            self.insert(record, key.chain_id);
        }
    }

    fn undo(&mut self, chain_id: u64, txs: &[String]) {
        self.undone.extend(txs.iter().cloned());
        for tx in txs {
            let Some(known) = self.by_tx.get_mut(tx) else {
                continue;
            };
            let facts = &mut self.facts;
            known.retain(|at| {
                let stands = facts.get(at).is_some_and(|it| it.chain_id != chain_id);
                if !stands {
                    facts.remove(at);
                }
                stands
            });
        }
        self.by_tx.retain(|_, known| !known.is_empty());
        for (key, income) in &mut self.payments {
            if let Some(transfer) = &mut income.transfer {
                transfer.is_undone |= key.chain_id == chain_id && txs.contains(&transfer.tx);
            }
        }
    }

    /// Nothing on a chain that was reset counts.
    fn end(&mut self, sequence: u64, ended: u64) {
        self.began.insert(ended, sequence);
        self.facts.retain(|_, it| it.chain_id != ended);
        let facts = &self.facts;
        self.by_tx.retain(|_, known| {
            known.retain(|at| facts.contains_key(at));
            !known.is_empty()
        });
        // Calls whose payment is gone stay known as such.
        self.payments
            .retain(|key, it| key.chain_id != ended || it.call.is_some());
        for (_, income) in self
            .payments
            .iter_mut()
            .filter(|(key, _)| key.chain_id == ended)
        {
            (income.transfer, income.calls) = (None, 0);
        }
        self.even_at.retain(|key, _| key.chain_id != ended);
        self.splits.retain(|key, _| key.chain_id != ended);
    }

    /// The facts with their sequences, in journal order; without `exact` payments.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &ChainFact)> {
        self.facts.iter().map(|(sequence, fact)| (*sequence, fact))
    }

    /// Whether a fact of exactly this transaction, block and content is recorded.
    pub fn contains(&self, fact: &Event) -> bool {
        if let Event::PaymentReceived(paid) = fact {
            let income = self.payments.get(&paid.key);
            let is_it = |it: &&ExactTransfer| {
                (&it.tx, it.receiver.receiver, it.amount, it.block_hash)
                    == (&paid.tx, paid.receiver, paid.amount, paid.block_hash)
            };
            return income
                .and_then(ExactIncome::standing)
                .filter(is_it)
                .is_some();
        }
        let location = EventLocation::from_event(fact);
        let known = location.and_then(|it| self.by_tx.get(&it.tx));
        let mut facts = known
            .into_iter()
            .flatten()
            .filter_map(|at| self.facts.get(at));
        facts.any(|it| it.event == *fact)
    }

    /// Locations of the latest facts on a chain, oldest first.
    pub fn locations(&self, chain_id: u64) -> Vec<EventLocation> {
        let facts = self.iter().filter(|(_, it)| it.chain_id == chain_id);
        let facts = facts.filter_map(|(at, it)| Some((at, EventLocation::from_event(&it.event)?)));
        let payments = self
            .payments
            .iter()
            .filter(|(key, _)| key.chain_id == chain_id);
        let payments = payments.filter_map(|(_, income)| {
            let it = income.standing()?;
            let location = EventLocation {
                chain_id,
                tx: it.tx.clone(),
                block: it.block,
                hash: it.block_hash,
            };
            Some((it.sequence, location))
        });
        let all: BTreeMap<u64, EventLocation> = facts.chain(payments).collect();
        let skipped = all.len().saturating_sub(Self::LOCATIONS);
        all.into_values().skip(skipped).collect()
    }

    /// Whether a transaction was mined and then undone by a reorganisation.
    pub fn is_undone(&self, tx: &str) -> bool {
        self.undone.contains(tx)
    }

    pub fn has_undone(&self) -> bool {
        !self.undone.is_empty()
    }

    /// The record after which a chain id stands for the current chain; 0 if it had no other.
    pub fn began(&self, chain_id: u64) -> u64 {
        self.began.get(&chain_id).copied().unwrap_or_default()
    }

    /// The recipients of each receiver, as last read from its splitter.
    pub fn splits(&self) -> &BTreeMap<ReceiverKey, SplitRead> {
        &self.splits
    }

    /// Every receiver of money that moved: claimed, settled, released, or paid for a call.
    pub fn receivers(&self) -> BTreeSet<ReceiverKey> {
        let moved = self.facts.values().filter_map(|it| match &it.event {
            Event::Claimed(it) => Some(it.receiver),
            Event::Settled(it) => Some(it.receiver),
            Event::Released(it) => Some(it.receiver),
            _ => None,
        });
        let paid = self.payments.values().filter(|it| it.call.is_some());
        let paid = paid.filter_map(|it| Some(it.standing()?.receiver));
        moved.chain(paid).collect()
    }

    /// The money that moved for a receiver. A settlement transfers everything claimed for it since
    /// the one before; the rest of its amount was claimed by other servers.
    pub fn movements(&self, receiver: ReceiverKey) -> Vec<MoneyMovement> {
        let (mut moved, mut waiting) = (Vec::new(), Amount::ZERO);
        for fact in self.facts.values() {
            let mut movement = MoneyMovement {
                day: fact.day,
                ..MoneyMovement::default()
            };
            match &fact.event {
                Event::Claimed(it) if it.receiver == receiver => {
                    movement.claimed = it.rows.iter().map(|row| row.amount).sum();
                    waiting = waiting.saturating_add(movement.claimed);
                }
                Event::Settled(it) if it.receiver == receiver => {
                    movement.settled = std::mem::take(&mut waiting);
                }
                Event::ReceiverObserved(it) if it.key == receiver => {
                    movement.settled = std::mem::take(&mut waiting);
                }
                Event::Released(it) if it.receiver == receiver => {
                    movement.released = it.amount;
                    movement.recipient = Some(it.recipient);
                }
                _ => continue,
            }
            moved.push(movement);
        }
        for income in self.payments.values() {
            let transfer = income.standing().filter(|it| it.receiver == receiver);
            if let (Some(transfer), Some((day, charged))) = (transfer, income.call) {
                let amount = charged.min(transfer.amount);
                moved.push(MoneyMovement {
                    day,
                    claimed: amount,
                    settled: amount,
                    ..MoneyMovement::default()
                });
            }
        }
        moved
    }

    /// Whether the payment of an `exact` call was reverted by a reorganisation, or was on a chain
    /// that was reset.
    pub fn is_payment_undone(&self, key: ExactKey) -> bool {
        let paid = self.payments.get(&key);
        paid.is_some_and(|it| it.call.is_some() && it.standing().is_none())
    }

    /// The latest block at which the escrow owed a receiver nothing.
    pub(super) fn even_at(&self) -> &BTreeMap<ReceiverKey, u64> {
        &self.even_at
    }

    /// The anchored roots, oldest first.
    pub fn anchored(&self) -> impl DoubleEndedIterator<Item = &RootAnchored> {
        self.facts.values().filter_map(|it| match &it.event {
            Event::Anchored(fact) => Some(&**fact),
            _ => None,
        })
    }

    /// The last root that a server anchored for an adapter.
    pub fn last_anchor(
        &self,
        chain_id: u64,
        adapter_id: &str,
        server: Address,
    ) -> Option<&RootAnchored> {
        self.anchored().rfind(|it| {
            it.chain_id == chain_id && it.adapter_id == adapter_id && it.server == server
        })
    }

    /// The last record whose calls of an adapter are anchored, by whichever account of this journal; 0
    /// before the first.
    pub fn anchored_through(&self, chain_id: u64, adapter_id: &str) -> u64 {
        let roots = self
            .anchored()
            .filter(|it| it.chain_id == chain_id && it.adapter_id == adapter_id);
        roots.map(|it| it.through).max().unwrap_or_default()
    }

    /// The contributions proposed to pools, oldest first.
    pub fn proposed(&self) -> impl DoubleEndedIterator<Item = &ContributionsProposed> {
        self.facts.values().filter_map(|it| match &it.event {
            Event::ContributionsProposed(fact) => Some(&**fact),
            _ => None,
        })
    }

    /// What contributors claimed from pools.
    pub fn contributions_claimed(&self) -> impl Iterator<Item = &ContributionClaimed> {
        self.facts.values().filter_map(|it| match &it.event {
            Event::ContributionClaimed(fact) => Some(&**fact),
            _ => None,
        })
    }
}

/// Whether two facts of one transaction are the same, in whatever block they were seen.
fn is_same(one: &Event, two: &Event) -> bool {
    match (one, two) {
        (Event::Claimed(one), Event::Claimed(two)) => {
            (one.receiver, &one.rows) == (two.receiver, &two.rows)
        }
        (Event::Settled(one), Event::Settled(two)) => one.receiver == two.receiver,
        (Event::Released(one), Event::Released(two)) => {
            (one.receiver, one.recipient, one.amount) == (two.receiver, two.recipient, two.amount)
        }
        (Event::Refunded(one), Event::Refunded(two)) => {
            (one.key, one.amount) == (two.key, two.amount)
        }
        (Event::Anchored(one), Event::Anchored(two)) => {
            (&one.adapter_id, one.root) == (&two.adapter_id, two.root)
        }
        (Event::ContributionsProposed(one), Event::ContributionsProposed(two)) => {
            (one.pool, one.root) == (two.pool, two.root)
        }
        (Event::ContributionClaimed(one), Event::ContributionClaimed(two)) => {
            (one.pool, one.contributor) == (two.pool, two.contributor)
        }
        _ => false,
    }
}
