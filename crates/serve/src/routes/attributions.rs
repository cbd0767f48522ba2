//! `GET /v1/attributions/{id}` and the published log.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::Stream;
use tokio::io::AsyncReadExt;

use super::AppState;
use crate::{
    answer::FinishedAnswer,
    api_error::ApiError,
    attribution::published::{JournalAttribution, PublishedAttribution},
    receipt,
    request_id::RequestId,
};
use openlora_ledger::publication::{CATALOGUE, batch_file, parse_contributions_file};

/// Bytes of a file that are read at a time.
const PIECE: usize = 64 * 1024;

pub async fn get_attribution(
    State(app): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<PublishedAttribution>, ApiError> {
    let id = RequestId::parse(&id).ok_or_else(|| unknown(&id))?;
    let counted = receipt::find(&app.journal, &id).await?;
    if !counted.is_some_and(|receipt| receipt.is_addressed()) {
        return Err(unknown(id.as_str()));
    }
    let found = JournalAttribution::read_journal(&app.journal, id.as_str()).await;
    let found = found.map_err(|error| {
        tracing::error!(%error, "the journal cannot be read");
        ApiError::unavailable("journal_unavailable", "The journal cannot be read now.")
    })?;
    Ok(Json(found.published(id.as_str(), &app.attributions)))
}

/// A file of the log. Its name is the root that is anchored on the chain.
pub async fn file(
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let name = known(&name).ok_or_else(|| no_file(&name))?;
    let folder = app.attributions.log().ok_or_else(|| no_file(&name))?;
    let opened = tokio::fs::File::open(folder.join(&name)).await;
    let file = opened.map_err(|_| no_file(&name))?;
    let length = file.metadata().await.map_err(|_| no_file(&name))?.len();
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(FinishedAnswer::JSON),
        ),
        (header::CONTENT_LENGTH, HeaderValue::from(length)),
    ];
    Ok((headers, Body::from_stream(pieces(file, length))).into_response())
}

/// Streams a file, so that a slow reader holds one piece of it.
fn pieces(file: tokio::fs::File, length: u64) -> impl Stream<Item = std::io::Result<Bytes>> {
    async_stream::stream! {
        let mut rest = file.take(length);
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            match (&mut rest).take(PIECE as u64).read_to_end(&mut piece).await {
                Ok(0) => return,
                Ok(_) => yield Ok(piece.into()),
                Err(error) => {
                    yield Err(error);
                    return;
                }
            }
        }
    }
}

/// The name of a file of the log, rebuilt from its parsed form.
fn known(name: &str) -> Option<String> {
    if name == CATALOGUE {
        return Some(CATALOGUE.to_owned());
    }
    let batch = name.strip_prefix("batch-");
    match batch.and_then(|rest| rest.strip_suffix(".json")) {
        Some(root) => Some(batch_file(root.parse().ok()?)),
        None => parse_contributions_file(name),
    }
}

fn no_file(name: &str) -> ApiError {
    let shown: String = name.chars().take(128).collect();
    let message = format!("The log has no file '{shown}'.");
    ApiError::new(StatusCode::NOT_FOUND, "file_not_found", message)
}

fn unknown(id: &str) -> ApiError {
    let shown: String = id.chars().take(128).collect();
    let message = format!("No call was metered under the request id '{shown}'.");
    ApiError::new(StatusCode::NOT_FOUND, "attribution_not_found", message)
}
