//! What stands on the chain before its first block: funded development accounts, the
//! deterministic deployer, and contracts whose code is set at given addresses.

use alloy::primitives::{Address, Bytes, U256, address, bytes};

use super::{
    accounts,
    state::{Changes, Record},
};

/// The deterministic deployer that every public chain has: `salt ‖ init code` as call data makes
/// a contract with CREATE2, so that one address holds on all chains.
pub const DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");

/// Its code: copies what follows the salt, creates, and returns the address.
const DEPLOYER_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// A contract that exists from the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predeployed {
    pub address: Address,
    pub code: Bytes,
    pub storage: Vec<(U256, U256)>,
}

/// State and time of block 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Genesis {
    pub contracts: Vec<Predeployed>,
    /// Seconds since 1970; the present when left out.
    pub timestamp: Option<u64>,
}

impl Genesis {
    /// All of it as the changes of the first step.
    pub(super) fn changes(&self, funded: &[Address]) -> Changes {
        let mut changes = Changes::default();
        let wealth = U256::from(accounts::ETHER) * U256::from(10).pow(U256::from(18));
        for address in funded {
            let record = Record {
                balance: wealth,
                ..Record::default()
            };
            changes.accounts.insert(*address, record);
        }
        let deployer = Predeployed {
            address: DEPLOYER,
            code: DEPLOYER_CODE,
            storage: Vec::new(),
        };
        for contract in std::iter::once(&deployer).chain(&self.contracts) {
            let code_hash = changes.add_code(contract.code.clone());
            let record = Record {
                // As if created: an account with code has been used.
                nonce: 1,
                code_hash,
                ..Record::default()
            };
            changes.accounts.insert(contract.address, record);
            for (slot, value) in &contract.storage {
                changes.slots.insert((contract.address, *slot), *value);
            }
        }
        changes
    }
}

/// What the local network begins with.
pub fn local_genesis() -> Result<Genesis, super::ChainError> {
    Ok(Genesis::default())
}
