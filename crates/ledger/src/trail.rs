//! The journal's payment data by call and by event, for an audit against a chain.
//!
//! The [`Ledger`] keeps sums; an audit must also name the calls behind a difference.

use std::collections::{BTreeMap, BTreeSet};

use super::{CallCharge, ChannelKey, ExactKey, Ledger, PaymentScheme, ReceiverKey};
use crate::event::{ChannelsClaimed, Event, EventRecord, PaymentReceived, RefundCharged};
use openlora_core::{Address, Amount, Word};

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

/// An `exact` payment according to the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailPayment {
    pub receiver: Address,
    pub amount: Amount,
    pub tx: String,
    /// Reverted by a reorganisation and not received again.
    pub is_undone: bool,
    pub place: FactPlace,
}

/// The position of an event in the journal and on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactPlace {
    pub block: u64,
    /// Recorded after the audit started to read the chain.
    pub is_late: bool,
}

/// One channel's part of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailClaim {
    pub tx: String,
    pub channel: ChannelKey,
    pub receiver: ReceiverKey,
    pub amount: Amount,
    /// The channel's total after it.
    pub total: Amount,
    pub place: FactPlace,
}

/// A settlement, and the claims that it settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailSettlement {
    pub tx: String,
    pub receiver: ReceiverKey,
    pub amount: Amount,
    pub claims: Vec<SentClaim>,
    pub place: FactPlace,
}

/// A claim's channel, amount and total.
pub type SentClaim = (ChannelKey, Amount, Amount);

/// A payout of a splitter, or a refund to a payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailPayout<Of> {
    pub tx: String,
    pub of: Of,
    pub amount: Amount,
    pub place: FactPlace,
}

/// A splitter and the recipient of its release.
pub type ReleaseOf = (ReceiverKey, Address);

/// Everything that an audit compares with the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditTrail {
    pub ledger: Ledger,
    /// In journal order.
    pub calls: BTreeMap<ChannelKey, Vec<ChargedCall>>,
    pub exact_calls: BTreeMap<ExactKey, Vec<ChargedCall>>,
    pub payments: BTreeMap<ExactKey, TrailPayment>,
    pub claims: Vec<TrailClaim>,
    pub settlements: Vec<TrailSettlement>,
    pub releases: Vec<TrailPayout<ReleaseOf>>,
    pub refunds: Vec<TrailPayout<ChannelKey>>,
    /// Receivers whose recipients are recorded in the journal: those of its own server.
    splits: BTreeSet<ReceiverKey>,
    /// Claims without a settlement.
    waiting: BTreeMap<ReceiverKey, Vec<SentClaim>>,
    noted: BTreeSet<(String, ChannelKey, Amount)>,
    /// Transactions whose outcome is not in the journal yet.
    in_flight: BTreeSet<String>,
    /// The last folded record.
    pub sequence: u64,
    /// The last record before the chain was read.
    read_from: Option<u64>,
}

impl AuditTrail {
    /// Marks the start of reading the chain: records after this may be ahead of the on-chain data.
    pub fn begin_reading_the_chain(&mut self) {
        self.read_from = Some(self.sequence);
    }

    pub fn apply(&mut self, record: &EventRecord) {
        self.sequence = record.sequence;
        let is_late = self.read_from.is_some_and(|read| record.sequence > read);
        self.ledger.apply(&record.event);
        let place = |block| FactPlace { block, is_late };
        match &record.event {
            Event::CallMetered {
                request_id,
                charge: Some(charge),
                ..
            } => self.charge(request_id, charge, is_late),
            Event::RefundCharged(fee) => self.charge_refund(fee, is_late),
            Event::PaymentReceived(paid) => self.receive(paid, place(paid.block)),
            Event::Claimed(claimed) => self.claim(claimed, place(claimed.block)),
            Event::Settled(it) => self.apply_settlement(TrailSettlement {
                tx: it.tx.clone(),
                receiver: it.receiver,
                amount: it.amount,
                claims: Vec::new(),
                place: place(it.block),
            }),
            Event::Released(it) => note(
                &mut self.releases,
                TrailPayout {
                    tx: it.tx.clone(),
                    of: (it.receiver, it.recipient),
                    amount: it.amount,
                    place: place(it.block),
                },
            ),
            Event::Refunded(it) => note(
                &mut self.refunds,
                TrailPayout {
                    tx: it.tx.clone(),
                    of: it.key,
                    amount: it.amount,
                    place: place(it.block),
                },
            ),
            Event::SplitRead(split) => {
                self.splits.insert(split.receiver);
            }
            Event::Reorganised { chain_id, txs } => self.undo(*chain_id, txs),
            Event::ChainEnded { chain_id } => self.end(*chain_id),
            Event::TransactionIntended(intent) => {
                self.in_flight.insert(intent.tx.clone());
            }
            Event::TransactionConfirmed { tx, .. } => {
                self.in_flight.remove(tx);
            }
            _ => {}
        }
    }

    /// Whether a transaction belongs to this journal and its events are not recorded yet.
    pub fn is_in_flight(&self, tx: &str) -> bool {
        self.in_flight.contains(tx)
    }

    /// Receivers of this journal's calls on a chain; receivers of others are not audited.
    pub fn receivers(&self, chain_id: u64) -> BTreeSet<ReceiverKey> {
        let channels = self.ledger.channels.iter().map(|(key, it)| ReceiverKey {
            chain_id: key.chain_id,
            receiver: it.config.receiver,
            token: it.config.token,
        });
        let known = self.ledger.receivers.keys().copied();
        // Payments are also received for other sellers.
        let paid = self.payments.iter().map(|(key, it)| ReceiverKey {
            chain_id: key.chain_id,
            receiver: it.receiver,
            token: key.token,
        });
        let paid = paid.filter(|key| self.splits.contains(key));
        let mut all: BTreeSet<ReceiverKey> = channels.chain(known).chain(paid).collect();
        all.retain(|key| key.chain_id == chain_id);
        all
    }

    /// Every chain on which calls were charged or channels opened.
    pub fn chains(&self) -> BTreeSet<u64> {
        let channels = self.ledger.channels.keys().map(|key| key.chain_id);
        let known = self.ledger.receivers.keys().map(|key| key.chain_id);
        let read = self.splits.iter().map(|key| key.chain_id);
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

    fn receive(&mut self, paid: &PaymentReceived, place: FactPlace) {
        let payment = TrailPayment {
            receiver: paid.receiver,
            amount: paid.amount,
            tx: paid.tx.clone(),
            is_undone: false,
            place,
        };
        self.payments.insert(paid.key, payment);
    }

    fn claim(&mut self, claimed: &ChannelsClaimed, place: FactPlace) {
        for row in &claimed.rows {
            let claim = TrailClaim {
                tx: claimed.tx.clone(),
                channel: ChannelKey {
                    chain_id: claimed.receiver.chain_id,
                    channel: row.channel,
                },
                receiver: claimed.receiver,
                amount: row.amount,
                total: row.total,
                place,
            };
            // A process that was killed in between may have recorded it twice.
            let noted = (claim.tx.clone(), claim.channel, claim.total);
            if self.noted.insert(noted) {
                let waiting = self.waiting.entry(claim.receiver).or_default();
                waiting.push((claim.channel, claim.amount, claim.total));
                self.claims.push(claim);
            }
        }
    }

    fn apply_settlement(&mut self, mut settlement: TrailSettlement) {
        let known =
            |it: &TrailSettlement| (&it.tx, it.receiver) == (&settlement.tx, settlement.receiver);
        if self.settlements.iter().any(known) {
            return;
        }
        let waiting = self.waiting.remove(&settlement.receiver);
        settlement.claims = waiting.unwrap_or_default();
        self.settlements.push(settlement);
    }

    /// Removes everything that concerns a chain that was reset; the ledger keeps its sums.
    fn end(&mut self, ended: u64) {
        self.calls.retain(|key, _| key.chain_id != ended);
        self.exact_calls.retain(|key, _| key.chain_id != ended);
        self.payments.retain(|key, _| key.chain_id != ended);
        self.claims.retain(|it| it.channel.chain_id != ended);
        self.settlements.retain(|it| it.receiver.chain_id != ended);
        self.releases.retain(|it| it.of.0.chain_id != ended);
        self.refunds.retain(|it| it.of.chain_id != ended);
        self.splits.retain(|key| key.chain_id != ended);
        self.waiting.retain(|key, _| key.chain_id != ended);
        self.noted.retain(|(_, key, _)| key.chain_id != ended);
    }

    /// Removes what these transactions did: they were reverted.
    fn undo(&mut self, chain_id: u64, txs: &[String]) {
        let stands = |chain: u64, tx: &String| chain != chain_id || !txs.contains(tx);
        self.noted
            .retain(|(tx, channel, _)| stands(channel.chain_id, tx));
        self.claims
            .retain(|it| stands(it.receiver.chain_id, &it.tx));
        for it in &self.settlements {
            if !stands(it.receiver.chain_id, &it.tx) {
                let waiting = self.waiting.entry(it.receiver).or_default();
                waiting.extend(&it.claims);
            }
        }
        self.settlements
            .retain(|it| stands(it.receiver.chain_id, &it.tx));
        let noted = &self.noted;
        let claimed: BTreeSet<_> = noted.iter().map(|(_, key, total)| (*key, *total)).collect();
        for waiting in self.waiting.values_mut() {
            waiting.retain(|(key, _, total)| claimed.contains(&(*key, *total)));
        }
        self.releases.retain(|it| stands(it.of.0.chain_id, &it.tx));
        self.refunds.retain(|it| stands(it.of.chain_id, &it.tx));
        for (key, payment) in &mut self.payments {
            payment.is_undone |= !stands(key.chain_id, &payment.tx);
        }
    }
}

/// Adds a payout unless it exists: a process that was killed in between may have recorded it twice.
fn note<Of: PartialEq>(payouts: &mut Vec<TrailPayout<Of>>, payout: TrailPayout<Of>) {
    let known = |it: &TrailPayout<Of>| {
        (&it.tx, &it.of, it.amount) == (&payout.tx, &payout.of, payout.amount)
    };
    if !payouts.iter().any(known) {
        payouts.push(payout);
    }
}

/// The key of a channel on a receiver's chain.
pub(super) fn channel_on(receiver: ReceiverKey, channel: Word) -> ChannelKey {
    ChannelKey {
        chain_id: receiver.chain_id,
        channel,
    }
}
