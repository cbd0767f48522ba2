//! What an account holds, read from any RPC that is on the expected chain.

use alloy::primitives::U256;

use super::{WalletError, network::Network, provider::Chain, registry::Token};
use crate::runtime::ledger::Address;

/// An account's funds in base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funds {
    /// Wei of the chain's own coin.
    pub native: U256,
    /// Base units of the network's token, when it has one.
    pub token: Option<U256>,
}

/// What `account` holds on `network`.
pub async fn funds(network: &Network, account: Address) -> Result<Funds, WalletError> {
    let chain = Chain::connect(network).await?;
    let native = chain.balance(account).await?;
    let token = match &network.token {
        None => None,
        Some(token) => {
            let asked = Token::balanceOfCall {
                account: account.into(),
            };
            let held = chain.read("balanceOf of the token", token.address, &asked);
            Some(held.await?)
        }
    };
    Ok(Funds { native, token })
}

/// An amount of base units in whole units, exact: `1500000` with six decimals is `1.5`.
pub fn in_units(amount: U256, decimals: u8) -> String {
    let width = usize::from(decimals) + 1;
    let digits = format!("{:0>width$}", amount.to_string());
    let (whole, part) = digits.split_at(digits.len() - usize::from(decimals));
    let part = part.trim_end_matches('0');
    if part.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{part}")
    }
}

/// Whole units with at most `decimals` decimals as base units: `1.5` with six is `1500000`.
pub fn from_units(text: &str, decimals: u8) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = part.len() <= usize::from(decimals) && !(whole.is_empty() && part.is_empty());
    if !fits || !digits(whole) || !digits(part) {
        return None;
    }
    let part = format!("{part:0<width$}", width = usize::from(decimals));
    format!("{whole}{part}").parse().ok()
}

/// A number of wei and the like as an amount.
pub fn amount(number: u128) -> U256 {
    U256::from(number)
}

/// A decimal text of base units in whole units; what is no number stays as it is.
pub fn shown_amount(text: &str, decimals: u8) -> String {
    U256::from_str_radix(text, 10).map_or_else(|_| text.to_owned(), |it| in_units(it, decimals))
}
