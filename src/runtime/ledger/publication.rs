//! What a server publishes of its attributed calls, so that anybody can compute everything again:
//! batches of calls, each under one anchored root, and the sums that contributors can claim.
//!
//! No prompt, answer or request id stands here, only digests of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Address, Amount, CallCharge, PaymentScheme, ReceiverKey, Word};
use crate::runtime::event::{
    AttributedAmount, AttributionMethod, ContributorShare, ShapingExample, TracedSpan,
};

/// The form of both files.
pub const FORMAT: u32 = 1;

/// Names a call in trees and ties: SHA-256 over the adapter's digest and the request id.
pub fn event_id(adapter_digest: &str, request_id: &str) -> [u8; 32] {
    let hash = Sha256::new().chain_update(adapter_digest).chain_update([0]);
    hash.chain_update(request_id).finalize().into()
}

/// One attributed call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedCall {
    /// SHA-256 over the adapter's digest, a zero byte and the request id.
    pub event_id: Word,
    /// Place of the attribution in the server's journal.
    pub sequence: u64,
    /// Unix milliseconds.
    pub time_ms: u64,
    pub adapter_digest: String,
    /// 0x and 64 digits.
    pub adapter_id: String,
    pub version: u32,
    pub charge: CallCharge,
    pub request_hash: String,
    pub response_hash: String,
    pub index: Option<String>,
    pub method: AttributionMethod,
    pub fallback: Option<String>,
    pub confidence_ppm: u32,
    pub evidence_ppm: u32,
    pub trace_ppm: u32,
    pub answer_tokens: u32,
    pub spans: Vec<TracedSpan>,
    pub sketch: Option<String>,
    pub examples: Vec<ShapingExample>,
    pub shares: Vec<ContributorShare>,
    pub amounts: Vec<AttributedAmount>,
}

/// Whose static share an adapter's package states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedParty {
    pub name: String,
    #[schemars(with = "Option<String>")]
    pub address: Option<Address>,
    #[schemars(with = "Option<String>")]
    pub owner: Option<Address>,
    pub static_ppm: u64,
}

/// The calls of one anchored root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchoredBatch {
    pub format: u32,
    /// Where the root is anchored.
    pub chain_id: u64,
    pub adapter_id: String,
    pub server: Address,
    pub root: Word,
    /// The root before it; zero before the first.
    pub previous: Word,
    /// The last record of the journal that is in.
    pub through: u64,
    pub calls: Vec<PublishedCall>,
}

impl AnchoredBatch {
    /// What its calls cost together.
    pub fn charged(&self) -> Amount {
        self.calls.iter().map(|call| call.charge.amount).sum()
    }
}

/// What one contributor was owed since the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributorOwed {
    pub contributor: Address,
    pub cumulative: Amount,
}

/// How much of a call was collected when contributions were stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectedCall {
    /// As the call's batch names it.
    pub event_id: Word,
    pub scheme: PaymentScheme,
    /// The channel, or the nonce of an `exact` authorization.
    pub channel: Word,
    pub charged: Amount,
    /// The channel's total before and after the call.
    pub before: Amount,
    pub after: Amount,
    /// Of the charge: claimed from the channel, or brought by the call's own transfer.
    pub collected: Amount,
}

impl CollectedCall {
    pub fn from_charge(event_id: Word, charge: &CallCharge, collected: Amount) -> Self {
        Self {
            event_id,
            scheme: charge.scheme,
            channel: charge.id,
            charged: charge.amount,
            before: charge.before(),
            after: charge.cumulative,
            collected,
        }
    }
}

/// From what the sums of contributions were computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributionsSource {
    /// The root before, whose sums and calls count on; absent for the first.
    pub previous: Option<Word>,
    /// What had arrived at the pool.
    pub received: Amount,
    /// Calls of which more was collected than under the root before, each with all that was.
    pub calls: Vec<CollectedCall>,
}

/// The sums under one root of a contributor pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolContributions {
    pub format: u32,
    pub pool: ReceiverKey,
    pub root: Word,
    pub total: Amount,
    /// The last record of the journal that is in.
    pub through: u64,
    pub owed: Vec<ContributorOwed>,
    /// Absent in files of earlier versions, which took every charge for collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ContributionsSource>,
}

/// Everything that a server published, by the names of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCatalogue {
    /// Roots of batches, oldest first per adapter.
    pub batches: Vec<Word>,
    /// Roots of contributions, oldest first per pool.
    pub contributions: Vec<Word>,
}

/// Name of the catalogue's file.
pub const CATALOGUE: &str = "catalogue.json";

/// Name of a batch's file.
pub fn batch_file(root: Word) -> String {
    format!("batch-{root}.json")
}

/// Name of the file of a pool's contributions.
pub fn contributions_file(root: Word) -> String {
    format!("contributions-{root}.json")
}
