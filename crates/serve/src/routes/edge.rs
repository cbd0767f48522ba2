//! Checks that every request passes before its handler: header size, audience, origin, request id.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{ApiRoute, ROUTES};
use crate::{
    api_error::ApiError,
    app::AppState,
    audience::RouteAudience,
    client::{ClientAddress, PeerAddress, Relayed, RequestClient},
    proxies::{FORWARDING, client_address},
    request_id::{REQUEST_ID, RequestId},
    similar::slip_of,
};

/// Largest sum of header names and values in bytes.
pub const MAX_HEADERS: usize = 16 * 1024;

/// Checks a request, passes it on, and adds its id to the answer.
pub async fn pass(
    app: AppState,
    route: &'static ApiRoute,
    mut request: Request,
    next: Next,
) -> Response {
    place(&app, &mut request);
    let origins = &app.access.origins;
    let readable = origins.headers(route.audience, request.headers());
    if let Some(mut answer) = origins.preflight(route.audience, &request) {
        answer.headers_mut().extend(readable);
        app.metrics.responded(route.path, answer.status().as_u16());
        return answer;
    }
    let checked = check(&app, route, &request);
    let id = checked.as_ref().ok().cloned();
    let mut response = match checked {
        Ok(id) => {
            request.extensions_mut().insert(id);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    if let Some(value) = id.and_then(|id| HeaderValue::from_str(id.as_str()).ok()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().extend(readable);
    app.metrics
        .responded(route.path, response.status().as_u16());
    response
}

/// 404 for a path outside the table.
pub async fn unknown(app: AppState, request: Request) -> Response {
    app.metrics.responded("other", 404);
    unknown_path(&request).into_response()
}

/// 404 for a path that is no route.
pub fn unknown_path(request: &Request) -> ApiError {
    let path = request.uri().path();
    let message = format!("There is no route {} {path}.", request.method());
    let refusal = ApiError::new(StatusCode::NOT_FOUND, "unknown_url", message);
    match meant_route(path) {
        Some(meant) => refusal.adding(&format!("Did you mean {meant}?")),
        None => refusal,
    }
}

/// The route that a path without `/v1`, with it twice, or with a slip may mean.
fn meant_route(path: &str) -> Option<&'static str> {
    let paths = ROUTES.iter().map(|route| route.path);
    let paths: Vec<&'static str> = paths.filter(|path| *path != "/").collect();
    let with_version = format!("/v1{path}");
    let candidates = [Some(with_version.as_str()), path.strip_prefix("/v1")];
    let known = |path: &str| paths.iter().copied().find(|known| *known == path);
    let moved = candidates.into_iter().flatten().find_map(known);
    moved.or_else(|| slip_of(path.trim_end_matches('/'), &paths))
}

fn check(app: &AppState, route: &ApiRoute, request: &Request) -> Result<RequestId, ApiError> {
    if route.audience == RouteAudience::Anyone && !route.metered {
        // A proxy's address stands for many clients, and operators' tools are on loopback.
        let address = ClientAddress::from_request(request.extensions());
        app.quotes.spend(address.filter(|it| !it.is_shared()), 0)?;
    }
    check_size(request.headers())?;
    check_path(request.uri().path())?;
    app.access.admit(route.audience, request.headers())?;
    RequestId::from_headers(request.headers())
}

/// Sets the client that a request counts for. A peer that is not a trusted proxy cannot change it:
/// its forwarding headers are removed here, so no later handler sees them.
fn place(app: &AppState, request: &mut Request) {
    let peer = request
        .extensions()
        .get::<PeerAddress>()
        .map(|it| it.0.ip());
    let proxies = &app.access.proxies;
    if let Some(peer) = peer {
        let client = client_address(peer, request.headers(), proxies);
        request.extensions_mut().insert(RequestClient(client));
    }
    if !peer.is_some_and(|peer| proxies.contains(peer.to_canonical())) {
        let mut relayed = false;
        for name in &FORWARDING {
            relayed |= request.headers_mut().remove(name).is_some();
        }
        if relayed {
            request.extensions_mut().insert(Relayed);
        }
    }
}

fn check_size(headers: &HeaderMap) -> Result<(), ApiError> {
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if size <= MAX_HEADERS {
        return Ok(());
    }
    let message =
        format!("The request's headers take {size} bytes; at most {MAX_HEADERS} are read.");
    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    Err(ApiError::new(status, "headers_too_large", message))
}

/// Parts of a path are text: an id that is not UTF-8 cannot be ours.
fn check_path(path: &str) -> Result<(), ApiError> {
    let digit = |byte: Option<&u8>| byte.and_then(|it| char::from(*it).to_digit(16));
    let mut bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    while let Some((byte, rest)) = bytes.split_first() {
        let code = (*byte == b'%').then(|| digit(rest.first()).zip(digit(rest.get(1))));
        match code
            .flatten()
            .map(|(high, low)| u8::try_from(16 * high + low))
        {
            Some(Ok(code)) => {
                decoded.push(code);
                bytes = &rest[2..];
            }
            _ => {
                decoded.push(*byte);
                bytes = rest;
            }
        }
    }
    match String::from_utf8(decoded) {
        Ok(_) => Ok(()),
        Err(_) => {
            let message = "The path is not UTF-8 once its percent-encoding is undone.";
            Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "invalid_path",
                message,
            ))
        }
    }
}
