//! `GET /v1/models` and `GET /v1/models/{id}`.

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::AppState;
use crate::api_error::ApiError;

pub async fn list(State(app): State<AppState>) -> Json<Value> {
    let data: Vec<Value> = app
        .adapters
        .all()
        .iter()
        .map(|adapter| adapter.to_json(app.currency()))
        .collect();
    Json(json!({ "object": "list", "data": data }))
}

pub async fn get_model(
    State(app): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(app.adapters.find(&id)?.to_json(app.currency())))
}
