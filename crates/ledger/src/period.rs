//! Earnings of several receivers of one token over some days, net of gas.

use super::{DayRange, Earnings, EarningsSums, ReceiverKey};
use openlora_core::Amount;

/// Wei per native coin.
const COIN: u128 = 1_000_000_000_000_000_000;

/// Sums over some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarningsPeriod {
    pub sums: EarningsSums,
    /// Gas cost of this journal's transactions in wei.
    pub gas_wei: Amount,
    /// The same in base units, rounded up; absent if the price of the coin is unknown.
    pub gas: Option<Amount>,
    /// Charged minus gas; negative if gas cost more.
    pub net: Option<i128>,
}

impl Earnings {
    /// Sums of several receivers.
    pub fn sums_of(&self, receivers: &[ReceiverKey], days: DayRange) -> EarningsSums {
        let each = receivers.iter().map(|it| self.sums(*it, days));
        each.fold(EarningsSums::default(), EarningsSums::plus)
    }

    /// Earnings of receivers of the same token, sorted. `coin` is the price of one native coin in
    /// base units of the token.
    pub fn period(
        &self,
        receivers: &[ReceiverKey],
        days: DayRange,
        coin: Option<u128>,
    ) -> EarningsPeriod {
        let sums = self.sums_of(receivers, days);
        let mut chains: Vec<u64> = receivers.iter().map(|it| it.chain_id).collect();
        chains.dedup();
        let gas_wei: Amount = chains.iter().map(|it| self.gas(*it, days)).sum();
        let gas = coin.and_then(|coin| gas_in_token(gas_wei, coin));
        let net = gas.and_then(|gas| {
            let (charged, gas) = (i128::try_from(sums.income().0), i128::try_from(gas.0));
            Some(charged.ok()? - gas.ok()?)
        });
        EarningsPeriod {
            sums,
            gas_wei,
            gas,
            net,
        }
    }
}

/// A gas cost in base units of a token, rounded up, at this price of one native coin. `None` if it
/// is more than can be counted.
pub fn gas_in_token(gas_wei: Amount, coin: u128) -> Option<Amount> {
    Some(Amount(gas_wei.0.checked_mul(coin)?.div_ceil(COIN)))
}
