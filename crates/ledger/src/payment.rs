//! The payment of a call: what the payer authorises before the model runs, and what is charged
//! afterwards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CallWork, ChannelKey, ExactKey, FinishReason, PriceList, ReceiverKey, TokenUsage};
use openlora_core::{Address, Amount, Word};

/// Payment schemes, by their x402 names.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PaymentScheme {
    /// One token transfer for one call.
    Exact,
    /// A voucher on a channel.
    BatchSettlement,
}

/// The checked authorization of a payer for one call, not yet used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedPayment {
    pub scheme: PaymentScheme,
    pub chain_id: u64,
    pub token: Address,
    pub receiver: Address,
    pub payer: Address,
    /// The channel, or the nonce of an `exact` authorization.
    pub id: Word,
    /// The channel's charged total before this call; zero for `exact`.
    pub before: Amount,
    /// The maximum price of this call.
    pub quote: Amount,
    /// Signature of the voucher for `before + quote`, or of the authorization; 0x and hex digits.
    pub signature: String,
    pub prices: PriceList,
    /// The work that the quote covers.
    pub work: CallWork,
    /// The whole quote is claimed before the call and therefore charged in full: a contract
    /// validates the voucher, and its answer may change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collected: bool,
    /// The acting account if it is not the payer that signs the vouchers: an address derived from
    /// payer and signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Address>,
}

/// The charge of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallCharge {
    pub scheme: PaymentScheme,
    pub chain_id: u64,
    /// ERC-20 contract of the token.
    #[schemars(with = "String")]
    pub token: Address,
    /// The splitter that receives the payment.
    #[schemars(with = "String")]
    pub receiver: Address,
    #[schemars(with = "String")]
    pub payer: Address,
    /// The channel, or the nonce of an `exact` authorization.
    #[schemars(with = "String")]
    pub id: Word,
    pub amount: Amount,
    /// The channel's total after this call; for `exact`, the amount itself.
    pub cumulative: Amount,
}

impl CheckedPayment {
    /// The account whose ids, limits and queue apply to the call. Anyone can open a channel that
    /// names another payer and their own signer; such a channel therefore gets a derived account of
    /// its own.
    pub fn limited_account(&self) -> Address {
        self.party.unwrap_or(self.payer)
    }

    /// The total that the payer has signed for, over the channel's lifetime.
    pub fn authorised(&self) -> Amount {
        self.before.saturating_add(self.quote)
    }

    /// Whether the whole quote is paid before the call, however much of it the answer takes.
    pub fn is_paid_whole(&self) -> bool {
        self.collected || self.scheme == PaymentScheme::Exact
    }

    /// What the call costs, having ended so: never more than the quote, and nothing when nothing
    /// was delivered through no doing of the payer's.
    pub fn charge(&self, usage: TokenUsage, finish: FinishReason) -> CallCharge {
        self.charge_of(self.cost(usage, finish))
    }

    /// What the call costs where that is known.
    pub fn charge_of(&self, amount: Amount) -> CallCharge {
        CallCharge {
            scheme: self.scheme,
            chain_id: self.chain_id,
            token: self.token,
            receiver: self.receiver,
            payer: self.payer,
            id: self.id,
            amount,
            cumulative: self.before.saturating_add(amount),
        }
    }

    fn cost(&self, usage: TokenUsage, finish: FinishReason) -> Amount {
        if self.collected {
            return self.quote;
        }
        let nothing = usage.completion_tokens == 0;
        if nothing && matches!(finish, FinishReason::Failed | FinishReason::Recovered) {
            return Amount::ZERO;
        }
        match self.work {
            // A payer that paid in full is entitled to a full answer: the call runs again.
            _ if self.scheme == PaymentScheme::Exact && !finish.is_answer() => Amount::ZERO,
            // The transfer was for the whole quote.
            _ if self.scheme == PaymentScheme::Exact => self.quote,
            CallWork::Tokens { .. } => {
                let work = CallWork::Tokens {
                    prompt: usage.prompt_tokens,
                    completion: usage.completion_tokens,
                };
                self.prices.price_of(work).min(self.quote)
            }
            CallWork::Classifications { .. } | CallWork::Images { .. } if nothing => Amount::ZERO,
            // The voucher may exceed the price of the work by one unit.
            CallWork::Classifications { .. } | CallWork::Images { .. } => {
                self.prices.price_of(self.work).min(self.quote)
            }
        }
    }
}

impl CheckedPayment {
    pub fn channel_key(&self) -> ChannelKey {
        ChannelKey {
            chain_id: self.chain_id,
            channel: self.id,
        }
    }

    pub fn exact_key(&self) -> ExactKey {
        ExactKey {
            chain_id: self.chain_id,
            token: self.token,
            payer: self.payer,
            nonce: self.id,
        }
    }
}

impl CallCharge {
    pub fn channel_key(&self) -> ChannelKey {
        ChannelKey {
            chain_id: self.chain_id,
            channel: self.id,
        }
    }

    pub fn exact_key(&self) -> ExactKey {
        ExactKey {
            chain_id: self.chain_id,
            token: self.token,
            payer: self.payer,
            nonce: self.id,
        }
    }

    pub fn receiver_key(&self) -> ReceiverKey {
        ReceiverKey {
            chain_id: self.chain_id,
            receiver: self.receiver,
            token: self.token,
        }
    }
}

/// The digest that binds a payment to a request: SHA-256 over `METHOD path`, a line feed and the
/// body. The path excludes the query.
pub fn request_digest(method: &str, path: &str, body: &[u8]) -> Word {
    let head = Sha256::new()
        .chain_update(method)
        .chain_update(" ")
        .chain_update(path)
        .chain_update("\n");
    Word(head.chain_update(body).finalize().into())
}

/// How the sender of a repeated `exact` payment is authenticated: once the payment is on the chain,
/// anyone can copy it. Either field is sufficient; both are salted hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryProof {
    /// Hash of the first request's id, which its client chose or its response returned.
    pub request_id: String,
    /// Hash of the client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How long the address is accepted, in Unix milliseconds.
    pub until_ms: u64,
}
