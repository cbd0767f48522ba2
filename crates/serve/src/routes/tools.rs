//! `POST /mcp`: the served adapters as tools of agents.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use rmcp::transport::{
    StreamableHttpServerConfig, StreamableHttpService,
    streamable_http_server::session::local::LocalSessionManager,
};

use super::{AppState, classify, completions, images};
use crate::{api_error::ApiError, body, tools::ServedTools, wire::images::IMAGES_PATH};

/// Answers one message. No session is kept, so every message names what it needs.
pub async fn answer(State(app): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let limit = app.limits.max_body;
    let body = body::read(&parts.headers, body, limit, &app.bodies).await?;
    let head = Arc::new(parts.clone());
    let tools = ServedTools {
        app,
        head,
        answer: |app, request| Box::pin(route(app, request)),
    };
    // The edge has checked host and origin.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(limit);
    let service: StreamableHttpService<_, LocalSessionManager> =
        StreamableHttpService::new(move || Ok(tools.clone()), Arc::default(), config);
    let request = Request::from_parts(parts, Body::from(body.bytes.clone()));
    Ok(service.handle(request).await.map(Body::new))
}

async fn route(app: AppState, request: Request) -> Response {
    let app = State(app);
    let answered = match request.uri().path() {
        "/v1/classify" => classify::classify(app, request).await,
        "/v1/chat/completions" => completions::chat(app, request).await,
        IMAGES_PATH => images::generate(app, request).await,
        _ => completions::text(app, request).await,
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}
