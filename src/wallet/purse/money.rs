//! Sums as people read them.

use std::fmt;

use crate::{
    runtime::ledger::Amount,
    wallet::{
        balance::{amount, in_units},
        network::Token,
    },
};

/// An amount in whole units with its token's symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    pub amount: Amount,
    symbol: String,
    decimals: u8,
}

impl Money {
    pub fn of(sum: Amount, token: &Token) -> Self {
        Self {
            amount: sum,
            symbol: token.symbol.clone(),
            decimals: token.decimals,
        }
    }

    /// Without the symbol, as flags take it.
    pub fn number(&self) -> String {
        in_units(amount(self.amount.0), self.decimals)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = in_units(amount(self.amount.0), self.decimals);
        write!(f, "{units} {}", self.symbol)
    }
}
