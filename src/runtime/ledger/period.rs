//! What receivers of one money earned over some days, gas taken off.

use super::{Amount, DayRange, Earnings, EarningsSums, ReceiverKey};

/// Wei in one coin.
const COIN: u128 = 1_000_000_000_000_000_000;

/// Sums over some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarningsPeriod {
    pub sums: EarningsSums,
    /// Wei that this journal's transactions cost.
    pub gas_wei: Amount,
    /// The same in base units, rounded up; absent where no price of the coin is known.
    pub gas: Option<Amount>,
    /// Charged, less gas; negative when gas cost more.
    pub net: Option<i128>,
}

impl Earnings {
    /// Sums of several receivers.
    pub fn sums_of(&self, receivers: &[ReceiverKey], days: DayRange) -> EarningsSums {
        let each = receivers.iter().map(|it| self.sums(*it, days));
        each.fold(EarningsSums::default(), EarningsSums::plus)
    }

    /// Of receivers of the same money, sorted; `coin` is what one coin of their chains is worth in
    /// its base units.
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
        let gas = coin.and_then(|coin| cost(gas_wei, coin));
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

/// Gas is rounded up to whole base units.
fn cost(gas_wei: Amount, coin: u128) -> Option<Amount> {
    Some(Amount(gas_wei.0.checked_mul(coin)?.div_ceil(COIN)))
}
