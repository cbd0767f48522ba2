//! The headers of x402 version 2: base64 over JSON, read strictly and written as stock clients
//! and servers write them.
//!
//! Sizes are checked before anything is decoded, and everything is decoded before a signature is
//! checked. The meaning of the values is decided elsewhere.
//! Form: <https://github.com/x402-foundation/x402> (specs, version 2).

mod clearing;
pub(super) mod forms;
mod payment;
mod response;
mod terms;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_core::error::describe_decoding;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use clearing::{ClearingRequest, RowVoucher, SignedAction, SignedRefund, WireClaimRow};
pub use payment::{
    BatchPayload, DepositAuthorization, DepositPart, Erc3009, ExactPayload, PaymentPayload,
    SchemePayload, TransferAuthorization, Voucher, VoucherAction, WireConfig,
};
pub use response::{ChannelState, ResponseExtra, SettleResponse, VoucherState};
pub use terms::{PaidResource, PaymentRequired, PaymentRequirements, SchemeExtra};

/// Names of the headers.
pub const PAYMENT_REQUIRED: &str = "PAYMENT-REQUIRED";
pub const PAYMENT_SIGNATURE: &str = "PAYMENT-SIGNATURE";
pub const PAYMENT_RESPONSE: &str = "PAYMENT-RESPONSE";

/// The only supported version.
pub const VERSION: u64 = 2;

/// Names of the schemes.
pub const EXACT: &str = "exact";
pub const BATCH_SETTLEMENT: &str = "batch-settlement";

/// The longest accepted header, in bytes of base64.
pub const LONGEST_HEADER: usize = 12 * 1024;

/// The error in a header or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireProblem {
    #[error("it has {found} bytes, expected at most {limit}")]
    TooLong { found: usize, limit: usize },
    #[error("it is not base64")]
    Base64,
    #[error("it holds no JSON")]
    Json,
    #[error("`{part}` is not as expected: {reason}")]
    Shape { part: &'static str, reason: String },
    #[error("it speaks x402 version {found}, expected {VERSION}")]
    Version { found: u64 },
}

impl WireProblem {
    /// The JSON parser's reason, shortened because it repeats the input.
    pub(super) fn shape(part: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |error| Self::Shape {
            part,
            reason: describe_decoding(&error).chars().take(200).collect(),
        }
    }
}

/// A header's value.
pub fn encode<T: Serialize>(part: &'static str, value: &T) -> Result<String, WireProblem> {
    let json = serde_json::to_vec(value).map_err(WireProblem::shape(part))?;
    Ok(STANDARD.encode(json))
}

/// Decodes a header; `part` names it in errors.
///
/// # Errors
/// It is too long, not base64, not JSON, or JSON of another shape.
pub fn decode<T: DeserializeOwned>(part: &'static str, text: &str) -> Result<T, WireProblem> {
    if text.len() > LONGEST_HEADER {
        return Err(WireProblem::TooLong {
            found: text.len(),
            limit: LONGEST_HEADER,
        });
    }
    let json = STANDARD
        .decode(text.trim())
        .map_err(|_| WireProblem::Base64)?;
    let value: Value = serde_json::from_slice(&json).map_err(|_| WireProblem::Json)?;
    read(part, value)
}

pub(super) fn read<T: DeserializeOwned>(
    part: &'static str,
    value: Value,
) -> Result<T, WireProblem> {
    serde_json::from_value(value).map_err(WireProblem::shape(part))
}

/// The name of a chain in headers (CAIP-2).
pub fn network(chain_id: u64) -> String {
    format!("eip155:{chain_id}")
}

/// The chain id of a name, if it is an EVM chain.
pub fn chain_id(network: &str) -> Option<u64> {
    let digits = network.strip_prefix("eip155:")?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain)
}
