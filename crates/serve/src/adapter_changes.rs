//! Adding an adapter to those that are served, and taking one away: journal first.

use super::{adapter_loader::LoadOutcome, adapter_registry::ServedAdapter, app::AppState};
use openlora_journal::JournalError;
use openlora_ledger::event::Event;

/// Serves a loaded adapter from now on.
///
/// # Errors
///
/// The journal cannot be written; then nothing has changed.
pub async fn put_adapter(
    app: &AppState,
    adapter: ServedAdapter,
) -> Result<LoadOutcome, JournalError> {
    let before = app.adapters.find(&adapter.name).ok();
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
        app.journal.append(loaded).await?;
    }
    // Before any call of it can be counted.
    app.attributions.add(&adapter);
    app.adapters.put(adapter);
    Ok(outcome)
}

/// Serves an adapter no longer. Its engine ends with the last call that uses it.
///
/// # Errors
///
/// The journal cannot be written; then nothing has changed.
pub async fn remove_adapter(app: &AppState, adapter: &ServedAdapter) -> Result<(), JournalError> {
    let unloaded = Event::AdapterUnloaded {
        name: adapter.name.clone(),
        adapter_digest: adapter.digest.clone(),
    };
    app.journal.append(unloaded).await?;
    app.adapters.remove(&adapter.name);
    Ok(())
}
