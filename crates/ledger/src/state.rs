//! The pure fold from records to the state of a journal.
//!
//! It uses no files, clock, randomness or floating point. Live folding, a replay, and a stored
//! state plus the records after it therefore give the same state.

pub mod board;

use std::{
    cmp::Ordering,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use serde::{Deserialize, Serialize};

use crate::{
    ChainFacts, EventLocation, Ledger,
    event::{AgentRegistration, Event, EventRecord, ReleaseDeployment, TokenUsage, TxIntent},
};

/// The state of the journal up to one record, folded once and kept current by its writer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerState {
    /// The last folded record; 0 before the first.
    pub sequence: u64,
    /// Its time, Unix milliseconds.
    pub time_ms: u64,
    /// Metered calls.
    pub totals: CallTotals,
    /// How many calls were attributed with amounts.
    pub attributed: u64,
    /// Intended transactions with an unknown outcome, in order.
    pub unsettled: Vec<TxIntent>,
    /// Registered releases, oldest first; each version of an adapter appears once.
    pub deployments: Vec<ReleaseDeployment>,
    /// Identities in registries of agents, oldest first; each appears once, as it was set last.
    #[serde(default)]
    pub agents: Vec<AgentRegistration>,
    /// Releases of others that were served here, in the same form.
    #[serde(default)]
    pub served_releases: Vec<ReleaseDeployment>,
    /// Authorised, charged and observed amounts.
    pub ledger: Ledger,
    /// What happened on the chains.
    pub facts: ChainFacts,
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedAdapter {
    pub digest: String,
    pub base_digest: String,
    pub loaded_ms: u64,
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

/// The result of [`LedgerState::apply`].
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

impl LedgerState {
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
        self.ledger.apply(&record.event);
        self.facts.apply(record);
        match &record.event {
            Event::CallMetered { usage, .. } => self.totals.add(*usage),
            Event::Attributed(it) if it.amounts.is_some() => self.attributed += 1,
            Event::TransactionIntended(intent) => self.unsettled.push(TxIntent::clone(intent)),
            Event::TransactionConfirmed { tx, .. } => self.unsettled.retain(|it| it.tx != *tx),
            Event::AgentRegistered(agent) => agent.store_in(&mut self.agents),
            Event::Deployed(deployment) => add_release(&mut self.deployments, deployment),
            Event::ReleaseServed(release) => add_release(&mut self.served_releases, release),
            // Transactions of a replaced chain have no meaning on another.
            Event::ChainEnded { chain_id } => {
                self.agents.retain(|it| it.chain_id != *chain_id);
                self.unsettled.retain(|it| it.chain_id != *chain_id);
                self.deployments.retain(|it| it.chain_id != *chain_id);
                self.served_releases.retain(|it| it.chain_id != *chain_id);
            }
            _ => {}
        }
    }

    /// Whether the outcome of a transaction is unknown.
    pub fn is_open(&self, tx: &str) -> bool {
        self.unsettled.iter().any(|it| it.tx == tx)
    }

    /// Whether a fact of an open transaction is already in the journal, from an attempt that was
    /// interrupted.
    pub fn has_fact(&self, fact: &Event) -> bool {
        let location = EventLocation::from_event(fact);
        location.is_some_and(|it| self.is_open(&it.tx)) && self.facts.contains(fact)
    }
}

/// The state of a growing journal. Its writer keeps it current; everyone else reads it.
#[derive(Debug, Default)]
pub struct CurrentState(RwLock<LedgerState>);

impl CurrentState {
    pub fn new(state: LedgerState) -> Self {
        Self(RwLock::new(state))
    }

    /// The state with every record that is durable by now.
    pub fn read(&self) -> RwLockReadGuard<'_, LedgerState> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds in the next record.
    pub fn apply(&self, record: &EventRecord) -> ApplyOutcome {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.apply(record)
    }
}

/// Adds a release; each version of an adapter appears once.
fn add_release(releases: &mut Vec<ReleaseDeployment>, new: &ReleaseDeployment) {
    let place = |it: &ReleaseDeployment| {
        let registry = (it.chain_id, it.registry.clone());
        (registry, it.adapter_id.clone(), it.version)
    };
    releases.retain(|known| place(known) != place(new));
    releases.push(new.clone());
}
