//! The dashboard's state, folded from records: money, throughput, the latest calls and their
//! payment states, attributions, and the transactions that moved money.
//!
//! Its size is bounded for journals of any length: recent calls are kept individually, older ones
//! as sums per second, minute, hour and day. Serialization preserves it exactly.

mod calls;
mod claims;
mod contributors;
mod pace;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

pub use calls::{
    BoardCall, CallAttribution, CallTrace, KEPT_CALLS, LatestCalls, MadePictures, PaymentStanding,
};
pub use claims::BoardClaims;
pub use contributors::{ContributorBoard, CreditedRecipient, MICRO, RecipientCredit};
pub use pace::{CallPace, DurationHistogram, PaceSlot, SlotRing};

use super::{ApplyOutcome, LoadedAdapter, ServerSession};
use crate::{
    Earnings, PaymentScheme,
    event::{AgentRegistration, Event, EventRecord, ReleaseDeployment, RootAnchored, TxOutcome},
};
use openlora_core::{Address, Amount};

/// How many transactions are kept individually.
pub const KEPT_NOTES: usize = 64;

/// The state of the dashboard up to one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// The last folded record; 0 before the first.
    pub sequence: u64,
    pub time_ms: u64,
    /// Its chain hash, hex; identifies the journal.
    pub hash: String,
    pub earnings: Earnings,
    pub metered: u64,
    pub adapters: BTreeMap<String, LoadedAdapter>,
    pub deployment: Option<ReleaseDeployment>,
    /// The latest release of each adapter, by its weights' SHA-256.
    #[serde(default)]
    pub releases: BTreeMap<String, ReleaseDeployment>,
    #[serde(default)]
    pub agents: Vec<AgentRegistration>,
    /// Metered calls over all time, by the adapter's name.
    #[serde(default)]
    pub called: BTreeMap<String, u64>,
    /// The adapter that each splitter belongs to.
    pub adapter_ids: BTreeMap<Address, String>,
    /// The latest server session.
    pub session: Option<ServerSession>,
    /// Acceptance times of calls that are not metered yet, by request id.
    pub open: BTreeMap<String, u64>,
    pub pace: CallPace,
    pub calls: LatestCalls,
    pub claims: BoardClaims,
    pub contributors: ContributorBoard,
    pub transactions: VecDeque<BoardTransaction>,
    /// The latest.
    #[serde(default)]
    pub gas_alarm: Option<GasAlarm>,
}

/// Why payers' deposits and refunds are not sent, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasAlarm {
    pub time_ms: u64,
    /// The daily budget is spent; otherwise the account's balance is low.
    pub is_budget: bool,
}

/// A transaction recorded in this journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardTransaction {
    pub tx: String,
    pub purpose: String,
    pub chain_id: u64,
    pub intended_ms: u64,
    pub outcome: Option<TxOutcome>,
    pub block: Option<u64>,
}

impl Board {
    /// Applies the next record.
    pub fn apply(&mut self, record: &EventRecord) -> ApplyOutcome {
        let applied = ApplyOutcome::after(self.sequence, record);
        if applied == ApplyOutcome::Folded {
            (self.sequence, self.time_ms) = (record.sequence, record.time_ms);
            self.hash.clone_from(&record.hash);
            self.fold(record);
        }
        applied
    }

    fn fold(&mut self, record: &EventRecord) {
        self.earnings.apply(record);
        match &record.event {
            Event::ServerStarted { session, version } => {
                self.session = Some(ServerSession {
                    id: session.clone(),
                    version: version.clone(),
                    started_ms: record.time_ms,
                    stopped_ms: None,
                });
            }
            Event::ServerStopped { session } => self.stop(session, record.time_ms),
            Event::AdapterLoaded {
                name,
                adapter_digest,
                base_digest,
            } => {
                let loaded = LoadedAdapter {
                    digest: adapter_digest.clone(),
                    base_digest: base_digest.clone(),
                    loaded_ms: record.time_ms,
                };
                self.adapters.insert(name.clone(), loaded);
            }
            Event::AdapterUnloaded {
                name,
                adapter_digest,
            } => {
                let is_it = |it: &LoadedAdapter| it.digest == *adapter_digest;
                if self.adapters.get(name).is_some_and(is_it) {
                    self.adapters.remove(name);
                }
            }
            Event::CallReserved { request_id, .. } => {
                self.open.insert(request_id.clone(), record.time_ms);
            }
            Event::CallMetered { .. } => self.meter(record),
            Event::Traced(traced) => self.calls.trace(traced),
            Event::Attributed(attributed) => {
                self.calls.attribute(attributed, record.sequence);
                self.contributors.attribute(attributed);
            }
            Event::Deployed(deployment) => {
                if let Ok(splitter) = deployment.splitter.parse() {
                    let id = deployment.adapter_id.clone();
                    self.adapter_ids.insert(splitter, id);
                }
                let weights = deployment.weights_sha256.clone();
                self.releases
                    .insert(weights, ReleaseDeployment::clone(deployment));
                self.deployment = Some(ReleaseDeployment::clone(deployment));
            }
            Event::AgentRegistered(agent) => agent.store_in(&mut self.agents),
            Event::ReleaseServed(release) => {
                if let Ok(splitter) = release.splitter.parse() {
                    let id = release.adapter_id.clone();
                    self.adapter_ids.insert(splitter, id);
                }
            }
            _ => self.fold_chain(record),
        }
    }

    /// Applies an on-chain event.
    fn fold_chain(&mut self, record: &EventRecord) {
        match &record.event {
            Event::Claimed(it) => self.claims.claim(it),
            Event::Settled(it) => self.claims.apply_settlement(it),
            Event::TransactionIntended(intent) => {
                let sent = BoardTransaction {
                    tx: intent.tx.clone(),
                    purpose: intent.purpose.clone(),
                    chain_id: intent.chain_id,
                    intended_ms: record.time_ms,
                    outcome: None,
                    block: None,
                };
                remember(&mut self.transactions, sent);
            }
            Event::TransactionConfirmed {
                tx, status, block, ..
            } => {
                let mut of = self.transactions.iter_mut().rev();
                if let Some(sent) = of.find(|sent| sent.tx == *tx) {
                    (sent.outcome, sent.block) = (Some(*status), *block);
                }
            }
            Event::GasLow { .. } | Event::GasBudgetSpent { .. } => {
                self.gas_alarm = Some(GasAlarm {
                    time_ms: record.time_ms,
                    is_budget: matches!(record.event, Event::GasBudgetSpent { .. }),
                });
            }
            Event::Reorganised { txs, .. } => self.claims.undo(txs),
            Event::ChainEnded { chain_id } => {
                self.agents.retain(|it| it.chain_id != *chain_id);
                self.releases.retain(|_, it| it.chain_id != *chain_id);
            }
            _ => {}
        }
    }

    fn stop(&mut self, id: &str, time_ms: u64) {
        if let Some(session) = self.session.as_mut().filter(|it| it.id == id) {
            session.stopped_ms = Some(time_ms);
        }
    }

    fn meter(&mut self, record: &EventRecord) {
        let Some(call) = BoardCall::from_record(record) else {
            return;
        };
        self.metered = self.metered.saturating_add(1);
        let called = self.called.entry(call.adapter.clone()).or_default();
        *called = called.saturating_add(1);
        self.open.remove(&call.request_id);
        self.pace.meter(&call);
        self.contributors.await_attribution(&call);
        self.calls.push(call);
    }

    /// The state of a call's payment, and the transaction that proves it.
    pub fn payment_standing(&self, call: &BoardCall) -> (PaymentStanding, Option<&str>) {
        let exact = call
            .charge
            .as_ref()
            .filter(|it| it.scheme == PaymentScheme::Exact);
        if exact.is_some_and(|it| self.earnings.facts.is_payment_undone(it.exact_key())) {
            return (PaymentStanding::Pending, None);
        }
        self.claims.payment_standing(call)
    }

    /// The amount that the pools of a token paid to an account, over all time.
    pub fn contributions_paid(&self, account: Address, chain_id: u64, token: Address) -> Amount {
        let claimed = self.earnings.facts.contributions_claimed().filter(|it| {
            it.contributor == account && it.pool.chain_id == chain_id && it.pool.token == token
        });
        claimed.map(|it| it.amount).sum()
    }

    /// The root that contains a call's attribution.
    pub fn root_of(&self, call: &BoardCall) -> Option<&RootAnchored> {
        let attributed = call.attribution.as_ref()?.sequence;
        let splitter = call.charge.as_ref().map(|it| it.receiver);
        let adapter = splitter.and_then(|it| self.adapter_ids.get(&it));
        self.earnings.facts.anchored().find(|root| {
            adapter.is_none_or(|id| root.adapter_id == *id) && root.through >= attributed
        })
    }
}

fn remember<T>(ring: &mut VecDeque<T>, item: T) {
    if ring.len() >= KEPT_NOTES {
        ring.pop_front();
    }
    ring.push_back(item);
}
