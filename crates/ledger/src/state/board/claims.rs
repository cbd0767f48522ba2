//! Claims and settlements per call: a voucher's total covers every call up to it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{BoardCall, PaymentStanding};
use crate::{
    ChannelKey, PaymentScheme, ReceiverKey,
    event::{ChannelsClaimed, ReceiverSettled},
};
use openlora_core::Amount;

/// Claims kept per channel. Only recent calls are kept, so of older claims only the total matters.
const KEPT_CLAIMS: usize = 8;

/// One claim of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChannelClaim {
    /// The channel's total after it.
    total: Amount,
    tx: String,
    receiver: ReceiverKey,
    /// The settlement transaction.
    settled: Option<String>,
}

/// Claims per channel, and the channels whose claimed money is still in the escrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardClaims {
    channels: BTreeMap<ChannelKey, VecDeque<ChannelClaim>>,
    waiting: BTreeMap<ReceiverKey, Vec<ChannelKey>>,
}

impl BoardClaims {
    pub(super) fn claim(&mut self, claimed: &ChannelsClaimed) {
        for row in &claimed.rows {
            let key = ChannelKey {
                chain_id: claimed.receiver.chain_id,
                channel: row.channel,
            };
            let claims = self.channels.entry(key).or_default();
            // Recorded twice because a process was killed in between.
            if claims.iter().any(|it| it.total >= row.total) {
                continue;
            }
            if claims.len() >= KEPT_CLAIMS {
                claims.pop_front();
            }
            claims.push_back(ChannelClaim {
                total: row.total,
                tx: claimed.tx.clone(),
                receiver: claimed.receiver,
                settled: None,
            });
            let waiting = self.waiting.entry(claimed.receiver).or_default();
            if !waiting.contains(&key) {
                waiting.push(key);
            }
        }
    }

    /// A settlement transfers everything claimed for the receiver so far.
    pub(super) fn apply_settlement(&mut self, settled: &ReceiverSettled) {
        for key in self.waiting.remove(&settled.receiver).unwrap_or_default() {
            let claims = self.channels.get_mut(&key);
            for claim in claims.into_iter().flatten() {
                claim.settled.get_or_insert_with(|| settled.tx.clone());
            }
        }
    }

    pub(super) fn undo(&mut self, txs: &[String]) {
        for (key, claims) in &mut self.channels {
            claims.retain(|claim| !txs.contains(&claim.tx));
            for claim in claims {
                if claim.settled.take_if(|tx| txs.contains(tx)).is_some() {
                    let waiting = self.waiting.entry(claim.receiver).or_default();
                    if !waiting.contains(key) {
                        waiting.push(*key);
                    }
                }
            }
        }
    }

    pub(super) fn payment_standing(&self, call: &BoardCall) -> (PaymentStanding, Option<&str>) {
        let Some(charge) = &call.charge else {
            return match call.has_failed() {
                true => (PaymentStanding::Failed, None),
                false => (PaymentStanding::Free, None),
            };
        };
        if charge.amount.is_zero() {
            return (PaymentStanding::Refunded, None);
        }
        // An `exact` payment is a transfer before the call.
        if charge.scheme == PaymentScheme::Exact {
            return (PaymentStanding::Settled, None);
        }
        let claims = self.channels.get(&charge.channel_key());
        let mut covering = claims.into_iter().flatten();
        match covering.find(|claim| claim.total >= charge.cumulative) {
            None => (PaymentStanding::Pending, None),
            Some(claim) => match &claim.settled {
                Some(tx) => (PaymentStanding::Settled, Some(tx)),
                None => (PaymentStanding::Claimed, Some(&claim.tx)),
            },
        }
    }
}
