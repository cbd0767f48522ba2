//! `POST /v1/load_lora_adapter` and `POST /v1/unload_lora_adapter`, with vLLM's bodies.

use std::path::PathBuf;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use serde_json::{Value, json};

use super::AppState;
use crate::{
    adapter_changes::{put_adapter, remove_adapter},
    api_error::ApiError,
    body,
    gate::draining,
    wire::{
        fields::{BodyFields, wrong_value},
        problems::BodyProblems,
    },
};
use openlora_core::error::{ExitClass, Failure};
use openlora_journal::JournalError;

/// Largest body in bytes.
const LARGEST: usize = 64 * 1024;

/// Longest name of an adapter in bytes.
const LONGEST_NAME: usize = 128;

/// Loads an adapter from a folder of this machine under a name. The load goes on if the client
/// leaves.
pub async fn load(State(app): State<AppState>, request: Request) -> Result<Json<Value>, ApiError> {
    let fields = read(&app, request).await?;
    let mut problems = BodyProblems::of_names(fields.others(&["lora_name", "lora_path"], &[]));
    let name = problems.keep(name(&fields));
    let path = problems.keep(fields.required_string("lora_path").map(PathBuf::from));
    problems.unless_any(())?;
    let work = tokio::spawn(async move { load_named(&app, &name, path).await });
    work.await.map_err(|error| broken_off(&error))?
}

/// Unloads an adapter. Its running calls finish.
pub async fn unload(
    State(app): State<AppState>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let fields = read(&app, request).await?;
    let mut problems = BodyProblems::of_names(fields.others(&["lora_name"], &["lora_int_id"]));
    let name = problems.keep(name(&fields));
    problems.unless_any(())?;
    let _alone = app.loading.lock().await;
    let adapter = app
        .adapters
        .find(&name)
        .map_err(|refusal| refusal.with_param("lora_name"))?;
    remove_adapter(&app, &adapter)
        .await
        .map_err(|error| unwritable(&error))?;
    Ok(Json(json!({
        "lora_name": adapter.name,
        "digest": adapter.digest,
        "outcome": "unloaded",
    })))
}

async fn load_named(app: &AppState, name: &str, path: PathBuf) -> Result<Json<Value>, ApiError> {
    let Some(loader) = &app.loader else {
        let message = "This server keeps the adapters that it was started with.";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "loading_off", message));
    };
    let _alone = app.loading.lock().await;
    if app.stop.draining.is_cancelled() {
        return Err(draining());
    }
    let loaded = loader.load(name, &path, &app.adapters.all()).await;
    let adapter = loaded.map_err(|failure| refused(&failure))?;
    let mut answer = json!({
        "lora_name": adapter.name,
        "digest": adapter.digest,
        "version": adapter.version,
    });
    let outcome = put_adapter(app, adapter).await;
    answer["outcome"] = json!(outcome.map_err(|error| unwritable(&error))?);
    Ok(Json(answer))
}

async fn read(app: &AppState, request: Request) -> Result<BodyFields, ApiError> {
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body, LARGEST, &app.bodies).await?;
    BodyFields::parse(&body.bytes)
}

/// A name that can stand in a request, a URL and a log.
fn name(fields: &BodyFields) -> Result<String, ApiError> {
    let name = fields.required_string("lora_name")?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    let expected = format!("1 to {LONGEST_NAME} letters, digits and any of - _ .");
    Err(wrong_value("lora_name", &expected, &format!("'{shown}'")))
}

/// Why an adapter is not served, with what the operator can do.
fn refused(failure: &Failure) -> ApiError {
    let message = failure.message.clone();
    let refusal = match failure.class {
        ExitClass::Usage | ExitClass::BadInput | ExitClass::Verification => {
            ApiError::invalid("adapter_refused", "lora_path", message)
        }
        _ => ApiError::unavailable("adapter_not_loaded", message),
    };
    match &failure.hint {
        Some(hint) => refusal.with_hint(hint),
        None => refusal,
    }
}

fn unwritable(error: &JournalError) -> ApiError {
    tracing::error!(%error, "an adapter is not recorded");
    let message = "The journal cannot be written, so the adapters stay as they are.";
    ApiError::unavailable("journal_unavailable", message)
}

fn broken_off(error: &tokio::task::JoinError) -> ApiError {
    tracing::error!(%error, "a load broke off");
    let message = "The adapter is not loaded; the server's log says why.";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}
