//! `GET /`, `GET /adapters/{name}` and the icon: pages for people. Programs that ask for JSON get the
//! facts of an adapter as JSON, and on `/` the answer for an unknown path.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{AppState, edge};
use crate::{
    adapter_registry::ServedAdapter,
    api_error::ApiError,
    page::{self, AdapterPageFacts, ServerFacts},
    standings::AdapterStanding,
};

pub async fn home(State(app): State<AppState>, request: Request) -> Response {
    if !page::is_wanted(request.headers()) {
        return edge::unknown_path(&request).into_response();
    }
    let server = app.server_facts(request.headers());
    let adapters = app.adapters.all();
    let mut facts = Vec::with_capacity(adapters.len());
    for adapter in &adapters {
        facts.push(app.adapter_facts(&server, adapter).await);
    }
    page::home(&server, &facts)
}

pub async fn adapter(
    State(app): State<AppState>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let adapter = app.adapters.find(&name)?;
    let server = app.server_facts(&headers);
    let facts = app.adapter_facts(&server, &adapter).await;
    if page::is_wanted(&headers) {
        return Ok(page::adapter(&server, &facts));
    }
    let facts = AdapterPageFacts {
        snippets: Vec::new(),
        ..facts
    };
    Ok(Json(facts).into_response())
}

pub async fn icon() -> Response {
    let kind = HeaderValue::from_static("image/svg+xml");
    let kept = HeaderValue::from_static("public, max-age=86400");
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)];
    (headers, page::ICON).into_response()
}

impl AppState {
    /// What the pages say of this server to a client that reached it so.
    pub(super) fn server_facts(&self, headers: &HeaderMap) -> ServerFacts {
        let url = self.access.resource(headers, "");
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
        ServerFacts {
            host: host.to_owned(),
            is_free: self.sales.is_none(),
            version: env!("CARGO_PKG_VERSION"),
            url,
        }
    }

    async fn adapter_facts(
        &self,
        server: &ServerFacts,
        adapter: &ServedAdapter,
    ) -> AdapterPageFacts {
        let standing = self.standing(adapter).await;
        AdapterPageFacts::new(server, adapter, self.currency(), standing.as_ref())
    }

    /// What the journal says of an adapter; `None` if there is no such view, or it cannot be read now.
    pub(super) async fn standing(&self, adapter: &ServedAdapter) -> Option<AdapterStanding> {
        let source = Arc::clone(self.standings.as_ref()?);
        let (name, weights) = (adapter.name.clone(), adapter.profile.weights_sha256.clone());
        let read = tokio::task::spawn_blocking(move || source.standing(&name, weights.as_deref()));
        read.await.ok()
    }
}
