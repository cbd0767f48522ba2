//! Adapters that are fetched when they are first called: which names are on the way, which were
//! refused lately, and which of the fetched ones were called last.
//!
//! Where calls are paid, only a call whose payment was checked has its adapter fetched. Where they are
//! free, anyone can ask for any name. So names that led to nothing are remembered for a while, few are
//! fetched at a time, few may wait, and few stay loaded.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use tokio::sync::{Semaphore, watch};

use super::{adapter_registry::ServedAdapter, api_error::ApiError};
use openlora_core::{
    Address,
    error::{ExitClass, Failure},
};

/// Longest name of a model in bytes.
const LONGEST_NAME: usize = 128;

/// How long a refusal is repeated without asking again.
const REFUSED: Duration = Duration::from_secs(60);

/// Refusals that are remembered; the oldest gives way.
const REFUSALS: usize = 1024;

/// Names on the way for each that is fetched at the moment.
const WAITING: usize = 8;

/// Finds adapters that are not loaded.
#[async_trait::async_trait]
pub trait AdapterFinder: Send + Sync {
    /// The folder of the adapter of a name, fetched and verified; none if there is no such adapter.
    ///
    /// # Errors
    ///
    /// It cannot be fetched, or must not be served.
    async fn fetch(&self, name: &str) -> Result<Option<PathBuf>, Failure>;

    /// What is sold under a name, without fetching it: enough to state the terms of a call and to check
    /// its payment. `None` if nothing is.
    ///
    /// # Errors
    ///
    /// The name stands for several adapters.
    async fn announced(&self, name: &str) -> Result<Option<Arc<ServedAdapter>>, Failure> {
        let _ = name;
        Ok(None)
    }

    /// Everything that is sold and can be fetched.
    async fn listed(&self) -> Vec<Arc<ServedAdapter>> {
        Vec::new()
    }
}

/// Bounds of what callers can have fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDemandLimits {
    /// Fetched adapters that stay loaded.
    pub adapters: usize,
    /// Adapters that are fetched at the same time.
    pub parallel: usize,
    /// How long a call waits for its adapter.
    pub patience: Duration,
}

/// What became of a fetch.
pub type FetchOutcome = Result<(), ApiError>;

/// The adapters that may be fetched.
pub struct OnDemandAdapters {
    pub finder: Arc<dyn AdapterFinder>,
    pub limits: OnDemandLimits,
    pub(crate) permits: Semaphore,
    demand: Mutex<DemandState>,
}

#[derive(Default)]
struct DemandState {
    running: BTreeMap<String, RunningFetch>,
    refused: BTreeMap<String, PastRefusal>,
    /// Names of fetched adapters, the one called last at the end.
    loaded: Vec<String>,
}

struct RunningFetch {
    outcome: watch::Receiver<Option<FetchOutcome>>,
    /// Whose payment it was begun for.
    payer: Option<Address>,
}

struct PastRefusal {
    at: Instant,
    refusal: ApiError,
}

/// How a call goes on whose adapter is not loaded.
pub(crate) enum DemandStep {
    /// Somebody fetches it.
    Wait(watch::Receiver<Option<FetchOutcome>>),
    /// The caller has to start it, and to report the outcome.
    Fetch(watch::Sender<Option<FetchOutcome>>),
}

impl OnDemandAdapters {
    pub fn new(finder: Arc<dyn AdapterFinder>, limits: OnDemandLimits) -> Self {
        Self {
            finder,
            limits,
            permits: Semaphore::new(limits.parallel),
            demand: Mutex::default(),
        }
    }

    fn demand(&self) -> MutexGuard<'_, DemandState> {
        self.demand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a fetched adapter is called.
    pub(crate) fn touch(&self, name: &str) {
        let mut demand = self.demand();
        if let Some(at) = demand.loaded.iter().position(|it| it == name) {
            let name = demand.loaded.remove(at);
            demand.loaded.push(name);
        }
    }

    /// What to do about a name, or why nothing is done. Nothing is charged before a fetch has ended, so
    /// a payer has one begun at a time.
    pub(crate) fn begin(&self, name: &str, payer: Option<Address>) -> Result<DemandStep, ApiError> {
        let mut demand = self.demand();
        demand.refused.retain(|_, past| past.at.elapsed() < REFUSED);
        // A fetch that broke off without an outcome is not on the way.
        demand
            .running
            .retain(|_, it| it.outcome.has_changed().is_ok());
        if let Some(past) = demand.refused.get(name) {
            return Err(past.refusal.clone());
        }
        if let Some(running) = demand.running.get(name) {
            return Ok(DemandStep::Wait(running.outcome.clone()));
        }
        let most = self.limits.parallel.saturating_mul(WAITING);
        if demand.running.len() >= most {
            let message = "Too many adapters are being fetched; try again in a moment.";
            return Err(ApiError::unavailable("adapter_queue_full", message));
        }
        if payer.is_some() && demand.running.values().any(|it| it.payer == payer) {
            let message = "Another adapter is being fetched for this payer; try again in a moment.";
            return Err(ApiError::unavailable("adapter_queue_full", message).retry_after(5));
        }
        let (sender, outcome) = watch::channel(None);
        let running = RunningFetch { outcome, payer };
        demand.running.insert(name.to_owned(), running);
        Ok(DemandStep::Fetch(sender))
    }

    /// Notes the outcome of a fetch. Returns the names that have to go for it.
    pub(crate) fn end(&self, name: &str, outcome: &FetchOutcome) -> Vec<String> {
        let mut demand = self.demand();
        demand.running.remove(name);
        match outcome {
            Err(refusal) => {
                if demand.refused.len() >= REFUSALS {
                    let oldest = demand.refused.iter().min_by_key(|(_, past)| past.at);
                    let oldest = oldest.map(|(name, _)| name.clone());
                    oldest.and_then(|name| demand.refused.remove(&name));
                }
                let at = Instant::now();
                let refusal = refusal.clone();
                let past = PastRefusal { at, refusal };
                demand.refused.insert(name.to_owned(), past);
                Vec::new()
            }
            Ok(()) => {
                demand.loaded.retain(|it| it != name);
                demand.loaded.push(name.to_owned());
                let surplus = demand.loaded.len().saturating_sub(self.limits.adapters);
                demand.loaded.drain(..surplus).collect()
            }
        }
    }
}

/// Whether a model can have this name.
pub(crate) fn is_model_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(fits)
}

/// Why an adapter that was asked for is not served. Nothing is charged.
pub(crate) fn not_fetched(name: &str, failure: &Failure) -> ApiError {
    let message = format!("The model '{name}' cannot be served: {}.", failure.message);
    match failure.class {
        ExitClass::BadInput | ExitClass::Verification | ExitClass::Usage => {
            ApiError::new(StatusCode::CONFLICT, "model_refused", message).with_param("model")
        }
        ExitClass::Network => ApiError::unavailable("adapter_not_loaded", message),
        _ => {
            tracing::error!(error = %failure, "an adapter was not fetched");
            let message =
                format!("The model '{name}' cannot be fetched now; the server's log says why.");
            ApiError::unavailable("adapter_not_loaded", message)
        }
    }
}
