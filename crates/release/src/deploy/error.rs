//! Why a release cannot be registered.

use openlora_chain::{WalletError, transaction::TransactionError};
use openlora_contracts::ArtifactError;
use openlora_core::{
    Address, AddressProblem,
    error::{ExitClass, Explain},
    exact_percent,
};

#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error("the network `{network}` has no {contract} at {address}")]
    NoContract {
        network: String,
        contract: &'static str,
        address: Address,
    },
    #[error(
        "the ContributorPoolFactory of the network `{network}` at {address} is of earlier contracts"
    )]
    EarlierFactory { network: String, address: Address },
    #[error("no registry of agents is known for the network `{network}`")]
    NoAgentRegistry { network: String },
    #[error("the network `{network}` has no registry of agents at {address}")]
    NoAgentContract { network: String, address: Address },
    #[error("transaction {tx} of the registry of agents registered no agent of {owner}")]
    NoAgent { tx: String, owner: Address },
    #[error("the network `{network}` has no deterministic deployer at {address}")]
    NoDeployer { network: String, address: Address },
    #[error("the package is not signed, so it has no publisher")]
    Unsigned,
    #[error("the package was signed by {publisher}, and the account is {account}")]
    OtherPublisher {
        publisher: Address,
        account: Address,
    },
    #[error("the package has no {0}")]
    NoWeights(&'static str),
    #[error("the registry {registry} has no adapter {id}")]
    NoAdapter { registry: Address, id: String },
    #[error("the registry {registry} has no adapter {id}, which was registered there from here")]
    LostAdapter { registry: Address, id: String },
    #[error("the adapter {id} belongs to {owner}, and the account is {account}")]
    OtherOwner {
        id: String,
        owner: Address,
        account: Address,
    },
    #[error("the split's {role} has no address")]
    NoAddress { role: String },
    #[error("the contributor {name} has {} of the pool and no address", exact_percent(*ppm))]
    NoContributorAddress { name: String, ppm: u64 },
    #[error("{what} has {found} recipients, expected 1 to {limit}")]
    Recipients {
        what: &'static str,
        found: usize,
        limit: usize,
    },
    #[error(
        "{account} may not serve {name}, which {publisher} registered: the registry does not list \
         it as a server"
    )]
    NotServer {
        name: String,
        publisher: String,
        account: Address,
    },
    #[error("{name} is paused in its registry")]
    Paused { name: String },
    #[error("the registry has manifest {found} for {name}, expected {expected}")]
    OtherRelease {
        name: String,
        found: String,
        expected: String,
    },
    #[error("the journal's {what} is wrong: {problem}")]
    NoAccount {
        what: &'static str,
        problem: AddressProblem,
    },
    #[error("transaction {tx} of the registry says nothing of a release")]
    NoRelease { tx: String },
    #[error("{what} is at {found}, expected {expected}")]
    Elsewhere {
        what: &'static str,
        found: Address,
        expected: Address,
    },
}

impl Explain for DeployError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Wallet(error) => error.class(),
            Self::Transaction(error) => error.class(),
            Self::Artifact(error) => error.class(),
            Self::NoContract { .. }
            | Self::EarlierFactory { .. }
            | Self::NoDeployer { .. }
            | Self::NoAgentRegistry { .. }
            | Self::NoAgentContract { .. }
            | Self::LostAdapter { .. } => ExitClass::Network,
            Self::NoAdapter { .. } => ExitClass::Usage,
            Self::OtherPublisher { .. } | Self::OtherOwner { .. } | Self::NotServer { .. } => {
                ExitClass::Wallet
            }
            Self::NoRelease { .. }
            | Self::NoAgent { .. }
            | Self::Elsewhere { .. }
            | Self::OtherRelease { .. } => ExitClass::Verification,
            Self::Unsigned
            | Self::Paused { .. }
            | Self::NoAccount { .. }
            | Self::NoWeights(_)
            | Self::NoAddress { .. }
            | Self::NoContributorAddress { .. }
            | Self::Recipients { .. } => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Wallet(error) => return error.hint(),
            Self::Transaction(error) => return error.hint(),
            Self::Artifact(error) => return error.hint(),
            Self::NoContract { network, .. } | Self::EarlierFactory { network, .. } => format!(
                "put the contracts there with `openlora deploy --contracts --network {network}`, \
                 or name others under `[network.{network}]`"
            ),
            Self::NoAgentRegistry { network } => {
                format!("name one as `identity_registry` under `[network.{network}]`")
            }
            Self::NoAgentContract { network, .. } => format!(
                "name another as `identity_registry` under `[network.{network}]`; a development \
                 chain of an earlier version has none until `openlora devnet reset`"
            ),
            Self::NoDeployer { .. } => {
                "its code is the same on every chain; see eip-7955 or Arachnid's proxy".to_owned()
            }
            Self::Unsigned => "sign it: openlora package".to_owned(),
            Self::OtherPublisher { .. } => {
                "package it again with this account: `openlora package --account NAME`, then `openlora \
                 deploy --account NAME`; or deploy with the account that signed it"
                    .to_owned()
            }
            Self::NoAdapter { .. } => {
                "`openlora explore` lists the adapters; without --adapter a new one is registered"
                    .to_owned()
            }
            Self::LostAdapter { .. } => {
                "the chain may be a new one: register it again with `openlora deploy`".to_owned()
            }
            Self::NotServer {
                publisher, account, ..
            } => format!(
                "a server uses one account: let this one serve it too, with {publisher} as NAME: \
                 `openlora deploy --account NAME --server {account}`; or register it from this \
                 account: `openlora package`, then `openlora deploy`; or serve it by itself from the \
                 account that registered it: `openlora config set --user wallet.account NAME`"
            ),
            Self::OtherOwner { .. } => "name the owner's account with --account".to_owned(),
            Self::NoContributorAddress { .. } => {
                "give its `[[data]]` entry an `address`, then run `openlora package` again"
                    .to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }
}
