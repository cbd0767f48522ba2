//! `POST /v1/chat/completions` and `POST /v1/completions`.

use axum::{
    extract::{Request, State},
    response::Response,
};

use super::AppState;
use crate::{
    answer::AnswerForm,
    api_error::ApiError,
    generate::{self, GenerationJob},
    intake::CallIntake,
    wire::{chat::ChatRequest, completion::CompletionRequest},
};
use openlora_engine::Prompt;

pub async fn chat(State(app): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let intake = CallIntake::read(&app, request, ChatRequest::problems).await?;
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
