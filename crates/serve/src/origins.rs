//! Web pages that may use the API from a browser: the CORS protocol
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! Only routes that are for anyone are opened to pages. Answers never allow credentials: a page acts
//! with what it sends itself, such as a payment.

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, RETRY_AFTER,
            VARY,
        },
        uri::Authority,
    },
    response::{IntoResponse, Response},
};

use super::{
    api_error::{PAYMENT_REQUIRED, REPLAYED, SHOULD_RETRY},
    audience::RouteAudience,
    payment::PAYMENT_RESPONSE,
    request_id::REQUEST_ID,
};

/// The text that allows pages of every origin.
const EVERY: &str = "*";

/// Seconds for which a browser may keep the answer to a preflight request.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Methods of the routes that are for anyone.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");

/// Headers of answers that pages may read besides those that every page may.
const EXPOSED: [HeaderName; 6] = [
    PAYMENT_REQUIRED,
    PAYMENT_RESPONSE,
    HeaderName::from_static(REQUEST_ID),
    REPLAYED,
    SHOULD_RETRY,
    RETRY_AFTER,
];

/// Origins whose pages may use the API; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<String>);

/// The error in a text that should name an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `*` or an origin such as https://app.example, found `{found}`")]
pub struct OriginProblem {
    pub found: String,
}

impl AllowedOrigins {
    /// # Errors
    /// Returns the first text that is neither `*` nor an origin.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginProblem> {
        let origins = texts.into_iter().map(|text| {
            serialised(text.trim()).ok_or_else(|| OriginProblem {
                found: text.to_owned(),
            })
        });
        origins.collect::<Result<_, _>>().map(Self)
    }

    /// The answer to a preflight request of an allowed page for an open route.
    pub(super) fn preflight(&self, audience: RouteAudience, request: &Request) -> Option<Response> {
        let headers = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight || self.granted(audience, headers).is_none() {
            return None;
        }
        let mut answer = StatusCode::NO_CONTENT.into_response();
        let allowed = answer.headers_mut();
        allowed.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        allowed.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        // No header gives a page more than any other client has.
        for names in headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
            allowed.append(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        Some(answer)
    }

    /// The headers that let an allowed page read the answer to its request.
    pub(super) fn headers(&self, audience: RouteAudience, request: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if audience != RouteAudience::Anyone || self.0.is_empty() {
            return headers;
        }
        headers.insert(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = self.granted(audience, request) {
            let exposed = EXPOSED.each_ref().map(HeaderName::as_str).join(", ");
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.extend(
                HeaderValue::try_from(exposed).map(|names| (ACCESS_CONTROL_EXPOSE_HEADERS, names)),
            );
        }
        headers
    }

    /// The value of `Access-Control-Allow-Origin` for a request.
    fn granted(&self, audience: RouteAudience, request: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = request.get_all(ORIGIN).iter();
        let (origin, None) = (origins.next()?, origins.next()) else {
            return None;
        };
        if audience != RouteAudience::Anyone {
            return None;
        }
        if self.0.iter().any(|it| it == EVERY) {
            return Some(HeaderValue::from_static(EVERY));
        }
        let is_named = self.0.iter().any(|it| it.as_bytes() == origin.as_bytes());
        is_named.then(|| origin.clone())
    }
}

/// An origin as browsers send it: in lower case, without a port that its scheme implies.
fn serialised(text: &str) -> Option<String> {
    if text == EVERY {
        return Some(text.to_owned());
    }
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|it: char| it.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it));
    let authority: Authority = rest.parse().ok()?;
    if !is_scheme || authority.host().is_empty() || rest.contains('@') {
        return None;
    }
    let (scheme, host) = (
        scheme.to_ascii_lowercase(),
        authority.host().to_ascii_lowercase(),
    );
    let port = authority
        .port_u16()
        .filter(|port| !matches!((scheme.as_str(), port), ("http", 80) | ("https", 443)));
    Some(match port {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}
