//! `GET /health`, `GET /ready` and `GET /metrics`.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::App;
use crate::runtime::serve::{gate::draining, refusal::Refusal};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub async fn health() -> Json<Value> {
    Json(json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") }))
}

/// Ready means: not draining, the journal took the last event, and where calls are paid, some
/// network's money can be taken.
pub async fn ready(State(app): State<App>) -> Result<Json<Value>, Refusal> {
    if app.stop.draining.is_cancelled() {
        return Err(draining());
    }
    if !app.meter.is_writable() {
        let message = "The journal cannot be written, so calls cannot be counted.";
        return Err(Refusal::unavailable("journal_unavailable", message));
    }
    let troubles = app.sales.iter().flat_map(|sales| sales.cashier.troubles());
    let troubles: BTreeMap<String, String> = troubles.collect();
    if app
        .sales
        .as_ref()
        .is_some_and(|sales| !sales.cashier.is_open())
    {
        // Why is the operator's to know: it names the chain's RPC.
        let networks: Vec<&str> = troubles.keys().map(String::as_str).collect();
        let message = format!("No payment can be taken on {} now.", networks.join(", "));
        return Err(Refusal::unavailable("chain_unavailable", message));
    }
    let names: Vec<&str> = app
        .shelf
        .iter()
        .map(|adapter| adapter.name.as_str())
        .collect();
    let mut ready = json!({ "status": "ready", "adapters": names });
    if !troubles.is_empty() {
        let networks: Vec<&String> = troubles.keys().collect();
        ready["networks_unavailable"] = json!(networks);
    }
    Ok(Json(ready))
}

pub async fn metrics(State(app): State<App>) -> Result<Response, Refusal> {
    let text = app.metrics.render().map_err(|_| {
        let message = "The metrics could not be written.";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })?;
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    Ok(([content_type], text).into_response())
}
