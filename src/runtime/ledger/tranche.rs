//! What a pool's operator proposes next: what contributors are owed since the beginning, less what
//! the pool has promised them already.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{Address, Amount};

/// Most entries of one proposal; the largest go first and the others wait for the next.
pub const MOST_ENTRIES: usize = 200;

/// What each contributor gets on top of what it `had`, together at most `budget`. What static
/// shares gave somebody beyond what it is owed counts towards what it earns later: until then it
/// gets nothing more, and the others what there is, in proportion.
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

/// Rounded down where there is less than is wanted.
fn part(amount: Amount, wanted: Amount, budget: Amount) -> Amount {
    if wanted <= budget {
        return amount;
    }
    let exact = amount.0.checked_mul(budget.0).map(|it| it / wanted.0);
    Amount(exact.unwrap_or_else(|| match budget.0 {
        0 => 0,
        // Numbers that no token has: a little less than exact.
        budget => amount.0 / (wanted.0 / budget + 1),
    }))
}
