//! `GET /v1/receipts/{id}`.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::Value;

use super::AppState;
use crate::{api_error::ApiError, receipt, request_id::RequestId};

pub async fn get_receipt(
    State(app): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let id = RequestId::parse(&id).ok_or_else(|| unknown(&id))?;
    match receipt::find(&app.journal, &id).await? {
        Some(mut receipt) if receipt.is_addressed() => {
            if let Some(view) = &app.transparency {
                receipt.log = receipt::logged(&app.journal, view, receipt.sequence).await?;
            }
            Ok(Json(receipt.to_json()))
        }
        Some(_) => Err(unknown(id.as_str())),
        None if app.meter.is_running(&id) => {
            let message = format!("The call '{}' is still running.", id.as_str());
            let refusal = ApiError::new(StatusCode::CONFLICT, "request_in_flight", message);
            Err(refusal.retry_after(1))
        }
        None => Err(unknown(id.as_str())),
    }
}

fn unknown(id: &str) -> ApiError {
    let shown: String = id.chars().take(128).collect();
    let message = format!("No call was metered under the request id '{shown}'.");
    ApiError::new(StatusCode::NOT_FOUND, "receipt_not_found", message)
}
