//! `POST /v1/moderations`: a content filter in OpenAI's form.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};

use super::{AppState, classify};
use crate::{
    adapter_registry::{AdapterRegistry, ServedAdapter},
    api_error::ApiError,
    intake::CallIntake,
    wire::inputs,
};
use openlora_engine::Prompt;
use openlora_ledger::event::CallKind;

pub async fn moderate(State(app): State<AppState>, request: Request) -> Result<Response, ApiError> {
    // OpenAI's route needs no model.
    let problems = inputs::moderation_problems;
    let mut intake = CallIntake::read_for(&app, request, problems, only_filter).await?;
    let other_kind = |refusal| problems(&intake.fields).with_model(refusal);
    let task = classify::classifier(&intake).map_err(other_kind)?;
    let harmless = inputs::harmless_label(intake.adapter.labels());
    let harmless = harmless.ok_or_else(|| other_kind(no_filter(&intake)))?;
    let texts = inputs::read_moderation(&intake.fields)?;
    let prompts = texts
        .iter()
        .map(|placed| Prompt::Chat(task.prompt_messages(&placed.text)))
        .collect();
    intake.places = texts.into_iter().map(|placed| placed.place).collect();
    let adapter = Arc::clone(&intake.adapter);
    classify::run(
        &app,
        intake,
        CallKind::Moderation,
        prompts,
        move |id, found, usage| {
            let result = |probabilities: &[f64]| {
                inputs::moderation_result(adapter.labels(), harmless, probabilities)
            };
            let results: Vec<_> = found.iter().map(|one| result(&one.probabilities)).collect();
            inputs::moderation_answer(id, &adapter.name, &results, usage)
        },
    )
    .await
}

/// The only content filter that is served.
fn only_filter(adapters: &AdapterRegistry) -> Option<Arc<ServedAdapter>> {
    let is_filter = |it: &Arc<ServedAdapter>| inputs::harmless_label(it.labels()).is_some();
    let mut filters = adapters.all().into_iter().filter(is_filter);
    filters.next().filter(|_| filters.next().is_none())
}

fn no_filter(intake: &CallIntake) -> ApiError {
    let message = format!(
        "The model '{}' is not a content filter: none of its labels ({}) marks harmless text ({}). \
         Use /v1/classify.",
        intake.adapter.name,
        intake.adapter.labels().join(", "),
        inputs::HARMLESS_LABELS.join(", "),
    );
    ApiError::new(StatusCode::BAD_REQUEST, "not_a_content_filter", message).with_param("model")
}
