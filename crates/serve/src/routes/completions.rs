//! `POST /v1/chat/completions` and `POST /v1/completions`.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};

use super::AppState;
use crate::{
    answer::AnswerForm,
    api_error::ApiError,
    generate::{self, GenerationJob},
    intake::CallIntake,
    wire::{chat::ChatRequest, completion::CompletionRequest, images::IMAGES_PATH},
};
use openlora_engine::Prompt;

pub async fn chat(State(app): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let intake = CallIntake::read(&app, request, ChatRequest::problems).await?;
    let other_kind = |refusal| ChatRequest::problems(&intake.fields).with_model(refusal);
    answers_with_text(&intake).map_err(other_kind)?;
    let ChatRequest {
        messages,
        sampling,
        streaming,
    } = ChatRequest::read(&intake.fields)?;
    let prompt = intake.adapter.chat_prompt(messages);
    let job = GenerationJob {
        form: AnswerForm::Chat,
        prompt,
        options: sampling,
        streaming,
    };
    generate::answer(&app, intake, job).await
}

pub async fn text(State(app): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let intake = CallIntake::read(&app, request, CompletionRequest::problems).await?;
    let other_kind = |refusal| CompletionRequest::problems(&intake.fields).with_model(refusal);
    answers_with_text(&intake).map_err(other_kind)?;
    let CompletionRequest {
        prompt,
        sampling,
        streaming,
    } = CompletionRequest::read(&intake.fields)?;
    let job = GenerationJob {
        form: AnswerForm::Completion,
        prompt: Prompt::Text(prompt),
        options: sampling,
        streaming,
    };
    generate::answer(&app, intake, job).await
}

/// Refuses a model that makes pictures.
fn answers_with_text(intake: &CallIntake) -> Result<(), ApiError> {
    if intake.adapter.engine.images().is_none() {
        return Ok(());
    }
    let name = &intake.adapter.name;
    let message = format!("The model '{name}' makes pictures; use {IMAGES_PATH}.");
    let refusal = ApiError::new(StatusCode::BAD_REQUEST, "not_a_text_model", message);
    Err(refusal.with_param("model"))
}
