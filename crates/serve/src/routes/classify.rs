//! `POST /v1/classify`, and the run of a classifier that moderation shares.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use tokio_util::sync::CancellationToken;

use super::AppState;
use crate::{
    adapter_registry::ServedAdapter,
    admission::{CallPrompts, OpenedCall},
    answer::FinishedAnswer,
    api_error::ApiError,
    gate::draining,
    generate::{deliver, finished, passed, repeat, too_late},
    intake::{CallIntake, placed},
    meter::{Admission, ReservedCall},
    wire::{
        images::IMAGES_PATH,
        inputs::{self, PlacedText},
    },
};
use openlora_engine::{Engine, LabelProbabilities, Prompt};
use openlora_ledger::{
    CallWork,
    event::{CallKind, FinishReason, TokenUsage},
};
use openlora_model::dataset::Task;

pub async fn classify(State(app): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let mut intake = CallIntake::read(&app, request, inputs::classification_problems).await?;
    let other_kind = |refusal| inputs::classification_problems(&intake.fields).with_model(refusal);
    let task = classifier(&intake).map_err(other_kind)?;
    let PlacedText { place, text } = inputs::read_classification(&intake.fields)?;
    let prompt = Prompt::Chat(task.prompt_messages(&text));
    intake.places = vec![place];
    let adapter = Arc::clone(&intake.adapter);
    run(
        &app,
        intake,
        CallKind::Classify,
        vec![prompt],
        move |id, found, usage| {
            let probabilities = found.first().map_or(&[][..], |one| &one.probabilities);
            inputs::classify_answer(id, &adapter.name, adapter.labels(), probabilities, usage)
        },
    )
    .await
}

/// The task of a classifier; any other adapter is refused.
pub fn classifier(intake: &CallIntake) -> Result<&Task, ApiError> {
    match &intake.adapter.task {
        Some(task @ Task::Classify { .. }) => Ok(task),
        _ => {
            let name = &intake.adapter.name;
            // A text adapter answers in a chat, too.
            let path = match intake.adapter.engine.images() {
                Some(_) => IMAGES_PATH,
                None => "/v1/chat/completions",
            };
            let message = format!("The model '{name}' is not a classifier; use {path}.");
            Err(
                ApiError::new(StatusCode::BAD_REQUEST, "not_a_classifier", message)
                    .with_param("model"),
            )
        }
    }
}

/// Classifies every prompt as one metered call; `write` turns the result into the answer.
pub async fn run(
    app: &AppState,
    mut intake: CallIntake,
    kind: CallKind,
    prompts: Vec<Prompt>,
    write: impl FnOnce(&str, &[LabelProbabilities], TokenUsage) -> serde_json::Value + Send + 'static,
) -> Result<Response, ApiError> {
    let admission = match app.admit(&intake).await? {
        Some(Admission::Repeated(answer)) => return Ok(repeat(app, answer)),
        admission => admission,
    };
    let permit = app.turn_if_free(&intake, prompts.len() as u64).await?;
    let prompt_tokens = intake.count(app, &prompts).await?;
    let work = CallWork::Classifications {
        texts: prompts.len() as u64,
    };
    let opened = app.open(&mut intake, admission, permit, work, FinishedAnswer::JSON);
    let ticket = match opened.await? {
        OpenedCall::Run(ticket) => ticket,
        OpenedCall::Repeated(answer) => return Ok(repeat(app, answer)),
    };
    let asked = CallPrompts {
        kind,
        prompts: prompts.clone(),
        prompt_tokens,
        computation: intake.adapter.computation(None),
    };
    let (connection, server) = (intake.connection.clone(), app.clone());
    let answer = finished(async move {
        let engine = Arc::clone(&ticket.engine);
        let call = server.reserve(&intake, ticket, asked).await?;
        let run = ClassifyRun {
            id: intake.id.as_str().to_owned(),
            places: intake.places.clone(),
            adapter: Arc::clone(&intake.adapter),
            engine,
            call,
            force_stop: server.stop.force_stop.clone(),
        };
        run.whole(prompts, write).await
    });
    Ok(deliver(app, connection, answer.await?))
}

/// A classification on its engine.
struct ClassifyRun {
    id: String,
    places: Vec<String>,
    adapter: Arc<ServedAdapter>,
    engine: Arc<dyn Engine>,
    call: ReservedCall,
    force_stop: CancellationToken,
}

impl ClassifyRun {
    /// The answer, metered before it is returned. The call is charged for its work, even if the
    /// caller has disconnected.
    async fn whole(
        mut self,
        prompts: Vec<Prompt>,
        write: impl FnOnce(&str, &[LabelProbabilities], TokenUsage) -> serde_json::Value + Send,
    ) -> Result<FinishedAnswer, ApiError> {
        let force_stop = self.force_stop.clone();
        let deadline = self.call.deadline();
        let found = tokio::select! {
            found = self.label(prompts) => found,
            () = force_stop.cancelled() => Err(draining()),
            () = passed(deadline) => Err(too_late()),
        };
        let Self {
            id,
            adapter,
            mut call,
            ..
        } = self;
        let found = match found {
            Ok(found) => found,
            Err(refusal) => {
                call.finish(FinishReason::Failed, None).await?;
                return Err(refusal);
            }
        };
        let tokens = found.iter().map(|one| one.usage.completion_tokens).sum();
        let answers = answers(&found, adapter.labels());
        call.deliver_whole(&shares(&found), answers, tokens);
        let payment = call.payment_response(FinishReason::Stop);
        let answer =
            FinishedAnswer::json(&write(&id, &found, call.usage(FinishReason::Stop))).paid(payment);
        call.finish(FinishReason::Stop, Some(answer.clone()))
            .await?;
        Ok(answer)
    }

    async fn label(&mut self, prompts: Vec<Prompt>) -> Result<Vec<LabelProbabilities>, ApiError> {
        let mut found = Vec::with_capacity(prompts.len());
        for (at, prompt) in prompts.into_iter().enumerate() {
            let labelled = self.engine.classify(prompt, self.adapter.labels()).await;
            let refused = |error| placed(&self.places, at, ApiError::from_engine(&error));
            found.push(labelled.map_err(refused)?);
            self.call.first_token();
        }
        Ok(found)
    }
}

/// The label that each text was given.
fn answers(found: &[LabelProbabilities], labels: &[String]) -> Vec<String> {
    let best = |one: &LabelProbabilities| {
        let mut likely = (0, f64::MIN);
        for (at, probability) in one.probabilities.iter().enumerate() {
            if *probability > likely.1 {
                likely = (at, *probability);
            }
        }
        labels.get(likely.0).cloned().unwrap_or_default()
    };
    found.iter().map(best).collect()
}

/// The delivered probabilities as the text that the receipt's hash covers.
fn shares(found: &[LabelProbabilities]) -> String {
    let all = found.iter().flat_map(|one| one.probabilities.iter());
    all.map(|value| format!("{value}\n")).collect()
}
