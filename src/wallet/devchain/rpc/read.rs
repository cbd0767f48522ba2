//! Methods that change nothing.

use alloy::{
    consensus::Transaction as _,
    eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718},
    primitives::{Address, B256, Bytes, U64, U256, keccak256},
    rpc::types::{BlockOverrides, Filter, TransactionRequest, state::StateOverride},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    super::{query::Moment, simulate::Call, state::Overlay, store::StoredBlock},
    Answer, Desk, Params, RpcError,
};

pub(super) fn to_json(value: &impl Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| RpcError::internal(error.to_string()))
}

pub(super) fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

pub(super) fn client_version(_: &mut Desk, _: &Params<'_>) -> Answer {
    Ok(json!(concat!(
        "openlora-devnet/v",
        env!("CARGO_PKG_VERSION")
    )))
}

pub(super) fn sha3(_: &mut Desk, params: &Params<'_>) -> Answer {
    let data: Bytes = params.get(0, "data")?;
    to_json(&keccak256(data))
}

pub(super) fn net_version(desk: &mut Desk, _: &Params<'_>) -> Answer {
    Ok(json!(desk.chain.chain_id.to_string()))
}

pub(super) fn listening(_: &mut Desk, _: &Params<'_>) -> Answer {
    Ok(json!(true))
}

pub(super) fn chain_id(desk: &mut Desk, _: &Params<'_>) -> Answer {
    Ok(quantity(desk.chain.chain_id))
}

pub(super) fn syncing(_: &mut Desk, _: &Params<'_>) -> Answer {
    Ok(json!(false))
}

pub(super) fn coinbase(_: &mut Desk, _: &Params<'_>) -> Answer {
    to_json(&Address::ZERO)
}

pub(super) fn protocol_version(_: &mut Desk, _: &Params<'_>) -> Answer {
    Ok(quantity(1))
}

pub(super) fn accounts(desk: &mut Desk, _: &Params<'_>) -> Answer {
    to_json(&desk.chain.accounts())
}

pub(super) fn block_number(desk: &mut Desk, _: &Params<'_>) -> Answer {
    Ok(quantity(desk.chain.head().0))
}

/// The moment that a method's block parameter names.
fn moment(desk: &Desk, params: &Params<'_>, index: usize) -> Result<Moment, RpcError> {
    desk.chain.moment(params.optional(index, "block")?)
}

pub(super) fn balance(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    let moment = moment(desk, params, 1)?;
    let overlay = Overlay::default();
    let record = desk.chain.world(moment, &overlay).record(address)?;
    to_json(&record.unwrap_or_default().balance)
}

pub(super) fn code(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    let moment = moment(desk, params, 1)?;
    let overlay = Overlay::default();
    let mut world = desk.chain.world(moment, &overlay);
    let record = world.record(address)?.unwrap_or_default();
    to_json(&world.code(record.code_hash)?.original_bytes())
}

pub(super) fn storage_at(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    let slot = params.number(1, "slot")?;
    let moment = moment(desk, params, 2)?;
    let overlay = Overlay::default();
    let value = desk.chain.world(moment, &overlay).slot(address, slot)?;
    to_json(&B256::from(value))
}

pub(super) fn transaction_count(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    let moment = moment(desk, params, 1)?;
    if moment == Moment::Pending {
        return Ok(quantity(desk.chain.pending_nonce(address)?));
    }
    let overlay = Overlay::default();
    let record = desk.chain.world(moment, &overlay).record(address)?;
    Ok(quantity(record.unwrap_or_default().nonce))
}

fn block_view(desk: &Desk, block: Option<StoredBlock>, full: bool) -> Answer {
    match block {
        Some(block) => to_json(&desk.chain.view_block(&block, full)?),
        None => Ok(Value::Null),
    }
}

pub(super) fn block_by_number(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let tag: BlockNumberOrTag = params.get(0, "block")?;
    let full = params.optional(1, "full transactions")?.unwrap_or(false);
    if tag.is_pending() {
        return to_json(&desk.chain.view_pending());
    }
    block_view(desk, desk.chain.find_block(tag.into())?, full)
}

pub(super) fn block_by_hash(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let hash: B256 = params.get(0, "hash")?;
    let full = params.optional(1, "full transactions")?.unwrap_or(false);
    block_view(desk, desk.chain.find_block(hash.into())?, full)
}

fn by_number(desk: &Desk, params: &Params<'_>) -> Result<Option<StoredBlock>, RpcError> {
    let tag: BlockNumberOrTag = params.get(0, "block")?;
    Ok(desk.chain.find_block(tag.into())?)
}

fn by_hash(desk: &Desk, params: &Params<'_>) -> Result<Option<StoredBlock>, RpcError> {
    let hash: B256 = params.get(0, "hash")?;
    Ok(desk.chain.find_block(hash.into())?)
}

pub(super) fn block_receipts(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let id: BlockId = params.get(0, "block")?;
    match desk.chain.find_block(id)? {
        Some(block) => {
            let receipts = desk.chain.receipts(&block)?;
            let views = receipts
                .iter()
                .map(|receipt| receipt_view(receipt, block.header.timestamp));
            Ok(Value::Array(views.collect::<Result<_, _>>()?))
        }
        None => Ok(Value::Null),
    }
}

fn count(desk: &Desk, block: Option<StoredBlock>) -> Answer {
    match block {
        Some(block) => {
            let hashes = desk
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

pub(super) fn count_by_number(desk: &mut Desk, params: &Params<'_>) -> Answer {
    count(desk, by_number(desk, params)?)
}

pub(super) fn count_by_hash(desk: &mut Desk, params: &Params<'_>) -> Answer {
    count(desk, by_hash(desk, params)?)
}

/// There are no uncles, only blocks to have none.
fn no_uncles(block: Option<StoredBlock>) -> Answer {
    Ok(block.map_or(Value::Null, |_| quantity(0)))
}

pub(super) fn uncles_by_number(desk: &mut Desk, params: &Params<'_>) -> Answer {
    no_uncles(by_number(desk, params)?)
}

pub(super) fn uncles_by_hash(desk: &mut Desk, params: &Params<'_>) -> Answer {
    no_uncles(by_hash(desk, params)?)
}

pub(super) fn transaction(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let hash: B256 = params.get(0, "hash")?;
    to_json(&desk.chain.find_transaction(hash)?)
}

pub(super) fn raw_transaction(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let hash: B256 = params.get(0, "hash")?;
    let found = desk.chain.find_transaction(hash)?;
    to_json(&found.map(|one| Bytes::from(one.inner.encoded_2718())))
}

fn at_index(desk: &Desk, block: Option<StoredBlock>, params: &Params<'_>) -> Answer {
    let index = params.small(1, "index")?;
    let Some(block) = block else {
        return Ok(Value::Null);
    };
    let view = desk.chain.view_block(&block, true)?;
    to_json(&view.into_transactions_vec().into_iter().nth(index as usize))
}

pub(super) fn transaction_by_number(desk: &mut Desk, params: &Params<'_>) -> Answer {
    at_index(desk, by_number(desk, params)?, params)
}

pub(super) fn transaction_by_hash(desk: &mut Desk, params: &Params<'_>) -> Answer {
    at_index(desk, by_hash(desk, params)?, params)
}

pub(super) fn receipt(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let hash: B256 = params.get(0, "hash")?;
    receipt_of(desk, hash)
}

/// A mined transaction's receipt, or null.
pub(super) fn receipt_of(desk: &Desk, hash: B256) -> Answer {
    let Some(receipt) = desk.chain.find_receipt(hash)? else {
        return Ok(Value::Null);
    };
    let number = receipt.block_number.unwrap_or_default();
    let block = desk.chain.find_block(number.into())?;
    let time = block.map_or(0, |block| block.header.timestamp);
    receipt_view(&receipt, time)
}

/// Other development nodes add the block's time as a plain number.
fn receipt_view(receipt: &alloy::rpc::types::TransactionReceipt, time: u64) -> Answer {
    let mut view = to_json(receipt)?;
    if let Value::Object(fields) = &mut view {
        fields.insert("blockTimestamp".to_owned(), json!(time));
    }
    Ok(view)
}

pub(super) fn logs(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let filter: Filter = params.get(0, "filter")?;
    to_json(&desk.chain.logs(&filter)?)
}

fn call_of(params: &Params<'_>) -> Result<Call, RpcError> {
    Ok(Call {
        request: params.get::<TransactionRequest>(0, "transaction")?,
        state: params.optional::<StateOverride>(2, "state overrides")?,
        block: params.optional::<BlockOverrides>(3, "block overrides")?,
    })
}

pub(super) fn call(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let call = call_of(params)?;
    let moment = moment(desk, params, 1)?;
    to_json(&desk.chain.call(moment, &call)?)
}

pub(super) fn estimate(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let call = call_of(params)?;
    let id: Option<BlockId> = params.optional(1, "block")?;
    let moment = desk.chain.moment(id.or(Some(BlockId::pending())))?;
    let gas = desk.chain.estimate(moment, &call)?;
    to_json(&U64::from(gas))
}

/// The gas price that a transaction paid; used where fees are summed up.
pub(super) fn tip_of(desk: &Desk, block: &StoredBlock) -> Result<Vec<(u64, u128)>, RpcError> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let view = desk.chain.view_block(block, true)?;
    let gas: Vec<u64> = desk
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
pub(super) fn wide(number: U256) -> Answer {
    to_json(&number)
}
