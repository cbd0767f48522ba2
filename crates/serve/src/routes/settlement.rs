//! Settlement routes apart from calls: x402's facilitator, and settling and paying out on request.
//! All of them cost this server gas, so access to them is restricted.

use std::time::Duration;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use serde_json::Value;

use super::AppState;
use crate::{api_error::ApiError, body, payment::SalesConfig};
use openlora_core::error::Failure;
use openlora_ports::FacilitatorError;

/// How long settling waits for calls without a final attribution.
const ATTRIBUTED: Duration = Duration::from_secs(10);

/// Largest body of a facilitator request in bytes.
const LARGEST: usize = 64 * 1024;

pub async fn supported(State(app): State<AppState>) -> Result<Json<Value>, ApiError> {
    Ok(Json(sales(&app)?.facilitator.supported()))
}

pub async fn verify(
    State(app): State<AppState>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let asked = read(&app, request).await?;
    let answer = sales(&app)?.facilitator.verify(asked).await;
    answer.map(Json).map_err(unserved)
}

pub async fn post_settle(
    State(app): State<AppState>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let asked = read(&app, request).await?;
    let answer = sales(&app)?.facilitator.settle_payment(asked).await;
    answer.map(Json).map_err(unserved)
}

/// A JSON body is required, so that a web page of another origin cannot trigger this.
pub async fn settle_now(
    State(app): State<AppState>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    read(&app, request).await?;
    // Calls answered by now belong under the root that is anchored.
    app.attributions.settle_down(ATTRIBUTED).await;
    let settled = sales(&app)?.settler.settle_all().await;
    settled.map(Json).map_err(|failure| failed(&failure))
}

pub async fn withdraw(
    State(app): State<AppState>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    read(&app, request).await?;
    let paid = sales(&app)?.settler.withdraw().await;
    paid.map(Json).map_err(|failure| failed(&failure))
}

async fn read(app: &AppState, request: Request) -> Result<Value, ApiError> {
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body, LARGEST, &app.bodies).await?;
    serde_json::from_slice(&body.bytes).map_err(|_| {
        let message = "The request body is not valid JSON.";
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message)
    })
}

fn sales(app: &AppState) -> Result<&SalesConfig, ApiError> {
    app.sales.as_ref().ok_or_else(|| {
        let message = "Calls are free on this server, so there is nothing to pay or settle.";
        ApiError::new(StatusCode::NOT_FOUND, "not_sold_here", message)
    })
}

fn unserved(why: FacilitatorError) -> ApiError {
    match why {
        FacilitatorError::Malformed { message } => {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", message)
        }
        FacilitatorError::Unavailable {
            message,
            retry_after,
        } => ApiError::unavailable("payment_unavailable", message).retry_after(retry_after),
    }
}

fn failed(failure: &Failure) -> ApiError {
    let message = failure.message.clone();
    ApiError::new(StatusCode::BAD_GATEWAY, "settlement_failed", message)
}
