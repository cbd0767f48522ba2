//! The events of the journal.
//!
//! Everything that later code depends on is recorded as an [`Event`]; state, metrics, receipts and
//! dashboards are folds over events. Events contain counts, digests and names, never a prompt or an
//! answer. Variants and fields are only ever added.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CallCharge, CallComputation, ChannelKey, ChannelTerms, ChannelView, CheckedPayment, ExactKey,
    ReceiverKey, ReceiverView, RetryProof, Sponsored, TxKey,
};
use openlora_core::{Address, Amount, Word};

pub use super::{FinishReason, TokenUsage};

/// The kind of a call.
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
    Image,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A server started; `session` distinguishes its calls from those of earlier processes.
    ServerStarted { session: String, version: String },
    /// A server drained and stopped regularly.
    ServerStopped { session: String },
    /// An adapter was loaded, and it changes the base model's output.
    AdapterLoaded {
        name: String,
        adapter_digest: String,
        base_digest: String,
    },
    /// An adapter is served no longer; calls that have begun finish.
    AdapterUnloaded {
        name: String,
        adapter_digest: String,
    },
    /// A call was accepted. Written before the model runs, so that it survives a crash.
    CallReserved {
        request_id: String,
        session: String,
        adapter: String,
        adapter_digest: String,
        kind: CallKind,
        prompt_tokens: u64,
        /// SHA-256 over a per-journal salt and the request body, hex.
        request_hash: String,
        /// What the payer authorised for it; absent where calls are free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment: Option<Box<CheckedPayment>>,
    },
    /// Tokens delivered so far by a running call.
    CallCheckpointed {
        request_id: String,
        completion_tokens: u64,
    },
    /// The final counts of a call: exactly one per request id.
    CallMetered {
        request_id: String,
        adapter: String,
        adapter_digest: String,
        kind: CallKind,
        usage: TokenUsage,
        finish: FinishReason,
        /// From acceptance to the last token, wall clock.
        milliseconds: u64,
        /// From acceptance to the first token, wall clock; absent if there was no token.
        first_token_milliseconds: Option<u64>,
        request_hash: String,
        /// SHA-256 over a key of the call and the delivered text, hex.
        response_hash: String,
        /// The charge; absent where calls are free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<CallCharge>>,
        /// How the answer was computed; absent where the server died during the call, and from
        /// journals of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        computation: Option<Box<CallComputation>>,
    },
    /// A transaction was signed and is about to be submitted.
    TransactionIntended(Box<TxIntent>),
    /// The outcome of an intended transaction. At most one transaction per nonce succeeds.
    #[serde(rename = "transaction_settled")]
    TransactionConfirmed {
        /// Hash of the transaction.
        tx: String,
        status: TxOutcome,
        /// Absent if the transaction is on no chain.
        gas_used: Option<u64>,
        block: Option<u64>,
        /// The fee paid by the sender in wei, if the chain reported it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fee: Option<Amount>,
    },
    /// A release is registered.
    Deployed(Box<ReleaseDeployment>),
    /// A release has an identity in a registry of agents (ERC-8004).
    AgentRegistered(Box<AgentRegistration>),
    /// A release that somebody else registered is served here.
    ReleaseServed(Box<ReleaseDeployment>),
    /// A payer's channel is used for the first time.
    ChannelOpened(Box<ChannelOpened>),
    /// The current on-chain state of a channel.
    ChannelObserved(Box<ChannelObserved>),
    /// The current on-chain state of a receiver.
    ReceiverObserved(Box<ReceiverObserved>),
    /// An `exact` payment is about to be submitted, which makes its signature public. This event
    /// binds it to its request.
    PaymentBound(Box<PaymentBound>),
    /// An `exact` payment was mined; its payer is entitled to a call until one is charged.
    PaymentReceived(Box<PaymentReceived>),
    /// Vouchers were claimed: the escrow holds the money for the receiver.
    Claimed(Box<ChannelsClaimed>),
    /// The escrow transferred the claimed amount to a receiver.
    Settled(Box<ReceiverSettled>),
    /// A splitter released a recipient's share.
    Released(Box<ShareReleased>),
    /// The gas fee of a channel's next refund. Written before the refund is submitted, and at most
    /// once per refund.
    RefundCharged(Box<RefundCharged>),
    /// These vouchers are about to stand in the calldata of a claim, where everybody finds them:
    /// written before the transaction is sent.
    VouchersPublished(Box<VouchersPublished>),
    /// The charges of these channels are not claimed for now, because that would cost more gas than
    /// it brings. The part that a payer withdraws before it is claimed is written off.
    ClaimsDeferred(Box<ClaimsDeferred>),
    /// A payer got back what was not charged.
    Refunded(Box<ChannelRefunded>),
    /// The recipients of an adapter version, as read from its splitter.
    SplitRead(Box<SplitRead>),
    /// An account's gas balance is so low that it no longer sponsors transactions of others.
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
        /// Wei: the cost of mined transactions and the maximum cost of pending ones.
        spent: Amount,
        /// Wei.
        budget: Amount,
    },
    /// Blocks were replaced by a reorganisation: these transactions have no effect.
    Reorganised { chain_id: u64, txs: Vec<String> },
    /// The provisional attribution by verbatim spans shared with the training text, before the
    /// receipt.
    Traced(Box<CallTraced>),
    /// The final attribution of a metered call, exactly one per call. Payouts follow it.
    Attributed(Box<CallAttributed>),
    /// A Merkle root over attributed calls was anchored on the chain.
    Anchored(Box<RootAnchored>),
    /// A Merkle root over contributors' amounts was proposed to their pool.
    ContributionsProposed(Box<ContributionsProposed>),
    /// A contributor claimed its amount from a pool.
    ContributionClaimed(Box<ContributionClaimed>),
    /// The chain behind a chain id, identified by its genesis hash. All later events about the id
    /// concern this chain, until it ends.
    ChainIdentified { chain_id: u64, genesis: Word },
    /// The chain behind an id was reset, and a new chain may use the id. All earlier events about
    /// the id concern the old chain.
    ChainEnded { chain_id: u64 },
    /// A step in the clearing of another seller's payment.
    Clearing(Box<PaymentClearing>),
}

/// The steps of clearing another seller's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClearingStage {
    /// The authorization is bound to one request; written before anything is submitted.
    Started,
    /// The request is about to receive the confirmation of the payment; no other request ever does.
    Confirmed,
    /// Nothing was submitted, and the authorization is free again.
    Dropped,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentClearing {
    /// The authorization, of a transfer or of a deposit.
    pub key: ExactKey,
    /// SHA-256 of the request for which it is cleared.
    pub request: Word,
    pub stage: ClearingStage,
    /// Hash of the transaction; empty before one is mined.
    pub tx: String,
}

/// Shares of contributors; the shares of one list sum to a million.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributorShare {
    /// The name in the project's `[[data]]`.
    pub contributor: String,
    /// The contributor's payout address; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    pub ppm: u32,
}

/// A run of tokens that an answer shares with the training text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracedSpan {
    /// Its first token in the answer, from 0.
    pub start: u32,
    pub tokens: u32,
    /// How many training documents contain it.
    pub documents: u32,
    /// SHA-256 of some of those documents, hex.
    pub examples: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTraced {
    pub request_id: String,
    pub adapter_digest: String,
    /// SHA-256 of the index, hex.
    pub index: String,
    /// The part of the answer that the spans cover.
    pub covered_ppm: u32,
    pub spans: Vec<TracedSpan>,
    pub shares: Vec<ContributorShare>,
}

/// The method by which the shares of a call were computed.
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
    /// The static shares of the package, regardless of the request.
    Static,
}

/// A training example that influenced an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShapingExample {
    /// SHA-256 of the example, hex.
    pub example: String,
    pub contributor: String,
    /// Its part of the total credit of the call.
    pub ppm: u32,
}

/// One recipient's part of a call's charge, in millionths of the token's base unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributedAmount {
    /// A contributor's name, or the role of another recipient of the split.
    pub recipient: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The contributor pool that pays it; absent for a recipient paid by the splitter itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<ReceiverKey>,
    pub micro: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAttributed {
    pub request_id: String,
    pub adapter: String,
    pub adapter_digest: String,
    /// SHA-256 of the index, hex; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    pub method: AttributionMethod,
    /// Why the static shares were used instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// How clearly one contributor stands out.
    pub confidence_ppm: u32,
    /// The weight of the evidence in the shares; the static shares have the rest.
    pub evidence_ppm: u32,
    /// The weight of the traced spans in the evidence; the scores have the rest.
    pub trace_ppm: u32,
    /// Length of the answer in tokens of the index's tokenizer.
    #[serde(default)]
    pub answer_tokens: u32,
    /// The answer's projected gradient per checkpoint as 8-bit integers, base64. Together with the
    /// index it allows anyone to recompute the shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<String>,
    /// The examples with the most credit, largest first.
    pub examples: Vec<ShapingExample>,
    pub shares: Vec<ContributorShare>,
    /// The split of the charge; absent where calls are free. The parts sum to a million times the
    /// charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amounts: Option<Vec<AttributedAmount>>,
    /// From the end of the call to this event, wall clock.
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
    /// The number of roots in the server's chain, including this one.
    pub sequence: u64,
    /// The number of calls in the tree, and their total charge.
    pub count: u64,
    pub charged: Amount,
    /// The tree contains the attributed calls up to this journal record.
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
    /// The total owed to the tree's accounts since the beginning.
    pub total: Amount,
    /// Unix seconds from which contributors can claim.
    pub activates_at: u64,
    /// The tree contains the attributed calls up to this journal record.
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
    /// Equal to that of the call's reservation.
    pub request_hash: String,
    /// How the payer authenticates a repeat, if the payment itself does not name the request.
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsDeferred {
    pub chain_id: u64,
    pub channels: Vec<DeferredClaim>,
}

/// The charges of one channel that are not claimed for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeferredClaim {
    pub channel: Word,
    /// Charged and not claimed.
    pub amount: Amount,
    /// The channel's charged total.
    pub total: Amount,
}

/// One channel of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedRow {
    pub channel: Word,
    /// Amount of this claim.
    pub amount: Amount,
    /// The channel's total after this claim.
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
    /// Name and version of the adapter; the version is the registry's.
    pub adapter: String,
    pub version: u32,
    /// Sorted by recipient; the parts sum to a million.
    pub parts: Vec<SplitPart>,
}

impl SplitRead {
    /// The recipients that are contributor pools, as receivers of the same token.
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
    /// If the recipient is a pool: its members, in ppm of the pool's share.
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

/// The fee of a refund. It is part of the channel's running total, like a call's charge, but pays
/// for no call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundCharged {
    pub key: ChannelKey,
    pub receiver: ReceiverKey,
    /// The escrow's number of the refund.
    pub refund_nonce: u64,
    pub amount: Amount,
    /// The channel's total after the fee, which its voucher authorises.
    pub cumulative: Amount,
    /// Signature of the voucher; 0x and hex digits.
    pub signature: String,
}

/// A signed transaction as recorded before it is submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxIntent {
    /// Hash of the transaction.
    pub tx: String,
    pub chain_id: u64,
    /// Genesis hash of the chain; absent from journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<Word>,
    pub from: String,
    pub to: String,
    pub nonce: u64,
    /// Its purpose in words, for people.
    pub purpose: String,
    /// What identifies it; absent from journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<TxKey>,
    /// The signed bytes, hex.
    pub raw: String,
    /// Hash of the transaction with the same nonce that this one replaces.
    pub replaces: Option<String>,
    /// The requesting party of a sponsored transaction; absent from journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sponsored: Option<Sponsored>,
}

/// The outcome of an intended transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TxOutcome {
    Succeeded,
    Reverted,
    /// Another transaction with its nonce was mined.
    Replaced,
    /// Every node rejected it.
    Refused,
}

/// A registered release, as its publisher knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseDeployment {
    /// Name and semantic version from the manifest.
    pub name: String,
    pub release: String,
    pub network: String,
    pub chain_id: u64,
    pub registry: String,
    /// 0x and 64 digits.
    pub adapter_id: String,
    /// The registry's version number, from 1.
    pub version: u32,
    pub publisher: String,
    pub manifest_sha256: String,
    pub weights_sha256: String,
    pub splitter: String,
    /// Hash of the registration transaction.
    pub tx: String,
    pub gas_used: u64,
    pub block: u64,
}

/// An identity in the registry of agents of a chain (ERC-8004), for the release of an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRegistration {
    /// Name from the manifest.
    pub name: String,
    pub network: String,
    pub chain_id: u64,
    /// The identity registry.
    pub registry: String,
    /// The registry's number of the identity, decimal.
    pub agent_id: String,
    /// Where its registration file is.
    pub agent_uri: String,
    pub owner: String,
    /// The adapter in openlora's registry, 0x and 64 digits.
    pub adapter_id: String,
    pub weights_sha256: String,
    /// Hash of the transaction that registered it, or set its address.
    pub tx: String,
    pub gas_used: u64,
    pub block: u64,
}

impl AgentRegistration {
    /// Replaces an earlier record of the same identity.
    pub fn store_in(&self, agents: &mut Vec<Self>) {
        let is_it = |it: &&mut Self| {
            (it.chain_id, &it.registry, &it.agent_id)
                == (self.chain_id, &self.registry, &self.agent_id)
        };
        match agents.iter_mut().find(is_it) {
            Some(known) => known.clone_from(self),
            None => agents.push(self.clone()),
        }
    }
}

/// An event with its position in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Position, from 1, without gaps.
    pub sequence: u64,
    /// Unix time in milliseconds by the writer's clock; never smaller than that of the previous
    /// record.
    pub time_ms: u64,
    pub event: Event,
    /// Chain hash, hex: SHA-256(previous hash ‖ sequence ‖ time ‖ canonical event bytes).
    pub hash: String,
}
