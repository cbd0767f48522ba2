//! How much of each call's charge was collected on a chain: claimed from its channel and sent to
//! the receiver, or paid by an `exact` transfer. Read from the facts in effect; the order of the calls
//! does not matter.
//!
//! A channel's claims cover its calls in the order of their running totals: a call that raised the
//! total from `before` to `after` is collected as far as the claimed total exceeds `before`. An
//! `exact` call is collected by its own transfer only, and never beyond its charge. Other income of
//! a receiver (donations, income of other servers, transfers above the charge) belongs to no call
//! and does not complete another call. An event that does not identify the call it paid counts for
//! none.

use std::collections::BTreeMap;

use super::{
    CallCharge, ChainFacts, ChannelKey, ExactKey, PaymentScheme, ReceiverKey,
    chain_facts::ExactTransfer, key::channel_on,
};
use crate::event::Event;
use openlora_core::Amount;

/// A claim from one channel, ordered by total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct StandingClaim {
    /// Claimed from the channel since it was opened.
    total: Amount,
    block: u64,
    receiver: ReceiverKey,
}

/// Everything that was collected according to the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectedSums {
    /// Sorted.
    claims: BTreeMap<ChannelKey, Vec<StandingClaim>>,
    /// The latest block at which the escrow had sent a receiver all that was claimed for it.
    settled_through: BTreeMap<ReceiverKey, u64>,
    /// Receivers and amounts of the transfers that belong to one call only. Two payments that name
    /// equal transfers of one transaction differ in their logs only.
    transfers: BTreeMap<ExactKey, (ReceiverKey, Amount)>,
}

impl ChainFacts {
    /// How much of each call's charge was collected.
    pub fn collected(&self) -> CollectedSums {
        CollectedSums::from_facts(self)
    }
}

impl CollectedSums {
    fn from_facts(facts: &ChainFacts) -> Self {
        let mut sums = Self {
            settled_through: facts.even_at().clone(),
            ..Self::default()
        };
        for (_, fact) in facts.iter() {
            match &fact.event {
                Event::Claimed(claimed) => {
                    for row in &claimed.rows {
                        let key = channel_on(claimed.receiver, row.channel);
                        sums.claims.entry(key).or_default().push(StandingClaim {
                            total: row.total,
                            block: claimed.block,
                            receiver: claimed.receiver,
                        });
                    }
                }
                Event::Settled(settled) => {
                    let through = sums.settled_through.entry(settled.receiver).or_default();
                    *through = settled.block.max(*through);
                }
                _ => {}
            }
        }
        sums.claims
            .values_mut()
            .for_each(|claims| claims.sort_unstable());
        let likeness =
            |key: &ExactKey, it: &ExactTransfer| (it.tx.clone(), it.receiver, key.payer, it.amount);
        let mut alike = BTreeMap::new();
        for (key, income) in &facts.payments {
            if let Some(it) = income.standing() {
                *alike.entry(likeness(key, it)).or_insert(0_u32) += 1;
            }
        }
        let own = facts.payments.iter().filter_map(|(key, income)| {
            let it = income.of_one_call()?;
            let is_own = alike.get(&likeness(key, it)) == Some(&1);
            is_own.then_some((*key, (it.receiver, it.amount)))
        });
        sums.transfers = own.collect();
        sums
    }

    /// The amount claimed from a channel that has arrived at its receiver.
    pub fn of_channel(&self, channel: ChannelKey, receiver: ReceiverKey) -> Amount {
        let Some(through) = self.settled_through.get(&receiver) else {
            return Amount::ZERO;
        };
        let arrived = |it: &&StandingClaim| it.receiver == receiver && it.block <= *through;
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
            PaymentScheme::Exact => match self.transfers.get(&charge.exact_key()) {
                Some((receiver, amount)) if *receiver == charge.receiver_key() => {
                    charge.amount.min(*amount)
                }
                _ => Amount::ZERO,
            },
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
