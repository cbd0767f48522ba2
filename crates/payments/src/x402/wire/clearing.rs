//! Requests from other sellers to a facilitator: a payment with the seller's own offer, or escrow
//! actions that its receiver authorizer has signed.

use alloy::primitives::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{PaymentPayload, PaymentRequirements, Voucher, WireConfig, WireProblem, forms, read};
use openlora_core::{Address, Amount};

/// The body of `/verify` and `/settle`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClearingRequest {
    pub payment: PaymentPayload,
    pub requirements: PaymentRequirements,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClearingBody {
    payment_payload: Value,
    payment_requirements: Value,
}

/// Escrow actions that anyone may submit, because their signatures prove who authorized them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum SignedAction {
    Claim {
        claims: Vec<WireClaimRow>,
        #[serde(default, with = "forms::optional_bytes")]
        claim_authorizer_signature: Option<Bytes>,
    },
    Settle {
        #[serde(with = "forms::account")]
        receiver: Address,
        #[serde(with = "forms::account")]
        token: Address,
    },
    Refund(Box<SignedRefund>),
}

/// A refund of the rest of a channel, after claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedRefund {
    pub channel_config: WireConfig,
    pub voucher: Voucher,
    pub amount: Amount,
    #[serde(with = "forms::count")]
    pub refund_nonce: u64,
    pub claims: Vec<WireClaimRow>,
    #[serde(default, with = "forms::optional_bytes")]
    pub refund_authorizer_signature: Option<Bytes>,
    #[serde(default, with = "forms::optional_bytes")]
    pub claim_authorizer_signature: Option<Bytes>,
}

/// One channel of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireClaimRow {
    pub voucher: RowVoucher,
    #[serde(with = "forms::bytes")]
    pub signature: Bytes,
    /// The channel's total after the claim.
    pub total_claimed: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowVoucher {
    pub channel: WireConfig,
    pub max_claimable_amount: Amount,
}

impl ClearingRequest {
    pub fn from_value(body: Value) -> Result<Self, WireProblem> {
        let body: ClearingBody = read("body", body)?;
        Ok(Self {
            payment: PaymentPayload::from_value(body.payment_payload)?,
            requirements: PaymentRequirements::from_value(body.payment_requirements)?,
        })
    }
}

impl SignedAction {
    /// Parses the escrow action in a payload; `None` if the payload is a payer's payment.
    pub fn parse(payload: &Value) -> Result<Option<Self>, WireProblem> {
        let is = |name: &str| payload.get("type").and_then(Value::as_str) == Some(name);
        let of_seller =
            is("claim") || is("settle") || (is("refund") && payload.get("claims").is_some());
        match of_seller {
            true => read("payload", payload.clone()).map(Some),
            false => Ok(None),
        }
    }
}
