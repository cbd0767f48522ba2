//! The well-known accounts of development chains. Everybody has their keys, so they are handed
//! out for a local network only.

pub use super::devchain::MNEMONIC;
use super::{
    WalletError,
    keystore::{Account, import_mnemonic},
    network::Network,
};

/// The development account at `index`, as a source of funds.
///
/// # Errors
/// The network is not local.
pub fn account(network: &Network, index: u32) -> Result<Account, WalletError> {
    if !network.is_local() {
        return Err(WalletError::NotLocal {
            network: network.name.clone(),
            chain_id: network.chain_id,
            rpc: network.rpc_shown(),
        });
    }
    let key = import_mnemonic(MNEMONIC, &format!("m/44'/60'/0'/0/{index}"))?;
    Ok(Account::new(format!("development-{index}"), key))
}
