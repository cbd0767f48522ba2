//! How much of each call's charge was collected on a chain: claimed from its channel and sent to
//! the receiver, or paid by an `exact` transfer. Folded from events; the order of the calls does
//! not matter.
//!
//! A channel's claims cover its calls in the order of their running totals: a call that raised the
//! total from `before` to `after` is collected as far as the claimed total exceeds `before`. An
//! `exact` call is collected by its own transfer only, and never beyond its charge. Other income of
//! a receiver (donations, income of other servers, transfers above the charge) belongs to no call
//! and does not complete another call. An event that does not identify the call it paid counts for
//! none.

use std::collections::{BTreeMap, BTreeSet};

use super::{CallCharge, ChannelKey, ExactKey, PaymentScheme, ReceiverKey};
use crate::event::{ChannelsClaimed, Event, PaymentReceived};
use openlora_core::{Address, Amount};

/// A claim from one channel that is still in effect, ordered by total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct StandingClaim {
    /// Claimed from the channel since it was opened.
    total: Amount,
    block: u64,
    receiver: ReceiverKey,
    tx: String,
}

/// A transfer that paid an `exact` call.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StandingTransfer {
    tx: String,
    receiver: ReceiverKey,
    amount: Amount,
}

/// Everything that was collected according to the events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectedSums {
    claims: BTreeMap<ChannelKey, BTreeSet<StandingClaim>>,
    /// Blocks and hashes of the settlements: the transactions in which the escrow sent a receiver
    /// all that was claimed for it.
    settles: BTreeMap<ReceiverKey, BTreeSet<(u64, String)>>,
    /// The latest block at which the escrow owed a receiver nothing, regardless of which server
    /// settled.
    even_at: BTreeMap<ReceiverKey, u64>,
    transfers: BTreeMap<ExactKey, StandingTransfer>,
    /// How many calls refer to each transfer.
    named: BTreeMap<ExactKey, u32>,
    /// How many payments refer to the same transfer; only their logs could distinguish them.
    alike: BTreeMap<TransferKey, u32>,
}

/// The key of a transfer: its transaction, receiver, payer and amount.
type TransferKey = (String, ReceiverKey, Address, Amount);

impl CollectedSums {
    /// Applies an event; unrelated events change nothing.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Claimed(claimed) => self.claim(claimed),
            Event::Settled(settled) => {
                let settles = self.settles.entry(settled.receiver).or_default();
                settles.insert((settled.block, settled.tx.clone()));
            }
            Event::ReceiverObserved(seen) if seen.view.claimed == seen.view.settled => {
                let block = self.even_at.entry(seen.key).or_default();
                *block = seen.view.block.max(*block);
            }
            Event::PaymentReceived(received) => self.receive(received),
            Event::CallMetered {
                charge: Some(charge),
                ..
            } if charge.scheme == PaymentScheme::Exact && !charge.amount.is_zero() => {
                *self.named.entry(charge.exact_key()).or_default() += 1;
            }
            Event::Reorganised { chain_id, txs } => {
                self.keep_standing(|chain, tx| {
                    chain != *chain_id || !txs.iter().any(|it| it == tx)
                });
            }
            Event::ChainEnded { chain_id } => self.end(*chain_id),
            _ => {}
        }
    }

    fn claim(&mut self, claimed: &ChannelsClaimed) {
        for row in &claimed.rows {
            let key = ChannelKey {
                chain_id: claimed.receiver.chain_id,
                channel: row.channel,
            };
            self.claims.entry(key).or_default().insert(StandingClaim {
                tx: claimed.tx.clone(),
                receiver: claimed.receiver,
                block: claimed.block,
                total: row.total,
            });
        }
    }

    /// A killed process may have recorded a payment twice.
    fn receive(&mut self, received: &PaymentReceived) {
        if self.transfers.contains_key(&received.key) {
            return;
        }
        let receiver = ReceiverKey {
            chain_id: received.key.chain_id,
            receiver: received.receiver,
            token: received.key.token,
        };
        let likeness = (
            received.tx.clone(),
            receiver,
            received.key.payer,
            received.amount,
        );
        *self.alike.entry(likeness).or_default() += 1;
        let transfer = StandingTransfer {
            tx: received.tx.clone(),
            receiver,
            amount: received.amount,
        };
        self.transfers.insert(received.key, transfer);
    }

    /// Removes transactions for which `stands` returns false; its arguments are chain and hash.
    fn keep_standing(&mut self, stands: impl Fn(u64, &str) -> bool) {
        for (key, claims) in &mut self.claims {
            claims.retain(|it| stands(key.chain_id, &it.tx));
        }
        for (key, settles) in &mut self.settles {
            settles.retain(|(_, tx)| stands(key.chain_id, tx));
        }
        self.transfers
            .retain(|key, it| stands(key.chain_id, &it.tx));
        self.alike
            .retain(|(tx, receiver, ..), _| stands(receiver.chain_id, tx));
    }

    /// Nothing is collected on a chain that was reset.
    fn end(&mut self, ended: u64) {
        self.claims.retain(|key, _| key.chain_id != ended);
        self.settles.retain(|key, _| key.chain_id != ended);
        self.even_at.retain(|key, _| key.chain_id != ended);
        self.transfers.retain(|key, _| key.chain_id != ended);
        self.named.retain(|key, _| key.chain_id != ended);
        self.alike
            .retain(|(_, receiver, ..), _| receiver.chain_id != ended);
    }

    /// The amount claimed from a channel that has arrived at its receiver.
    pub fn of_channel(&self, channel: ChannelKey, receiver: ReceiverKey) -> Amount {
        let settled = self.settles.get(&receiver).and_then(BTreeSet::last);
        let settled = settled.map(|(block, _)| *block);
        let Some(through) = settled.max(self.even_at.get(&receiver).copied()) else {
            return Amount::ZERO;
        };
        let arrived = |it: &&StandingClaim| it.receiver == receiver && it.block <= through;
        let mut claims = self.claims.get(&channel).into_iter().flatten().rev();
        claims.find(arrived).map_or(Amount::ZERO, |it| it.total)
    }

    /// How much of a charge was collected.
    pub fn amount_of(&self, charge: &CallCharge) -> Amount {
        match charge.scheme {
            PaymentScheme::BatchSettlement => {
                let claimed = self.of_channel(charge.channel_key(), charge.receiver_key());
                collected_of(charge, claimed)
            }
            PaymentScheme::Exact => self.of_transfer(charge),
        }
    }

    fn of_transfer(&self, charge: &CallCharge) -> Amount {
        let key = charge.exact_key();
        let Some(transfer) = self.transfers.get(&key) else {
            return Amount::ZERO;
        };
        let likeness = (
            transfer.tx.clone(),
            transfer.receiver,
            key.payer,
            transfer.amount,
        );
        let is_its_own = self.named.get(&key).is_none_or(|calls| *calls == 1)
            && self.alike.get(&likeness) == Some(&1)
            && transfer.receiver == charge.receiver_key();
        match is_its_own {
            true => transfer.amount.min(charge.amount),
            false => Amount::ZERO,
        }
    }
}

/// How much of a channel call is collected when `claimed` was claimed from the channel.
pub fn collected_of(charge: &CallCharge, claimed: Amount) -> Amount {
    let before = charge.before();
    claimed.min(charge.cumulative).saturating_sub(before)
}

impl CallCharge {
    /// The channel's total before this call; zero for `exact`.
    pub fn before(&self) -> Amount {
        self.cumulative.saturating_sub(self.amount)
    }
}
