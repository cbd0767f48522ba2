//! `GET /v1/models` and `GET /v1/models/{id}`.

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::AppState;
use crate::{api_error::ApiError, on_demand_loading::find_or_announced};

pub async fn list(State(app): State<AppState>) -> Json<Value> {
    let mut adapters = app.adapters.all();
    if let (Some(on_demand), Some(_)) = (&app.on_demand, &app.sales) {
        for announced in on_demand.finder.listed().await {
            if adapters.iter().all(|it| it.name != announced.name) {
                adapters.push(announced);
            }
        }
    }
    let currency = app.currency();
    let data: Vec<Value> = adapters.iter().map(|it| it.to_json(currency)).collect();
    Json(json!({ "object": "list", "data": data }))
}

pub async fn get_model(
    State(app): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let adapter = find_or_announced(&app, &id).await?;
    Ok(Json(adapter.to_json(app.currency())))
}
