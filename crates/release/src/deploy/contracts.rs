//! Deploys the contracts to a chain, each at the same address on every chain.

use alloy::primitives::{Bytes, U256};

use super::{
    error::DeployError,
    execute::FeeQuote,
    plan::{CallValue, DeployStep},
};
use openlora_chain::{
    provider::Chain,
    transaction::{TxSender, TxSubmission},
};
use openlora_contracts::{ContractDeployment, DEPLOYER, SALT, deployments};
use openlora_core::Address;
use openlora_ledger::TxKey;

/// The contract that is deployed on development chains only; anyone can mint its token.
const TOKEN: &str = "DevelopmentToken";

/// A deployed contract of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployedContract {
    pub name: &'static str,
    pub address: Address,
    /// The deployment transaction; `None` if the contract already existed.
    pub tx: Option<String>,
}

/// The contracts of this network in order, and the deployment steps for missing ones.
pub async fn missing_contracts(
    chain: &Chain,
) -> Result<(Vec<ContractDeployment>, Vec<DeployStep>), DeployError> {
    let local = chain.network.is_local();
    let set = deployments()?.into_iter();
    let set: Vec<ContractDeployment> = set.filter(|it| local || it.name != TOKEN).collect();
    let mut steps = Vec::new();
    for deployment in &set {
        if !chain.has_code(deployment.address.into()).await? {
            steps.push(step(deployment));
        }
    }
    let deployer = Address::from(DEPLOYER);
    if !steps.is_empty() && !chain.has_code(deployer).await? {
        return Err(DeployError::NoDeployer {
            network: chain.network.name.clone(),
            address: deployer,
        });
    }
    Ok((set, steps))
}

fn create_key(deployment: &ContractDeployment) -> TxKey {
    TxKey::Create {
        contract: deployment.address.into(),
    }
}

fn step(deployment: &ContractDeployment) -> DeployStep {
    DeployStep {
        to: DEPLOYER.into(),
        contract: "the deterministic deployer",
        data: [SALT.as_slice(), &deployment.init_code].concat().into(),
        key: create_key(deployment),
        deed: format!("creating {}", deployment.name),
        call: "create".to_owned(),
        arguments: vec![
            ("salt", CallValue::text(SALT)),
            (
                "code",
                CallValue::Text(format!("{} bytes", deployment.init_code.len())),
            ),
            ("makes", CallValue::text(Address::from(deployment.address))),
        ],
    }
}

/// The whole set if nothing is missing.
pub fn already_there(set: &[ContractDeployment]) -> Vec<DeployedContract> {
    let placed = |deployment: &ContractDeployment| DeployedContract {
        name: deployment.name,
        address: deployment.address.into(),
        tx: None,
    };
    set.iter().map(placed).collect()
}

/// The balance that a development chain gives to an empty account.
pub const FUNDS: U256 = U256::from_limbs([10_000_000_000_000_000_000, 0, 0, 0]);

/// The transfer from a development account.
pub fn funding(account: Address) -> TxSubmission {
    TxSubmission {
        to: account,
        data: Bytes::new(),
        value: FUNDS,
        key: TxKey::Fund { account },
        label: format!("funding {account}"),
        gas: 21_000,
        sponsored: None,
    }
}

/// Sends the missing deployments; afterwards every contract of the set has code at its address.
pub async fn deploy_contracts(
    sender: &TxSender<'_>,
    set: &[ContractDeployment],
    quote: &FeeQuote,
) -> Result<Vec<DeployedContract>, DeployError> {
    let mut placed = Vec::with_capacity(set.len());
    for deployment in set {
        let key = create_key(deployment);
        let due = quote.submissions.iter().find(|it| it.key == key);
        let tx = match due {
            None => None,
            Some(submission) => Some(sender.send(submission).await?.tx.to_string()),
        };
        let address = Address::from(deployment.address);
        super::observe::require(sender.chain, deployment.name, address).await?;
        placed.push(DeployedContract {
            name: deployment.name,
            address,
            tx,
        });
    }
    Ok(placed)
}
