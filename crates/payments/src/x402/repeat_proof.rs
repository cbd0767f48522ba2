//! Decides which client may get an answer again if its payment names no request. Such a payment is
//! public on its chain, so the client must show the call's id, or repeat the payment from the same
//! address within a time limit.

use subtle::{Choice, ConstantTimeEq};

use super::checks::now_ms;
use openlora_ledger::RetryProof;
use openlora_ports::Presenter;

/// The validity of a payer's authorization, in seconds.
pub const TIMEOUT_SECONDS: u64 = 300;

/// How long after it was first seen an authorization may be repeated from the same address without
/// the request's id, in milliseconds. A client that lost its answer before the headers has no id.
const RETRY_MS: u64 = 1_000 * TIMEOUT_SECONDS;

/// What a client must show to repeat a payment that this presenter showed first.
pub(super) fn proof_for(presenter: &Presenter) -> RetryProof {
    RetryProof {
        request_id: presenter.request_id.clone(),
        address: presenter.address.clone(),
        until_ms: now_ms().saturating_add(RETRY_MS),
    }
}

/// Whether a presenter meets the requirement. Takes constant time.
pub(super) fn is_shown(retry: &RetryProof, presenter: &Presenter, now_ms: u64) -> bool {
    let equal = |one: &str, other: &str| one.as_bytes().ct_eq(other.as_bytes());
    let by_id = equal(&retry.request_id, &presenter.request_id);
    let by_address = match (&retry.address, &presenter.address) {
        (Some(known), Some(shown)) if now_ms < retry.until_ms => equal(known, shown),
        _ => Choice::from(0),
    };
    (by_id | by_address).into()
}
