//! Attribution of counted calls: spans before a call is counted, shares after, in the order of
//! counting, one final attribution per call whatever happens to the process.
//!
//! Waiting calls are folded from the journal, and their tokens are kept in a vault, both on disk.
//! The number of waiting calls is bounded. Further calls are refused before anything is charged for
//! them, first those of the party that fills the queue. HTTP, chains and the format of indexes are
//! unknown here.

mod backlog;
pub(super) mod prove;
pub mod published;
mod worker;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Notify;

use self::backlog::AttributionBacklog;
pub use self::backlog::AttributionLag;
use super::{
    ServeError,
    adapter_registry::{AdapterRegistry, ServedAdapter},
    api_error::ApiError,
};
use openlora_attribution::{Provenance, queue::PendingTokenStore};
use openlora_core::Address;
use openlora_journal::Journal;

/// How many calls may wait for their attribution unless settings say otherwise.
pub const MOST_WAITING: usize = 16_384;

/// The storage of attribution.
#[derive(Clone, Debug)]
pub struct AttributionConfig {
    /// The vault for waiting tokens. Without it every call has the static shares.
    pub token_store: Option<PendingTokenStore>,
    /// The published log's folder.
    pub log: Option<PathBuf>,
    /// How many calls may wait.
    pub most: usize,
}

impl Default for AttributionConfig {
    fn default() -> Self {
        Self {
            token_store: None,
            log: None,
            most: MOST_WAITING,
        }
    }
}

/// The attribution of one server's calls; cheap to clone.
#[derive(Clone)]
pub struct AttributionService {
    inner: Arc<AttributionInner>,
}

struct AttributionInner {
    journal: Journal,
    config: AttributionConfig,
    /// By digest. That of an adapter which is no longer served stays: its calls may wait.
    adapters: RwLock<BTreeMap<String, Arc<Provenance>>>,
    backlog: Arc<Mutex<AttributionBacklog>>,
    /// Notified when a new call waits.
    news: Arc<Notify>,
}

impl AttributionService {
    /// Folds the journal, and erases stored tokens that no call waits for.
    pub async fn open(
        journal: Journal,
        shelf: &AdapterRegistry,
        config: AttributionConfig,
    ) -> Result<Self, ServeError> {
        let provenance =
            |it: &Arc<ServedAdapter>| (it.digest.clone(), Arc::new(it.provenance.clone()));
        let adapters: BTreeMap<_, _> = shelf.all().iter().map(provenance).collect();
        let backlog = Arc::new(Mutex::new(AttributionBacklog::for_adapters(
            adapters.keys().cloned(),
        )));
        let news = Arc::new(Notify::new());
        let (folded, waker) = (Arc::clone(&backlog), Arc::clone(&news));
        let follow = move |record: &openlora_ledger::event::EventRecord| {
            if lock(&folded).apply(record) {
                waker.notify_one();
            }
        };
        journal.follow(1, Box::new(follow)).await?;
        if let Some(token_store) = &config.token_store {
            let waiting = lock(&backlog).ids();
            let retained = token_store.retain(waiting.iter().map(|it| &**it));
            if let Err(error) = retained {
                tracing::warn!(%error, "kept tokens that nothing waits for are not erased");
            }
        }
        Ok(Self {
            inner: Arc::new(AttributionInner {
                journal,
                config,
                adapters: RwLock::new(adapters),
                backlog,
                news,
            }),
        })
    }

    /// Refuses a call while too many calls of its payer wait. Nothing was charged for it yet. Calls
    /// without a payer count as one payer's.
    pub fn check_room(&self, payer: Option<Address>) -> Result<(), ApiError> {
        let backlog = lock(&self.inner.backlog);
        if backlog.has_room(payer, self.inner.config.most) {
            return Ok(());
        }
        let waiting = backlog.count();
        drop(backlog);
        let message = format!("{waiting} answered calls wait for their attribution; try again.");
        Err(ApiError::unavailable("attribution_backlog", message).retry_after(5))
    }

    /// How far attribution is behind.
    pub fn lag(&self) -> AttributionLag {
        lock(&self.inner.backlog).lag(now_ms())
    }

    /// The published log's folder.
    pub fn log(&self) -> Option<&PathBuf> {
        self.inner.config.log.as_ref()
    }

    pub fn provenance(&self, adapter_digest: &str) -> Option<Arc<Provenance>> {
        let adapters = self.inner.adapters.read();
        let adapters = adapters.unwrap_or_else(PoisonError::into_inner);
        adapters.get(adapter_digest).cloned()
    }

    /// Attributes the calls of an adapter that is served from now on.
    pub fn add(&self, adapter: &ServedAdapter) {
        let (digest, provenance) = (&adapter.digest, adapter.provenance.clone());
        let adapters = self.inner.adapters.write();
        let mut adapters = adapters.unwrap_or_else(PoisonError::into_inner);
        adapters.insert(digest.clone(), Arc::new(provenance));
        lock(&self.inner.backlog).add(digest);
    }

    /// Waits until no call waits, but not longer than `patience`.
    pub async fn settle_down(&self, patience: Duration) {
        let deadline = tokio::time::Instant::now() + patience;
        let mut news = self.inner.journal.subscribe();
        while lock(&self.inner.backlog).count() > 0 {
            match tokio::time::timeout_at(deadline, news.recv()).await {
                // New events and missed events both mean that the backlog must be read again.
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

fn lock(backlog: &Mutex<AttributionBacklog>) -> MutexGuard<'_, AttributionBacklog> {
    backlog.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}
