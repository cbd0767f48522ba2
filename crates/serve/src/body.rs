//! Request bodies: JSON only, bounded in size and time, and in memory over all callers.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::api_error::ApiError;

/// Longest time for a body to arrive.
const LONGEST: Duration = Duration::from_secs(30);

/// How much of a too large body is read and discarded, so that the caller can read the answer
/// instead of getting a broken connection.
const DISCARDED: usize = 32 << 20;

/// Bodies larger than this use the shared memory budget.
const SMALL: usize = 16 * 1024;

/// The unit of the shared memory budget.
const UNIT: usize = 1024;

/// Memory budget for large bodies, over all callers.
#[derive(Clone, Debug)]
pub struct BodyMemory(Arc<Semaphore>);

/// A body with its share of the memory budget.
#[derive(Debug)]
pub struct BufferedBody {
    pub bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

impl BodyMemory {
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// Reserves memory for a body of `length` bytes in total.
    fn grow(&self, held: &mut Option<OwnedSemaphorePermit>, length: usize) -> Result<(), ApiError> {
        let has = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wants = length.saturating_sub(SMALL).div_ceil(UNIT);
        let more = u32::try_from(wants.saturating_sub(has)).unwrap_or(u32::MAX);
        if more == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.0).try_acquire_many_owned(more);
        let more = more.map_err(|_| {
            let message = "Too many large requests arrive at once; try again shortly.";
            ApiError::unavailable("too_many_large_requests", message)
        })?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

/// The length in a request's head, if it states one.
pub fn content_length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Reads a JSON body of at most `limit` bytes.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    memory: &BodyMemory,
) -> Result<BufferedBody, ApiError> {
    check_type(headers)?;
    match tokio::time::timeout(LONGEST, collect(body, limit, memory)).await {
        Ok(read) => read,
        Err(_) => {
            let message = format!(
                "The request body did not arrive within {} s.",
                LONGEST.as_secs()
            );
            Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                message,
            ))
        }
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING) {
        let found = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
        if found != "identity" {
            let message = format!("Invalid Content-Encoding: expected identity, found '{found}'.");
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_content_encoding",
                message,
            ));
        }
    }
    let value = headers.get(header::CONTENT_TYPE);
    let text = value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let media = text
        .as_deref()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let found = text.map_or("none".to_owned(), |text| format!("'{text}'"));
    let message = format!("Invalid Content-Type: expected application/json, found {found}.");
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_content_type",
        message,
    ))
}

async fn collect(body: Body, limit: usize, memory: &BodyMemory) -> Result<BufferedBody, ApiError> {
    let mut stream = body.into_data_stream();
    let mut collected = Vec::new();
    let mut held = None;
    let mut total = 0_usize;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            let message = "The request body broke off before its end.";
            ApiError::new(StatusCode::BAD_REQUEST, "incomplete_body", message)
        })?;
        total = total.saturating_add(chunk.len());
        if total <= limit {
            memory.grow(&mut held, total)?;
            collected.extend_from_slice(&chunk);
        } else if total > DISCARDED {
            break;
        } else {
            (collected, held) = (Vec::new(), None);
        }
    }
    if total <= limit {
        Ok(BufferedBody {
            bytes: collected.into(),
            _memory: held,
        })
    } else {
        Err(too_large(limit))
    }
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("The request body is larger than the limit of {limit} bytes.");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}
