//! The attributed parts of charges, in millionths of base units, by day and receiver.
//!
//! The parts of a call sum to a million times its charge. The difference between charged and
//! attributed amounts is therefore not attributed yet. An attribution counts on the day of its
//! call.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::BoardCall;
use crate::{DAY_MS, DayRange, ReceiverKey, event::CallAttributed, pairs};
use openlora_core::{Address, Amount};

/// Millionths per base unit, the resolution of attributions.
pub const MICRO: u128 = 1_000_000;

/// How many charged calls may await their attribution. Further ones evict the oldest, whose charges
/// then remain unattributed.
const AWAITED: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct ShareKey {
    day: u64,
    receiver: ReceiverKey,
    recipient: CreditedRecipient,
}

/// A recipient of charges. Two accounts with one role, such as two creators, are two recipients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CreditedRecipient {
    /// The contributor's name, or the role in the split.
    pub name: String,
    /// Absent if unknown.
    pub address: Option<Address>,
}

/// The amounts attributed to one recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientCredit {
    pub calls: u64,
    pub micro: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct AwaitedPayout {
    day: u64,
    receiver: ReceiverKey,
    amount: Amount,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributorBoard {
    #[serde(with = "pairs")]
    shares: BTreeMap<ShareKey, RecipientCredit>,
    awaited: BTreeMap<String, AwaitedPayout>,
    order: VecDeque<String>,
}

impl ContributorBoard {
    pub(super) fn await_attribution(&mut self, call: &BoardCall) {
        let Some(charge) = call.charge.as_ref().filter(|it| !it.amount.is_zero()) else {
            return;
        };
        if self.order.len() >= AWAITED
            && let Some(oldest) = self.order.pop_front()
        {
            self.awaited.remove(&oldest);
        }
        let awaited = AwaitedPayout {
            day: call.time_ms / DAY_MS,
            receiver: charge.receiver_key(),
            amount: charge.amount,
        };
        self.order.push_back(call.request_id.clone());
        self.awaited.insert(call.request_id.clone(), awaited);
    }

    /// Only parts that sum to the charge are accepted, so that amounts are conserved.
    pub(super) fn attribute(&mut self, attributed: &CallAttributed) {
        let Some(awaited) = self.awaited.remove(&attributed.request_id) else {
            return;
        };
        let amounts = attributed.amounts.as_deref().unwrap_or_default();
        let credited: Amount = amounts.iter().map(|part| part.micro).sum();
        if awaited.amount.0.checked_mul(MICRO) != Some(credited.0) {
            return;
        }
        for part in amounts {
            let key = ShareKey {
                day: awaited.day,
                receiver: awaited.receiver,
                recipient: CreditedRecipient {
                    name: part.recipient.clone(),
                    address: part.address,
                },
            };
            let shared = self.shares.entry(key).or_default();
            shared.calls = shared.calls.saturating_add(1);
            shared.micro = shared.micro.saturating_add(part.micro);
        }
    }

    /// The amounts attributed to each recipient of some receivers over some days.
    pub fn shares(
        &self,
        receivers: &[ReceiverKey],
        days: DayRange,
    ) -> BTreeMap<&CreditedRecipient, RecipientCredit> {
        let mut sums: BTreeMap<&CreditedRecipient, RecipientCredit> = BTreeMap::new();
        for (key, shared) in &self.shares {
            if days.has(key.day) && receivers.contains(&key.receiver) {
                let sum = sums.entry(&key.recipient).or_default();
                sum.calls = sum.calls.saturating_add(shared.calls);
                sum.micro = sum.micro.saturating_add(shared.micro);
            }
        }
        sums
    }
}
