//! A server's answer to a payment that it took or could not take.

use alloy::primitives::Bytes;
use serde::{Deserialize, Serialize};

use super::{PAYMENT_RESPONSE, WireProblem, forms};
use openlora_core::{Amount, Word};

/// The value of `PAYMENT-RESPONSE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleResponse {
    pub success: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// Transaction hash; empty if nothing was sent.
    pub transaction: String,
    pub network: String,
    /// The amount that the transaction moved, in base units; empty if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<ResponseExtra>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResponseExtra {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged_amount: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_state: Option<ChannelState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voucher_state: Option<VoucherState>,
}

/// The receiver's state of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelState {
    pub channel_id: Word,
    pub balance: Amount,
    pub total_claimed: Amount,
    /// Unix seconds; zero if no withdrawal waits.
    pub withdraw_requested_at: u64,
    #[serde(with = "forms::count")]
    pub refund_nonce: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_cumulative_amount: Option<Amount>,
}

/// The highest voucher that a server holds. It proves to the payer what it has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VoucherState {
    pub signed_max_claimable: Amount,
    #[serde(with = "forms::bytes")]
    pub signature: Bytes,
}

impl SettleResponse {
    pub fn decode(text: &str) -> Result<Self, WireProblem> {
        super::decode(PAYMENT_RESPONSE, text)
    }

    pub fn encode(&self) -> Result<String, WireProblem> {
        super::encode(PAYMENT_RESPONSE, self)
    }
}
