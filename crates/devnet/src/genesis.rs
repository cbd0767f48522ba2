//! The genesis state: funded development accounts, the deterministic deployer, and contracts with
//! given code at given addresses.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy::{
    consensus::{Header, Sealed},
    primitives::{Address, B256, Bytes, TxKind, U256, bytes, keccak256},
};
use revm::{context::TxEnv, state::Bytecode};

use super::{
    accounts,
    changes::{AccountRecord, StateChanges},
    error::ChainError,
    execute::{ExecutionContext, ExecutionError, ExecutionRules, block_env, execute},
    header::{FIRST_BASE_FEE, GAS_LIMIT, blank_header, now},
    state::{StateCache, StateOverlay, WorldState},
    store::{ChainCommit, ChainStore, StoredBlock},
};
use openlora_contracts as contracts;
use openlora_contracts::{ArtifactError, DEPLOYER, SALT};

/// The deterministic deployer's code: copies what follows the salt, creates, and returns the
/// address.
const DEPLOYER_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// A contract of the genesis state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenesisContract {
    pub address: Address,
    pub code: Bytes,
    pub storage: Vec<(U256, U256)>,
}

/// State and time of block 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenesisState {
    pub contracts: Vec<GenesisContract>,
    /// Init codes that the deterministic deployer runs before block 0 is created, in order.
    pub deployments: Vec<Bytes>,
    /// Seconds since 1970; defaults to the current time.
    pub timestamp: Option<u64>,
}

impl GenesisState {
    /// The genesis state as the changes of the first step.
    pub(super) fn changes(&self, funded: &[Address]) -> StateChanges {
        let mut changes = StateChanges::default();
        let wealth = U256::from(accounts::ETHER) * U256::from(10).pow(U256::from(18));
        for address in funded {
            let record = AccountRecord {
                balance: wealth,
                ..AccountRecord::default()
            };
            changes.accounts.insert(*address, record);
        }
        let deployer = GenesisContract {
            address: DEPLOYER,
            code: DEPLOYER_CODE,
            storage: Vec::new(),
        };
        for contract in std::iter::once(&deployer).chain(&self.contracts) {
            let code_hash = changes.add_code(contract.code.clone());
            let record = AccountRecord {
                // As after a creation: the nonce of a contract is 1.
                nonce: 1,
                code_hash,
                ..AccountRecord::default()
            };
            changes.accounts.insert(contract.address, record);
            for (slot, value) in &contract.storage {
                changes.slots.insert((contract.address, *slot), *value);
            }
        }
        changes
    }
}

/// The genesis of the local network: the project's contracts, and an escrow and collector at the
/// addresses that standard payment clients know.
pub fn local_genesis() -> Result<GenesisState, ArtifactError> {
    let placed = |name, address| {
        Ok(GenesisContract {
            address,
            code: contracts::runtime_code(name)?,
            storage: Vec::new(),
        })
    };
    Ok(GenesisState {
        contracts: vec![
            placed("BatchSettlementEscrow", contracts::ESCROW)?,
            placed("ERC3009DepositCollector", contracts::COLLECTOR)?,
        ],
        deployments: contracts::deployments()?
            .into_iter()
            .chain([contracts::identity_registry()?])
            .map(|deployment| deployment.init_code)
            .collect(),
        timestamp: None,
    })
}

/// Creates block 0.
pub(super) fn write(
    store: &mut ChainStore,
    chain_id: u64,
    genesis: &GenesisState,
    funded: &[Address],
) -> Result<(), ChainError> {
    let mut header = Header {
        timestamp: genesis.timestamp.unwrap_or_else(now),
        base_fee_per_gas: Some(FIRST_BASE_FEE),
        ..blank_header()
    };
    let mut overlay = StateOverlay {
        changes: genesis.changes(funded),
        ..StateOverlay::default()
    };
    for (hash, code) in &overlay.changes.code {
        let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_default();
        overlay.code.insert(*hash, code);
    }
    let place = ExecutionContext {
        chain_id,
        block: block_env(&header),
        rules: ExecutionRules::Call,
    };
    for (index, init_code) in genesis.deployments.iter().enumerate() {
        let failed = |detail: String| ChainError::Deployment { index, detail };
        deploy(store, &mut overlay, &place, init_code).map_err(failed)?;
    }
    // The caller of the deployer is the zero address, which must keep no state.
    overlay.changes.accounts.remove(&Address::ZERO);
    let changes = &overlay.changes;
    let commitment = changes.commit_to(B256::ZERO);
    header.state_root = commitment;
    if genesis.timestamp.is_none() {
        // Makes two chains created in the same second differ.
        header.mix_hash = unlike_any();
    }
    let block = StoredBlock {
        header: Sealed::new(header),
        step: 1,
    };
    store.set_meta("chain_id", &chain_id.to_be_bytes())?;
    store.commit(&ChainCommit {
        step: Some((1, commitment, changes)),
        block: Some((&block, &[])),
        ..ChainCommit::default()
    })
}

fn unlike_any() -> B256 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.unwrap_or_default().as_nanos().to_be_bytes();
    let process = std::process::id().to_be_bytes();
    keccak256([nanoseconds.as_slice(), &process].concat())
}

fn deploy(
    store: &ChainStore,
    overlay: &mut StateOverlay,
    place: &ExecutionContext,
    init_code: &Bytes,
) -> Result<(), String> {
    let world = WorldState {
        store,
        cache: &mut StateCache::default(),
        at: None,
        overlay,
    };
    let call = TxEnv {
        kind: TxKind::Call(DEPLOYER),
        data: [SALT.as_slice(), init_code].concat().into(),
        gas_limit: GAS_LIMIT,
        chain_id: Some(place.chain_id),
        ..TxEnv::default()
    };
    match execute(world, place, call) {
        Ok(outcome) if outcome.result.is_success() => {
            overlay.apply_changes(outcome.state);
            Ok(())
        }
        Ok(outcome) => Err(format!("{:?}", outcome.result)),
        Err(ExecutionError::Invalid(reason)) => Err(reason.to_string()),
        Err(ExecutionError::Chain(error)) => Err(error.to_string()),
    }
}
