//! `GET /v1/models` and `GET /v1/models/{id}`.

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::AppState;
use crate::{api_error::ApiError, on_demand_loading::find_or_fetch};

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
    let adapter = find_or_fetch(&app, &id).await?;
    Ok(Json(adapter.to_json(app.currency())))
}
