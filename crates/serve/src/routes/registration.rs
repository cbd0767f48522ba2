//! `GET /.well-known/agent-registration.json`: the registration file of an adapter (ERC-8004), or of
//! the server where it serves several.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
};
use serde::Deserialize;
use serde_json::Value;

use super::AppState;
use crate::{
    adapter_registry::ServedAdapter, api_error::ApiError, registration_file,
    standings::AgentIdentity,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedAgent {
    adapter: Option<String>,
}

pub async fn file(
    State(app): State<AppState>,
    wanted: Result<Query<WantedAgent>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let Query(wanted) = wanted.map_err(|_| {
        let message = "Invalid query: expected ?adapter=NAME, once, or nothing.";
        ApiError::invalid("invalid_query", "adapter", message)
    })?;
    let server = app.server_facts(&headers);
    let all = match &wanted.adapter {
        Some(name) => vec![app.adapters.find(name)?],
        None => app.adapters.all(),
    };
    let mut identities = Vec::new();
    for adapter in &all {
        identities.extend(app.identities(adapter).await);
    }
    let file = match all.as_slice() {
        [only] => registration_file::of_adapter(&server, only, &identities),
        several => {
            let several: Vec<&ServedAdapter> = several.iter().map(AsRef::as_ref).collect();
            registration_file::of_server(&server, &several, &identities)
        }
    };
    Ok(Json(file))
}

impl AppState {
    async fn identities(&self, adapter: &ServedAdapter) -> Vec<AgentIdentity> {
        let standing = self.standing(adapter).await;
        standing.map_or_else(Vec::new, |it| it.agents)
    }
}
