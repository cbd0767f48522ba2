//! Throughput: calls, tokens, durations and money per second, minute, hour and day.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::BoardCall;
use crate::ReceiverKey;
use openlora_core::Amount;

/// A histogram of durations with a relative bucket width of at most one eighth; exact below 16 ms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurationHistogram {
    /// Pairs of bucket and count, sorted by bucket.
    counts: Vec<(u16, u32)>,
}

impl DurationHistogram {
    pub fn add(&mut self, milliseconds: u64) {
        let step = step_of(milliseconds);
        match self.counts.binary_search_by_key(&step, |entry| entry.0) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(1),
            Err(at) => self.counts.insert(at, (step, 1)),
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (step, count) in &other.counts {
            match self.counts.binary_search_by_key(step, |entry| entry.0) {
                Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(*count),
                Err(at) => self.counts.insert(at, (*step, *count)),
            }
        }
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().map(|entry| u64::from(entry.1)).sum()
    }

    /// The quantile `permille` of the durations, rounded up to the end of its bucket.
    pub fn quantile_ms(&self, permille: u64) -> Option<u64> {
        let wanted = (self.count() * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        self.counts.iter().find_map(|(step, count)| {
            seen += u64::from(*count);
            (seen >= wanted).then(|| end_of(*step))
        })
    }
}

/// Buckets of width one below 16, then eight buckets per power of two.
fn step_of(milliseconds: u64) -> u16 {
    if milliseconds < 16 {
        return milliseconds as u16;
    }
    let power = u64::from(milliseconds.ilog2());
    let eighth = (milliseconds >> (power - 3)) & 7;
    (16 + (power - 4) * 8 + eighth) as u16
}

/// The longest duration of a bucket.
fn end_of(step: u16) -> u64 {
    let step = u64::from(step);
    if step < 16 {
        return step;
    }
    let (power, eighth) = ((step - 16) / 8 + 4, (step - 16) % 8);
    ((9 + eighth) << (power - 3)) - 1
}

/// The activity within one unit of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaceSlot {
    /// Units of time since 1970.
    pub index: u64,
    pub calls: u64,
    pub failed: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub latency: DurationHistogram,
    pub first_token: DurationHistogram,
    pub charged: Vec<(ReceiverKey, Amount)>,
}

impl PaceSlot {
    fn meter(&mut self, call: &BoardCall) {
        self.calls = self.calls.saturating_add(1);
        self.failed = self.failed.saturating_add(u64::from(call.has_failed()));
        self.prompt_tokens = self.prompt_tokens.saturating_add(call.usage.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(call.usage.completion_tokens);
        self.latency.add(call.milliseconds);
        if let Some(milliseconds) = call.first_token_milliseconds {
            self.first_token.add(milliseconds);
        }
        if let Some(charge) = &call.charge {
            self.charge(charge.receiver_key(), charge.amount);
        }
    }

    fn charge(&mut self, receiver: ReceiverKey, amount: Amount) {
        match self.charged.iter_mut().find(|entry| entry.0 == receiver) {
            Some(entry) => entry.1 = entry.1.saturating_add(amount),
            None => self.charged.push((receiver, amount)),
        }
    }

    /// Charges of some receivers.
    pub fn charged(&self, receivers: &[ReceiverKey]) -> Amount {
        let of = self.charged.iter().filter(|it| receivers.contains(&it.0));
        of.map(|it| it.1).sum()
    }

    pub fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(other.completion_tokens);
        self.latency.merge(&other.latency);
        self.first_token.merge(&other.first_token);
        for (receiver, amount) in &other.charged {
            self.charge(*receiver, *amount);
        }
    }
}

/// The latest slots of one width; empty slots are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRing {
    pub width_ms: u64,
    /// How many slots are kept.
    keep: u64,
    slots: VecDeque<PaceSlot>,
}

impl SlotRing {
    fn new(width_ms: u64, keep: u64) -> Self {
        Self {
            width_ms,
            keep,
            slots: VecDeque::new(),
        }
    }

    fn meter(&mut self, call: &BoardCall) {
        let index = call.time_ms / self.width_ms;
        if self.slots.back().is_none_or(|slot| slot.index < index) {
            let kept = index.saturating_sub(self.keep);
            while self.slots.front().is_some_and(|slot| slot.index <= kept) {
                self.slots.pop_front();
            }
            self.slots.push_back(PaceSlot {
                index,
                ..PaceSlot::default()
            });
        }
        if let Some(slot) = self.slots.back_mut() {
            slot.meter(call);
        }
    }

    /// The slots with an index of at least `first`, oldest first.
    pub fn since(&self, first: u64) -> impl Iterator<Item = &PaceSlot> {
        let start = self.slots.partition_point(|slot| slot.index < first);
        self.slots.range(start..)
    }
}

/// The same calls at four slot widths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPace {
    pub seconds: SlotRing,
    pub minutes: SlotRing,
    pub hours: SlotRing,
    pub days: SlotRing,
}

impl Default for CallPace {
    fn default() -> Self {
        let minute = 60_000;
        Self {
            seconds: SlotRing::new(1_000, 120),
            minutes: SlotRing::new(minute, 1_500),
            hours: SlotRing::new(60 * minute, 31 * 24),
            days: SlotRing::new(24 * 60 * minute, 10 * 366),
        }
    }
}

impl CallPace {
    pub(super) fn meter(&mut self, call: &BoardCall) {
        self.seconds.meter(call);
        self.minutes.meter(call);
        self.hours.meter(call);
        self.days.meter(call);
    }
}
