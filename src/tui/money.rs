//! Moneys that calls are paid in, as the settings name them.

use std::collections::BTreeMap;

use crate::runtime::ledger::{Address, Amount, Earnings, ReceiverKey, in_units};

/// A token on a chain, and the chain's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub chain_id: u64,
    pub network: String,
    /// Address, symbol and decimals, where the chain has a token that calls are paid in.
    pub token: Option<(Address, String, u8)>,
    /// What one coin of the chain is worth in the token's base units.
    pub coin: Option<u128>,
}

/// Receivers of equal symbol and decimals, over all chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    pub symbol: String,
    pub decimals: u8,
    pub coin: Option<u128>,
    /// Sorted.
    pub receivers: Vec<ReceiverKey>,
}

/// Every money that an earning is known in; base units where the token is not of the settings.
pub fn moneys(earnings: &Earnings, tokens: &[Token]) -> Vec<Money> {
    let mut groups: BTreeMap<(String, u8), Money> = BTreeMap::new();
    for receiver in earnings.receivers() {
        let known = tokens.iter().find(|it| it.chain_id == receiver.chain_id);
        let token = known.and_then(|it| it.token.as_ref());
        let (symbol, decimals) = match token.filter(|token| token.0 == receiver.token) {
            Some((_, symbol, decimals)) => (symbol.clone(), *decimals),
            None => (format!("units of {}", receiver.token), 0),
        };
        let money = groups
            .entry((symbol.clone(), decimals))
            .or_insert_with(|| Money {
                symbol,
                decimals,
                coin: known.and_then(|it| it.coin),
                receivers: Vec::new(),
            });
        money.receivers.push(receiver);
    }
    groups.into_values().collect()
}

/// How amounts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Units {
    #[default]
    Token,
    Base,
}

/// An amount of base units; exact.
pub fn shown(amount: Amount, decimals: u8, units: Units) -> String {
    match units {
        Units::Base => amount.to_string(),
        Units::Token => in_units(amount.0, decimals),
    }
}

/// With a sign.
pub fn shown_net(net: i128, decimals: u8, units: Units) -> String {
    let sign = if net < 0 { "−" } else { "" };
    format!(
        "{sign}{}",
        shown(Amount(net.unsigned_abs()), decimals, units)
    )
}
