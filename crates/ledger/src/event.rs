//! The one vocabulary of facts.
//!
//! Everything that happened and matters later is an [`Event`] in the journal; state, metrics,
//! receipts and dashboards are folds over events. Events carry counts, digests and names, never
//! a prompt or an answer. Variants and fields are only ever added.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CallCharge, ChannelKey, ChannelTerms, ChannelView, CheckedPayment, ExactKey, ReceiverKey,
    ReceiverView, RetryProof, Sponsored,
};
use openlora_core::{Address, Amount, Word};

pub use super::{FinishReason, TokenUsage};

/// What a caller asked the model for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    Chat,
    Completion,
    Classify,
    Moderation,
    Embedding,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A server came up; `session` tells its calls from those of an earlier process.
    ServerStarted { session: String, version: String },
    /// A server drained and stopped of its own accord.
    ServerStopped { session: String },
    /// An adapter was loaded and found to change the base's output.
    AdapterLoaded {
        name: String,
        adapter_digest: String,
        base_digest: String,
    },
    /// A call was accepted: written before the model runs, so that a crash leaves a trace.
    CallReserved {
        request_id: String,
        session: String,
        adapter: String,
        adapter_digest: String,
        kind: CallKind,
        prompt_tokens: u64,
        /// SHA-256 over a per-journal salt and the request body, hex.
        request_hash: String,
        /// What the payer allows for it; absent where calls are free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment: Option<Box<CheckedPayment>>,
    },
    /// Tokens that were delivered so far in a call that is still running.
    CallCheckpointed {
        request_id: String,
        completion_tokens: u64,
    },
    /// The final count of a call: exactly one per request id.
    CallMetered {
        request_id: String,
        adapter: String,
        adapter_digest: String,
        kind: CallKind,
        usage: TokenUsage,
        finish: FinishReason,
        /// From acceptance to the last token, wall clock.
        milliseconds: u64,
        /// From acceptance to the first token, wall clock; absent when no token came.
        first_token_milliseconds: Option<u64>,
        request_hash: String,
        /// SHA-256 over the salt and the delivered text, hex.
        response_hash: String,
        /// What it cost; absent where calls are free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<CallCharge>>,
    },
    /// A transaction was signed and is about to be sent.
    TransactionIntended(Box<TxIntent>),
    /// What became of an intended transaction. At most one of those with its nonce succeeds.
    #[serde(rename = "transaction_settled")]
    TransactionConfirmed {
        /// Hash of the transaction.
        tx: String,
        status: TxOutcome,
        /// Absent when it is on no chain.
        gas_used: Option<u64>,
        block: Option<u64>,
        /// Wei that it cost its sender, where the chain said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fee: Option<Amount>,
    },
    /// A release stands in a registry.
    Deployed(Box<ReleaseDeployment>),
    /// A payer's channel is used for the first time.
    ChannelOpened(Box<ChannelOpened>),
    /// What a chain says of a channel now.
    ChannelObserved(Box<ChannelObserved>),
    /// What a chain says of a receiver now.
    ReceiverObserved(Box<ReceiverObserved>),
    /// An `exact` payment is about to be sent to its chain, where its signature is public: it is
    /// for this request.
    PaymentBound(Box<PaymentBound>),
    /// An `exact` payment was mined; it owes its payer a call until one is charged.
    PaymentReceived(Box<PaymentReceived>),
    /// Vouchers were claimed: the escrow now holds the money for its receiver.
    Claimed(Box<ChannelsClaimed>),
    /// The escrow sent a receiver what was claimed for it.
    Settled(Box<ReceiverSettled>),
    /// A splitter paid a recipient out.
    Released(Box<ShareReleased>),
    /// A channel is charged for the gas of its next refund: written before the refund is sent, and
    /// at most once per refund.
    RefundCharged(Box<RefundCharged>),
    /// These vouchers are about to stand in the calldata of a claim, where everybody finds them:
    /// written before the transaction is sent.
    VouchersPublished(Box<VouchersPublished>),
    /// A payer got back what was not charged.
    Refunded(Box<ChannelRefunded>),
    /// Who is paid for an adapter version, as its splitter says.
    SplitRead(Box<SplitRead>),
    /// An account has so little left for gas that it pays for nobody's transactions any more.
    GasLow {
        chain_id: u64,
        account: Address,
        /// Wei.
        left: Amount,
    },
    /// What an account may pay in a day for gas at strangers' request is spent: deposits, refunds and
    /// transfers wait for the next day. At most once a day.
    GasBudgetSpent {
        chain_id: u64,
        account: Address,
        /// Days since 1970 (UTC).
        day: u64,
        /// Wei, by mined transactions and at most by those that are on their way.
        spent: Amount,
        /// Wei.
        budget: Amount,
    },
    /// Blocks were replaced: what these transactions did has not happened.
    Reorganised { chain_id: u64, txs: Vec<String> },
    /// What an answer repeats of the training text: a provisional attribution, before the receipt.
    Traced(Box<CallTraced>),
    /// Whose data shaped an answer: the final attribution, exactly one per metered call, and what
    /// is paid.
    Attributed(Box<CallAttributed>),
    /// A root over attributed calls stands on chain.
    Anchored(Box<RootAnchored>),
    /// A root over what contributors earned was proposed to their pool.
    ContributionsProposed(Box<ContributionsProposed>),
    /// A contributor was paid from a pool.
    ContributionClaimed(Box<ContributionClaimed>),
    /// Which chain answers under an id, by the hash of its first block: every fact about the id
    /// that follows, until it ends, is of this chain.
    ChainIdentified { chain_id: u64, genesis: Word },
    /// A chain is gone, and another may answer under its id. What was written of the id so far is
    /// about the chain that is gone.
    ChainEnded { chain_id: u64 },
    /// How far another seller's payment is cleared.
    Clearing(Box<PaymentClearing>),
}

/// How far the clearing of another seller's payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClearingStage {
    /// The authorization belongs to one request from here on; written before anything is sent.
    Started,
    /// The request is about to be told that the payment was made; no other request ever is.
    Confirmed,
    /// Nothing was sent, and the authorization is free again.
    Dropped,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentClearing {
    /// The authorization, of a transfer or of a deposit.
    pub key: ExactKey,
    /// SHA-256 of the request that it is cleared for.
    pub request: Word,
    pub stage: ClearingStage,
    /// Hash of the transaction; empty before one is mined.
    pub tx: String,
}

/// Parts of a whole among contributors; those of one list sum to a million.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributorShare {
    /// As the project's `[[data]]` names it.
    pub contributor: String,
    /// Where the contributor is paid; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    pub ppm: u32,
}

/// A run of tokens that an answer shares with the training text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracedSpan {
    /// First token of it in the answer, from 0.
    pub start: u32,
    pub tokens: u32,
    /// How many training documents hold it.
    pub documents: u32,
    /// SHA-256 of some of those, hex.
    pub examples: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTraced {
    pub request_id: String,
    pub adapter_digest: String,
    /// SHA-256 of the index, hex.
    pub index: String,
    /// How much of the answer the spans cover.
    pub covered_ppm: u32,
    pub spans: Vec<TracedSpan>,
    pub shares: Vec<ContributorShare>,
}

/// How the shares of a call were found.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AttributionMethod {
    /// Preconditioned gradients at checkpoints with a damped Fisher inverse.
    Influence,
    /// Gradients at the last checkpoint with DataInf's inverse.
    Datainf,
    /// Dot products of gradients at the last checkpoint.
    Gradient,
    /// The shares that stand in the package, whatever was asked.
    Static,
}

/// An example that shaped an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShapingExample {
    /// SHA-256 of the example, hex.
    pub example: String,
    pub contributor: String,
    /// Its part of all that was credited for the call.
    pub ppm: u32,
}

/// What one recipient gets of one call, in millionths of the token's base unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributedAmount {
    /// A contributor's name, or the role of another recipient of the split.
    pub recipient: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The contributor pool that pays it; absent for who is paid by the splitter itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<ReceiverKey>,
    pub micro: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAttributed {
    pub request_id: String,
    pub adapter: String,
    pub adapter_digest: String,
    /// SHA-256 of the index, hex; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    pub method: AttributionMethod,
    /// Why the static shares were taken instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// How far one contributor stands out.
    pub confidence_ppm: u32,
    /// How much of the shares the evidence decides; the static shares decide the rest.
    pub evidence_ppm: u32,
    /// How much of the evidence the traced spans decide; the scores decide the rest.
    pub trace_ppm: u32,
    /// Length of the answer as the index's tokenizer has it.
    #[serde(default)]
    pub answer_tokens: u32,
    /// The answer's projected gradient per checkpoint as 8-bit integers, base64: from it and the
    /// index anybody computes the shares again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<String>,
    /// The examples that counted most, the first most.
    pub examples: Vec<ShapingExample>,
    pub shares: Vec<ContributorShare>,
    /// What was charged for the call, split; absent where calls are free. The parts sum to a
    /// million times the charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amounts: Option<Vec<AttributedAmount>>,
    /// From the call's end to this, wall clock.
    pub lag_milliseconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootAnchored {
    pub tx: String,
    pub chain_id: u64,
    /// 0x and 64 digits.
    pub adapter_id: String,
    pub server: Address,
    pub root: Word,
    pub previous: Word,
    /// How many roots the server's chain has with this one.
    pub sequence: u64,
    /// Calls in the tree, and what they cost.
    pub count: u64,
    pub charged: Amount,
    /// The tree holds the attributed calls up to this record of the journal.
    pub through: u64,
    pub block: u64,
    pub block_hash: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributionsProposed {
    pub tx: String,
    /// The pool, as a receiver of its token.
    pub pool: ReceiverKey,
    pub root: Word,
    /// What the tree's accounts were owed since the beginning.
    pub total: Amount,
    /// Unix seconds from which it can be claimed.
    pub activates_at: u64,
    /// The tree holds the attributed calls up to this record of the journal.
    pub through: u64,
    pub block: u64,
    pub block_hash: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributionClaimed {
    pub tx: String,
    pub pool: ReceiverKey,
    pub contributor: Address,
    pub amount: Amount,
    pub cumulative: Amount,
    pub block: u64,
    pub block_hash: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelOpened {
    pub key: ChannelKey,
    pub config: ChannelTerms,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelObserved {
    pub key: ChannelKey,
    pub view: ChannelView,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverObserved {
    pub key: ReceiverKey,
    pub view: ReceiverView,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentBound {
    pub key: ExactKey,
    /// As in the reservation of its call.
    pub request_hash: String,
    /// What its payer shows to ask again, where the payment itself does not name the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryProof>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReceived {
    pub key: ExactKey,
    pub receiver: Address,
    pub amount: Amount,
    /// Hash of the transaction.
    pub tx: String,
    pub block: u64,
    pub block_hash: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VouchersPublished {
    pub chain_id: u64,
    pub vouchers: Vec<PublishedVoucher>,
}

/// A voucher that others may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedVoucher {
    pub channel: Word,
    /// What it allows, whatever is claimed with it.
    pub maximum: Amount,
}

/// One channel of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedRow {
    pub channel: Word,
    /// By this claim.
    pub amount: Amount,
    /// Of the channel after it.
    pub total: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelsClaimed {
    pub tx: String,
    pub receiver: ReceiverKey,
    pub rows: Vec<ClaimedRow>,
    pub block: u64,
    pub block_hash: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverSettled {
    pub tx: String,
    pub receiver: ReceiverKey,
    pub amount: Amount,
    pub block: u64,
    pub block_hash: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareReleased {
    pub tx: String,
    /// The splitter that paid.
    pub receiver: ReceiverKey,
    pub recipient: Address,
    pub to: Address,
    pub amount: Amount,
    pub block: u64,
    pub block_hash: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRead {
    pub receiver: ReceiverKey,
    /// Name and version of the adapter, the version as the registry counts.
    pub adapter: String,
    pub version: u32,
    /// Sorted by recipient; the parts sum to a million.
    pub parts: Vec<SplitPart>,
}

impl SplitRead {
    /// The recipients that are contributor pools, as receivers of the same money.
    pub fn pools(&self) -> impl Iterator<Item = ReceiverKey> {
        let pools = self.parts.iter().filter(|part| !part.members.is_empty());
        pools.map(|part| ReceiverKey {
            receiver: part.recipient,
            ..self.receiver
        })
    }
}

/// A recipient of a splitter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitPart {
    pub recipient: Address,
    pub ppm: u32,
    /// Where the recipient is a pool: who is paid from it, in ppm of the pool's part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<SplitMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitMember {
    pub account: Address,
    pub ppm: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRefunded {
    pub tx: String,
    pub key: ChannelKey,
    pub amount: Amount,
    pub block: u64,
    pub block_hash: Word,
}

/// The fee of a refund. It is part of the channel's running total, like a call's charge, and pays
/// for no call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundCharged {
    pub key: ChannelKey,
    pub receiver: ReceiverKey,
    /// The escrow's number of the refund that it pays for.
    pub refund_nonce: u64,
    pub amount: Amount,
    /// The channel's total after it, which is what its voucher is over.
    pub cumulative: Amount,
    /// Of the voucher; 0x and hex digits.
    pub signature: String,
}

/// A signed transaction as it stands in the journal before anybody else has seen it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxIntent {
    /// Hash of the transaction.
    pub tx: String,
    pub chain_id: u64,
    /// Hash of the chain's first block; absent from journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<Word>,
    pub from: String,
    pub to: String,
    pub nonce: u64,
    /// What it is for, in words.
    pub purpose: String,
    /// The signed bytes, hex.
    pub raw: String,
    /// Hash of the transaction with the same nonce whose place this one takes.
    pub replaces: Option<String>,
    /// At whose request, where it is a stranger's; absent from journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sponsored: Option<Sponsored>,
}

/// How an intended transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TxOutcome {
    Succeeded,
    Reverted,
    /// Another transaction with its nonce was mined.
    Replaced,
    /// No node took it.
    Refused,
}

/// A release in a registry, as its publisher knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseDeployment {
    /// Name and semantic version that the manifest gives.
    pub name: String,
    pub release: String,
    pub network: String,
    pub chain_id: u64,
    pub registry: String,
    /// 0x and 64 digits.
    pub adapter_id: String,
    /// As the registry counts, from 1.
    pub version: u32,
    pub publisher: String,
    pub manifest_sha256: String,
    pub weights_sha256: String,
    pub splitter: String,
    /// Hash of the transaction that registered it.
    pub tx: String,
    pub gas_used: u64,
    pub block: u64,
}

/// An event with its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Position, from 1, without gaps.
    pub sequence: u64,
    /// Unix time in milliseconds, by the writer's clock, never smaller than the previous one's.
    pub time_ms: u64,
    pub event: Event,
    /// Chain hash, hex: SHA-256(previous hash ‖ sequence ‖ time ‖ canonical event bytes).
    pub hash: String,
}
