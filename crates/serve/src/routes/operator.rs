//! `GET /health`, `GET /ready` and `GET /metrics`.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::AppState;
use crate::{api_error::ApiError, client::LocalAddress, connections::Connection, gate::draining};
use openlora_core::Address;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A client that is about to show its token asks for a proof that the server has it already.
pub const CHALLENGE: HeaderName = HeaderName::from_static("openlora-challenge");

/// Longest challenge that is answered.
const LONGEST_CHALLENGE: usize = 128;

pub async fn health(
    State(app): State<AppState>,
    here: Option<Extension<LocalAddress>>,
    headers: HeaderMap,
) -> Json<Value> {
    let mut health = json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") });
    let challenge = headers.get(CHALLENGE).and_then(|it| it.to_str().ok());
    if let Some(challenge) = challenge.filter(|it| it.len() <= LONGEST_CHALLENGE) {
        let token = &app.access.operator;
        health["proof"] = json!(token.proof(challenge));
        if let Some(Extension(LocalAddress(here))) = here {
            health["proof_here"] = json!(token.proof_at(challenge, here));
        }
    }
    Json(health)
}

/// Ready means that a new payer's call would be answered. The server is not draining, the journal
/// took the last event, and the attribution queue has room. If calls are paid, a chain has also
/// answered lately; a chain other than the journal's does not count.
pub async fn ready(State(app): State<AppState>) -> Result<Json<Value>, ApiError> {
    if app.stop.draining.is_cancelled() {
        return Err(draining());
    }
    if !app.meter.is_writable() {
        let message = "The journal cannot be written, so calls cannot be counted.";
        return Err(ApiError::unavailable("journal_unavailable", message));
    }
    // A payer without a waiting call is refused last.
    let newcomer = app.sales.as_ref().map(|_| Address::default());
    app.attributions.check_room(newcomer)?;
    if let Some(sales) = &app.sales {
        let ready = sales.gateway.ready();
        ready.map_err(|reason| ApiError::unavailable("chain_unavailable", reason))?;
    }
    let adapters = app.adapters.all();
    let names: Vec<&str> = adapters.iter().map(|it| it.name.as_str()).collect();
    let mut answer = json!({ "status": "ready", "adapters": names });
    let warnings = app.sales.as_ref().map(|sales| sales.gateway.warnings());
    if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
        answer["warnings"] = json!(warnings);
    }
    Ok(Json(answer))
}

pub async fn metrics(
    State(app): State<AppState>,
    connection: Option<Extension<Connection>>,
) -> Result<Response, ApiError> {
    let open = connection.map_or(0, |it| it.0.all());
    app.metrics
        .observe(open, app.unread.bytes(), app.meter.held_bytes());
    if let Some(sales) = &app.sales {
        app.metrics.observe_gas(&sales.gateway.sponsorships());
    }
    let text = app.metrics.render().map_err(|_| {
        let message = "The metrics could not be written.";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })?;
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    Ok(([content_type], text).into_response())
}
