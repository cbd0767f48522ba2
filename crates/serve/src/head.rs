//! Checks request heads before HTTP is parsed. A head that proxies could parse differently is
//! refused, and every refusal is an error envelope.
//!
//! RFC 9112: one Host (3.2), a length or a transfer coding but not both (6.1, 6.3), lines that end
//! in CR LF (2.2). hyper would answer some of these with an empty body, and read the others.

use axum::http::{Method, StatusCode, Uri, uri::Authority};

use super::api_error::ApiError;

/// Largest head in bytes, request line included.
pub const LARGEST_HEAD: usize = 64 * 1024;

/// Longest request target in bytes.
const LONGEST_TARGET: usize = 8 * 1024;

/// Room for the rest of the request line.
const METHOD_AND_VERSION: usize = 64;

/// Maximum number of header fields; hyper accepts no more either.
const MOST_FIELDS: usize = 100;

/// How the end of a request's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// This many bytes after the head.
    Length(u64),
    /// By the chunked transfer coding.
    Chunked,
}

/// The length of the first head in `bytes`, if it is complete. The first `searched` bytes hold no
/// end, so that a head that arrives byte by byte is not searched again each time.
pub fn end_of(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let news = bytes.get(from..)?;
    let end = |pattern: &[u8]| {
        let found = news.windows(pattern.len()).position(|it| it == pattern);
        found.map(|at| from + at + pattern.len())
    };
    match (end(b"\r\n\r\n"), end(b"\n\n")) {
        (Some(right), Some(wrong)) => Some(right.min(wrong)),
        (right, wrong) => right.or(wrong),
    }
}

/// Refuses a head that is already too large to be answered, complete or not.
pub fn check_size(bytes: &[u8]) -> Result<(), ApiError> {
    let longest = LONGEST_TARGET + METHOD_AND_VERSION;
    let line = bytes.get(..longest);
    if line.is_some_and(|line| !line.contains(&b'\n')) {
        let message = format!("The request target is longer than {LONGEST_TARGET} bytes.");
        return Err(ApiError::new(
            StatusCode::URI_TOO_LONG,
            "uri_too_long",
            message,
        ));
    }
    if bytes.len() > LARGEST_HEAD {
        let message = format!("The request's head takes more than {LARGEST_HEAD} bytes.");
        return Err(too_large(message));
    }
    Ok(())
}

/// Checks a complete head.
pub fn check(head: &[u8]) -> Result<BodyFraming, ApiError> {
    check_lines(head)?;
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(head).map_err(unreadable)?;
    let (method, target) = (request.method.unwrap_or(""), request.path.unwrap_or(""));
    let is_http_11 = request.version == Some(1);
    let found = HeadFields::read(request.headers);
    check_method(method)?;
    let authority = check_target(target)?;
    check_host(&found.hosts, authority.as_ref(), is_http_11)?;
    framing(&found, is_http_11)
}

/// The fields that determine framing and host.
#[derive(Default)]
struct HeadFields<'a> {
    hosts: Vec<&'a [u8]>,
    lengths: Vec<&'a [u8]>,
    codings: Vec<&'a [u8]>,
}

impl<'a> HeadFields<'a> {
    fn read(fields: &[httparse::Header<'a>]) -> Self {
        let mut found = Self::default();
        for field in fields {
            match field.name.to_ascii_lowercase().as_str() {
                "host" => found.hosts.push(field.value),
                "content-length" => found.lengths.push(field.value),
                "transfer-encoding" => found.codings.push(field.value),
                _ => {}
            }
        }
        found
    }
}

/// Parsers disagree whether a bare line feed or a bare carriage return ends a line.
fn check_lines(head: &[u8]) -> Result<(), ApiError> {
    let mut before = 0;
    for byte in head {
        if (before == b'\r') != (*byte == b'\n') {
            return Err(bad("Lines of the request's head must end in CR LF."));
        }
        before = *byte;
    }
    Ok(())
}

fn unreadable(error: httparse::Error) -> ApiError {
    match error {
        httparse::Error::TooManyHeaders => {
            too_large(format!("The request has more than {MOST_FIELDS} headers."))
        }
        httparse::Error::Version => ApiError::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "http_version_not_supported",
            "HTTP/1.1 is spoken here.",
        ),
        other => bad(format!("The request's head cannot be read: {other}.")),
    }
}

fn check_method(method: &str) -> Result<(), ApiError> {
    let known = Method::from_bytes(method.as_bytes());
    match known {
        Ok(method) if method != Method::CONNECT => Ok(()),
        _ => {
            let shown: String = method.chars().take(32).collect();
            let message = format!("The method {shown} is not possible here.");
            let status = StatusCode::NOT_IMPLEMENTED;
            Err(ApiError::new(status, "method_not_implemented", message))
        }
    }
}

/// The authority of a target in absolute form.
fn check_target(target: &str) -> Result<Option<Authority>, ApiError> {
    if target == "*" {
        return Ok(None);
    }
    let expected = "Invalid request target: expected a path.";
    let uri: Uri = target.parse().map_err(|_| bad(expected))?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    if target.starts_with('/') || (is_web && uri.authority().is_some()) {
        return Ok(uri.authority().cloned());
    }
    Err(bad(expected))
}

fn check_host(
    hosts: &[&[u8]],
    authority: Option<&Authority>,
    is_http_11: bool,
) -> Result<(), ApiError> {
    let host = match hosts {
        [] if is_http_11 => return Err(bad("Missing header 'host'.").with_param("host")),
        [] => return Ok(()),
        [host] => *host,
        _ => {
            let message = "Invalid header 'host': expected one, found several.";
            return Err(bad(message).with_param("host"));
        }
    };
    let text = std::str::from_utf8(host).unwrap_or("\u{FFFD}");
    let parsed: Result<Authority, _> = text.parse();
    let fits = |it: &Authority| !text.contains('@') && authority.is_none_or(|other| other == it);
    if text.is_empty() && authority.is_none() || parsed.as_ref().is_ok_and(fits) {
        return Ok(());
    }
    let message = "Invalid header 'host': expected the name and port that the request is for.";
    Err(bad(message).with_param("host"))
}

fn framing(found: &HeadFields<'_>, is_http_11: bool) -> Result<BodyFraming, ApiError> {
    let length = |message: &str| Err(bad(message).with_param("content-length"));
    match (found.lengths.as_slice(), found.codings.as_slice()) {
        ([], []) => Ok(BodyFraming::Length(0)),
        ([], [coding]) if is_http_11 && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(BodyFraming::Chunked)
        }
        ([], _) => {
            let message = "Invalid header 'transfer-encoding': expected chunked, once.";
            Err(bad(message).with_param("transfer-encoding"))
        }
        ([text], []) if !text.is_empty() && text.iter().all(u8::is_ascii_digit) => {
            let number = std::str::from_utf8(text)
                .ok()
                .and_then(|it| it.parse().ok());
            match number {
                Some(number) if number < u64::MAX - 2 => Ok(BodyFraming::Length(number)),
                _ => length("Invalid header 'content-length': the number is too large."),
            }
        }
        ([_], []) => length("Invalid header 'content-length': expected a number."),
        (_, []) => length("Invalid header 'content-length': expected one, found several."),
        _ => length("A request has a content-length or a transfer-encoding, not both."),
    }
}

fn bad(message: impl Into<Box<str>>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "malformed_request", message)
}

fn too_large(message: impl Into<Box<str>>) -> ApiError {
    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    ApiError::new(status, "headers_too_large", message)
}
