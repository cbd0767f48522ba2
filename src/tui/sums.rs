//! Sums by adapter, payer or contributor. The rows add up to the headline, in integers.

use std::collections::BTreeMap;

use super::{money::TokenMoney, text};
use openlora_core::{Address, Amount};
use openlora_ledger::{
    CallsKey, DayRange,
    state::board::{Board, MICRO},
};

/// The grouping of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SumGroup {
    Adapter,
    Payer,
    #[default]
    Contributor,
}

impl SumGroup {
    pub fn name(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::Payer => "payer",
            Self::Contributor => "contributor",
        }
    }

    pub fn next(self) -> Self {
        match self {
            Self::Adapter => Self::Payer,
            Self::Payer => Self::Contributor,
            Self::Contributor => Self::Adapter,
        }
    }
}

/// One row. Rows of contributors with one name have different addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumRow {
    pub name: String,
    /// Address of a payer, or of a contributor if known.
    pub address: Option<Address>,
    pub calls: u64,
    /// In millionths of base units: contributors' shares are finer than a base unit.
    pub micro: u128,
    /// Paid to a contributor from the pools, over all time.
    pub paid: Option<Amount>,
}

impl SumRow {
    /// Identifies the row among those of its group.
    pub fn id(&self) -> String {
        match self.address.map(|it| it.to_string()) {
            Some(address) if address != self.name => format!("{} {address}", self.name),
            _ => self.name.clone(),
        }
    }

    /// Its name, with the address if another row has the same name.
    pub fn label(&self, all: &[Self]) -> String {
        let namesakes = all.iter().filter(|it| it.name == self.name).count();
        match self.address.filter(|_| namesakes > 1) {
            Some(address) => format!("{} {}", self.name, text::short_id(&address.to_string())),
            None => self.name.clone(),
        }
    }
}

/// Name of the row of unattributed amounts.
pub const REST: &str = "not attributed";

/// Rows whose `micro` adds up to a million times the charges of those days.
pub fn rows(board: &Board, money: &TokenMoney, days: DayRange, group: SumGroup) -> Vec<SumRow> {
    match group {
        SumGroup::Adapter => by_key(board, money, days, |key| (key.adapter.clone(), None)),
        SumGroup::Payer => by_key(board, money, days, |key| {
            (key.payer.to_string(), Some(key.payer))
        }),
        SumGroup::Contributor => by_contributor(board, money, days),
    }
}

fn by_key(
    board: &Board,
    money: &TokenMoney,
    days: DayRange,
    name: impl Fn(&CallsKey) -> (String, Option<Address>),
) -> Vec<SumRow> {
    let mut sums: BTreeMap<(String, Option<Address>), (u64, Amount)> = BTreeMap::new();
    for (key, calls) in board.earnings.calls() {
        if days.has(key.day) && money.receivers.contains(&key.receiver) {
            let sum = sums.entry(name(key)).or_default();
            sum.0 = sum.0.saturating_add(calls.calls);
            sum.1 = sum.1.saturating_add(calls.charged);
        }
    }
    let row = |((name, address), (calls, charged)): (_, (u64, Amount))| SumRow {
        name,
        address,
        calls,
        micro: charged.0.saturating_mul(MICRO),
        paid: None,
    };
    sums.into_iter().map(row).collect()
}

fn by_contributor(board: &Board, money: &TokenMoney, days: DayRange) -> Vec<SumRow> {
    let charged = board.earnings.sums_of(&money.receivers, days);
    let shares = board.contributors.shares(&money.receivers, days);
    let mut left = charged.charged.0.saturating_mul(MICRO);
    let mut rows = Vec::with_capacity(shares.len() + 1);
    for (recipient, shared) in shares {
        left = left.saturating_sub(shared.micro.0);
        let paid = recipient.address.map(|account| {
            let of = money.receivers.iter();
            let mut tokens: Vec<_> = of.map(|it| (it.chain_id, it.token)).collect();
            tokens.dedup();
            let each = tokens.into_iter();
            each.map(|(chain, token)| board.contributions_paid(account, chain, token))
                .sum()
        });
        rows.push(SumRow {
            name: recipient.name.clone(),
            address: recipient.address,
            calls: shared.calls,
            micro: shared.micro.0,
            paid,
        });
    }
    if left > 0 {
        rows.push(SumRow {
            name: REST.to_owned(),
            address: None,
            calls: 0,
            micro: left,
            paid: None,
        });
    }
    rows
}
