//! The amounts owed to the contributors of a pool since it was created, rounded to whole base units.
//!
//! Pure: the inputs are attributed calls and how much of each was collected; the outputs are sums.
//! Contributors receive their shares of the collected part of a charge only, so an uncollected call
//! takes nothing from other calls. Sums are kept in millionths of a base unit and stated in whole
//! base units; the remainder is carried over. Money in a pool that belongs to no call is not
//! allotted.

use std::collections::BTreeMap;

use super::{
    CallCharge, CollectedSums, ReceiverKey,
    publication::{
        CollectedCall, ContributionsSource, ContributorOwed, PoolContributions, event_id,
    },
};
use crate::event::{AttributedAmount, CallAttributed, Event, EventRecord};
use openlora_core::{Address, Amount, Word};

/// Millionths in a base unit.
const MICRO: u128 = 1_000_000;

/// The allotment of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolAllotment {
    pub pool: ReceiverKey,
    /// In millionths of a base unit.
    owed: BTreeMap<Address, u128>,
    /// The calls that contributed to the sums, in the order in which they were added.
    calls: Vec<CollectedCall>,
    /// Charges of calls that are not attributed yet, by request id.
    open: BTreeMap<String, CallCharge>,
    /// The last record that is included.
    through: u64,
}

/// The amounts of an attributed call.
#[derive(Clone, Copy, Debug)]
pub struct AttributedCall<'a> {
    pub event_id: Word,
    /// Sequence of the attribution in its journal.
    pub sequence: u64,
    pub charge: &'a CallCharge,
    pub amounts: &'a [AttributedAmount],
}

/// The last stated contributions of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatedContributions {
    /// The last root; none before the first.
    pub root: Option<Word>,
    pub owed: Vec<ContributorOwed>,
    /// How much of each call was collected according to that statement.
    pub collected: BTreeMap<Word, Amount>,
}

impl StatedContributions {
    /// Applies the next contributions file.
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

    /// Adds the call of a record, if it has one, with the amount collected of it.
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
            // After this event, the address belongs to a pool on a new chain.
            Event::ChainEnded { chain_id } if *chain_id == self.pool.chain_id => {
                *self = Self::new(self.pool);
            }
            _ => {}
        }
    }

    /// Adds a call and its collected amount, capped at its charge.
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

    /// What each contributor is owed, rounded down to whole base units; contributors that are owed less than one are left out.
    pub fn whole_units(&self) -> Vec<(Address, Amount)> {
        let whole = self
            .owed
            .iter()
            .map(|(who, sum)| (*who, Amount(sum / MICRO)));
        whole.filter(|(_, amount)| !amount.is_zero()).collect()
    }

    /// The sum of what contributors are owed, in whole base units.
    pub fn total(&self) -> Amount {
        self.whole_units()
            .into_iter()
            .map(|(_, amount)| amount)
            .sum()
    }

    /// Calls with a collected amount, and that amount.
    pub fn calls(&self) -> &[CollectedCall] {
        &self.calls
    }

    pub fn through(&self) -> u64 {
        self.through
    }

    /// The next statement for a pool that has `received` this total. No contributor's sum
    /// decreases, and the statement never exceeds the pool's funds. While not all funds have
    /// reached the pool, the new amounts of all contributors are scaled by the same factor.
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
        let mut more = self.whole_units();
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

/// `whole × part / of` for a `part` of at most `of`, rounded down. If the product has more than 128
/// bits, the lowest bits are dropped, which also rounds down.
fn part_of(whole: u128, part: u128, of: u128) -> u128 {
    if part >= of {
        return whole;
    }
    if let Some(product) = whole.checked_mul(part) {
        return product / of;
    }
    // `part` is below `of`: rounding it down and `of` up can only reduce the result.
    let bits = 128 - of.leading_zeros();
    let shift = bits.saturating_sub(63);
    let (part, of) = (part >> shift, (of >> shift) + 1);
    let (high, low) = (whole / of, whole % of);
    high.saturating_mul(part) + low * part / of
}
