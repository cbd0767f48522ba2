//! Errors of chains and networks.

use openlora_core::{
    Address, AddressProblem, Word,
    error::{ExitClass, Explain},
};
use openlora_wallet::KeystoreError;

/// Errors of chain access.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    #[error(transparent)]
    Keys(#[from] KeystoreError),
    #[error("the network `{network}` is not local: its chain id is {chain_id}, its RPC {rpc}")]
    NotLocal {
        network: String,
        chain_id: u64,
        rpc: String,
    },
    #[error("{who} has the address {address}, {why}; on `{network}` that is refused")]
    Unowned {
        who: String,
        address: Address,
        network: String,
        why: &'static str,
    },
    #[error("network `{network}`: `{field}`: {problem}")]
    NetworkAddress {
        network: String,
        field: &'static str,
        problem: AddressProblem,
    },
    #[error("network `{network}` has no `{field}`")]
    NetworkField {
        network: String,
        field: &'static str,
    },
    #[error("network `{network}`: `rpc`: {found:?} is no http address")]
    RpcAddress { network: String, found: String },
    #[error("{rpc} does not answer {method}: {reason}")]
    Rpc {
        rpc: String,
        method: &'static str,
        reason: String,
    },
    #[error("{rpc} is on chain {found}, expected {expected} for the network `{network}`")]
    OtherChain {
        network: String,
        rpc: String,
        expected: u64,
        found: u64,
    },
    #[error(
        "{rpc} answers from another chain with the id of `{network}` than the one that the journal \
         is about: the hash of its first block is {found}, expected {expected}"
    )]
    OtherGenesis {
        network: String,
        rpc: String,
        expected: Word,
        found: Word,
    },
    /// A call that reverts or would revert, with the contract's reason.
    #[error("{deed} is refused by the contract: {reason}")]
    Reverted { deed: String, reason: String },
    #[error("{address} is no contributor pool on the network `{network}`")]
    NoPool { network: String, address: Address },
    /// A contract version whose allotments anyone can revoke and contest; this version does not
    /// support it.
    #[error(
        "the pool {address} has the form of earlier contracts, which this program no longer uses"
    )]
    EarlierPool { address: Address },
    #[error(transparent)]
    Artifact(#[from] openlora_contracts::ArtifactError),
    #[error("the account {address} cannot sign: {reason}")]
    CannotSign { address: Address, reason: String },
}

impl Explain for WalletError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Keys(error) => error.class(),
            Self::NetworkAddress { .. }
            | Self::NetworkField { .. }
            | Self::RpcAddress { .. }
            | Self::NoPool { .. }
            | Self::EarlierPool { .. }
            | Self::Unowned { .. } => ExitClass::BadInput,
            Self::Rpc { .. } | Self::OtherChain { .. } | Self::OtherGenesis { .. } => {
                ExitClass::Network
            }
            Self::Reverted { .. } => ExitClass::Reverted,
            Self::Artifact(error) => error.class(),
            _ => ExitClass::Wallet,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Keys(error) => return error.hint(),
            Self::Unowned { .. } => {
                "give it an account of its own: `address` of its `[[data]]` entry, \
                 `split.creator_address`, or another --account, --server or --to"
                    .to_owned()
            }
            Self::NetworkField { network, field } => {
                format!("add a line `{field} = …` under `[network.{network}]`")
            }
            Self::Rpc { .. } => {
                "check that the address is right and that something listens there".to_owned()
            }
            Self::NoPool { .. } => {
                "`openlora explore` shows the pools of a registry's adapters".to_owned()
            }
            Self::EarlierPool { .. } => {
                "claim from it with the openlora that deployed it; a new version gets a new pool"
                    .to_owned()
            }
            Self::OtherChain { network, .. } => {
                format!("correct `rpc` or `chain_id` under `[network.{network}]`")
            }
            Self::OtherGenesis { network, .. } => format!(
                "correct `rpc` under `[network.{network}]`; a development chain that began anew wants \
                 a new `openlora deploy` and a restart of the server"
            ),
            _ => return None,
        };
        Some(hint)
    }
}
