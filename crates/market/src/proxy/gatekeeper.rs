//! Who may use the proxy: no web pages, and only callers with a key where keys are set. A page whose
//! own name resolves to this machine (DNS rebinding) sends that name as `Host`.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use super::{answer_error::ProxyError, caller_keys::CallerKeys};
use openlora_payments::payer::CallerAllowance;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The caller of an admitted request.
///
/// # Errors
///
/// The request comes from a web page, or has no known key.
pub fn admit(keys: &CallerKeys, headers: &HeaderMap) -> Result<CallerAllowance, ProxyError> {
    refuse_pages(keys, headers)?;
    let key = bearer(headers)?;
    keys.admit(key).ok_or_else(|| {
        let message = "The proxy needs a key that its operator has set (`proxy.keys`): send it as \
                       'Authorization: Bearer KEY'.";
        ProxyError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    })
}

fn refuse_pages(keys: &CallerKeys, headers: &HeaderMap) -> Result<(), ProxyError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    let host = host.map(|host| host.to_str().unwrap_or_default());
    // With a key, which no page has, the proxy may be reached under any name.
    let known = more.is_none() && (!keys.is_empty() || host.is_none_or(is_plain_host));
    let site = headers.get(FETCH_SITE).map(|it| it.as_bytes());
    let is_page = headers.contains_key(header::ORIGIN)
        || site.is_some_and(|site| site != b"none" && site != b"same-origin");
    if known && !is_page {
        return Ok(());
    }
    let message = "The proxy answers no web pages, and without keys only under localhost or a \
                   numeric address.";
    Err(ProxyError::new(
        StatusCode::FORBIDDEN,
        "no_web_pages",
        message,
    ))
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ProxyError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), more) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|_| more.is_none());
    let parts = text.and_then(|text| text.split_once(' '));
    match parts {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(key.trim())),
        _ => {
            let message = "The header 'Authorization' must be 'Bearer KEY', once.";
            let status = StatusCode::UNAUTHORIZED;
            Err(ProxyError::new(status, "invalid_api_key", message))
        }
    }
}

/// `localhost` or a numeric address, with or without a port.
fn is_plain_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}
