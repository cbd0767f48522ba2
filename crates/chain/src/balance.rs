//! Account balances, read from any RPC of the expected chain.

use alloy::primitives::U256;

use super::{WalletError, network::Network, provider::Chain, registry::Token};
use openlora_core::Address;
pub use openlora_core::{from_units, in_units};

/// An account's balances in base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFunds {
    /// Wei of the chain's native coin.
    pub native: U256,
    /// Base units of the network's token, if it has one.
    pub token: Option<U256>,
}

/// The balances of `account` on `network`.
pub async fn funds(network: &Network, account: Address) -> Result<AccountFunds, WalletError> {
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
    Ok(AccountFunds { native, token })
}

/// A native integer as an amount.
pub fn amount(number: u128) -> U256 {
    U256::from(number)
}

/// A decimal text of base units in whole units; a text that is no number is returned unchanged.
pub fn shown_amount(text: &str, decimals: u8) -> String {
    U256::from_str_radix(text, 10).map_or_else(|_| text.to_owned(), |it| in_units(it, decimals))
}
