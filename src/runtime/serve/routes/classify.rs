//! `POST /v1/classify`, and the run of a classifier that moderation shares.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::runtime::{
    dataset::Task,
    engine::{Classified, EngineError, Prompt},
    event::{CallKind, Finish, Usage},
    ledger::Work,
    serve::{
        admission::{Asked, Opened},
        answer::Answer,
        gate::draining,
        generate::{deliver, finished, repeat},
        hosted::Hosted,
        intake::Intake,
        meter::{Admission, Call},
        refusal::Refusal,
        wire::inputs,
    },
};

pub async fn classify(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let intake = Intake::read(&app, request).await?;
    let task = classifier(&intake)?;
    let text = inputs::classify_text(&intake.fields)?;
    let prompt = Prompt::Chat(task.prompt_messages(&text));
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
    write: impl FnOnce(&str, &[Classified], Usage) -> serde_json::Value + Send + 'static,
) -> Result<Response, Refusal> {
    let admission = match app.admit(&intake).await? {
        Some(Admission::Repeated(answer)) => return Ok(repeat(app, answer)),
        admission => admission,
    };
    let pass = app.turn_if_free(&intake, prompts.len() as u64).await?;
    let prompt_tokens = intake.count(app, &prompts).await?;
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
    let (connection, server) = (intake.connection.clone(), app.clone());
    let answer = finished(async move {
        let call = server.reserve(&intake, ticket, asked).await?;
        let run = Run {
            id: intake.id.as_str().to_owned(),
            adapter: Arc::clone(&intake.adapter),
            call,
            hurry: server.stop.hurry.clone(),
        };
        run.whole(prompts, write).await
    });
    Ok(deliver(app, connection, answer.await?))
}

/// A classification on its engine.
struct Run {
    id: String,
    adapter: Arc<Hosted>,
    call: Call,
    hurry: CancellationToken,
}

impl Run {
    /// The answer, metered before it is returned. It is charged for its work, whether or not the
    /// caller still listens.
    async fn whole(
        mut self,
        prompts: Vec<Prompt>,
        write: impl FnOnce(&str, &[Classified], Usage) -> serde_json::Value + Send,
    ) -> Result<Answer, Refusal> {
        let found = tokio::select! {
            found = label(&self.adapter, &mut self.call, prompts) => {
                found.map_err(|error| Refusal::from_engine(&error))
            }
            () = self.hurry.cancelled() => Err(draining()),
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
                call.finish(Finish::Failed, None).await?;
                return Err(refusal);
            }
        };
        let tokens = found.iter().map(|one| one.usage.completion_tokens).sum();
        let answers = answers(&found, adapter.labels());
        call.deliver_whole(&shares(&found), answers, tokens);
        let payment = call.payment_response(Finish::Stop);
        let answer = Answer::json(&write(&id, &found, call.usage(Finish::Stop))).paid(payment);
        call.finish(Finish::Stop, Some(answer.clone())).await?;
        Ok(answer)
    }
}

async fn label(
    adapter: &Hosted,
    call: &mut Call,
    prompts: Vec<Prompt>,
) -> Result<Vec<Classified>, EngineError> {
    let mut found = Vec::with_capacity(prompts.len());
    for prompt in prompts {
        found.push(adapter.engine.classify(prompt, adapter.labels()).await?);
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
