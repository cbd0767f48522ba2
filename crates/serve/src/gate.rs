//! Limits how many calls run at once, in all and per adapter, and how many may wait. Turns are shared
//! fairly between adapters, and between the payers of one. So is a full queue between payers: a call of
//! one with fewer waiting calls takes the place of the latest call of the one with most.
//!
//! A call enters once it is paid for or, if calls are free, before its prompt is tokenised. It
//! leaves when the model stops, however slowly its answer is read. Counts per adapter feed the
//! metrics.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::api_error::ApiError;
use openlora_engine::{
    FairShareKey,
    turns::{EngineTurn, TurnParty, TurnQueue, due_time},
};

/// Calls of one adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdapterLoad {
    pub running: usize,
    pub waiting: usize,
}

/// How many calls may run and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Calls that run at once.
    pub concurrent: usize,
    /// Calls of one adapter that run at once.
    pub parallel: usize,
    /// Calls that wait.
    pub queue: usize,
}

/// Controls access to the engines.
#[derive(Debug)]
pub struct QueueGate {
    turns: Arc<TurnQueue>,
    queue: usize,
    state: Mutex<GateState>,
    draining: CancellationToken,
}

#[derive(Debug, Default)]
struct GateState {
    loads: BTreeMap<String, AdapterLoad>,
    /// The waiting calls of each payer that has any, in the order of their arrival.
    waiting: BTreeMap<FairShareKey, BTreeMap<u64, CancellationToken>>,
    arrivals: u64,
}

/// The right to use an engine; ends when dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<QueueGate>,
    adapter: String,
    _turn: EngineTurn,
}

/// A place in the queue; ends when dropped.
struct QueuePlace<'a> {
    gate: &'a QueueGate,
    party: &'a TurnParty,
    number: u64,
    /// Cancelled when another payer's call takes the place.
    taken: CancellationToken,
}

impl GateState {
    fn waiting_calls(&self) -> usize {
        self.waiting.values().map(BTreeMap::len).sum()
    }

    fn change(&mut self, adapter: &str, change: impl FnOnce(&mut AdapterLoad)) {
        let load = self.loads.entry(adapter.to_owned()).or_default();
        change(load);
        if *load == AdapterLoad::default() {
            self.loads.remove(adapter);
        }
    }

    /// Takes the place of the latest call of the payer with most waiting calls for a call of `payer`,
    /// unless that one would have as many then.
    fn take_place(&mut self, payer: &FairShareKey) -> bool {
        let own = self.waiting.get(payer).map_or(0, BTreeMap::len);
        let calls = self.waiting.values_mut();
        // Of payers with equally many, the one whose call came last.
        let latest = |it: &BTreeMap<u64, CancellationToken>| it.keys().next_back().copied();
        let Some(most) = calls.max_by_key(|it| (it.len(), latest(it))) else {
            return false;
        };
        if most.len() <= own + 1 {
            return false;
        }
        let removed = most.pop_last();
        removed.is_some_and(|(_, call)| {
            call.cancel();
            true
        })
    }

    fn queue_up(&mut self, party: &TurnParty) -> (u64, CancellationToken) {
        self.arrivals += 1;
        let (number, taken) = (self.arrivals, CancellationToken::new());
        let calls = self.waiting.entry(party.payer.clone()).or_default();
        calls.insert(number, taken.clone());
        self.change(&party.lane, |load| load.waiting += 1);
        (number, taken)
    }

    fn leave(&mut self, party: &TurnParty, number: u64) {
        if let Some(calls) = self.waiting.get_mut(&party.payer) {
            calls.remove(&number);
            if calls.is_empty() {
                self.waiting.remove(&party.payer);
            }
        }
        self.change(&party.lane, |load| {
            load.waiting = load.waiting.saturating_sub(1)
        });
    }
}

impl QueueGate {
    pub fn new(limits: GateLimits, draining: CancellationToken) -> Self {
        let turns = TurnQueue::with_lanes(limits.concurrent, limits.parallel);
        Self {
            turns: Arc::new(turns),
            queue: limits.queue,
            state: Mutex::default(),
            draining,
        }
    }

    /// Waits for the turn of a call with at most this many tokens: 429 if the queue is full, or its
    /// place in it goes to a payer with fewer calls, and 503 once the server drains.
    pub async fn enter(
        self: &Arc<Self>,
        adapter: &str,
        payer: &FairShareKey,
        tokens: u64,
    ) -> Result<Permit, ApiError> {
        if self.draining.is_cancelled() {
            return Err(draining());
        }
        let party = TurnParty::new(adapter, payer);
        let turn = match self.turns.try_take(&party) {
            Some(turn) => turn,
            None => self.wait(&party, tokens).await?,
        };
        self.lock().change(adapter, |load| load.running += 1);
        Ok(Permit {
            gate: Arc::clone(self),
            adapter: adapter.to_owned(),
            _turn: turn,
        })
    }

    async fn wait(&self, party: &TurnParty, tokens: u64) -> Result<EngineTurn, ApiError> {
        let place = self.queue_up(party)?;
        tokio::select! {
            turn = self.turns.take(party, due_time(tokens)) => Ok(turn),
            () = place.taken.cancelled() => Err(full(
                "and another caller, who has fewer calls in the queue, took the place of this one",
            )),
            () = self.draining.cancelled() => Err(draining()),
        }
    }

    fn queue_up<'a>(&'a self, party: &'a TurnParty) -> Result<QueuePlace<'a>, ApiError> {
        let mut state = self.lock();
        let waiting = state.waiting_calls();
        if waiting >= self.queue && !state.take_place(&party.payer) {
            return Err(full(&format!("and {waiting} calls wait")));
        }
        let (number, taken) = state.queue_up(party);
        Ok(QueuePlace {
            gate: self,
            party,
            number,
            taken,
        })
    }

    /// Calls per adapter that has any.
    pub fn loads(&self) -> BTreeMap<String, AdapterLoad> {
        self.lock().loads.clone()
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.lock().change(&self.adapter, |load| {
            load.running = load.running.saturating_sub(1)
        });
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.gate.lock().leave(self.party, self.number);
    }
}

fn full(why: &str) -> ApiError {
    let message = format!("All turns are taken {why}; try again shortly.");
    let refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message);
    refusal.retry_after(1)
}

/// The answer to every new call once the server is stopping.
pub fn draining() -> ApiError {
    ApiError::unavailable(
        "draining",
        "The server is shutting down and takes no new calls.",
    )
}
