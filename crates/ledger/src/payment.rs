//! A call's payment: what the payer allows before the model runs, and what is charged after.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CallWork, ChannelKey, ExactKey, FinishReason, PriceList, ReceiverKey, TokenUsage};
use openlora_core::{Address, Amount, Word};

/// How a payment moves, by the names that x402 gives.
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

/// What a payer allows for one call, checked and not yet spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedPayment {
    pub scheme: PaymentScheme,
    pub chain_id: u64,
    pub token: Address,
    pub receiver: Address,
    pub payer: Address,
    /// The channel, or the nonce of an `exact` authorization.
    pub id: Word,
    /// What was charged to the channel before this call; zero for `exact`.
    pub before: Amount,
    /// The most that this call may cost.
    pub quote: Amount,
    /// Of the voucher over `before + quote`, or of the authorization; 0x and hex digits.
    pub signature: String,
    pub prices: PriceList,
    /// What the quote is for.
    pub work: CallWork,
    /// All of the quote is claimed before the call, because a contract says whether the voucher is
    /// good and may change its mind: so all of it is charged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collected: bool,
    /// Who acts, where somebody else than the payer signs its vouchers: an address that follows
    /// from both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Address>,
}

/// What a call cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallCharge {
    pub scheme: PaymentScheme,
    pub chain_id: u64,
    /// ERC-20 contract of the money.
    #[schemars(with = "String")]
    pub token: Address,
    /// The splitter that is paid.
    #[schemars(with = "String")]
    pub receiver: Address,
    #[schemars(with = "String")]
    pub payer: Address,
    /// The channel, or the nonce of an `exact` authorization.
    #[schemars(with = "String")]
    pub id: Word,
    pub amount: Amount,
    /// The channel's total after this call; for `exact` the amount itself.
    pub cumulative: Amount,
}

impl CheckedPayment {
    /// Whose ids, limits and queue the call is under. Anybody can open a channel that names
    /// another payer and a signer of their own, which makes them nobody but themselves.
    pub fn limited_account(&self) -> Address {
        self.party.unwrap_or(self.payer)
    }

    /// The most that the payer has signed for, over the channel's whole life.
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
            // Half of an answer is owed whole to whoever paid it whole: the call runs again.
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
            // The voucher may be for a unit more than the work costs.
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

/// What tells a request from all others where a payment is bound to one: SHA-256 over
/// `METHOD path`, a line's end and the body. The path is without its query.
pub fn request_digest(method: &str, path: &str, body: &[u8]) -> Word {
    let head = Sha256::new()
        .chain_update(method)
        .chain_update(" ")
        .chain_update(path)
        .chain_update("\n");
    Word(head.chain_update(body).finalize().into())
}

/// What whoever repeats an `exact` payment shows beside it: once it is on its chain, anybody can
/// copy it. Either of the two will do; both are salted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryProof {
    /// Of the first request's id, which its caller chose or its response carried.
    pub request_id: String,
    /// Of the address that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Until when the address counts, in Unix milliseconds.
    pub until_ms: u64,
}
