//! Methods of development nodes, with the names used by anvil and Hardhat.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    rpc::types::TransactionRequest,
};
use serde_json::{Value, json};

use super::{
    RpcError, RpcParams, RpcResult, RpcState,
    read::quantity,
    send::{decode, prepare},
};
use crate::pool::{PendingTx, recover};
use openlora_core::error::describe_decoding;

/// Maximum blocks that one call may mine.
const MANY: u64 = 100_000;

pub(super) fn pool_status(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    let ready = rpc_state.chain.ready()?.len() as u64;
    let all = rpc_state.chain.pool.all().count() as u64;
    Ok(json!({ "pending": quantity(ready), "queued": quantity(all - ready) }))
}

/// Returns the total offset from the system clock.
pub(super) fn increase_time(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let seconds = params.small(0, "seconds")?.cast_signed();
    let clock = &mut rpc_state.chain.clock;
    clock.offset = clock.offset.saturating_add(seconds);
    let offset = clock.offset;
    rpc_state
        .chain
        .store
        .set_meta("time_offset", &offset.to_be_bytes())?;
    Ok(json!(offset))
}

pub(super) fn next_timestamp(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let time = params.small(0, "timestamp")?;
    let before = rpc_state.chain.head.header.timestamp;
    if time < before {
        return Err(RpcError::invalid(format!(
            "Timestamp error: {time} is lower than previous block's timestamp"
        )));
    }
    rpc_state.chain.clock.next = Some(time);
    Ok(Value::Null)
}

pub(super) fn evm_mine(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    if params.has(0) {
        let options: Value = params.get(0, "options")?;
        let time = options.get("timestamp").cloned().unwrap_or(options);
        let time = [time];
        let values = Value::Array(time.to_vec());
        let time = RpcParams::parse(&values)?.small(0, "timestamp")?;
        rpc_state.chain.clock.next = Some(time);
    }
    rpc_state.chain.mine()?;
    Ok(json!("0x0"))
}

pub(super) fn mine_many(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let blocks = if params.has(0) {
        params.small(0, "blocks")?
    } else {
        1
    };
    let interval = if params.has(1) {
        params.small(1, "interval")?
    } else {
        0
    };
    if blocks > MANY {
        return Err(RpcError::invalid(format!(
            "parameter 1 (blocks): at most {MANY}, found {blocks}"
        )));
    }
    for index in 0..blocks {
        if index > 0 && interval > 0 {
            rpc_state.chain.clock.next = Some(rpc_state.chain.head.header.timestamp + interval);
        }
        rpc_state.chain.mine()?;
    }
    Ok(Value::Null)
}

pub(super) fn snapshot(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    Ok(quantity(rpc_state.chain.snapshot()?))
}

pub(super) fn revert(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let id = params.small(0, "snapshot")?;
    let done = rpc_state.chain.revert(id)?;
    rpc_state.filters.back_to(rpc_state.chain.head().0);
    Ok(json!(done))
}

pub(super) fn set_automine(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    rpc_state.chain.automine = params.get(0, "enabled")?;
    rpc_state.chain.mine_ready()?;
    Ok(Value::Null)
}

pub(super) fn automine(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    Ok(json!(rpc_state.chain.automine))
}

pub(super) fn set_code(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    let code: Bytes = params.get(1, "code")?;
    rpc_state.chain.set_code(address, code)?;
    Ok(Value::Null)
}

pub(super) fn set_balance(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    let balance = params.number(1, "balance")?;
    rpc_state.chain.set_balance(address, balance)?;
    Ok(Value::Null)
}

pub(super) fn set_storage(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    let slot = params.number(1, "slot")?;
    let value: B256 = params.get(2, "value")?;
    rpc_state
        .chain
        .set_slot(address, slot, U256::from_be_bytes(value.0))?;
    Ok(json!(true))
}

pub(super) fn set_nonce(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    let nonce = params.small(1, "nonce")?;
    rpc_state.chain.set_nonce(address, nonce)?;
    Ok(Value::Null)
}

pub(super) fn impersonate(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    rpc_state
        .chain
        .impersonated
        .insert(params.get(0, "address")?);
    Ok(Value::Null)
}

pub(super) fn stop_impersonating(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    rpc_state.chain.impersonated.remove(&address);
    Ok(Value::Null)
}

/// `anvil_reorg(depth, [[transaction, block], …])`; a transaction is raw or to be signed.
pub(super) fn reorganise(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let depth = params.small(0, "depth")?;
    let placed: Vec<(Value, u64)> = params.optional(1, "transactions")?.unwrap_or_default();
    let mut pending = Vec::with_capacity(placed.len());
    for (transaction, block) in placed {
        if block >= depth {
            return Err(RpcError::invalid(format!(
                "Block number for reorg tx will exceed the reorged chain height: block {block}, depth {depth}"
            )));
        }
        pending.push((reorganised(rpc_state, transaction)?, block));
    }
    rpc_state.chain.reorganise(depth, pending)?;
    rpc_state
        .filters
        .back_to(rpc_state.chain.head().0.saturating_sub(depth));
    Ok(Value::Null)
}

fn reorganised(rpc_state: &mut RpcState, transaction: Value) -> Result<PendingTx, RpcError> {
    let wrong = |error: serde_json::Error| {
        RpcError::invalid(format!(
            "parameter 2 (transactions): {}",
            describe_decoding(&error)
        ))
    };
    if transaction.is_string() {
        let raw: Bytes = serde_json::from_value(transaction).map_err(wrong)?;
        let transaction = decode(&raw)?;
        let sender = recover(&transaction).ok_or_else(RpcError::undecodable)?;
        return Ok(PendingTx {
            hash: *transaction.tx_hash(),
            transaction,
            sender,
            impersonated: false,
        });
    }
    let request: TransactionRequest = serde_json::from_value(transaction).map_err(wrong)?;
    prepare(rpc_state, request)
}
