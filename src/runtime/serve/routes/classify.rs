//! `POST /v1/classify`, and the run of a classifier that moderation shares.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};

use super::App;
use crate::runtime::{
    dataset::Task,
    event::{CallKind, Finish, Usage},
    ledger::Work,
    ports::{Classified, Prompt},
    serve::{
        ServeError,
        answer::Answer,
        gate::draining,
        generate::{repeat, respond},
        intake::{Asked, Intake},
        meter::{Admission, Call},
        payment::Opened,
        refusal::Refusal,
        wire::inputs,
    },
};

pub async fn classify(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let intake = Intake::read(&app, request).await?;
    let task = classifier(&intake)?;
    let text = inputs::classify_text(&intake.fields)?;
    let prompt = Prompt::Chat(task.prompt_messages(&text));
    let adapter = std::sync::Arc::clone(&intake.adapter);
    run(
        &app,
        intake,
        CallKind::Classify,
        vec![prompt],
        |id, found, usage| {
            let probabilities = found.first().map_or(&[][..], |one| &one.probabilities);
            inputs::classify_answer(id, &adapter.name, adapter.labels(), probabilities, usage)
        },
    )
    .await
}

/// The task of an adapter that tells labels apart; any other adapter is refused.
pub fn classifier(intake: &Intake) -> Result<&Task, Refusal> {
    match &intake.adapter.task {
        Some(task @ Task::Classify { .. }) => Ok(task),
        _ => {
            let name = &intake.adapter.name;
            let message =
                format!("The model '{name}' is not a classifier; use /v1/chat/completions.");
            Err(Refusal::new(StatusCode::BAD_REQUEST, "not_a_classifier", message).on("model"))
        }
    }
}

/// Classifies every prompt as one metered call; `write` turns the result into the answer.
pub async fn run(
    app: &App,
    mut intake: Intake,
    kind: CallKind,
    prompts: Vec<Prompt>,
    write: impl FnOnce(&str, &[Classified], Usage) -> serde_json::Value,
) -> Result<Response, Refusal> {
    let admission = match app.admit(&intake).await? {
        Some(Admission::Repeated(answer)) => return Ok(repeat(app, answer)),
        admission => admission,
    };
    let pass = app.gate.enter(&intake.adapter.name).await?;
    let prompt_tokens = intake.count(&prompts).await?;
    let work = Work::Classifications {
        texts: prompts.len() as u64,
    };
    let opened = app.open(&mut intake, (admission, pass), work, Answer::JSON);
    let ticket = match opened.await? {
        Opened::Run(ticket) => ticket,
        Opened::Repeated(answer) => return Ok(repeat(app, answer)),
    };
    let asked = Asked {
        kind,
        prompts: prompts.clone(),
        prompt_tokens,
    };
    let mut call = app.reserve(&intake, ticket, asked).await?;
    let found = tokio::select! {
        found = label(&intake, &mut call, prompts) => found.map_err(|error| Refusal::from_engine(&error)),
        () = app.stop.hurry.cancelled() => Err(draining()),
    };
    let found = match found {
        Ok(found) => found,
        Err(refusal) => {
            call.finish(Finish::Failed, None).await?;
            return Err(refusal);
        }
    };
    let tokens = found.iter().map(|one| one.usage.completion_tokens).sum();
    let answers = answers(&found, intake.adapter.labels());
    call.deliver_whole(&shares(&found), answers, tokens);
    let payment = call.payment_response(Finish::Stop);
    let answer =
        Answer::json(&write(intake.id.as_str(), &found, call.usage(Finish::Stop))).paid(payment);
    call.finish(Finish::Stop, Some(answer.clone())).await?;
    Ok(respond(answer))
}

async fn label(
    intake: &Intake,
    call: &mut Call,
    prompts: Vec<Prompt>,
) -> Result<Vec<Classified>, ServeError> {
    let mut found = Vec::with_capacity(prompts.len());
    for prompt in prompts {
        found.push(
            intake
                .adapter
                .engine
                .classify(prompt, intake.adapter.labels())
                .await?,
        );
        call.first_token();
    }
    Ok(found)
}

/// The label that each text was given.
fn answers(found: &[Classified], labels: &[String]) -> Vec<String> {
    let best = |one: &Classified| {
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
fn shares(found: &[Classified]) -> String {
    let all = found.iter().flat_map(|one| one.probabilities.iter());
    all.map(|value| format!("{value}\n")).collect()
}
