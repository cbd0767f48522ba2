//! States a server's URL in the directory of servers.

use alloy::sol_types::SolCall;

use super::{
    error::DeployError,
    plan::{CallValue, DeployStep},
};
use openlora_chain::{provider::Chain, registry::ServerDirectory};
use openlora_core::Address;
use openlora_ledger::TxKey;

/// The longest address that the directory takes, in bytes.
pub const LONGEST_SERVER_URL: usize = 256;

/// The step that states `url` for an account; `None` if it is stated already, or if the chain has no
/// directory.
///
/// # Errors
///
/// The RPC fails.
pub async fn announcement(
    chain: &Chain,
    account: Address,
    url: &str,
) -> Result<Option<DeployStep>, DeployError> {
    let directory = chain.network.contracts.directory.unwrap_or_default();
    if !chain.has_code(directory).await? {
        return Ok(None);
    }
    let asked = ServerDirectory::urlOfCall {
        server: account.into(),
    };
    let what = "urlOf of the directory of servers";
    if chain.read(what, directory, &asked).await? == url {
        return Ok(None);
    }
    let call = ServerDirectory::announceCall {
        url: url.to_owned(),
    };
    Ok(Some(DeployStep {
        to: directory,
        contract: "ServerDirectory",
        data: call.abi_encode().into(),
        key: TxKey::Announce {
            directory,
            url: url.to_owned(),
        },
        deed: format!("stating that {account} serves at {url}"),
        call: "announce".to_owned(),
        arguments: vec![("url", CallValue::text(url))],
    }))
}
