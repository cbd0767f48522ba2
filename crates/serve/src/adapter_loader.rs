//! Adapters that come and go while the server runs.
//!
//! A load changes nothing before the adapter is ready: one that cannot be served disturbs no call. A
//! call that has begun keeps its adapter until it ends.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{ServedAdapter, app::AppState};
use openlora_core::error::Failure;
use openlora_journal::JournalError;
use openlora_ledger::event::Event;

/// Makes adapters ready to be served.
#[async_trait::async_trait]
pub trait AdapterLoader: Send + Sync {
    /// Reads an adapter, puts it on an engine and, if calls are paid, finds out who is paid.
    /// `served` are the adapters on engines: one with the same digest lends its engine.
    ///
    /// # Errors
    ///
    /// The adapter cannot be read, has no effect, is for another base, or nobody could be paid for
    /// its calls.
    async fn load(
        &self,
        name: &str,
        path: &Path,
        served: &[Arc<ServedAdapter>],
    ) -> Result<ServedAdapter, Failure>;
}

/// What a load changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadOutcome {
    /// The name is new.
    Loaded,
    /// The name stood for another adapter.
    Replaced,
    /// The name stands for the same weights as before.
    Unchanged,
}

impl AppState {
    /// Serves a loaded adapter from now on.
    ///
    /// # Errors
    ///
    /// The journal cannot be written; then nothing has changed.
    pub(crate) async fn put_adapter(
        &self,
        adapter: ServedAdapter,
    ) -> Result<LoadOutcome, JournalError> {
        let before = self.adapters.find(&adapter.name).ok();
        let outcome = match &before {
            None => LoadOutcome::Loaded,
            Some(before) if before.digest == adapter.digest => LoadOutcome::Unchanged,
            Some(_) => LoadOutcome::Replaced,
        };
        if outcome != LoadOutcome::Unchanged {
            let loaded = Event::AdapterLoaded {
                name: adapter.name.clone(),
                adapter_digest: adapter.digest.clone(),
                base_digest: adapter.base_digest.clone(),
            };
            self.journal.append(loaded).await?;
        }
        // Before any call of it can be counted.
        self.attributions.add(&adapter);
        self.adapters.put(adapter);
        Ok(outcome)
    }

    /// Serves an adapter no longer. Its engine ends with the last call that uses it.
    ///
    /// # Errors
    ///
    /// The journal cannot be written; then nothing has changed.
    pub(crate) async fn remove_adapter(&self, adapter: &ServedAdapter) -> Result<(), JournalError> {
        let unloaded = Event::AdapterUnloaded {
            name: adapter.name.clone(),
            adapter_digest: adapter.digest.clone(),
        };
        self.journal.append(unloaded).await?;
        self.adapters.remove(&adapter.name);
        Ok(())
    }
}
