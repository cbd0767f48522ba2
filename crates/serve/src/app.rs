//! State shared by all handlers of a server: its parts, its limits and the stop signal.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    access::AccessRules,
    adapter_loader::AdapterLoader,
    adapter_registry::AdapterRegistry,
    attribution::AttributionService,
    body::BodyMemory,
    gate::QueueGate,
    meter::CallMeter,
    metrics::ServerMetrics,
    on_demand::OnDemandAdapters,
    payment::{Currency, SalesConfig},
    prompt_filter::PromptFilter,
    quotes::QuoteCounter,
    refused_payments::RefusedPayments,
    standings::StandingsSource,
    unread::UnreadAnswers,
};
use openlora_journal::Journal;
use openlora_transparency::TransparencyView;

/// Sizes that bound what callers can ask of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Maximum number of concurrent calls on engines.
    pub max_concurrent: usize,
    /// Maximum number of concurrent calls of one adapter.
    pub parallel: usize,
    /// Calls waiting for a turn.
    pub queue: usize,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Answer length in tokens when the caller sets none.
    pub max_tokens: usize,
}

/// Stops a running server; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct StopHandle {
    /// Stops accepting calls; running ones finish.
    pub draining: CancellationToken,
    /// Ends running calls now.
    pub force_stop: CancellationToken,
}

/// What handlers share; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<AppParts>);

pub struct AppParts {
    pub adapters: AdapterRegistry,
    pub meter: CallMeter,
    pub gate: Arc<QueueGate>,
    pub metrics: ServerMetrics,
    pub journal: Journal,
    pub limits: ServeLimits,
    pub stop: StopHandle,
    pub attributions: AttributionService,
    pub bodies: BodyMemory,
    pub quotes: QuoteCounter,
    pub refused: RefusedPayments,
    pub unread: Arc<UnreadAnswers>,
    /// Absent if calls are free.
    pub sales: Option<SalesConfig>,
    pub access: AccessRules,
    /// Absent if no log of the calls is published.
    pub transparency: Option<TransparencyView>,
    /// Absent if no further adapter can be loaded.
    pub loader: Option<Arc<dyn AdapterLoader>>,
    /// Absent if pages show no sums.
    pub standings: Option<Arc<dyn StandingsSource>>,
    /// Adapters that are fetched when they are first called; absent if none are.
    pub on_demand: Option<OnDemandAdapters>,
    /// Reads prompts for pictures; absent if each is answered.
    pub prompt_filter: Option<PromptFilter>,
    /// Adapters are loaded and unloaded one at a time.
    pub loading: tokio::sync::Mutex<()>,
}

impl AppState {
    /// The currency of prices.
    pub fn currency(&self) -> Option<&Currency> {
        self.sales.as_ref().map(|sales| &sales.currency)
    }

    pub fn new(parts: AppParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for AppState {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}
