//! Extensions that payers of this program add to a payment, so that other parties cannot reuse it.
//!
//! A voucher is public once it is claimed, and it does not name the request that it pays. Two
//! entries of a payment's `extensions` solve this. One binds the payment to its request. The other
//! states that the payer itself requests a refund of its channel now. Stock servers do not read
//! them, and stock clients do not send them.

use std::sync::LazyLock;

use alloy::primitives::{B256, Bytes, U256, keccak256};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    digest::{separator, signing_digest},
    wire::{WireProblem, forms, read},
};
use openlora_core::{Address, Amount, Word};
pub use openlora_ledger::request_digest as request_hash;

/// The longest validity of a refund request, in seconds.
pub const LONGEST_REFUND_REQUEST: u64 = 600;

/// What is signed.
mod declared {
    alloy::sol! {
        struct PaidRequest {
            bytes32 id;
            uint128 maximum;
            bytes32 requestHash;
        }

        struct RefundRequest {
            bytes32 channelId;
            uint128 amount;
            uint256 refundNonce;
            uint256 validBefore;
        }

        struct PaidRefundRequest {
            bytes32 channelId;
            uint128 amount;
            uint128 fee;
            uint128 feeTotal;
            uint256 refundNonce;
            uint256 validBefore;
        }
    }
}

/// Prefix of the channel salts and authorization nonces of payers that bind every payment to its
/// request. A copy of a payment cannot omit the binding, because payments are signed over the
/// channel and the nonce.
static MARK: LazyLock<[u8; 16]> = LazyLock::new(|| {
    let mut mark = [0; 16];
    mark.copy_from_slice(&keccak256("openlora: requests are named")[..16]);
    mark
});

/// A random salt or nonce that marks requests as bound.
pub fn marked() -> Word {
    let mut word: [u8; 32] = rand::random();
    word[..16].copy_from_slice(&*MARK);
    Word(word)
}

/// Whether this salt or nonce says that payments are bound to their requests.
pub fn is_marked(word: Word) -> bool {
    word.0.starts_with(&*MARK)
}

/// An entry of `extensions`.
pub trait OfferExtension: Serialize + DeserializeOwned {
    const NAME: &'static str;
}

/// Binds a payment to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestBinding {
    pub request_hash: Word,
    /// The signature of the voucher's signer, or of the transfer's payer.
    #[serde(with = "forms::bytes")]
    pub signature: Bytes,
}

impl OfferExtension for RequestBinding {
    const NAME: &'static str = "openlora-request";
}

/// The payer's payment for a refund: a voucher over the charged amount and the fee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundFee {
    pub amount: Amount,
    /// The channel's total including the fee. The voucher is over this total.
    pub max_claimable_amount: Amount,
    /// The signature of the voucher.
    #[serde(with = "forms::bytes")]
    pub signature: Bytes,
}

/// Requests the rest of a channel, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundRequest {
    /// The amount to return; everything if absent.
    #[serde(default)]
    pub amount: Option<Amount>,
    /// The escrow's current refund nonce of the channel. Every refund increments it.
    #[serde(with = "forms::count")]
    pub refund_nonce: u64,
    /// Unix seconds, at most [`LONGEST_REFUND_REQUEST`] ahead.
    #[serde(with = "forms::count")]
    pub valid_before: u64,
    /// The fee of the refund; absent if the offer names no fee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<RefundFee>,
    /// The signature of the voucher's signer.
    #[serde(with = "forms::bytes")]
    pub signature: Bytes,
}

impl OfferExtension for RefundRequest {
    const NAME: &'static str = "openlora-refund";
}

/// The signing domain of both, on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingDomain(B256);

impl BindingDomain {
    /// `contract` is the escrow for channels, the token for `exact`.
    pub fn for_contract(chain_id: u64, contract: Address) -> Self {
        Self(separator("openlora", "1", chain_id, contract))
    }

    /// The digest that binds a payment to a request: `id` is the channel or the authorization's
    /// nonce, `maximum` is the voucher's total or the transfer's value.
    pub fn request(&self, id: Word, maximum: Amount, request_hash: Word) -> Word {
        let request = declared::PaidRequest {
            id: id.into(),
            maximum: maximum.0,
            requestHash: request_hash.into(),
        };
        signing_digest(self.0, &request)
    }

    /// The digest of a refund request without a fee. Without an amount, it requests everything.
    pub fn refund(
        &self,
        channel: Word,
        amount: Option<Amount>,
        nonce: u64,
        valid_before: u64,
    ) -> Word {
        let request = declared::RefundRequest {
            channelId: channel.into(),
            amount: amount.unwrap_or_default().0,
            refundNonce: U256::from(nonce),
            validBefore: U256::from(valid_before),
        };
        signing_digest(self.0, &request)
    }
}

impl RefundRequest {
    /// The digest that is signed. The voucher for the fee has its own signature.
    pub fn digest(&self, domain: BindingDomain, channel: Word) -> Word {
        let (nonce, until) = (self.refund_nonce, self.valid_before);
        let Some(fee) = &self.fee else {
            return domain.refund(channel, self.amount, nonce, until);
        };
        let request = declared::PaidRefundRequest {
            channelId: channel.into(),
            amount: self.amount.unwrap_or_default().0,
            fee: fee.amount.0,
            feeTotal: fee.max_claimable_amount.0,
            refundNonce: U256::from(nonce),
            validBefore: U256::from(until),
        };
        signing_digest(domain.0, &request)
    }
}

/// Our entry of `extensions`, if there is one.
///
/// # Errors
/// The entry has another shape.
pub fn extension<E: OfferExtension>(extensions: Option<&Value>) -> Result<Option<E>, WireProblem> {
    let entry = extensions.and_then(|all| all.get(E::NAME));
    entry.map(|entry| read(E::NAME, entry.clone())).transpose()
}

/// `extensions` with the entry.
///
/// # Errors
/// The entry cannot be written as JSON.
pub fn extended<E: OfferExtension>(
    extensions: Option<Value>,
    entry: &E,
) -> Result<Option<Value>, WireProblem> {
    let mut all = match extensions {
        Some(Value::Object(all)) => all,
        _ => Map::new(),
    };
    let entry = serde_json::to_value(entry).map_err(WireProblem::shape(E::NAME))?;
    all.insert(E::NAME.to_owned(), entry);
    Ok(Some(Value::Object(all)))
}
