//! `GET /log/checkpoint`, `GET /log/tile/…` and `GET /log/release/…`: the transparency log as C2SP tlog-tiles serves it.

use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::AppState;
use crate::api_error::ApiError;
use openlora_transparency::{TilePath, TlogError, TransparencyView};

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// A checkpoint is replaced by the next one, so that caches must ask again.
const FRESH: &str = "no-cache";

/// A tile never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";

pub async fn checkpoint(State(app): State<AppState>) -> Result<Response, ApiError> {
    let view = app
        .transparency
        .clone()
        .ok_or_else(|| no_file("checkpoint"))?;
    let found = blocking(move || view.folder.checkpoint_note()).await?;
    let note = found.ok_or_else(|| no_file("checkpoint"))?;
    Ok(answer(note, TEXT, FRESH))
}

pub async fn tile(
    State(app): State<AppState>,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    let name = format!("tile/{path}");
    let tile = TilePath::parse(&name).ok_or_else(|| no_file(&name))?;
    let view = app.transparency.clone().ok_or_else(|| no_file(&name))?;
    let found = blocking(move || covered(&view, tile)).await?;
    Ok(answer(found.ok_or_else(|| no_file(&name))?, BYTES, FOREVER))
}

/// Where the log has the release of a manifest, for readers who then prove it.
pub async fn release(
    State(app): State<AppState>,
    Path(manifest): Path<String>,
) -> Result<Response, ApiError> {
    let name = format!("release/{manifest}");
    let view = app.transparency.clone().ok_or_else(|| no_file(&name))?;
    let found = blocking(move || view.folder.release_place(&manifest)).await?;
    let index = found.ok_or_else(|| no_file(&name))?;
    Ok(answer(index.to_string().into_bytes(), TEXT, FRESH))
}

/// A tile, if a checkpoint covers it: what was not signed yet may still be written again.
fn covered(view: &TransparencyView, tile: TilePath) -> Result<Option<Vec<u8>>, TlogError> {
    let size = match view.checkpoint() {
        Ok(checkpoint) => checkpoint.size,
        Err(TlogError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    match tile.end().is_some_and(|end| end <= size) {
        true => view.folder.tile(tile),
        false => Ok(None),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TlogError> + Send + 'static,
) -> Result<T, ApiError> {
    let unreadable = || {
        let message = "The transparency log cannot be read now.";
        ApiError::unavailable("log_unavailable", message)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| unreadable())?.map_err(|error| {
        tracing::error!(%error, "the transparency log cannot be read");
        unreadable()
    })
}

fn answer(bytes: Vec<u8>, kind: &'static str, caching: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
    ];
    (headers, bytes).into_response()
}

fn no_file(name: &str) -> ApiError {
    let shown: String = name.chars().take(128).collect();
    let message = format!("The log has no file '{shown}'.");
    ApiError::new(StatusCode::NOT_FOUND, "file_not_found", message)
}
