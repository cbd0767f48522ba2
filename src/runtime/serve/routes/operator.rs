//! `GET /health`, `GET /ready` and `GET /metrics`.

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

/// Ready means: not draining, and the journal took the last event.
pub async fn ready(State(app): State<App>) -> Result<Json<Value>, Refusal> {
    if app.stop.draining.is_cancelled() {
        return Err(draining());
    }
    if !app.meter.is_writable() {
        let message = "The journal cannot be written, so calls cannot be counted.";
        return Err(Refusal::unavailable("journal_unavailable", message));
    }
    let names: Vec<&str> = app
        .shelf
        .iter()
        .map(|adapter| adapter.name.as_str())
        .collect();
    let mut answer = json!({ "status": "ready", "adapters": names });
    let warnings = app.sales.as_ref().map(|sales| sales.cashier.warnings());
    if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
        answer["warnings"] = json!(warnings);
    }
    Ok(Json(answer))
}

pub async fn metrics(State(app): State<App>) -> Result<Response, Refusal> {
    let text = app.metrics.render().map_err(|_| {
        let message = "The metrics could not be written.";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })?;
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    Ok(([content_type], text).into_response())
}
