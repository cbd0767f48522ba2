//! The journal's payment data by call and by fact, for an audit against a chain.
//!
//! The [`LedgerState`] keeps sums of calls; an audit must also name the calls behind a difference.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CallCharge, ChannelKey, ExactKey, PaymentScheme, ReceiverKey,
    chain_facts::ChainFact,
    key::channel_on,
    state::{ApplyOutcome, LedgerState},
};
use crate::event::{Event, EventRecord, RefundCharged};
use openlora_core::{Address, Amount};

/// A call with a charge, or the fee of a refund, which counts in its channel's total like a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargedCall {
    /// For a refund's fee, a description of it.
    pub request_id: String,
    pub is_refund_fee: bool,
    pub receiver: ReceiverKey,
    pub amount: Amount,
    /// The channel's total after it; for an `exact` call, its own amount.
    pub cumulative: Amount,
    /// Charged after the audit started to read the chain, which may not show its deposit yet.
    pub is_late: bool,
}

/// The position of an event in the journal and on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactPlace {
    pub block: u64,
    /// Recorded after the audit started to read the chain.
    pub is_late: bool,
}

/// One channel's part of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailClaim {
    pub channel: ChannelKey,
    pub amount: Amount,
    /// The channel's total after it.
    pub total: Amount,
}

/// What a transaction moved, according to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailFact<'a, Of> {
    pub tx: &'a str,
    pub of: Of,
    pub amount: Amount,
    pub place: FactPlace,
}

/// Everything that an audit compares with the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditTrail {
    pub state: LedgerState,
    /// In journal order.
    pub calls: BTreeMap<ChannelKey, Vec<ChargedCall>>,
    pub exact_calls: BTreeMap<ExactKey, Vec<ChargedCall>>,
    /// The last record before the chain was read.
    read_from: Option<u64>,
}

impl AuditTrail {
    /// Marks the start of reading the chain: records after this may be ahead of the on-chain data.
    pub fn begin_reading_the_chain(&mut self) {
        self.read_from = Some(self.state.sequence);
    }

    /// Folds in the next record.
    pub fn apply(&mut self, record: &EventRecord) {
        if self.state.apply(record) != ApplyOutcome::Folded {
            return;
        }
        let is_late = self.is_late(record.sequence);
        match &record.event {
            Event::CallMetered {
                request_id,
                charge: Some(charge),
                ..
            } => self.charge(request_id, charge, is_late),
            Event::RefundCharged(fee) => self.charge_refund(fee, is_late),
            // The ledger keeps its sums.
            Event::ChainEnded { chain_id } => {
                self.calls.retain(|key, _| key.chain_id != *chain_id);
                self.exact_calls.retain(|key, _| key.chain_id != *chain_id);
            }
            _ => {}
        }
    }

    fn is_late(&self, sequence: u64) -> bool {
        self.read_from.is_some_and(|read| sequence > read)
    }

    pub(super) fn place(&self, sequence: u64, block: u64) -> FactPlace {
        FactPlace {
            block,
            is_late: self.is_late(sequence),
        }
    }

    /// Facts of a kind, in journal order.
    fn facts<'a, Of>(
        &'a self,
        read: impl Fn(&'a ChainFact) -> Option<(&'a str, Of, Amount, u64)>,
    ) -> impl Iterator<Item = TrailFact<'a, Of>> {
        self.state.facts.iter().filter_map(move |(sequence, fact)| {
            let (tx, of, amount, block) = read(fact)?;
            Some(TrailFact {
                tx,
                of,
                amount,
                place: self.place(sequence, block),
            })
        })
    }

    /// The claims from a channel.
    pub fn claims(&self, channel: ChannelKey) -> impl Iterator<Item = TrailFact<'_, TrailClaim>> {
        self.facts(move |fact| match &fact.event {
            Event::Claimed(it) if it.receiver.chain_id == channel.chain_id => {
                let mut rows = it.rows.iter();
                let row = rows.find(|row| row.channel == channel.channel)?;
                let claim = TrailClaim {
                    channel,
                    amount: row.amount,
                    total: row.total,
                };
                Some((it.tx.as_str(), claim, row.amount, it.block))
            }
            _ => None,
        })
    }

    /// The settlements of a receiver, each with the claims that it settled.
    pub fn settlements(&self, receiver: ReceiverKey) -> Vec<TrailFact<'_, Vec<TrailClaim>>> {
        let mut waiting = Vec::new();
        let mut settlements = Vec::new();
        for (sequence, fact) in self.state.facts.iter() {
            match &fact.event {
                Event::Claimed(it) if it.receiver == receiver => {
                    waiting.extend(it.rows.iter().map(|row| TrailClaim {
                        channel: channel_on(receiver, row.channel),
                        amount: row.amount,
                        total: row.total,
                    }));
                }
                Event::Settled(it) if it.receiver == receiver => settlements.push(TrailFact {
                    tx: it.tx.as_str(),
                    of: std::mem::take(&mut waiting),
                    amount: it.amount,
                    place: self.place(sequence, it.block),
                }),
                _ => {}
            }
        }
        settlements
    }

    /// The refunds of a channel.
    pub fn refunds(&self, channel: ChannelKey) -> impl Iterator<Item = TrailFact<'_, ()>> {
        self.facts(move |fact| match &fact.event {
            Event::Refunded(it) if it.key == channel => {
                Some((it.tx.as_str(), (), it.amount, it.block))
            }
            _ => None,
        })
    }

    /// The releases of a splitter, each with its recipient.
    pub fn releases(&self, receiver: ReceiverKey) -> impl Iterator<Item = TrailFact<'_, Address>> {
        self.facts(move |fact| match &fact.event {
            Event::Released(it) if it.receiver == receiver => {
                Some((it.tx.as_str(), it.recipient, it.amount, it.block))
            }
            _ => None,
        })
    }

    /// Whether a transaction belongs to this journal and its events are not recorded yet.
    pub fn is_in_flight(&self, tx: &str) -> bool {
        self.state.is_open(tx)
    }

    /// Receivers of this journal's calls on a chain; receivers of others are not audited.
    pub fn receivers(&self, chain_id: u64) -> BTreeSet<ReceiverKey> {
        let LedgerState { ledger, facts, .. } = &self.state;
        let channels = ledger.channels.iter().map(|(key, it)| ReceiverKey {
            chain_id: key.chain_id,
            receiver: it.config.receiver,
            token: it.config.token,
        });
        let known = ledger.receivers.keys().copied();
        // Payments are also received for other sellers.
        let paid = facts
            .payments
            .values()
            .filter_map(|it| it.transfer.as_ref());
        let paid = paid.map(|it| it.receiver);
        let paid = paid.filter(|key| facts.splits().contains_key(key));
        let mut all: BTreeSet<ReceiverKey> = channels.chain(known).chain(paid).collect();
        all.retain(|key| key.chain_id == chain_id);
        all
    }

    /// Every chain on which calls were charged or channels opened.
    pub fn chains(&self) -> BTreeSet<u64> {
        let LedgerState { ledger, facts, .. } = &self.state;
        let channels = ledger.channels.keys().map(|key| key.chain_id);
        let known = ledger.receivers.keys().map(|key| key.chain_id);
        let read = facts.splits().keys().map(|key| key.chain_id);
        let all: BTreeSet<u64> = channels.chain(known).chain(read).collect();
        let has_money = |chain: &u64| !self.receivers(*chain).is_empty();
        all.into_iter().filter(has_money).collect()
    }

    fn charge(&mut self, request_id: &str, charge: &CallCharge, is_late: bool) {
        if charge.amount.is_zero() {
            return;
        }
        let call = ChargedCall {
            request_id: request_id.to_owned(),
            is_refund_fee: false,
            receiver: charge.receiver_key(),
            amount: charge.amount,
            cumulative: charge.cumulative,
            is_late,
        };
        match charge.scheme {
            PaymentScheme::Exact => self
                .exact_calls
                .entry(charge.exact_key())
                .or_default()
                .push(call),
            PaymentScheme::BatchSettlement => self
                .calls
                .entry(charge.channel_key())
                .or_default()
                .push(call),
        }
    }

    fn charge_refund(&mut self, fee: &RefundCharged, is_late: bool) {
        let charges = self.calls.entry(fee.key).or_default();
        charges.push(ChargedCall {
            request_id: format!("fee of refund {}", fee.refund_nonce),
            is_refund_fee: true,
            receiver: fee.receiver,
            amount: fee.amount,
            cumulative: fee.cumulative,
            is_late,
        });
    }
}
