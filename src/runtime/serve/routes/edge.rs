//! What every request passes before its handler: header size, request id, audience.

use std::net::SocketAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{App, Audience, Route};
use crate::runtime::serve::{
    client::ClientAddress,
    refusal::Refusal,
    request_id::{REQUEST_ID, RequestId},
};

/// Largest sum of header names and values in bytes.
pub const MAX_HEADERS: usize = 16 * 1024;

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Checks a request, hands it on, and marks the answer with its id.
pub async fn pass(app: App, route: &'static Route, mut request: Request, next: Next) -> Response {
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
    app.metrics
        .responded(route.path, response.status().as_u16());
    response
}

/// 404 for a path outside the table.
pub async fn unknown(app: App, request: Request) -> Response {
    app.metrics.responded("other", 404);
    let message = format!(
        "There is no route {} {}.",
        request.method(),
        request.uri().path()
    );
    Refusal::new(StatusCode::NOT_FOUND, "unknown_url", message).into_response()
}

fn check(app: &App, route: &Route, request: &Request) -> Result<RequestId, Refusal> {
    if route.audience == Audience::Anyone && !route.metered {
        // Behind a proxy's address are many clients, and operators' tools are on loopback.
        let address = ClientAddress::from_request(request.extensions());
        app.quotes.spend(address.filter(|it| !it.is_shared()), 0)?;
    }
    check_size(request.headers())?;
    check_path(request.uri().path())?;
    if route.audience == Audience::Operator {
        check_operator(request)?;
    }
    RequestId::from_headers(request.headers())
}

fn check_size(headers: &HeaderMap) -> Result<(), Refusal> {
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
    Err(Refusal::new(status, "headers_too_large", message))
}

/// Parts of a path are text: what is no UTF-8 is no id of ours.
fn check_path(path: &str) -> Result<(), Refusal> {
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
            Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "invalid_path",
                message,
            ))
        }
    }
}

/// Operator routes answer this machine only, and only under a name that no foreign web page can
/// make its own (DNS rebinding).
fn check_operator(request: &Request) -> Result<(), Refusal> {
    let local_peer = request
        .extensions()
        .get::<Peer>()
        .is_none_or(|peer| peer.0.ip().to_canonical().is_loopback());
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if local_peer && host.is_none_or(is_plain_host) {
        return Ok(());
    }
    let message = "This route answers callers on the server's own machine only.";
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "operator_only",
        message,
    ))
}

/// `localhost` or a numeric address, with or without a port.
fn is_plain_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}
