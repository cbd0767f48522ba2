//! Methods without side effects.

use alloy::{
    consensus::Transaction as _,
    eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718},
    primitives::{Address, B256, Bytes, U64, U256},
    rpc::types::{BlockOverrides, Filter, TransactionRequest, state::StateOverride},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    super::{query::StateMoment, simulate::SimulatedCall, state::StateOverlay, store::StoredBlock},
    RpcError, RpcParams, RpcResult, RpcState,
};

pub(super) fn to_json(value: &impl Serialize) -> RpcResult {
    serde_json::to_value(value).map_err(|error| RpcError::internal(error.to_string()))
}

pub(super) fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

pub(super) fn client_version(_: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    Ok(json!(concat!(
        "openlora-devnet/v",
        env!("CARGO_PKG_VERSION")
    )))
}

pub(super) fn net_version(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    Ok(json!(rpc_state.chain.chain_id.to_string()))
}

pub(super) fn listening(_: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    Ok(json!(true))
}

pub(super) fn chain_id(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    Ok(quantity(rpc_state.chain.chain_id))
}

pub(super) fn syncing(_: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    Ok(json!(false))
}

pub(super) fn accounts(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    to_json(&rpc_state.chain.accounts())
}

pub(super) fn block_number(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    Ok(quantity(rpc_state.chain.head().0))
}

/// The point in history that a method's block parameter names.
fn moment(
    rpc_state: &RpcState,
    params: &RpcParams<'_>,
    index: usize,
) -> Result<StateMoment, RpcError> {
    rpc_state.chain.moment(params.optional(index, "block")?)
}

pub(super) fn balance(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    let moment = moment(rpc_state, params, 1)?;
    let overlay = StateOverlay::default();
    let record = rpc_state.chain.world(moment, &overlay).record(address)?;
    to_json(&record.unwrap_or_default().balance)
}

pub(super) fn code(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    let moment = moment(rpc_state, params, 1)?;
    let overlay = StateOverlay::default();
    let mut world = rpc_state.chain.world(moment, &overlay);
    let record = world.record(address)?.unwrap_or_default();
    to_json(&world.code(record.code_hash)?.original_bytes())
}

pub(super) fn storage_at(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    let slot = params.number(1, "slot")?;
    let moment = moment(rpc_state, params, 2)?;
    let overlay = StateOverlay::default();
    let value = rpc_state
        .chain
        .world(moment, &overlay)
        .slot(address, slot)?;
    to_json(&B256::from(value))
}

pub(super) fn transaction_count(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    let moment = moment(rpc_state, params, 1)?;
    if moment == StateMoment::Pending {
        return Ok(quantity(rpc_state.chain.pending_nonce(address)?));
    }
    let overlay = StateOverlay::default();
    let record = rpc_state.chain.world(moment, &overlay).record(address)?;
    Ok(quantity(record.unwrap_or_default().nonce))
}

fn block_view(rpc_state: &RpcState, block: Option<StoredBlock>, full: bool) -> RpcResult {
    match block {
        Some(block) => to_json(&rpc_state.chain.view_block(&block, full)?),
        None => Ok(Value::Null),
    }
}

pub(super) fn block_by_number(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let tag: BlockNumberOrTag = params.get(0, "block")?;
    let full = params.optional(1, "full transactions")?.unwrap_or(false);
    if tag.is_pending() {
        return to_json(&rpc_state.chain.view_pending());
    }
    block_view(rpc_state, rpc_state.chain.find_block(tag.into())?, full)
}

pub(super) fn block_by_hash(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let hash: B256 = params.get(0, "hash")?;
    let full = params.optional(1, "full transactions")?.unwrap_or(false);
    block_view(rpc_state, rpc_state.chain.find_block(hash.into())?, full)
}

fn by_number(
    rpc_state: &RpcState,
    params: &RpcParams<'_>,
) -> Result<Option<StoredBlock>, RpcError> {
    let tag: BlockNumberOrTag = params.get(0, "block")?;
    Ok(rpc_state.chain.find_block(tag.into())?)
}

fn by_hash(rpc_state: &RpcState, params: &RpcParams<'_>) -> Result<Option<StoredBlock>, RpcError> {
    let hash: B256 = params.get(0, "hash")?;
    Ok(rpc_state.chain.find_block(hash.into())?)
}

pub(super) fn block_receipts(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let id: BlockId = params.get(0, "block")?;
    match rpc_state.chain.find_block(id)? {
        Some(block) => {
            let receipts = rpc_state.chain.receipts(&block)?;
            let views = receipts
                .iter()
                .map(|receipt| receipt_view(receipt, block.header.timestamp));
            Ok(Value::Array(views.collect::<Result<_, _>>()?))
        }
        None => Ok(Value::Null),
    }
}

fn count(rpc_state: &RpcState, block: Option<StoredBlock>) -> RpcResult {
    match block {
        Some(block) => {
            let hashes = rpc_state
                .chain
                .hashes_in(block.header.number..=block.header.number)?;
            let count = hashes
                .iter()
                .map(|(_, transactions)| transactions.len())
                .sum::<usize>();
            Ok(quantity(count as u64))
        }
        None => Ok(Value::Null),
    }
}

pub(super) fn count_by_number(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    count(rpc_state, by_number(rpc_state, params)?)
}

pub(super) fn count_by_hash(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    count(rpc_state, by_hash(rpc_state, params)?)
}

pub(super) fn transaction(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let hash: B256 = params.get(0, "hash")?;
    to_json(&rpc_state.chain.find_transaction(hash)?)
}

pub(super) fn raw_transaction(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let hash: B256 = params.get(0, "hash")?;
    let found = rpc_state.chain.find_transaction(hash)?;
    to_json(&found.map(|one| Bytes::from(one.inner.encoded_2718())))
}

fn at_index(rpc_state: &RpcState, block: Option<StoredBlock>, params: &RpcParams<'_>) -> RpcResult {
    let index = params.small(1, "index")?;
    let Some(block) = block else {
        return Ok(Value::Null);
    };
    let view = rpc_state.chain.view_block(&block, true)?;
    to_json(&view.into_transactions_vec().into_iter().nth(index as usize))
}

pub(super) fn transaction_by_number(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    at_index(rpc_state, by_number(rpc_state, params)?, params)
}

pub(super) fn transaction_by_hash(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    at_index(rpc_state, by_hash(rpc_state, params)?, params)
}

pub(super) fn receipt(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let hash: B256 = params.get(0, "hash")?;
    receipt_of(rpc_state, hash)
}

/// A mined transaction's receipt, or null.
pub(super) fn receipt_of(rpc_state: &RpcState, hash: B256) -> RpcResult {
    let Some(receipt) = rpc_state.chain.find_receipt(hash)? else {
        return Ok(Value::Null);
    };
    let number = receipt.block_number.unwrap_or_default();
    let block = rpc_state.chain.find_block(number.into())?;
    let time = block.map_or(0, |block| block.header.timestamp);
    receipt_view(&receipt, time)
}

/// Like other development nodes, adds the block's time as a number.
fn receipt_view(receipt: &alloy::rpc::types::TransactionReceipt, time: u64) -> RpcResult {
    let mut view = to_json(receipt)?;
    if let Value::Object(fields) = &mut view {
        fields.insert("blockTimestamp".to_owned(), json!(time));
    }
    Ok(view)
}

pub(super) fn logs(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let filter: Filter = params.get(0, "filter")?;
    to_json(&rpc_state.chain.logs(&filter)?)
}

fn call_of(params: &RpcParams<'_>) -> Result<SimulatedCall, RpcError> {
    Ok(SimulatedCall {
        request: params.get::<TransactionRequest>(0, "transaction")?,
        state: params.optional::<StateOverride>(2, "state overrides")?,
        block: params.optional::<BlockOverrides>(3, "block overrides")?,
    })
}

pub(super) fn call(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let call = call_of(params)?;
    let moment = moment(rpc_state, params, 1)?;
    to_json(&rpc_state.chain.call(moment, &call)?)
}

pub(super) fn estimate(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let call = call_of(params)?;
    let id: Option<BlockId> = params.optional(1, "block")?;
    let moment = rpc_state.chain.moment(id.or(Some(BlockId::pending())))?;
    let gas = rpc_state.chain.estimate(moment, &call)?;
    to_json(&U64::from(gas))
}

/// The effective tip of a transaction, for fee statistics.
pub(super) fn tip_of(
    rpc_state: &RpcState,
    block: &StoredBlock,
) -> Result<Vec<(u64, u128)>, RpcError> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let view = rpc_state.chain.view_block(block, true)?;
    let gas: Vec<u64> = rpc_state
        .chain
        .receipts(block)?
        .iter()
        .map(|receipt| receipt.gas_used)
        .collect();
    let tips = view.into_transactions_vec().into_iter().map(|one| {
        one.inner
            .effective_tip_per_gas(base_fee)
            .unwrap_or_default()
    });
    Ok(gas.into_iter().zip(tips).collect())
}

/// A number as other nodes write it.
pub(super) fn wide(number: U256) -> RpcResult {
    to_json(&number)
}
