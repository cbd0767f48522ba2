//! Transaction fees: EIP-1559 base fees that follow block usage, and a constant suggested tip.

use alloy::{eips::BlockNumberOrTag, primitives::U256, rpc::types::FeeHistory};

use super::{
    RpcError, RpcParams, RpcResult, RpcState,
    read::{tip_of, to_json, wide},
};
use crate::{chain::DevChain, store::StoredBlock};

/// Suggested tip: one gwei.
pub(super) const TIP: u128 = 1_000_000_000;
/// Blocks that one fee history may cover.
const HISTORY: u64 = 1024;

/// The gas price that a legacy transaction should offer.
pub(super) fn suggested_price(chain: &DevChain) -> u128 {
    u128::from(chain.next_base_fee()) + TIP
}

pub(super) fn gas_price(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    wide(U256::from(suggested_price(&rpc_state.chain)))
}

pub(super) fn priority_fee(_: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    wide(U256::from(TIP))
}

pub(super) fn blob_base_fee(_: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    wide(U256::from(1))
}

pub(super) fn history(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let count = params.small(0, "block count")?.clamp(1, HISTORY);
    let newest: BlockNumberOrTag = params.get(1, "newest block")?;
    let percentiles: Vec<f64> = params.optional(2, "percentiles")?.unwrap_or_default();
    let rising = percentiles.windows(2).all(|pair| pair[0] <= pair[1]);
    if !rising || percentiles.iter().any(|one| !(0.0..=100.0).contains(one)) {
        return Err(RpcError::invalid("invalid reward percentiles"));
    }
    let head = rpc_state.chain.head().0;
    let newest = rpc_state
        .chain
        .number_of(newest.into())?
        .unwrap_or(head)
        .min(head);
    let oldest = (newest + 1).saturating_sub(count);
    let mut history = FeeHistory {
        oldest_block: oldest,
        reward: Some(Vec::new()),
        ..FeeHistory::default()
    };
    for number in oldest..=newest {
        let Some(block) = rpc_state.chain.find_block(number.into())? else {
            break;
        };
        let header = &block.header;
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        history.base_fee_per_gas.push(u128::from(base_fee));
        history
            .gas_used_ratio
            .push(header.gas_used as f64 / header.gas_limit as f64);
        history.base_fee_per_blob_gas.push(1);
        history.blob_gas_used_ratio.push(0.0);
        if !percentiles.is_empty() {
            let rewards = rewards(rpc_state, &block, &percentiles)?;
            history.reward.get_or_insert_default().push(rewards);
        }
    }
    let next = match rpc_state.chain.find_block((newest + 1).into())? {
        Some(block) => block.header.base_fee_per_gas.unwrap_or_default(),
        None => rpc_state.chain.next_base_fee(),
    };
    history.base_fee_per_gas.push(u128::from(next));
    history.base_fee_per_blob_gas.push(1);
    to_json(&history)
}

/// The tips at these percentiles of a block's gas.
fn rewards(
    rpc_state: &RpcState,
    block: &StoredBlock,
    percentiles: &[f64],
) -> Result<Vec<u128>, RpcError> {
    let mut tips = tip_of(rpc_state, block)?;
    tips.sort_by_key(|(_, tip)| *tip);
    let gas_used = block.header.gas_used as f64;
    let reward = |percentile: &f64| {
        let wanted = gas_used * percentile / 100.0;
        let mut passed = 0;
        let found = tips.iter().find(|(gas, _)| {
            passed += gas;
            passed as f64 >= wanted
        });
        found.or(tips.last()).map_or(0, |(_, tip)| *tip)
    };
    Ok(percentiles.iter().map(reward).collect())
}
