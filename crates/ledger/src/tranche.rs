//! The next proposal to a pool: the amounts owed to contributors since the beginning, minus what
//! the pool has already promised.

use std::{cmp::Reverse, collections::BTreeMap};

use openlora_core::{Address, Amount};

/// Maximum entries of one proposal; the largest come first, and the others wait for the next
/// proposal.
pub const MOST_ENTRIES: usize = 200;

/// What each contributor receives in addition to what it `had`, at most `budget` in total. If a
/// contributor received more by static shares than it is owed, the excess counts against later
/// earnings: until it is used up, the contributor receives nothing, and the others share the budget
/// in proportion.
pub fn next_tranche(
    owed: &[(Address, Amount)],
    had: &BTreeMap<Address, Amount>,
    budget: Amount,
) -> Vec<(Address, Amount)> {
    let missing = owed.iter().map(|(who, sum)| {
        let before = had.get(who).copied().unwrap_or_default();
        (*who, sum.saturating_sub(before))
    });
    let missing: Vec<(Address, Amount)> = missing.collect();
    let wanted: Amount = missing.iter().map(|(_, amount)| *amount).sum();
    let mut entries: Vec<(Address, Amount)> = missing
        .into_iter()
        .map(|(who, amount)| (who, part(amount, wanted, budget)))
        .filter(|(_, amount)| !amount.is_zero())
        .collect();
    entries.sort_by_key(|(who, amount)| (Reverse(*amount), *who));
    entries.truncate(MOST_ENTRIES);
    entries.sort();
    entries
}

/// Rounded down if the budget is smaller than the wanted sum.
fn part(amount: Amount, wanted: Amount, budget: Amount) -> Amount {
    if wanted <= budget {
        return amount;
    }
    let exact = amount.0.checked_mul(budget.0).map(|it| it / wanted.0);
    Amount(exact.unwrap_or_else(|| match budget.0 {
        0 => 0,
        // Larger than any token supply: slightly less than exact.
        budget => amount.0 / (wanted.0 / budget + 1),
    }))
}
