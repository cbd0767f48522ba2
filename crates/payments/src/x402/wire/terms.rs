//! The payment terms of a server: the header of a 402 answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ChannelState, PAYMENT_REQUIRED, VERSION, VoucherState, WireProblem, forms, read};
use openlora_core::{Address, Amount};

/// The value of `PAYMENT-REQUIRED`. Offers keep their original form, because a payer repeats the
/// chosen one word for word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    pub x402_version: u64,
    /// The code of the error in the payment that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub resource: PaidResource,
    pub accepts: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Value>,
}

/// What is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaidResource {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Further fields, such as the service's name and tags (extension `bazaar`). A payer repeats them.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// One way to pay on an EVM chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    pub scheme: String,
    pub network: String,
    pub amount: Amount,
    #[serde(with = "forms::account")]
    pub asset: Address,
    #[serde(with = "forms::account")]
    pub pay_to: Address,
    pub max_timeout_seconds: u64,
    #[serde(default)]
    pub extra: SchemeExtra,
}

/// The fields that the schemes add to an offer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SchemeExtra {
    /// The token's signing domain (EIP-712).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_transfer_method: Option<String>,
    #[serde(
        with = "forms::optional_account",
        skip_serializing_if = "Option::is_none"
    )]
    pub receiver_authorizer: Option<Address>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdraw_delay: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_deposit: Option<Amount>,
    /// The amount that a refund leaves in the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_fee: Option<Amount>,
    /// The server's state of the payer's channel, if the payer's state differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_state: Option<ChannelState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voucher_state: Option<VoucherState>,
}

impl PaymentRequired {
    pub fn decode(text: &str) -> Result<Self, WireProblem> {
        let required: Self = super::decode(PAYMENT_REQUIRED, text)?;
        match required.x402_version {
            VERSION => Ok(required),
            found => Err(WireProblem::Version { found }),
        }
    }

    pub fn encode(&self) -> Result<String, WireProblem> {
        super::encode(PAYMENT_REQUIRED, self)
    }

    /// The offers that can be decoded here, each with its original form.
    pub fn offers(&self) -> impl Iterator<Item = (&Value, PaymentRequirements)> {
        self.accepts
            .iter()
            .filter_map(|raw| Some((raw, PaymentRequirements::from_value(raw.clone()).ok()?)))
    }
}

impl PaymentRequirements {
    pub fn from_value(value: Value) -> Result<Self, WireProblem> {
        read("accepted", value)
    }

    /// The terms alone, without the channel state that a server sent.
    pub fn terms(mut self) -> Self {
        self.extra.channel_state = None;
        self.extra.voucher_state = None;
        self
    }
}
