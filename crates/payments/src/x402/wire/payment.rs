//! The payment that a payer sends.

use alloy::primitives::{Bytes, U256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    BATCH_SETTLEMENT, EXACT, PAYMENT_SIGNATURE, PaymentRequired, PaymentRequirements, VERSION,
    WireProblem, forms, read,
};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;

/// The value of `PAYMENT-SIGNATURE`: the offer that is taken, and the payment itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload {
    pub x402_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Value>,
    /// The offer as the server wrote it.
    pub accepted: Value,
    pub payload: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Value>,
}

/// A payment by one of the known schemes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SchemePayload {
    Exact(ExactPayload),
    Batch(Box<BatchPayload>),
}

/// One transfer by ERC-3009.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExactPayload {
    #[serde(with = "forms::bytes")]
    pub signature: Bytes,
    pub authorization: TransferAuthorization,
}

/// The content of an ERC-3009 authorization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferAuthorization {
    #[serde(with = "forms::account")]
    pub from: Address,
    #[serde(with = "forms::account")]
    pub to: Address,
    pub value: Amount,
    #[serde(with = "forms::whole")]
    pub valid_after: U256,
    #[serde(with = "forms::whole")]
    pub valid_before: U256,
    pub nonce: Word,
}

/// A payment from a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawBatch", into = "RawBatch")]
pub struct BatchPayload {
    pub config: WireConfig,
    pub voucher: Voucher,
    #[serde(rename = "deed")]
    pub action: VoucherAction,
}

/// The action that a payload requests with its voucher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoucherAction {
    Deposit(DepositPart),
    Voucher,
    /// A part of the rest of the channel; everything if no amount is given.
    Refund {
        amount: Option<Amount>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PayloadKind {
    Deposit,
    Voucher,
    Refund,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBatch {
    r#type: PayloadKind,
    channel_config: WireConfig,
    voucher: Voucher,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deposit: Option<DepositPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
}

/// A channel's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireConfig {
    #[serde(with = "forms::account")]
    pub payer: Address,
    #[serde(with = "forms::account")]
    pub payer_authorizer: Address,
    #[serde(with = "forms::account")]
    pub receiver: Address,
    #[serde(with = "forms::account")]
    pub receiver_authorizer: Address,
    #[serde(with = "forms::account")]
    pub token: Address,
    pub withdraw_delay: u64,
    pub salt: Word,
}

/// The cumulative total that a payer signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Voucher {
    pub channel_id: Word,
    pub max_claimable_amount: Amount,
    #[serde(with = "forms::bytes")]
    pub signature: Bytes,
}

/// A deposit into a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositPart {
    pub amount: Amount,
    pub authorization: DepositAuthorization,
}

/// The authorization of the deposit. Only ERC-3009 is accepted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositAuthorization {
    #[serde(
        rename = "erc3009Authorization",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub erc3009: Option<Erc3009>,
}

/// An authorization for the collector. Its nonce is derived from channel and salt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erc3009 {
    #[serde(with = "forms::whole")]
    pub valid_after: U256,
    #[serde(with = "forms::whole")]
    pub valid_before: U256,
    pub salt: Word,
    #[serde(with = "forms::bytes")]
    pub signature: Bytes,
}

impl PaymentPayload {
    /// A payment for one of a server's offers.
    pub fn answering(
        required: &PaymentRequired,
        accepted: Value,
        payload: &SchemePayload,
    ) -> Result<Self, WireProblem> {
        Ok(Self {
            x402_version: VERSION,
            resource: serde_json::to_value(&required.resource).ok(),
            accepted,
            payload: serde_json::to_value(payload).map_err(WireProblem::shape("payload"))?,
            extensions: required.extensions.clone(),
        })
    }

    pub fn decode(text: &str) -> Result<Self, WireProblem> {
        super::decode::<Self>(PAYMENT_SIGNATURE, text)?.of_version()
    }

    /// Decodes a payload that is a part of another value.
    pub fn from_value(value: Value) -> Result<Self, WireProblem> {
        read::<Self>("paymentPayload", value)?.of_version()
    }

    fn of_version(self) -> Result<Self, WireProblem> {
        match self.x402_version {
            VERSION => Ok(self),
            found => Err(WireProblem::Version { found }),
        }
    }

    pub fn encode(&self) -> Result<String, WireProblem> {
        super::encode(PAYMENT_SIGNATURE, self)
    }

    pub fn accepted(&self) -> Result<PaymentRequirements, WireProblem> {
        PaymentRequirements::from_value(self.accepted.clone())
    }
}

impl SchemePayload {
    /// The payment of a scheme; `None` if the scheme is not known here.
    pub fn parse(scheme: &str, payload: &Value) -> Result<Option<Self>, WireProblem> {
        let payload = payload.clone();
        match scheme {
            EXACT => Ok(Some(Self::Exact(read("payload", payload)?))),
            BATCH_SETTLEMENT => Ok(Some(Self::Batch(Box::new(read("payload", payload)?)))),
            _ => Ok(None),
        }
    }
}

impl TryFrom<RawBatch> for BatchPayload {
    type Error = &'static str;

    fn try_from(raw: RawBatch) -> Result<Self, Self::Error> {
        let deed = match (raw.r#type, raw.deposit, raw.amount) {
            (PayloadKind::Deposit, Some(deposit), None) => VoucherAction::Deposit(deposit),
            (PayloadKind::Deposit, None, _) => return Err("a deposit needs `deposit`"),
            (PayloadKind::Voucher, None, None) => VoucherAction::Voucher,
            (PayloadKind::Refund, None, amount) => VoucherAction::Refund { amount },
            (PayloadKind::Refund | PayloadKind::Voucher, Some(_), _) => {
                return Err("`deposit` belongs to the type `deposit`");
            }
            (PayloadKind::Deposit | PayloadKind::Voucher, _, Some(_)) => {
                return Err("`amount` belongs to the type `refund`");
            }
        };
        Ok(Self {
            config: raw.channel_config,
            voucher: raw.voucher,
            action: deed,
        })
    }
}

impl From<BatchPayload> for RawBatch {
    fn from(batch: BatchPayload) -> Self {
        let (kind, deposit, amount) = match batch.action {
            VoucherAction::Deposit(deposit) => (PayloadKind::Deposit, Some(deposit), None),
            VoucherAction::Voucher => (PayloadKind::Voucher, None, None),
            VoucherAction::Refund { amount } => (PayloadKind::Refund, None, amount),
        };
        Self {
            r#type: kind,
            channel_config: batch.config,
            voucher: batch.voucher,
            deposit,
            amount,
        }
    }
}

impl From<WireConfig> for ChannelTerms {
    fn from(config: WireConfig) -> Self {
        Self {
            payer: config.payer,
            payer_authorizer: config.payer_authorizer,
            receiver: config.receiver,
            receiver_authorizer: config.receiver_authorizer,
            token: config.token,
            withdraw_delay: config.withdraw_delay,
            salt: config.salt,
        }
    }
}

impl From<ChannelTerms> for WireConfig {
    fn from(config: ChannelTerms) -> Self {
        Self {
            payer: config.payer,
            payer_authorizer: config.payer_authorizer,
            receiver: config.receiver,
            receiver_authorizer: config.receiver_authorizer,
            token: config.token,
            withdraw_delay: config.withdraw_delay,
            salt: config.salt,
        }
    }
}
