//! Which claims are worth their gas. Anyone may open a channel and be charged one call, so a claim
//! that costs more than it brings would let strangers spend the seller's gas.

use openlora_core::Amount;
use openlora_ledger::gas_in_token;

/// Gas of a claim's transaction without its rows.
const CLAIM_GAS: u64 = 30_000;
/// Gas of each row in a batch, with a margin for a wallet contract's check.
pub(super) const AMONG: u64 = 60_000;
/// Gas of each row whose voucher a key has signed.
const ROW_GAS: u64 = 20_000;
/// Gas of the escrow's transfer to a receiver.
const SETTLE_GAS: u64 = 46_000;

/// The least amounts that are worth a transaction. The default is that every amount is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimWorth {
    /// The least amount, in base units, that is claimed from a channel or settled.
    pub least: Amount,
    /// The price of one native coin in base units of the token, if it is known. An amount must be
    /// worth more than its gas.
    pub coin: Option<u128>,
}

impl ClaimWorth {
    /// Whether a channel's charges are worth their row in a claim, at this price of gas in wei.
    pub(super) fn has_row(&self, amount: Amount, by_contract: bool, price: u128) -> bool {
        self.is_worth(amount, row_gas(by_contract), price)
    }

    /// Whether rows with these amounts are worth a transaction and the settlement that follows; each
    /// says whether a contract checks its voucher.
    pub(super) fn has_claim(
        &self,
        rows: impl Iterator<Item = (Amount, bool)> + Clone,
        price: u128,
    ) -> bool {
        let gas = rows.clone().map(|(_, by_contract)| row_gas(by_contract));
        let gas = gas.sum::<u64>() + CLAIM_GAS + SETTLE_GAS;
        self.is_worth(rows.map(|(amount, _)| amount).sum(), gas, price)
    }

    /// Whether what was claimed for a receiver is worth its transfer.
    pub(super) fn has_settlement(&self, amount: Amount, price: u128) -> bool {
        self.is_worth(amount, SETTLE_GAS, price)
    }

    fn is_worth(&self, amount: Amount, gas: u64, price: u128) -> bool {
        let brings_more = self.coin.is_none_or(|coin| {
            let wei = Amount(u128::from(gas).saturating_mul(price));
            gas_in_token(wei, coin).is_some_and(|cost| amount > cost)
        });
        !amount.is_zero() && amount >= self.least && brings_more
    }
}

fn row_gas(by_contract: bool) -> u64 {
    if by_contract { AMONG } else { ROW_GAS }
}
