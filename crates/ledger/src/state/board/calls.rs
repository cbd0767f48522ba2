//! The latest calls with all that is known of each.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    CallCharge,
    event::{
        AttributedAmount, AttributionMethod, CallAttributed, CallKind, CallTraced,
        ContributorShare, Event, EventRecord, FinishReason, ShapingExample, TokenUsage, TracedSpan,
    },
};

/// How many calls are kept individually.
pub const KEPT_CALLS: usize = 512;

/// A metered call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardCall {
    pub sequence: u64,
    pub time_ms: u64,
    pub request_id: String,
    pub adapter: String,
    pub adapter_digest: String,
    pub kind: CallKind,
    pub usage: TokenUsage,
    pub finish: FinishReason,
    pub milliseconds: u64,
    pub first_token_milliseconds: Option<u64>,
    /// Absent where calls are free.
    pub charge: Option<CallCharge>,
    /// Absent for calls that ask for no pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<MadePictures>,
    pub trace: Option<CallTrace>,
    pub attribution: Option<CallAttribution>,
}

/// What a call for pictures delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadePictures {
    pub pictures: u64,
    /// Evaluations of the model for them.
    pub evaluations: u64,
}

impl MadePictures {
    /// The pictures of a metered call, if it asked for some.
    pub fn from_event(event: &Event) -> Option<Self> {
        let Event::CallMetered { computation, .. } = event else {
            return None;
        };
        let record = computation.as_ref()?.pictures.as_ref()?;
        Some(Self {
            pictures: record.pictures,
            evaluations: record.evaluations,
        })
    }
}

/// The verbatim spans that the answer shares with the training text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTrace {
    pub covered_ppm: u32,
    pub spans: Vec<TracedSpan>,
    pub shares: Vec<ContributorShare>,
}

/// The attribution of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAttribution {
    /// Sequence of the attribution's record.
    pub sequence: u64,
    pub method: AttributionMethod,
    pub fallback: Option<String>,
    pub index: Option<String>,
    pub confidence_ppm: u32,
    pub evidence_ppm: u32,
    pub trace_ppm: u32,
    pub examples: Vec<ShapingExample>,
    pub shares: Vec<ContributorShare>,
    pub amounts: Option<Vec<AttributedAmount>>,
    pub lag_milliseconds: u64,
}

/// The state of a call's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PaymentStanding {
    /// Calls are free here.
    Free,
    /// Charged and not yet claimed on a chain.
    Pending,
    /// In the escrow, for the receiver.
    Claimed,
    /// At the receiver.
    Settled,
    /// The engine failed or the server died, and nothing was charged: the payer keeps the full
    /// amount.
    Refunded,
    /// The same for a call without a payment.
    Failed,
}

impl BoardCall {
    pub fn from_record(record: &EventRecord) -> Option<Self> {
        let Event::CallMetered {
            request_id,
            adapter,
            adapter_digest,
            kind,
            usage,
            finish,
            milliseconds,
            first_token_milliseconds,
            charge,
            ..
        } = &record.event
        else {
            return None;
        };
        Some(Self {
            sequence: record.sequence,
            time_ms: record.time_ms,
            request_id: request_id.clone(),
            adapter: adapter.clone(),
            adapter_digest: adapter_digest.clone(),
            kind: *kind,
            usage: *usage,
            finish: *finish,
            milliseconds: *milliseconds,
            first_token_milliseconds: *first_token_milliseconds,
            charge: charge.as_deref().cloned(),
            made: MadePictures::from_event(&record.event),
            trace: None,
            attribution: None,
        })
    }

    /// Whether the engine or the server aborted the call.
    pub fn has_failed(&self) -> bool {
        matches!(self.finish, FinishReason::Failed | FinishReason::Recovered)
    }
}

/// The latest calls, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestCalls {
    kept: VecDeque<BoardCall>,
}

impl LatestCalls {
    pub fn push(&mut self, call: BoardCall) {
        if self.kept.len() >= KEPT_CALLS {
            self.kept.pop_front();
        }
        self.kept.push_back(call);
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &BoardCall> + ExactSizeIterator {
        self.kept.iter()
    }

    pub fn get(&self, request_id: &str) -> Option<&BoardCall> {
        self.iter().rev().find(|call| call.request_id == request_id)
    }

    fn get_mut(&mut self, request_id: &str) -> Option<&mut BoardCall> {
        let mut latest = self.kept.iter_mut().rev();
        latest.find(|call| call.request_id == request_id)
    }

    pub(super) fn trace(&mut self, traced: &CallTraced) {
        if let Some(call) = self.get_mut(&traced.request_id) {
            call.trace = Some(CallTrace {
                covered_ppm: traced.covered_ppm,
                spans: traced.spans.clone(),
                shares: traced.shares.clone(),
            });
        }
    }

    /// Only the first attribution of a call counts.
    pub(super) fn attribute(&mut self, attributed: &CallAttributed, sequence: u64) {
        let call = self.get_mut(&attributed.request_id);
        if let Some(call) = call.filter(|call| call.attribution.is_none()) {
            call.attribution = Some(CallAttribution {
                sequence,
                method: attributed.method,
                fallback: attributed.fallback.clone(),
                index: attributed.index.clone(),
                confidence_ppm: attributed.confidence_ppm,
                evidence_ppm: attributed.evidence_ppm,
                trace_ppm: attributed.trace_ppm,
                examples: attributed.examples.clone(),
                shares: attributed.shares.clone(),
                amounts: attributed.amounts.clone(),
                lag_milliseconds: attributed.lag_milliseconds,
            });
        }
    }
}
