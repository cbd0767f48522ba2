//! The adapter of a call: one that is served, or one that is fetched for it.

use std::{sync::Arc, time::Duration};

use super::{
    adapter_changes::{put_adapter, remove_adapter},
    adapter_registry::ServedAdapter,
    api_error::ApiError,
    app::AppState,
    gate::draining,
    on_demand::{DemandStep, FetchOutcome, OnDemandAdapters, is_model_name, not_fetched},
};
use openlora_core::{Address, error::Failure};

/// Time for one fetch.
const LONGEST_FETCH: Duration = Duration::from_secs(15 * 60);

/// The adapter of that name, as far as it must be known before the payment of a call is checked: one that
/// is served, or one that is for sale. Where calls are free, one that is not served is fetched.
pub async fn find_or_announced(app: &AppState, name: &str) -> Result<Arc<ServedAdapter>, ApiError> {
    let (Some(on_demand), Some(_)) = (&app.on_demand, &app.sales) else {
        return find_or_fetch(app, name, None).await;
    };
    let unknown = match app.adapters.find(name) {
        Ok(adapter) => {
            on_demand.touch(name);
            return Ok(adapter);
        }
        Err(unknown) => unknown,
    };
    if !is_model_name(name) {
        return Err(unknown);
    }
    match on_demand.finder.announced(name).await {
        Ok(announced) => announced.ok_or(unknown),
        Err(failure) => Err(not_fetched(name, &failure)),
    }
}

/// The adapter of that name. If it may be fetched, the call waits for it; the fetch goes on if the
/// caller leaves. A payer has one fetch begun at a time.
pub async fn find_or_fetch(
    app: &AppState,
    name: &str,
    payer: Option<Address>,
) -> Result<Arc<ServedAdapter>, ApiError> {
    let unknown = match (app.adapters.find(name), &app.on_demand) {
        (Ok(adapter), on_demand) => {
            if let Some(on_demand) = on_demand {
                on_demand.touch(name);
            }
            return Ok(adapter);
        }
        (Err(unknown), None) => return Err(unknown),
        (Err(unknown), Some(_)) if !is_model_name(name) => return Err(unknown),
        (Err(unknown), Some(_)) => unknown,
    };
    let Some(on_demand) = &app.on_demand else {
        return Err(unknown);
    };
    let mut outcome = match on_demand.begin(name, payer)? {
        DemandStep::Wait(outcome) => outcome,
        DemandStep::Fetch(sender) => {
            let outcome = sender.subscribe();
            let (app, name) = (app.clone(), name.to_owned());
            tokio::spawn(async move {
                let done = fetch(&app, &name, unknown).await;
                if let Some(on_demand) = &app.on_demand {
                    drop_surplus(&app, on_demand, &name, &done).await;
                }
                sender.send_replace(Some(done));
            });
            outcome
        }
    };
    let done = outcome.wait_for(Option::is_some);
    let done = tokio::time::timeout(on_demand.limits.patience, done).await;
    match done {
        Err(_) => Err(on_the_way(name)),
        Ok(Err(_)) => Err(not_fetched(name, &broken_off())),
        Ok(Ok(done)) => match &*done {
            Some(Err(refusal)) => Err(refusal.clone()),
            _ => app.adapters.find(name),
        },
    }
}

async fn fetch(app: &AppState, name: &str, unknown: ApiError) -> FetchOutcome {
    let (Some(on_demand), Some(loader)) = (&app.on_demand, &app.loader) else {
        return Err(unknown);
    };
    let failed = |failure: Failure| not_fetched(name, &failure);
    let _turn = on_demand.permits.acquire().await.map_err(|_| draining())?;
    // A place that answers byte by byte must not keep others waiting. What came stays for next time.
    let folder = tokio::time::timeout(LONGEST_FETCH, on_demand.finder.fetch(name)).await;
    let folder = folder.map_err(|_| not_fetched(name, &too_slow()))?;
    let folder = folder.map_err(failed)?;
    let Some(folder) = folder else {
        return Err(unknown);
    };
    let _alone = app.loading.lock().await;
    if app.stop.draining.is_cancelled() {
        return Err(draining());
    }
    let loaded = loader.load(name, &folder, &app.adapters.all()).await;
    let adapter = loaded.map_err(failed)?;
    let put = put_adapter(app, adapter).await;
    put.map(drop).map_err(|error| {
        tracing::error!(%error, "a fetched adapter is not recorded");
        let message = "The journal cannot be written, so no adapter is added.";
        ApiError::unavailable("journal_unavailable", message)
    })
}

/// Takes away what was called least recently. A call that has begun keeps its adapter.
async fn drop_surplus(
    app: &AppState,
    on_demand: &OnDemandAdapters,
    name: &str,
    done: &FetchOutcome,
) {
    for name in on_demand.end(name, done) {
        let _alone = app.loading.lock().await;
        let Ok(adapter) = app.adapters.find(&name) else {
            continue;
        };
        if let Err(error) = remove_adapter(app, &adapter).await {
            tracing::error!(%error, name, "an adapter stays loaded");
        }
    }
}

fn on_the_way(name: &str) -> ApiError {
    let message = format!("The model '{name}' is being fetched; try again in a moment.");
    ApiError::unavailable("adapter_loading", message).retry_after(5)
}

fn too_slow() -> Failure {
    Failure::new(
        openlora_core::error::ExitClass::Network,
        "its place is too slow",
    )
}

fn broken_off() -> Failure {
    Failure::new(
        openlora_core::error::ExitClass::Internal,
        "a fetch broke off",
    )
}
