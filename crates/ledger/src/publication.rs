//! What a server publishes about its attributed calls so that anyone can recompute the shares:
//! batches of calls, each under one anchored root, and the sums that contributors can claim.
//!
//! Prompts, answers and request ids are not published, only their digests.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CallCharge, PaymentScheme, ReceiverKey};
use crate::event::{
    AttributedAmount, AttributionMethod, ContributorShare, ShapingExample, TracedSpan,
};
use openlora_core::{Address, Amount, Word};

/// Format version of both files.
pub const FORMAT: u32 = 1;

/// The id of a call in trees and tie-breaks: SHA-256 over the adapter's digest and the request id.
pub fn event_id(adapter_digest: &str, request_id: &str) -> [u8; 32] {
    let hash = Sha256::new().chain_update(adapter_digest).chain_update([0]);
    hash.chain_update(request_id).finalize().into()
}

/// One attributed call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedCall {
    /// SHA-256 over the adapter's digest, a zero byte and the request id.
    pub event_id: Word,
    /// Sequence of the attribution in the server's journal.
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

/// The calls of one anchored root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchoredBatch {
    pub format: u32,
    /// The chain on which the root is anchored.
    pub chain_id: u64,
    pub adapter_id: String,
    pub server: Address,
    pub root: Word,
    /// The previous root; zero for the first.
    pub previous: Word,
    /// The last journal record that is included.
    pub through: u64,
    pub calls: Vec<PublishedCall>,
}

impl AnchoredBatch {
    /// The total charge of its calls.
    pub fn charged(&self) -> Amount {
        self.calls.iter().map(|call| call.charge.amount).sum()
    }
}

/// The amount owed to one contributor since the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributorOwed {
    pub contributor: Address,
    pub cumulative: Amount,
}

/// How much of a call was collected when the contributions were stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectedCall {
    /// The id of the call in its batch.
    pub event_id: Word,
    pub scheme: PaymentScheme,
    /// The channel, or the nonce of an `exact` authorization.
    pub channel: Word,
    pub charged: Amount,
    /// The channel's total before and after the call.
    pub before: Amount,
    pub after: Amount,
    /// The collected part of the charge: claimed from the channel, or paid by the call's own
    /// transfer.
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

/// The inputs from which the contributions were computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributionsSource {
    /// The previous root, whose sums and calls are continued; absent for the first.
    pub previous: Option<Word>,
    /// The total received by the pool.
    pub received: Amount,
    /// Calls of which more was collected than under the previous root, each with its collected
    /// total.
    pub calls: Vec<CollectedCall>,
}

/// The sums under one root of a contributor pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolContributions {
    pub format: u32,
    pub pool: ReceiverKey,
    pub root: Word,
    pub total: Amount,
    /// The last journal record that is included.
    pub through: u64,
    pub owed: Vec<ContributorOwed>,
    /// Absent in files of earlier versions, which treated every charge as collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ContributionsSource>,
}

/// All published files of a server, by root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCatalogue {
    /// Roots of batches, oldest first per adapter.
    pub batches: Vec<Word>,
    /// Roots of contributions, oldest first per pool.
    pub contributions: Vec<Word>,
    /// The pool of each of these; absent in catalogues of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<ReceiverKey>,
}

/// Name of the catalogue's file.
pub const CATALOGUE: &str = "catalogue.json";

/// Name of a batch's file.
pub fn batch_file(root: Word) -> String {
    format!("batch-{root}.json")
}

/// Name of the file of a pool's contributions. Pools that owe the same sums have the same root, so
/// the name has the pool too.
pub fn contributions_file(root: Word, pool: ReceiverKey) -> String {
    let ReceiverKey {
        chain_id,
        receiver,
        token,
    } = pool;
    format!("contributions-{root}-{chain_id}-{receiver}-{token}.json")
}

/// The name that earlier versions gave to the file of a root.
pub fn earlier_contributions_file(root: Word) -> String {
    format!("contributions-{root}.json")
}

/// The name of a file of contributions, rebuilt from its parsed form.
pub fn parse_contributions_file(name: &str) -> Option<String> {
    let stem = name.strip_prefix("contributions-")?.strip_suffix(".json")?;
    let parts: Vec<&str> = stem.split('-').collect();
    match parts.as_slice() {
        [root] => Some(earlier_contributions_file(root.parse().ok()?)),
        [root, chain_id, receiver, token] => {
            let pool = ReceiverKey {
                chain_id: chain_id.parse().ok()?,
                receiver: receiver.parse().ok()?,
                token: token.parse().ok()?,
            };
            Some(contributions_file(root.parse().ok()?, pool))
        }
        _ => None,
    }
}
