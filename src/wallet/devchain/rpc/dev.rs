//! Methods that only a development node has, under the names that anvil and Hardhat gave them.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    rpc::types::TransactionRequest,
};
use serde_json::{Value, json};

use super::{
    Answer, Desk, Params, RpcError,
    read::{quantity, to_json},
    send::{decode, prepare},
};
use crate::wallet::devchain::{
    header::{GAS_LIMIT, now},
    pool::{Pending, recover},
};

/// Blocks that one call may mine.
const MANY: u64 = 100_000;

pub(super) fn pool_status(desk: &mut Desk, _: &Params<'_>) -> Answer {
    let ready = desk.chain.ready()?.len() as u64;
    let all = desk.chain.pool.all().count() as u64;
    Ok(json!({ "pending": quantity(ready), "queued": quantity(all - ready) }))
}

/// The answer is the whole distance to the machine's clock.
pub(super) fn increase_time(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let seconds = params.small(0, "seconds")?.cast_signed();
    let clock = &mut desk.chain.clock;
    clock.offset = clock.offset.saturating_add(seconds);
    let offset = clock.offset;
    desk.chain
        .store
        .set_meta("time_offset", &offset.to_be_bytes())?;
    Ok(json!(offset))
}

pub(super) fn next_timestamp(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let time = params.small(0, "timestamp")?;
    let before = desk.chain.head.header.timestamp;
    if time < before {
        return Err(RpcError::invalid(format!(
            "Timestamp error: {time} is lower than previous block's timestamp"
        )));
    }
    desk.chain.clock.next = Some(time);
    Ok(Value::Null)
}

/// Moves the clock, backwards too; the answer is the distance in seconds.
pub(super) fn set_time(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let wanted = params.small(0, "timestamp")?;
    // JavaScript's times are milliseconds.
    let seconds = if wanted > 1 << 40 {
        wanted / 1000
    } else {
        wanted
    };
    let offset = seconds.cast_signed() - now().cast_signed();
    desk.chain.clock.offset = offset;
    desk.chain
        .store
        .set_meta("time_offset", &offset.to_be_bytes())?;
    Ok(json!(offset.unsigned_abs()))
}

pub(super) fn evm_mine(desk: &mut Desk, params: &Params<'_>) -> Answer {
    if params.has(0) {
        let options: Value = params.get(0, "options")?;
        let time = options.get("timestamp").cloned().unwrap_or(options);
        let time = [time];
        let values = Value::Array(time.to_vec());
        let time = Params::of(&values)?.small(0, "timestamp")?;
        desk.chain.clock.next = Some(time);
    }
    desk.chain.mine()?;
    Ok(json!("0x0"))
}

pub(super) fn mine_many(desk: &mut Desk, params: &Params<'_>) -> Answer {
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
            desk.chain.clock.next = Some(desk.chain.head.header.timestamp + interval);
        }
        desk.chain.mine()?;
    }
    Ok(Value::Null)
}

pub(super) fn snapshot(desk: &mut Desk, _: &Params<'_>) -> Answer {
    Ok(quantity(desk.chain.snapshot()?))
}

pub(super) fn revert(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let id = params.small(0, "snapshot")?;
    let done = desk.chain.revert(id)?;
    desk.filters.back_to(desk.chain.head().0);
    Ok(json!(done))
}

pub(super) fn set_automine(desk: &mut Desk, params: &Params<'_>) -> Answer {
    desk.chain.automine = params.get(0, "enabled")?;
    desk.chain.mine_ready()?;
    Ok(Value::Null)
}

pub(super) fn automine(desk: &mut Desk, _: &Params<'_>) -> Answer {
    Ok(json!(desk.chain.automine))
}

pub(super) fn set_code(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    let code: Bytes = params.get(1, "code")?;
    desk.chain.set_code(address, code)?;
    Ok(Value::Null)
}

pub(super) fn set_balance(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    let balance = params.number(1, "balance")?;
    desk.chain.set_balance(address, balance)?;
    Ok(Value::Null)
}

pub(super) fn set_storage(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    let slot = params.number(1, "slot")?;
    let value: B256 = params.get(2, "value")?;
    desk.chain
        .set_slot(address, slot, U256::from_be_bytes(value.0))?;
    Ok(json!(true))
}

pub(super) fn set_nonce(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    let nonce = params.small(1, "nonce")?;
    desk.chain.set_nonce(address, nonce)?;
    Ok(Value::Null)
}

pub(super) fn impersonate(desk: &mut Desk, params: &Params<'_>) -> Answer {
    desk.chain.impersonated.insert(params.get(0, "address")?);
    Ok(Value::Null)
}

pub(super) fn stop_impersonating(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    desk.chain.impersonated.remove(&address);
    Ok(Value::Null)
}

pub(super) fn impersonate_all(desk: &mut Desk, params: &Params<'_>) -> Answer {
    desk.chain.impersonate_all = params.get(0, "enabled")?;
    Ok(Value::Null)
}

pub(super) fn drop_transaction(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let hash: B256 = params.get(0, "hash")?;
    let dropped = desk.chain.forget_waiting(hash)?;
    to_json(&dropped.then_some(hash))
}

/// `anvil_reorg(depth, [[transaction, block], …])`, a transaction raw or to be signed.
pub(super) fn reorganise(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let depth = params.small(0, "depth")?;
    let placed: Vec<(Value, u64)> = params.optional(1, "transactions")?.unwrap_or_default();
    let mut pending = Vec::with_capacity(placed.len());
    for (transaction, block) in placed {
        if block >= depth {
            return Err(RpcError::invalid(format!(
                "Block number for reorg tx will exceed the reorged chain height: block {block}, depth {depth}"
            )));
        }
        pending.push((reorganised(desk, transaction)?, block));
    }
    desk.chain.reorganise(depth, pending)?;
    desk.filters
        .back_to(desk.chain.head().0.saturating_sub(depth));
    Ok(Value::Null)
}

fn reorganised(desk: &mut Desk, transaction: Value) -> Result<Pending, RpcError> {
    let wrong = |error: serde_json::Error| {
        RpcError::invalid(format!("parameter 2 (transactions): {error}"))
    };
    if transaction.is_string() {
        let raw: Bytes = serde_json::from_value(transaction).map_err(wrong)?;
        let transaction = decode(&raw)?;
        let sender = recover(&transaction).ok_or_else(RpcError::undecodable)?;
        return Ok(Pending {
            hash: *transaction.tx_hash(),
            transaction,
            sender,
            impersonated: false,
        });
    }
    let request: TransactionRequest = serde_json::from_value(transaction).map_err(wrong)?;
    prepare(desk, request)
}

pub(super) fn node_info(desk: &mut Desk, _: &Params<'_>) -> Answer {
    let (number, hash) = desk.chain.head();
    Ok(json!({
        "currentBlockNumber": quantity(number),
        "currentBlockTimestamp": desk.chain.head.header.timestamp,
        "currentBlockHash": hash,
        "hardFork": "osaka",
        "transactionOrder": "fifo",
        "environment": {
            "baseFee": quantity(desk.chain.next_base_fee()),
            "chainId": desk.chain.chain_id,
            "gasLimit": quantity(GAS_LIMIT),
            "gasPrice": format!("{:#x}", super::fees::suggested_price(&desk.chain)),
        },
        "forkConfig": { "forkUrl": null, "forkBlockNumber": null, "forkRetryBackoff": null },
    }))
}
