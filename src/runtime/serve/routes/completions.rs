//! `POST /v1/chat/completions` and `POST /v1/completions`.

use axum::{
    extract::{Request, State},
    response::Response,
};

use super::App;
use crate::runtime::{
    engine::Prompt,
    serve::{
        answer::Form,
        generate::{self, Job},
        intake::Intake,
        refusal::Refusal,
        wire::{chat::ChatRequest, completion::CompletionRequest},
    },
};

pub async fn chat(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let intake = Intake::read(&app, request).await?;
    let ChatRequest {
        messages,
        sampling,
        streaming,
    } = ChatRequest::read(&intake.fields)?;
    let prompt = intake.adapter.chat_prompt(messages);
    let job = Job {
        form: Form::Chat,
        prompt,
        wish: sampling,
        streaming,
    };
    generate::answer(&app, intake, job).await
}

pub async fn text(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let intake = Intake::read(&app, request).await?;
    let CompletionRequest {
        prompt,
        sampling,
        streaming,
    } = CompletionRequest::read(&intake.fields)?;
    let job = Job {
        form: Form::Completion,
        prompt: Prompt::Text(prompt),
        wish: sampling,
        streaming,
    };
    generate::answer(&app, intake, job).await
}
