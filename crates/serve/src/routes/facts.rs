//! `POST /operator/facts`: records what another command of this home does on a chain. Only the server
//! writes the journal, and a transaction is in the journal before it is sent.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AppState;
use crate::{api_error::ApiError, body};
use openlora_ledger::event::Event;
use openlora_ports::FactLog;

/// Largest body in bytes: a signed transaction that deploys a contract.
const LARGEST: usize = 1024 * 1024;

#[derive(Deserialize)]
struct StatedFact {
    event: Event,
}

/// Returns once the fact is on disk.
pub async fn record(
    State(app): State<AppState>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body, LARGEST, &app.bodies).await?;
    let stated: StatedFact = serde_json::from_slice(&body.bytes).map_err(|_| {
        let message = "The request body is not an event of the journal.";
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message)
    })?;
    if !is_accepted(&stated.event, app.sales.is_some()) {
        let message = "This event is not recorded for others: expected a step of a transaction, a \
                       deployed release, or a payment of a pool.";
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "fact_not_accepted",
            message,
        ));
    }
    let kept = app.journal.keep(stated.event).await;
    kept.map_err(|failure| ApiError::unavailable("journal_unavailable", failure.message))?;
    Ok(Json(json!({ "recorded": true })))
}

/// The facts of deployments and claims. What calls cost, what was collected and who is paid is the
/// server's own to record, and the chain of a server that sells does not end while it runs.
fn is_accepted(event: &Event, sells: bool) -> bool {
    match event {
        Event::TransactionIntended(intent) => intent.sponsored.is_none(),
        Event::TransactionConfirmed { .. }
        | Event::Deployed(_)
        | Event::AgentRegistered(_)
        | Event::ContributionClaimed(_)
        | Event::ChainIdentified { .. } => true,
        Event::ChainEnded { .. } => !sells,
        _ => false,
    }
}
