//! Header fields that all blocks share, and the system clock.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy::{
    consensus::{EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS},
    eips::eip7685::EMPTY_REQUESTS_HASH,
    primitives::B256,
};

/// Gas limit of a block, and therefore of a transaction.
pub const GAS_LIMIT: u64 = 30_000_000;
/// Base fee of block 0: one gwei.
pub(super) const FIRST_BASE_FEE: u64 = 1_000_000_000;

/// Seconds since 1970 by the system clock.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// The header fields that all blocks share, following the Osaka rules.
pub(super) fn blank_header() -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        gas_limit: GAS_LIMIT,
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}
