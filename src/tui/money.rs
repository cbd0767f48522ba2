//! The configured tokens in which calls are paid.

use std::collections::BTreeMap;

use openlora_core::{Address, Amount, in_units};
use openlora_ledger::{Earnings, ReceiverKey};

/// A token on a chain, and the chain's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainToken {
    pub chain_id: u64,
    pub network: String,
    /// Address, symbol and decimals, if the chain has a token in which calls are paid.
    pub token: Option<(Address, String, u8)>,
    /// The price of one native coin in the token's base units.
    pub coin: Option<u128>,
}

/// Receivers whose tokens have the same symbol and decimals, over all chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenMoney {
    pub symbol: String,
    pub decimals: u8,
    pub coin: Option<u128>,
    /// Sorted.
    pub receivers: Vec<ReceiverKey>,
}

/// Every token with earnings; base units if the token is not configured.
pub fn token_moneys(earnings: &Earnings, tokens: &[ChainToken]) -> Vec<TokenMoney> {
    let mut groups: BTreeMap<(String, u8), TokenMoney> = BTreeMap::new();
    for receiver in earnings.receivers() {
        let known = tokens.iter().find(|it| it.chain_id == receiver.chain_id);
        let token = known.and_then(|it| it.token.as_ref());
        let (symbol, decimals) = match token.filter(|token| token.0 == receiver.token) {
            Some((_, symbol, decimals)) => (symbol.clone(), *decimals),
            None => (format!("base units of {}", receiver.token), 0),
        };
        let money = groups
            .entry((symbol.clone(), decimals))
            .or_insert_with(|| TokenMoney {
                symbol,
                decimals,
                coin: known.and_then(|it| it.coin),
                receivers: Vec::new(),
            });
        money.receivers.push(receiver);
    }
    groups.into_values().collect()
}

/// The unit in which amounts are displayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AmountUnits {
    #[default]
    Token,
    Base,
}

/// An amount of base units, exactly formatted.
pub fn format_amount(amount: Amount, decimals: u8, units: AmountUnits) -> String {
    match units {
        AmountUnits::Base => amount.to_string(),
        AmountUnits::Token => in_units(amount.0, decimals),
    }
}

/// A signed amount.
pub fn shown_net(net: i128, decimals: u8, units: AmountUnits) -> String {
    let sign = if net < 0 { "−" } else { "" };
    format!(
        "{sign}{}",
        format_amount(Amount(net.unsigned_abs()), decimals, units)
    )
}
