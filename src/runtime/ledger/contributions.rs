//! What contributors of a pool are owed since the beginning: the sums that the pool's cumulative
//! tree states.
//!
//! Sums are kept in millionths of a base unit and stated in whole units, so what is left over is
//! carried on to the next statement. A pool states no more than arrived there: calls are added in
//! the order of the journal as long as the sum is covered.

use std::collections::BTreeMap;

use super::{Address, Amount, ReceiverKey};
use crate::runtime::event::{AttributedAmount, Event, Record};

/// Millionths in a base unit.
const MICRO: u128 = 1_000_000;

/// The allotment of one pool, call by call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allotment {
    pub pool: ReceiverKey,
    /// What arrived at the pool.
    limit: Amount,
    /// In millionths of a base unit.
    owed: BTreeMap<Address, u128>,
    total: Amount,
    /// The last record that is in.
    through: u64,
    /// A call was not covered, and none after it is added.
    is_full: bool,
}

impl Allotment {
    pub fn new(pool: ReceiverKey, limit: Amount) -> Self {
        Self {
            pool,
            limit,
            owed: BTreeMap::new(),
            total: Amount::ZERO,
            through: 0,
            is_full: false,
        }
    }

    /// Adds a record's call, if it is one and the pool covers it.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::Attributed(attributed) => {
                self.add(record.sequence, attributed.amounts.iter().flatten());
            }
            // The pool of this address is another one from here on.
            Event::ChainEnded { chain_id } if *chain_id == self.pool.chain_id => {
                *self = Self::new(self.pool, self.limit);
            }
            _ => {}
        }
    }

    /// Adds a call that stands at `sequence` of its journal.
    pub fn add<'a>(
        &mut self,
        sequence: u64,
        amounts: impl IntoIterator<Item = &'a AttributedAmount>,
    ) {
        if self.is_full {
            return;
        }
        let mut sums: BTreeMap<Address, u128> = BTreeMap::new();
        for amount in amounts {
            if let (Some(address), true) = (amount.address, amount.pool == Some(self.pool)) {
                let sum = sums.entry(address).or_insert_with(|| self.owed(address));
                *sum = sum.saturating_add(amount.micro.0);
            }
        }
        if sums.is_empty() {
            return;
        }
        let more = sums
            .iter()
            .map(|(who, sum)| sum / MICRO - self.owed(*who) / MICRO);
        let total = self.total.saturating_add(more.map(Amount).sum());
        if total > self.limit {
            self.is_full = true;
            return;
        }
        self.owed.extend(sums);
        (self.total, self.through) = (total, sequence);
    }

    fn owed(&self, who: Address) -> u128 {
        self.owed.get(&who).copied().unwrap_or_default()
    }

    /// Whole base units by contributor, without those that are owed none yet.
    pub fn leaves(&self) -> Vec<(Address, Amount)> {
        let whole = self
            .owed
            .iter()
            .map(|(who, sum)| (*who, Amount(sum / MICRO)));
        whole.filter(|(_, amount)| !amount.is_zero()).collect()
    }

    /// The sum of the leaves.
    pub fn total(&self) -> Amount {
        self.total
    }

    pub fn through(&self) -> u64 {
        self.through
    }
}
