//! What an account holds, read from any RPC that is on the expected chain.

use alloy::{
    primitives::{Address as RawAddress, U256},
    providers::{DynProvider, Provider, ProviderBuilder},
    sol,
};

use super::{WalletError, network::Network};
use crate::runtime::ledger::Address;

sol! {
    #[sol(rpc)]
    interface Erc20 {
        function balanceOf(address account) external view returns (uint256);
    }
}

/// An account's funds in base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funds {
    /// Wei of the chain's own coin.
    pub native: U256,
    /// Base units of the network's token, when it has one.
    pub token: Option<U256>,
}

/// A provider for reading, after the RPC has said that it is on the expected chain.
pub async fn connect(network: &Network) -> Result<DynProvider, WalletError> {
    let url = reqwest::Url::parse(&network.rpc)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| WalletError::RpcAddress {
            network: network.name.clone(),
            found: network.rpc_shown(),
        })?;
    let provider = ProviderBuilder::new().connect_http(url).erased();
    let found = provider
        .get_chain_id()
        .await
        .map_err(|error| failed(network, "eth_chainId", &error))?;
    if found != network.chain_id {
        return Err(WalletError::OtherChain {
            network: network.name.clone(),
            rpc: network.rpc_shown(),
            expected: network.chain_id,
            found,
        });
    }
    Ok(provider)
}

/// What `account` holds on `network`.
pub async fn funds(network: &Network, account: Address) -> Result<Funds, WalletError> {
    let provider = connect(network).await?;
    let account = RawAddress::from(account);
    let native = provider
        .get_balance(account)
        .await
        .map_err(|error| failed(network, "eth_getBalance", &error))?;
    let token = match &network.token {
        None => None,
        Some(token) => {
            let contract = Erc20::new(token.address.into(), provider);
            let asked = contract.balanceOf(account).call().await;
            Some(asked.map_err(|error| failed(network, "balanceOf of the token", &error))?)
        }
    };
    Ok(Funds { native, token })
}

fn failed(network: &Network, method: &'static str, error: &impl std::fmt::Display) -> WalletError {
    WalletError::Rpc {
        rpc: network.rpc_shown(),
        method,
        reason: network.hide_rpc(&error.to_string()).replace('\n', " "),
    }
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
