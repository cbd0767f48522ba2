//! Which counted calls wait for their final attribution, folded from records. Only their places in the
//! journal are kept in memory, so that many may wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use openlora_core::Address;
use openlora_ledger::{
    CallCharge, ReceiverKey,
    event::{Event, EventRecord, FinishReason, SplitRead},
};

/// Multiple of the queue's length that may wait in all, so that one payer who fills the queue does
/// not block others.
const OVERDRAFT: usize = 4;

/// A counted call without a final attribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnattributedCall {
    pub time_ms: u64,
    pub request_id: String,
    pub adapter: String,
    pub adapter_digest: String,
    pub finish: FinishReason,
    pub completion_tokens: u64,
    pub charge: Option<CallCharge>,
    /// The recipients of the payment, if they have been read.
    pub split: Option<SplitRead>,
}

impl UnattributedCall {
    /// The call that a record counts.
    pub fn from_record(record: EventRecord) -> Option<Self> {
        match record.event {
            Event::CallMetered {
                request_id,
                adapter,
                adapter_digest,
                usage,
                finish,
                charge,
                ..
            } => Some(Self {
                time_ms: record.time_ms,
                request_id,
                adapter,
                adapter_digest,
                finish,
                completion_tokens: usage.completion_tokens,
                charge: charge.map(|it| *it),
                split: None,
            }),
            _ => None,
        }
    }
}

/// What is known of a waiting call without its record.
#[derive(Clone, Copy, Debug)]
struct WaitingCall {
    time_ms: u64,
    /// The party whose queue it is in; `None` if calls are free.
    party: Option<Address>,
}

/// How far attribution is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributionLag {
    pub waiting: usize,
    /// Age of the call that waits longest.
    pub milliseconds: u64,
}

/// Calls of the served adapters, in the order of their counting.
#[derive(Debug, Default)]
pub(super) struct AttributionBacklog {
    served: BTreeSet<String>,
    /// By the position of their records.
    waiting: BTreeMap<u64, WaitingCall>,
    places: HashMap<Box<str>, u64>,
    /// Waiting calls by the party that paid for them; `None` for free calls.
    payers: HashMap<Option<Address>, usize>,
    /// The parties of calls that differ from the payer, until the calls are counted.
    parties: HashMap<String, Address>,
    splits: BTreeMap<ReceiverKey, SplitRead>,
}

impl AttributionBacklog {
    pub fn for_adapters(served: impl Iterator<Item = String>) -> Self {
        Self {
            served: served.collect(),
            ..Self::default()
        }
    }

    /// Counts the calls of one more adapter. Those that an earlier process left wait for the next
    /// start.
    pub fn add(&mut self, adapter_digest: &str) {
        self.served.insert(adapter_digest.to_owned());
    }

    /// Whether a new call waits.
    pub fn apply(&mut self, record: &EventRecord) -> bool {
        match &record.event {
            Event::CallReserved {
                request_id,
                adapter_digest,
                payment: Some(payment),
                ..
            } if self.served.contains(adapter_digest) => {
                if let Some(party) = payment.party {
                    self.parties.insert(request_id.clone(), party);
                }
                false
            }
            Event::CallMetered {
                request_id,
                adapter_digest,
                charge,
                ..
            } if self.served.contains(adapter_digest) => {
                let party = self.parties.remove(request_id);
                let waiting = WaitingCall {
                    time_ms: record.time_ms,
                    party: charge.as_ref().map(|it| party.unwrap_or(it.payer)),
                };
                *self.payers.entry(waiting.party).or_default() += 1;
                self.places
                    .insert(request_id.as_str().into(), record.sequence);
                self.waiting.insert(record.sequence, waiting);
                true
            }
            Event::Attributed(attributed) => {
                if let Some(place) = self.places.remove(attributed.request_id.as_str()) {
                    self.leave(place);
                }
                false
            }
            Event::SplitRead(split) => {
                self.splits.insert(split.receiver, SplitRead::clone(split));
                false
            }
            _ => false,
        }
    }

    /// The position of the first waiting call after a position. Positions begin at 1.
    pub fn next_waiting(&self, place: u64) -> Option<u64> {
        let (place, _) = self.waiting.range(place + 1..).next()?;
        Some(*place)
    }

    /// The recipients of a payment, if they have been read.
    pub fn split_of(&self, charge: &CallCharge) -> Option<SplitRead> {
        self.splits.get(&charge.receiver_key()).cloned()
    }

    pub fn count(&self) -> usize {
        self.waiting.len()
    }

    fn leave(&mut self, place: u64) {
        let Some(waiting) = self.waiting.remove(&place) else {
            return;
        };
        let payer = waiting.party;
        if let Some(count) = self.payers.get_mut(&payer) {
            *count -= 1;
            if *count == 0 {
                self.payers.remove(&payer);
            }
        }
    }

    /// Whether one more call of a payer may wait when `most` are meant to. Beyond that, payers who
    /// wait for less than an equal part go on, up to `OVERDRAFT` times as many calls.
    pub fn has_room(&self, payer: Option<Address>, most: usize) -> bool {
        let waiting = self.waiting.len();
        if waiting < most {
            return true;
        }
        let own = self.payers.get(&payer).copied().unwrap_or(0);
        let payers = self.payers.len() + usize::from(own == 0);
        own < most / payers && waiting < most.saturating_mul(OVERDRAFT)
    }

    pub fn ids(&self) -> Vec<Box<str>> {
        self.places.keys().cloned().collect()
    }

    pub fn lag(&self, now_ms: u64) -> AttributionLag {
        let first = self.waiting.values().next();
        AttributionLag {
            waiting: self.waiting.len(),
            milliseconds: first.map_or(0, |it| now_ms.saturating_sub(it.time_ms)),
        }
    }
}
