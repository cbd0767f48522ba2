//! Redaction of credentials in URLs: `https://user:password@host`, `?apikey=…`, and keys in a path
//! such as `/v3/0123456789abcdef…`.
//!
//! Every URL from the command line, the environment or a settings file is registered together with
//! its redacted form. All output, logs and responses pass through [`scrub`], so that error texts of
//! libraries are redacted too.

use std::{
    borrow::Cow,
    sync::{PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Replaces what is redacted.
const HIDDEN: &str = "…";
/// Shortest path segment that can be a key.
const SHORTEST_KEY: usize = 16;
/// Shortest credential that is searched for outside its URL; shorter ones could be ordinary words.
const SHORTEST_PART: usize = 8;

/// Registered secrets and their replacements; longer texts first.
static KNOWN: RwLock<Vec<(String, String)>> = RwLock::new(Vec::new());

/// A URL, split into its parts.
struct UrlParts<'a> {
    scheme: &'a str,
    credentials: Option<&'a str>,
    /// Host and port.
    host: &'a str,
    path: &'a str,
    /// With its question mark and the fragment.
    query: &'a str,
}

impl<'a> UrlParts<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, rest) = cut(rest, &['/', '?', '#']);
        let (path, query) = cut(rest, &['?', '#']);
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        Some(Self {
            scheme,
            credentials,
            host,
            path,
            query,
        })
    }

    fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }

    fn shown(&self) -> String {
        let part = |part| if is_key(part) { HIDDEN } else { part };
        let path: Vec<&str> = self.path.split('/').map(part).collect();
        let query = match self.query {
            "" => String::new(),
            query => format!("{}{HIDDEN}", &query[..1]),
        };
        format!("{}{}{query}", self.origin(), path.join("/"))
    }

    /// Secret parts that may appear without the URL around them.
    fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(credentials) = self.credentials {
            parts.push(credentials.to_owned());
            parts.push(STANDARD.encode(credentials));
            parts.extend(credentials.split(':').nth(1).map(str::to_owned));
        }
        parts.extend(
            self.path
                .split('/')
                .filter(|it| is_key(it))
                .map(str::to_owned),
        );
        let pairs = self.query.split(['?', '&', '#']);
        parts.extend(pairs.map(|pair| pair.rsplit('=').next().unwrap_or(pair).to_owned()));
        parts.retain(|part| part.len() >= SHORTEST_PART);
        parts
    }
}

/// `text` up to the first character of `ends`, and the rest including that character.
fn cut<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// Whether a path segment is too long and too irregular to be a word.
fn is_key(part: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| part.as_bytes().iter().any(kind);
    part.len() >= SHORTEST_KEY
        && has(u8::is_ascii_alphanumeric)
        && (has(u8::is_ascii_digit) || part.len() >= 2 * SHORTEST_KEY)
}

/// A URL as it may be displayed: without user, password, query and keys in its path. A text that is
/// no URL is returned unchanged.
pub fn address(text: &str) -> String {
    UrlParts::parse(text).map_or_else(|| text.to_owned(), |it| it.shown())
}

/// Registers the credentials of all URLs in `text`.
pub fn register_credentials(text: &str) {
    for found in addresses(text) {
        let Some(address) = UrlParts::parse(found) else {
            continue;
        };
        let shown = address.shown();
        if shown == found {
            continue;
        }
        for spelt in spellings(found) {
            keep(spelt, shown.clone());
        }
        for part in address.parts() {
            keep(part, HIDDEN.to_owned());
        }
    }
}

/// Registers a URL of which only scheme, host and port may be displayed: the path may be an access
/// key of any form.
pub fn remember_endpoint(text: &str) {
    register_credentials(text);
    let Some(address) = UrlParts::parse(text) else {
        return;
    };
    if address.path.len() > 1 || !address.query.is_empty() {
        for spelt in spellings(text) {
            keep(spelt, address.origin());
        }
    }
}

/// `text` without the credentials of any URL.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut scrubbed = Cow::Borrowed(text);
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    for (secret, shown) in known.iter() {
        if scrubbed.contains(secret.as_str()) {
            scrubbed = Cow::Owned(scrubbed.replace(secret.as_str(), shown));
        }
    }
    // URLs that were not registered, for example one named by a server.
    let strange: Vec<String> = addresses(&scrubbed)
        .filter(|it| UrlParts::parse(it).is_some_and(|it| it.credentials.is_some()))
        .map(str::to_owned)
        .collect();
    for found in strange {
        scrubbed = Cow::Owned(scrubbed.replace(&found, &address(&found)));
    }
    scrubbed
}

/// The URL as it was written and as libraries spell it.
fn spellings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    all.extend(reqwest::Url::parse(text).map(String::from));
    all
}

fn keep(secret: String, shown: String) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(known, _)| *known != secret);
    known.push((secret, shown));
    known.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
}

/// Every URL in a text. A URL ends before white space and quotation marks.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let ends = |letter: char| letter.is_whitespace() || "\"'`<>".contains(letter);
    text.match_indices("://").filter_map(move |(at, _)| {
        let scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
        let before = text[..at].rfind(|letter| !scheme(letter));
        let start = before.map_or(0, |place| {
            place + text[place..].chars().next().map_or(1, char::len_utf8)
        });
        let end = text[at..]
            .find(ends)
            .map_or(text.len(), |length| at + length);
        (start < at).then(|| &text[start..end])
    })
}
