//! The pure fold from records to a snapshot, from which the displayed figures are computed.
//!
//! It uses no files, clock, randomness or floating point. Live folding, a replay, and a stored
//! snapshot plus the records after it therefore give the same snapshot.

pub mod board;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, VecDeque},
};

use serde::{Deserialize, Serialize};

use crate::{
    Ledger,
    event::{CallKind, Event, EventRecord, FinishReason, ReleaseDeployment, TokenUsage, TxIntent},
};

/// How many finished calls and sessions a snapshot keeps individually.
pub const RECENT_CALLS: usize = 64;
pub const RECENT_SESSIONS: usize = 16;

/// Upper bounds of the latency buckets in milliseconds, inclusive; one more bucket has no bound.
pub const LATENCY_BOUNDS_MS: [u64; 16] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 300_000,
];

/// The state of the journal up to one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalSnapshot {
    /// The last folded record; 0 before the first.
    pub sequence: u64,
    /// Its time, Unix milliseconds.
    pub time_ms: u64,
    /// Metered calls.
    pub totals: CallTotals,
    pub by_adapter: BTreeMap<String, CallTotals>,
    pub by_kind: BTreeMap<CallKind, CallTotals>,
    pub by_finish: BTreeMap<FinishReason, CallTotals>,
    /// Acceptance to last token.
    pub latency: LatencyHistogram,
    /// Acceptance to first token, of calls with at least one token.
    pub first_token: LatencyHistogram,
    /// Reserved and not yet metered, by request id.
    pub open: BTreeMap<String, OpenCall>,
    /// Loaded adapters by name; a later load of a name replaces the earlier one.
    pub adapters: BTreeMap<String, LoadedAdapter>,
    /// The latest calls, oldest first.
    pub recent: VecDeque<MeteredCall>,
    /// Number of server starts over all time.
    pub sessions_started: u64,
    /// The latest sessions, oldest first.
    pub sessions: VecDeque<ServerSession>,
    /// Intended transactions with an unknown outcome, in order.
    #[serde(default)]
    pub unsettled: Vec<TxIntent>,
    /// Registered releases, oldest first; each version of an adapter appears once.
    #[serde(default)]
    pub deployments: Vec<ReleaseDeployment>,
    /// Authorised, charged, claimed, settled and released amounts.
    #[serde(default)]
    #[serde(rename = "book")]
    pub ledger: Ledger,
}

/// Counts over a set of metered calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTotals {
    pub calls: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

impl CallTotals {
    fn add(&mut self, usage: TokenUsage) {
        self.calls = self.calls.saturating_add(1);
        self.prompt_tokens = self.prompt_tokens.saturating_add(usage.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(usage.completion_tokens);
    }
}

/// Durations in fixed buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyHistogram {
    pub count: u64,
    pub sum_ms: u64,
    /// One count per bound of [`LATENCY_BOUNDS_MS`] and one for longer durations.
    pub buckets: [u64; LATENCY_BOUNDS_MS.len() + 1],
}

impl LatencyHistogram {
    fn add(&mut self, milliseconds: u64) {
        let bucket = LATENCY_BOUNDS_MS.partition_point(|bound| *bound < milliseconds);
        self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
        self.count = self.count.saturating_add(1);
        self.sum_ms = self.sum_ms.saturating_add(milliseconds);
    }

    /// The smallest bound that at least `permille` of the durations do not exceed; none if there
    /// are no durations or if the quantile is in the last, unbounded bucket.
    pub fn quantile_ms(&self, permille: u64) -> Option<u64> {
        let wanted = (u128::from(self.count) * u128::from(permille))
            .div_ceil(1000)
            .max(1);
        let mut seen = 0u128;
        LATENCY_BOUNDS_MS
            .iter()
            .zip(self.buckets)
            .find_map(|(bound, count)| {
                seen += u128::from(count);
                (seen >= wanted).then_some(*bound)
            })
    }
}

/// A call that is running or whose server died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCall {
    pub session: String,
    pub adapter: String,
    pub kind: CallKind,
    pub reserved_ms: u64,
    pub prompt_tokens: u64,
    /// As of the last checkpoint.
    pub completion_tokens: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedAdapter {
    pub digest: String,
    pub base_digest: String,
    pub loaded_ms: u64,
}

/// A metered call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeteredCall {
    pub sequence: u64,
    pub time_ms: u64,
    pub request_id: String,
    pub adapter: String,
    pub kind: CallKind,
    pub usage: TokenUsage,
    pub finish: FinishReason,
    pub milliseconds: u64,
    pub first_token_milliseconds: Option<u64>,
}

/// A server session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSession {
    pub id: String,
    pub version: String,
    pub started_ms: u64,
    /// Absent while it runs, and permanently if it was killed.
    pub stopped_ms: Option<u64>,
}

/// The result of [`JournalSnapshot::apply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a record after a gap is not folded in"]
pub enum ApplyOutcome {
    Folded,
    /// The record was already folded; nothing changed.
    Known,
    /// Records before it are missing; nothing changed. Continue reading from `expected`.
    Gap {
        expected: u64,
    },
}

impl ApplyOutcome {
    /// The outcome of applying a record to a fold that has the records up to `sequence`.
    fn after(sequence: u64, record: &EventRecord) -> Self {
        let expected = sequence + 1;
        match record.sequence.cmp(&expected) {
            Ordering::Less => Self::Known,
            Ordering::Equal => Self::Folded,
            Ordering::Greater => Self::Gap { expected },
        }
    }
}

impl JournalSnapshot {
    /// Folds in the next record.
    pub fn apply(&mut self, record: &EventRecord) -> ApplyOutcome {
        let applied = ApplyOutcome::after(self.sequence, record);
        if applied == ApplyOutcome::Folded {
            (self.sequence, self.time_ms) = (record.sequence, record.time_ms);
            self.fold(record);
        }
        applied
    }

    fn fold(&mut self, record: &EventRecord) {
        let time_ms = record.time_ms;
        self.ledger.apply(&record.event);
        match &record.event {
            Event::ServerStarted { session, version } => self.start(session, version, time_ms),
            Event::ServerStopped { session } => self.stop(session, time_ms),
            Event::AdapterLoaded {
                name,
                adapter_digest,
                base_digest,
            } => {
                let loaded = LoadedAdapter {
                    digest: adapter_digest.clone(),
                    base_digest: base_digest.clone(),
                    loaded_ms: time_ms,
                };
                self.adapters.insert(name.clone(), loaded);
            }
            Event::CallReserved { .. } => self.reserve(record),
            Event::CallCheckpointed {
                request_id,
                completion_tokens,
            } => {
                if let Some(call) = self.open.get_mut(request_id) {
                    call.completion_tokens = *completion_tokens;
                }
            }
            Event::CallMetered { .. } => self.meter(record),
            Event::TransactionIntended(intent) => self.unsettled.push(TxIntent::clone(intent)),
            Event::TransactionConfirmed { tx, .. } => self.unsettled.retain(|it| it.tx != *tx),
            Event::Deployed(deployment) => self.deploy(deployment),
            Event::ChainEnded { chain_id } => {
                self.unsettled.retain(|it| it.chain_id != *chain_id);
                self.deployments.retain(|it| it.chain_id != *chain_id);
            }
            Event::ChannelOpened(_)
            | Event::ChannelObserved(_)
            | Event::ReceiverObserved(_)
            | Event::PaymentBound(_)
            | Event::PaymentReceived(_)
            | Event::GasLow { .. }
            | Event::Claimed(_)
            | Event::Settled(_)
            | Event::Released(_)
            | Event::RefundCharged(_)
            | Event::VouchersPublished(_)
            | Event::ClaimsDeferred(_)
            | Event::GasBudgetSpent { .. }
            | Event::Refunded(_)
            | Event::SplitRead(_)
            | Event::Reorganised { .. }
            | Event::Traced(_)
            | Event::Attributed(_)
            | Event::Anchored(_)
            | Event::ContributionsProposed(_)
            | Event::ContributionClaimed(_)
            | Event::ChainIdentified { .. }
            | Event::Clearing(_) => {}
        }
    }

    fn deploy(&mut self, new: &ReleaseDeployment) {
        let place = |it: &ReleaseDeployment| {
            let registry = (it.chain_id, it.registry.clone());
            (registry, it.adapter_id.clone(), it.version)
        };
        self.deployments.retain(|known| place(known) != place(new));
        self.deployments.push(new.clone());
    }

    fn start(&mut self, id: &str, version: &str, started_ms: u64) {
        self.sessions_started = self.sessions_started.saturating_add(1);
        let (id, version) = (id.to_owned(), version.to_owned());
        remember(
            &mut self.sessions,
            RECENT_SESSIONS,
            ServerSession {
                id,
                version,
                started_ms,
                stopped_ms: None,
            },
        );
    }

    fn stop(&mut self, id: &str, time_ms: u64) {
        if let Some(session) = self
            .sessions
            .iter_mut()
            .rev()
            .find(|session| session.id == id)
        {
            session.stopped_ms = Some(time_ms);
        }
    }

    fn reserve(&mut self, record: &EventRecord) {
        let Event::CallReserved {
            request_id,
            session,
            adapter,
            kind,
            prompt_tokens,
            ..
        } = &record.event
        else {
            return;
        };
        let call = OpenCall {
            session: session.clone(),
            adapter: adapter.clone(),
            kind: *kind,
            reserved_ms: record.time_ms,
            prompt_tokens: *prompt_tokens,
            completion_tokens: 0,
        };
        self.open.insert(request_id.clone(), call);
    }

    /// Counts a call, reserved or not: the journal contains at most one such event per request.
    fn meter(&mut self, record: &EventRecord) {
        let Some(call) = MeteredCall::from_record(record) else {
            return;
        };
        self.open.remove(&call.request_id);
        self.totals.add(call.usage);
        self.by_adapter
            .entry(call.adapter.clone())
            .or_default()
            .add(call.usage);
        self.by_kind.entry(call.kind).or_default().add(call.usage);
        self.by_finish
            .entry(call.finish)
            .or_default()
            .add(call.usage);
        self.latency.add(call.milliseconds);
        if let Some(milliseconds) = call.first_token_milliseconds {
            self.first_token.add(milliseconds);
        }
        remember(&mut self.recent, RECENT_CALLS, call);
    }
}

impl MeteredCall {
    fn from_record(record: &EventRecord) -> Option<Self> {
        let Event::CallMetered {
            request_id,
            adapter,
            kind,
            usage,
            finish,
            milliseconds,
            first_token_milliseconds,
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
            kind: *kind,
            usage: *usage,
            finish: *finish,
            milliseconds: *milliseconds,
            first_token_milliseconds: *first_token_milliseconds,
        })
    }
}

fn remember<T>(ring: &mut VecDeque<T>, limit: usize, item: T) {
    if ring.len() >= limit {
        ring.pop_front();
    }
    ring.push_back(item);
}
