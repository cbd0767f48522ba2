//! Limits how many calls run at once, in all and per adapter, and how many may wait. Turns are shared
//! fairly between adapters, and between the payers of one.
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
    loads: Mutex<BTreeMap<String, AdapterLoad>>,
    draining: CancellationToken,
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
    adapter: &'a str,
}

impl QueueGate {
    pub fn new(limits: GateLimits, draining: CancellationToken) -> Self {
        let turns = TurnQueue::with_lanes(limits.concurrent, limits.parallel);
        Self {
            turns: Arc::new(turns),
            queue: limits.queue,
            loads: Mutex::default(),
            draining,
        }
    }

    /// Waits for the turn of a call with at most this many tokens: 429 if the queue is full, 503
    /// once the server drains.
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
        self.change(adapter, |load| load.running += 1);
        Ok(Permit {
            gate: Arc::clone(self),
            adapter: adapter.to_owned(),
            _turn: turn,
        })
    }

    async fn wait(&self, party: &TurnParty, tokens: u64) -> Result<EngineTurn, ApiError> {
        let _place = self.queue_up(&party.lane)?;
        tokio::select! {
            turn = self.turns.take(party, due_time(tokens)) => Ok(turn),
            () = self.draining.cancelled() => Err(draining()),
        }
    }

    fn queue_up<'a>(&'a self, adapter: &'a str) -> Result<QueuePlace<'a>, ApiError> {
        let mut loads = self.lock();
        let waiting: usize = loads.values().map(|load| load.waiting).sum();
        if waiting >= self.queue {
            let message =
                format!("All turns are taken and {waiting} calls wait; try again shortly.");
            let refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message);
            return Err(refusal.retry_after(1));
        }
        loads.entry(adapter.to_owned()).or_default().waiting += 1;
        Ok(QueuePlace {
            gate: self,
            adapter,
        })
    }

    /// Calls per adapter that has any.
    pub fn loads(&self) -> BTreeMap<String, AdapterLoad> {
        self.lock().clone()
    }

    fn change(&self, adapter: &str, change: impl FnOnce(&mut AdapterLoad)) {
        let mut loads = self.lock();
        let load = loads.entry(adapter.to_owned()).or_default();
        change(load);
        if *load == AdapterLoad::default() {
            loads.remove(adapter);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, AdapterLoad>> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.change(&self.adapter, |load| {
            load.running = load.running.saturating_sub(1)
        });
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.gate.change(self.adapter, |load| {
            load.waiting = load.waiting.saturating_sub(1)
        });
    }
}

/// The answer to every new call once the server is stopping.
pub fn draining() -> ApiError {
    ApiError::unavailable(
        "draining",
        "The server is shutting down and takes no new calls.",
    )
}
