//! Runs a chat or text completion: streamed or whole, counted alike.

use std::{
    convert::Infallible,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{Answer, ChunkWriter, Envelope, Form, frame},
    intake::{Asked, Intake},
    meter::{Admission, Call},
    payment::{Opened, PAYMENT_RESPONSE, closing_event},
    refusal::Refusal,
    routes::App,
    wire::sampling::{SamplingWish, Streaming},
};
use crate::runtime::{
    event::{Finish, Usage},
    ledger::Work,
    ports::{Generated, Generation, Prompt, TokenLogprob},
};

/// Marks an answer that was given before under the same id.
pub const REPLAYED: HeaderName = HeaderName::from_static("x-openlora-replayed");

/// What is to be generated, and how the answer is written.
pub struct Job {
    pub form: Form,
    pub prompt: Prompt,
    pub wish: SamplingWish,
    pub streaming: Streaming,
}

/// A call on its engine.
struct Run {
    call: Call,
    envelope: Envelope,
    generation: Generation,
    hurry: CancellationToken,
    writes_logprobs: bool,
}

/// One step of a run.
enum Step {
    Text {
        text: String,
        tokens: u64,
        logprobs: Vec<TokenLogprob>,
    },
    End(Finish),
    Broken(Refusal),
}

/// Answers a request, or gives a repeated one its answer again.
pub async fn answer(app: &App, mut intake: Intake, job: Job) -> Result<Response, Refusal> {
    let admission = match app.admit(&intake).await? {
        Some(Admission::Repeated(answer)) => return Ok(repeat(app, answer)),
        admission => admission,
    };
    let pass = app.gate.enter(&intake.adapter.name).await?;
    let prompt_tokens = intake.count(std::slice::from_ref(&job.prompt)).await?;
    let context = intake.adapter.engine.limits().context_tokens;
    let room = context.saturating_sub(usize::try_from(prompt_tokens).unwrap_or(usize::MAX));
    let temperature = intake.adapter.default_temperature();
    let sampling = job.wish.settle(app.limits.max_tokens, room, temperature);
    let writes_logprobs = sampling.logprobs.is_some();
    let work = Work::Tokens {
        prompt: prompt_tokens,
        completion: sampling.max_tokens as u64,
    };
    let media_type = match job.streaming.on {
        true => Answer::EVENTS,
        false => Answer::JSON,
    };
    let opened = app.open(&mut intake, (admission, pass), work, media_type);
    let ticket = match opened.await? {
        Opened::Run(ticket) => ticket,
        Opened::Repeated(answer) => return Ok(repeat(app, answer)),
    };
    let asked = Asked {
        kind: job.form.kind(),
        prompts: vec![job.prompt.clone()],
        prompt_tokens,
    };
    let call = app.reserve(&intake, ticket, asked).await?;
    let generation = match intake.adapter.engine.generate(job.prompt, sampling).await {
        Ok(generation) => generation,
        Err(error) => {
            call.finish(Finish::Failed, None).await?;
            return Err(Refusal::from_engine(&error));
        }
    };
    let hurry = app.stop.hurry.clone();
    let run = Run {
        call,
        envelope: envelope(&intake),
        generation,
        hurry,
        writes_logprobs,
    };
    if job.streaming.on {
        let writer = ChunkWriter::new(job.form, job.streaming.include_usage);
        Ok(events(Body::from_stream(run.stream(writer))))
    } else {
        Ok(respond(run.whole(job.form).await?))
    }
}

fn envelope(intake: &Intake) -> Envelope {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Envelope {
        id: intake.id.as_str().to_owned(),
        created: now.as_secs(),
        model: intake.adapter.name.clone(),
        fingerprint: intake.adapter.fingerprint(),
        finish: Finish::Stop,
        usage: Usage::default(),
    }
}

/// An answer as it left for the first time.
pub fn respond(answer: Answer) -> Response {
    let content_type = HeaderValue::from_static(answer.content_type);
    let content_type = [(header::CONTENT_TYPE, content_type)];
    let mut response = (StatusCode::OK, content_type, answer.body).into_response();
    let payment = answer.payment.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(payment)) = payment {
        response.headers_mut().insert(PAYMENT_RESPONSE, payment);
    }
    response
}

/// An answer that is given again.
pub fn repeat(app: &App, answer: Answer) -> Response {
    app.metrics.repeated();
    let mut response = respond(answer);
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// A stream of server-sent events.
pub fn events(body: Body) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(Answer::EVENTS),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (StatusCode::OK, headers, body).into_response()
}

impl Run {
    async fn step(&mut self) -> Step {
        let next = tokio::select! {
            next = self.generation.next() => next,
            () = self.hurry.cancelled() => return Step::Broken(hurried()),
        };
        match next {
            Some(Ok(Generated::Delta {
                text,
                tokens,
                logprobs,
            })) => {
                self.call.first_token();
                Step::Text {
                    text,
                    tokens,
                    logprobs,
                }
            }
            Some(Ok(Generated::Done { finish, .. })) => Step::End(finish),
            Some(Err(error)) => Step::Broken(Refusal::from_engine(&error)),
            None => Step::Broken(Refusal::from_engine(&super::ServeError::Engine(
                "the answer broke off without an end".to_owned(),
            ))),
        }
    }

    fn close(&mut self, finish: Finish) {
        self.envelope.finish = finish;
        self.envelope.usage = self.call.usage(finish);
    }

    /// The answer in one piece, metered before it is returned.
    async fn whole(mut self, form: Form) -> Result<Answer, Refusal> {
        let mut text = String::new();
        let mut tokens = 0_u64;
        let mut logprobs = Vec::new();
        let finish = loop {
            match self.step().await {
                Step::Text {
                    text: more,
                    tokens: count,
                    logprobs: values,
                } => {
                    text.push_str(&more);
                    tokens = tokens.saturating_add(count);
                    logprobs.extend(values);
                }
                Step::End(finish) => break finish,
                Step::Broken(refusal) => {
                    self.call.finish(Finish::Failed, None).await?;
                    return Err(refusal);
                }
            }
        };
        self.call.deliver_whole(&text, vec![text.clone()], tokens);
        self.close(finish);
        let logprobs = self.writes_logprobs.then_some(logprobs.as_slice());
        let payment = self.call.payment_response(finish);
        let answer = Answer::json(&form.whole(&self.envelope, &text, logprobs)).paid(payment);
        drop(self.generation);
        self.call.finish(finish, Some(answer.clone())).await?;
        Ok(answer)
    }

    /// The answer as events. Text is counted as it is handed over; the ending, which tells the
    /// caller that the answer is complete, follows the durable count.
    fn stream(mut self, mut writer: ChunkWriter) -> impl Stream<Item = Result<Bytes, Infallible>> {
        async_stream::stream! {
            let mut sent = Vec::new();
            if let Some(opening) = writer.opening(&self.envelope) {
                sent.extend_from_slice(&opening);
                yield Ok(opening);
            }
            loop {
                match self.step().await {
                    Step::Text { text, tokens, logprobs } => {
                        self.call.deliver(&text, tokens);
                        if text.is_empty() && logprobs.is_empty() {
                            continue;
                        }
                        let logprobs = self.writes_logprobs.then_some(logprobs.as_slice());
                        let chunk = writer.text(&self.envelope, &text, logprobs);
                        sent.extend_from_slice(&chunk);
                        yield Ok(chunk);
                    }
                    Step::End(finish) => {
                        self.close(finish);
                        let mut ending = writer.ending(&self.envelope).to_vec();
                        if let Some(payment) = self.call.payment_response(finish) {
                            ending.extend_from_slice(&closing_event(&payment));
                        }
                        let ending = Bytes::from(ending);
                        sent.extend_from_slice(&ending);
                        drop(self.generation);
                        let answer = Answer { content_type: Answer::EVENTS, body: sent.into(), payment: None };
                        match self.call.finish(finish, Some(answer)).await {
                            Ok(_) => yield Ok(ending),
                            Err(refusal) => yield Ok(frame(&refusal.envelope())),
                        }
                        return;
                    }
                    Step::Broken(refusal) => {
                        drop(self.generation);
                        let refusal = match self.call.finish(Finish::Failed, None).await {
                            Ok(_) => refusal,
                            Err(worse) => worse,
                        };
                        yield Ok(frame(&refusal.envelope()));
                        return;
                    }
                }
            }
        }
    }
}

fn hurried() -> Refusal {
    Refusal::unavailable("draining", "The server was told to stop at once.")
}
