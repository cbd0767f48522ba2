//! Adapters that come and go while the server runs.
//!
//! A load changes nothing before the adapter is ready: one that cannot be served disturbs no call. A
//! call that has begun keeps its adapter until it ends.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::adapter_registry::ServedAdapter;
use openlora_core::error::Failure;

/// Makes adapters ready to be served.
#[async_trait::async_trait]
pub trait AdapterLoader: Send + Sync {
    /// Reads an adapter, puts it on an engine and, if calls are paid, finds out who is paid.
    /// `served` are the adapters on engines: one with the same digest lends its engine.
    ///
    /// # Errors
    ///
    /// The adapter cannot be read, has no effect, is for another base, or no one could be paid for
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
