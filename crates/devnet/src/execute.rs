//! Executes one transaction or call in the virtual machine.

use alloy::{
    consensus::{Header, Transaction as _, TxEnvelope},
    eips::Typed2718,
    primitives::{Address, B256, U256},
};
use revm::{
    Context, ExecuteEvm, MainBuilder, MainContext,
    context::{
        BlockEnv, TxEnv,
        result::{EVMError, InvalidTransaction, ResultAndState},
    },
    context_interface::block::BlobExcessGasAndPrice,
};

use super::{error::ChainError, state::WorldState};

/// EIP-7691: the update fraction of the blob base fee. Blob transactions are refused, but contracts
/// may read the fee.
const BLOB_UPDATE_FRACTION: u64 = 5_007_716;

/// The checks before execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExecutionRules {
    /// All protocol rules.
    Transaction,
    /// A transaction of an impersonated account, which may have code.
    Impersonated,
    /// A call: no nonce, no fee unless given, any sender, no gas cap.
    Call,
}

/// Why an execution has no result.
#[derive(Debug)]
pub(super) enum ExecutionError {
    Invalid(InvalidTransaction),
    Chain(ChainError),
}

/// The block environment and the state of an execution.
#[derive(Clone, Debug)]
pub(super) struct ExecutionContext {
    pub chain_id: u64,
    pub block: BlockEnv,
    pub rules: ExecutionRules,
}

/// Executes a transaction; the caller decides whether to keep the resulting state.
pub(super) fn execute(
    world: WorldState<'_>,
    place: &ExecutionContext,
    transaction: TxEnv,
) -> Result<ResultAndState, ExecutionError> {
    let free = transaction.gas_price == 0;
    let context = Context::mainnet()
        .with_db(world)
        .with_block(place.block.clone())
        .modify_cfg_chained(|cfg| {
            cfg.chain_id = place.chain_id;
            // The transaction gas cap of EIP-7825 applies to mainnet. Layer 2s and other
            // development nodes accept transactions as large as a block.
            cfg.tx_gas_limit_cap = Some(u64::MAX);
            match place.rules {
                ExecutionRules::Transaction => {}
                ExecutionRules::Impersonated => cfg.disable_eip3607 = true,
                ExecutionRules::Call => {
                    cfg.disable_eip3607 = true;
                    cfg.disable_nonce_check = true;
                    cfg.disable_block_gas_limit = true;
                    cfg.disable_base_fee = free;
                }
            }
        });
    context
        .build_mainnet()
        .transact(transaction)
        .map_err(|error| match error {
            EVMError::Transaction(invalid) => ExecutionError::Invalid(invalid),
            EVMError::Database(error) => ExecutionError::Chain(error),
            other => ExecutionError::Chain(ChainError::Machine(other.to_string())),
        })
}

/// The block environment as contracts see it.
pub(super) fn block_env(header: &Header) -> BlockEnv {
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new(0, BLOB_UPDATE_FRACTION)),
        ..BlockEnv::default()
    }
}

/// A signed transaction in the form of the virtual machine.
pub(super) fn transaction_env(transaction: &TxEnvelope, sender: Address) -> TxEnv {
    let authorizations = transaction.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: transaction.ty(),
        caller: sender,
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        blob_hashes: Vec::<B256>::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: authorizations
            .iter()
            .cloned()
            .map(revm::context_interface::either::Either::Left)
            .collect(),
    }
}
