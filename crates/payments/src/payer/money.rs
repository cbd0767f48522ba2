//! Amounts formatted for people.

use std::fmt;

use openlora_chain::{
    balance::{amount, in_units},
    network::PaymentToken,
};
use openlora_core::Amount;

/// An amount in whole units with its token's symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAmount {
    pub amount: Amount,
    symbol: String,
    decimals: u8,
}

impl TokenAmount {
    pub fn from_base_units(sum: Amount, token: &PaymentToken) -> Self {
        Self {
            amount: sum,
            symbol: token.symbol.clone(),
            decimals: token.decimals,
        }
    }

    /// Without the symbol, in the format of flags.
    pub fn number(&self) -> String {
        in_units(amount(self.amount.0), self.decimals)
    }
}

impl fmt::Display for TokenAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = in_units(amount(self.amount.0), self.decimals);
        write!(f, "{units} {}", self.symbol)
    }
}
