//! The project's contracts as they are deployed: init codes from the committed artifacts. They are
//! deployed through the deterministic deployer, so that they have the same address on every chain.
//!
//! ```
//! // Contracts in deployment order, with the addresses they get on every chain.
//! let contracts = openlora_contracts::deployments()?;
//! for contract in &contracts {
//!     println!("{} at {}", contract.name, contract.address);
//! }
//! assert_eq!(contracts[0].name, "RevenueSplitterFactory");
//! # Ok::<(), openlora_contracts::ArtifactError>(())
//! ```

use alloy::{
    primitives::{Address, B256, Bytes, address, hex, keccak256},
    sol_types::SolValue,
};
use serde::Deserialize;
use thiserror::Error;

use openlora_core::error::{ExitClass, Explain, describe_decoding};

/// The deterministic deployer that exists on every public chain: call data of `salt ‖ init code`
/// creates a contract with CREATE2.
pub const DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
/// The escrow address that clients of the x402 batch-settlement scheme expect.
pub const ESCROW: Address = address!("0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003");
/// The address of the ERC-3009 deposit collector that they expect.
pub const COLLECTOR: Address = address!("0x4020806089470a89826cB9fB1f4059150b550004");

/// The salt of every contract of the set.
pub const SALT: B256 = B256::ZERO;

macro_rules! artifact {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../contracts/artifacts/", $name, ".json")),
        )
    };
}

/// Name and JSON of each committed artifact that is deployed.
const ARTIFACTS: &[(&str, &str)] = &[
    artifact!("RevenueSplitterFactory"),
    artifact!("ContributorPoolFactory"),
    artifact!("OpenLoraRegistry"),
    artifact!("AttributionAnchor"),
    artifact!("ServerDirectory"),
    artifact!("DevelopmentToken"),
    artifact!("BatchSettlementEscrow"),
    artifact!("ERC3009DepositCollector"),
    artifact!("DevelopmentIdentityRegistry"),
];

/// Name and ABI of every committed artifact, for decoding errors and events.
pub const ABIS: &[(&str, &str)] = &[
    artifact!("OpenLoraRegistry"),
    artifact!("RevenueSplitterFactory"),
    artifact!("RevenueSplitter"),
    artifact!("ContributorPoolFactory"),
    artifact!("ContributorPool"),
    artifact!("AttributionAnchor"),
    artifact!("ServerDirectory"),
    artifact!("Shares"),
    artifact!("DevelopmentToken"),
    artifact!("BatchSettlementEscrow"),
    artifact!("ERC3009DepositCollector"),
    artifact!("DevelopmentMulticall"),
    artifact!("DevelopmentIdentityRegistry"),
];

#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the embedded contract {name}: {detail}")]
pub struct ArtifactError {
    pub name: &'static str,
    pub detail: String,
}

impl Explain for ArtifactError {
    fn class(&self) -> ExitClass {
        ExitClass::Internal
    }
}

/// A contract of the set, ready to be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractDeployment {
    pub name: &'static str,
    /// Init code with constructor arguments.
    pub init_code: Bytes,
    /// The address at which the deterministic deployer creates it.
    pub address: Address,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContractArtifact {
    bytecode: String,
    deployed_bytecode: String,
}

fn read(name: &'static str) -> Result<ContractArtifact, ArtifactError> {
    let failed = |detail: String| ArtifactError { name, detail };
    let (_, text) = ARTIFACTS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| failed("there is none of this name".to_owned()))?;
    serde_json::from_str(text).map_err(|error| failed(describe_decoding(&error)))
}

fn decode(name: &'static str, text: &str) -> Result<Bytes, ArtifactError> {
    let bytes = hex::decode(text).map_err(|error| ArtifactError {
        name,
        detail: error.to_string(),
    })?;
    Ok(bytes.into())
}

/// The runtime code of a contract without constructor arguments and immutables.
pub fn runtime_code(name: &'static str) -> Result<Bytes, ArtifactError> {
    decode(name, &read(name)?.deployed_bytecode)
}

fn deployment(name: &'static str, arguments: &[u8]) -> Result<ContractDeployment, ArtifactError> {
    let mut init_code = decode(name, &read(name)?.bytecode)?.to_vec();
    init_code.extend_from_slice(arguments);
    Ok(ContractDeployment {
        name,
        address: DEPLOYER.create2(SALT, keccak256(&init_code)),
        init_code: init_code.into(),
    })
}

/// The identity registry of agents (ERC-8004) of development chains. Public chains have their own.
pub fn identity_registry() -> Result<ContractDeployment, ArtifactError> {
    deployment("DevelopmentIdentityRegistry", &[])
}

/// All contracts in deployment order; later ones refer to earlier ones.
pub fn deployments() -> Result<Vec<ContractDeployment>, ArtifactError> {
    let splitters = deployment("RevenueSplitterFactory", &[])?;
    let pools = deployment("ContributorPoolFactory", &[])?;
    let registry = deployment("OpenLoraRegistry", &splitters.address.abi_encode())?;
    let anchor = deployment("AttributionAnchor", &registry.address.abi_encode())?;
    let directory = deployment("ServerDirectory", &[])?;
    let token = deployment("DevelopmentToken", &[])?;
    Ok(vec![splitters, pools, registry, anchor, directory, token])
}
