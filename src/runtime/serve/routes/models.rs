//! `GET /v1/models` and `GET /v1/models/{id}`.

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::App;
use crate::runtime::serve::refusal::Refusal;

pub async fn list(State(app): State<App>) -> Json<Value> {
    let data: Vec<Value> = app
        .shelf
        .iter()
        .map(|adapter| adapter.to_json(app.currency()))
        .collect();
    Json(json!({ "object": "list", "data": data }))
}

pub async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    Ok(Json(app.shelf.find(&id)?.to_json(app.currency())))
}
