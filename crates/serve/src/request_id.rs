//! The id under which a call is counted once: the caller's, or a fresh one.
//!
//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header, quoted or bare) has precedence
//! over `X-Request-Id`, which proxies often set.

use axum::http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::api_error::ApiError;
use openlora_core::Address;

pub const REQUEST_ID: &str = "x-request-id";
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longest accepted id in bytes.
const LONGEST: usize = 128;

/// Number of digits in the id of a paid call.
const SECRET: usize = 32;

/// A validated request id: 1 to 128 letters, digits and `-_.:~`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(String);

impl RequestId {
    /// The id that the headers carry, or a new one ordered by time (UUID version 7).
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, ApiError> {
        for name in [IDEMPOTENCY_KEY, REQUEST_ID] {
            if let Some(value) = headers.get(name) {
                let text = value.to_str().unwrap_or_default();
                return Self::parse(unquote(text)).ok_or_else(|| refuse(name));
            }
        }
        Ok(Self(uuid::Uuid::now_v7().to_string()))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte);
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned()))
    }

    /// The id of a paid call. It depends on the payer, so ids of different payers do not collide.
    /// Other parties cannot compute it, because the salt is the journal's secret. Each attempt at a
    /// call has its own id.
    pub fn of_payer(salt: &[u8], payer: Address, id: &Self, attempt: u32) -> Self {
        let hash = Sha256::new()
            .chain_update(salt)
            .chain_update(b"paid call")
            .chain_update(payer.0)
            .chain_update(attempt.to_le_bytes())
            .chain_update(&id.0);
        let mut text = hex::encode(hash.finalize());
        text.truncate(SECRET);
        Self(text)
    }

    /// Whether an id cannot be guessed: the id of a paid call, or a UUID.
    pub fn is_secret(text: &str) -> bool {
        let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (text.len() == SECRET && hexadecimal) || uuid::Uuid::try_parse(text).is_ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}

fn refuse(header: &str) -> ApiError {
    let message = format!(
        "Invalid header '{header}': expected 1 to {LONGEST} letters, digits or any of - _ . : ~."
    );
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_request_id", message).with_param(header)
}
