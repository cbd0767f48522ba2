//! What contributors of a pool are owed since the beginning.
//!
//! Pure: attributed calls and what was collected of each go in, sums come out. A call gives its
//! contributors their parts of what was collected of its charge and no more, so calls that nobody
//! collects take nothing from others, whatever their order. Sums are kept in millionths of a base
//! unit and stated in whole units; what is left over is carried on. Money in a pool that belongs
//! to no call stays there unallotted.

use std::collections::BTreeMap;

use super::{
    Address, Amount, CallCharge, CollectedSums, ReceiverKey, Word,
    publication::{
        CollectedCall, ContributionsSource, ContributorOwed, PoolContributions, event_id,
    },
};
use crate::runtime::event::{AttributedAmount, CallAttributed, Event, EventRecord};

/// Millionths in a base unit.
const MICRO: u128 = 1_000_000;

/// The allotment of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolAllotment {
    pub pool: ReceiverKey,
    /// In millionths of a base unit.
    owed: BTreeMap<Address, u128>,
    /// The calls that brought it, in the order of their adding.
    calls: Vec<CollectedCall>,
    /// Charges of calls that are not attributed yet, by request id.
    open: BTreeMap<String, CallCharge>,
    /// The last record that is in.
    through: u64,
}

/// An attributed call, as far as its money goes.
#[derive(Clone, Copy, Debug)]
pub struct AttributedCall<'a> {
    pub event_id: Word,
    /// Place of the attribution in its journal.
    pub sequence: u64,
    pub charge: &'a CallCharge,
    pub amounts: &'a [AttributedAmount],
}

/// What was stated of a pool so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatedContributions {
    /// The last root; none before the first.
    pub root: Option<Word>,
    pub owed: Vec<ContributorOwed>,
    /// How much of each call was collected by then.
    pub collected: BTreeMap<Word, Amount>,
}

impl StatedContributions {
    /// Goes on by one file.
    pub fn follow(&mut self, file: &PoolContributions) {
        self.root = Some(file.root);
        self.owed.clone_from(&file.owed);
        let calls = file.source.iter().flat_map(|source| &source.calls);
        self.collected
            .extend(calls.map(|call| (call.event_id, call.collected)));
    }
}

impl PoolAllotment {
    pub fn new(pool: ReceiverKey) -> Self {
        Self {
            pool,
            owed: BTreeMap::new(),
            calls: Vec::new(),
            open: BTreeMap::new(),
            through: 0,
        }
    }

    /// Adds a record's call, if it is one, with what was collected of it.
    pub fn apply(&mut self, record: &EventRecord, collected: &CollectedSums) {
        match &record.event {
            Event::CallMetered {
                request_id,
                charge: Some(charge),
                ..
            } => {
                self.open
                    .insert(request_id.clone(), CallCharge::clone(charge));
            }
            Event::Attributed(attributed) => {
                let CallAttributed {
                    request_id,
                    adapter_digest,
                    amounts,
                    ..
                } = &**attributed;
                let Some(charge) = self.open.remove(request_id) else {
                    return;
                };
                let call = AttributedCall {
                    event_id: Word(event_id(adapter_digest, request_id)),
                    sequence: record.sequence,
                    charge: &charge,
                    amounts: amounts.as_deref().unwrap_or_default(),
                };
                self.add(&call, collected.amount_of(&charge));
            }
            // The pool of this address is another one from here on.
            Event::ChainEnded { chain_id } if *chain_id == self.pool.chain_id => {
                *self = Self::new(self.pool);
            }
            _ => {}
        }
    }

    /// Adds a call of which so much was collected; of more than its charge, the charge.
    pub fn add(&mut self, call: &AttributedCall<'_>, collected: Amount) {
        let charged = call.charge.amount;
        let collected = collected.min(charged);
        if collected.is_zero() {
            return;
        }
        let mut is_of_pool = false;
        for amount in call.amounts {
            if let (Some(address), true) = (amount.address, amount.pool == Some(self.pool)) {
                let part = part_of(amount.micro.0, collected.0, charged.0);
                let sum = self.owed.entry(address).or_default();
                *sum = sum.saturating_add(part);
                is_of_pool = true;
            }
        }
        if is_of_pool {
            self.calls.push(CollectedCall::from_charge(
                call.event_id,
                call.charge,
                collected,
            ));
            self.through = self.through.max(call.sequence);
        }
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
        self.leaves().into_iter().map(|(_, amount)| amount).sum()
    }

    /// The calls that brought something, and how much of each was collected.
    pub fn calls(&self) -> &[CollectedCall] {
        &self.calls
    }

    pub fn through(&self) -> u64 {
        self.through
    }

    /// What is to be stated next, of a pool in which `received` ever arrived: nobody's sum falls,
    /// and nothing is stated that is not there. While the pool has not fetched everything yet,
    /// everybody has the same part of what is new.
    pub fn state(
        &self,
        stated: &StatedContributions,
        received: Amount,
    ) -> (Vec<ContributorOwed>, ContributionsSource) {
        let mut sums: BTreeMap<Address, Amount> = BTreeMap::new();
        for owed in &stated.owed {
            sums.insert(owed.contributor, owed.cumulative);
        }
        let free = received.saturating_sub(sums.values().copied().sum());
        let mut more = self.leaves();
        for (who, sum) in &mut more {
            *sum = sum.saturating_sub(sums.get(who).copied().unwrap_or_default());
        }
        let all: Amount = more.iter().map(|(_, sum)| *sum).sum();
        for (who, sum) in more {
            let part = Amount(part_of(sum.0, free.0, all.0));
            let cumulative = sums.entry(who).or_default();
            *cumulative = cumulative.saturating_add(part);
        }
        let owed = sums.into_iter().filter(|(_, sum)| !sum.is_zero());
        let owed = owed.map(|(contributor, cumulative)| ContributorOwed {
            contributor,
            cumulative,
        });
        let grown = |call: &&CollectedCall| {
            let before = stated.collected.get(&call.event_id).copied();
            call.collected > before.unwrap_or_default()
        };
        let source = ContributionsSource {
            previous: stated.root,
            received,
            calls: self.calls.iter().filter(grown).cloned().collect(),
        };
        (owed.collect(), source)
    }
}

/// `whole × part / of` for a `part` of at most `of`, rounded down. Numbers whose product has more
/// than 128 bits lose their lowest ones, downwards too.
fn part_of(whole: u128, part: u128, of: u128) -> u128 {
    if part >= of {
        return whole;
    }
    if let Some(product) = whole.checked_mul(part) {
        return product / of;
    }
    // `part` is below `of`, so rounding it down and `of` up can only lessen the result.
    let bits = 128 - of.leading_zeros();
    let shift = bits.saturating_sub(63);
    let (part, of) = (part >> shift, (of >> shift) + 1);
    let (high, low) = (whole / of, whole % of);
    high.saturating_mul(part) + low * part / of
}
