//! The pages for people: what is served here, and one page per adapter.
//!
//! They are whole HTML documents from this binary. A strict content security policy names the style
//! and the script by their hashes, and nothing is fetched from elsewhere. Every value passes the
//! template engine's escaping: texts of manifests stay text.

mod calling;
mod facts;
mod server_facts;

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{AutoEscape, Environment, context};
use sha2::{Digest, Sha256};

pub use facts::AdapterPageFacts;
pub use server_facts::ServerFacts;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("try.js");
const LAYOUT: &str = include_str!("layout.html");
const HOME: &str = include_str!("home.html");
const ADAPTER: &str = include_str!("adapter.html");

/// The icon of the pages, of listings and of registration files.
pub const ICON: &str = include_str!("icon.svg");

static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> =
    LazyLock::new(environment);

/// Only the two inline texts, by their hashes; requests only to this server.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    // Neither holds a value, so neither needs escaping.
    templates.add_global(
        "style",
        minijinja::Value::from_safe_string(STYLE.to_owned()),
    );
    templates.add_global(
        "script",
        minijinja::Value::from_safe_string(SCRIPT.to_owned()),
    );
    for (name, text) in [("layout", LAYOUT), ("home", HOME), ("adapter", ADAPTER)] {
        templates.add_template(name, text)?;
    }
    Ok(templates)
}

/// The page of a server.
pub fn home(server: &ServerFacts, adapters: &[AdapterPageFacts]) -> Response {
    page("home", &context! { server => server, adapters => adapters })
}

/// The page of an adapter.
pub fn adapter(server: &ServerFacts, adapter: &AdapterPageFacts) -> Response {
    let facts = context! { server => server, adapter => adapter };
    page("adapter", &facts)
}

fn page(name: &str, facts: &minijinja::Value) -> Response {
    let templates = TEMPLATES.as_ref().map_err(ToString::to_string);
    let written = templates.and_then(|templates| {
        let template = templates.get_template(name);
        let text = template.and_then(|template| template.render(facts));
        text.map_err(|error| error.to_string())
    });
    match written {
        Ok(text) => document(StatusCode::OK, text),
        Err(error) => {
            tracing::error!(page = name, %error, "a page could not be written");
            let text = "<!doctype html><title>500</title><p>This page could not be written.";
            document(StatusCode::INTERNAL_SERVER_ERROR, text.to_owned())
        }
    }
}

fn document(status: StatusCode, text: String) -> Response {
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Whether a request asks for a page rather than for data: browsers name HTML, programs do not.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let quality = |wanted: &str| {
        let ranges = accepted.iter().flat_map(|value| value.split(','));
        let weights = ranges.filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            is_it.then(|| weight.map_or(Some(1000), thousandths))?
        });
        weights.max().unwrap_or(0)
    };
    let html = quality("text/html");
    html > 0 && html >= quality("application/json")
}

/// A weight such as `0.8` in thousandths.
fn thousandths(weight: &str) -> Option<u32> {
    let (whole, rest) = weight.split_once('.').unwrap_or((weight, ""));
    let digits: String = rest.chars().chain("000".chars()).take(3).collect();
    let (whole, rest): (u32, u32) = (whole.parse().ok()?, digits.parse().ok()?);
    Some(whole.min(1) * 1000 + rest)
}

/// The path of an adapter's page.
pub fn path_of(name: &str) -> String {
    format!("/adapters/{}", encoded(name))
}

/// A text as a part of a path or a query.
pub fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            // Writing to a `String` cannot fail.
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}
