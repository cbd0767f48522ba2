//! Runs a chat or text completion: streamed or whole, counted alike.
//!
//! The model never waits for a reader: a separate task generates the answer and keeps it until it
//! is read. A stream ends there when its reader disconnects. A whole answer, and a stream that was
//! paid in full beforehand, run to their end, because the caller may have lost the connection and
//! ask again. Either is charged for the generated tokens and kept for a repeat. A stream whose
//! reader disconnects before its first token costs nothing, and a repeat runs it anew.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{
    admission::{CallPrompts, CallTicket, OpenedCall},
    answer::{AnswerForm, ChunkWriter, FinishedAnswer, frame},
    api_error::{ApiError, REPLAYED},
    app::AppState,
    connections::Connection,
    intake::CallIntake,
    meter::{Admission, ReservedCall},
    payment::{PAYMENT_RESPONSE, closing_event},
    unread::AnswerWriter,
    wire::{
        envelope::AnswerEnvelope,
        sampling::{SamplingOptions, StreamOptions},
    },
};
use openlora_engine::{GenerationStep, GenerationStream, Prompt, SamplingParams, TokenLogprob};
use openlora_ledger::{
    CallWork,
    event::{FinishReason, TokenUsage},
};

/// What to generate, and the format of the answer.
pub struct GenerationJob {
    pub form: AnswerForm,
    pub prompt: Prompt,
    pub options: SamplingOptions,
    pub streaming: StreamOptions,
}

/// A call on its engine.
struct GenerationRun {
    call: ReservedCall,
    envelope: AnswerEnvelope,
    generation: GenerationStream,
    force_stop: CancellationToken,
    writes_logprobs: bool,
}

/// One step of a run.
enum AnswerStep {
    Text {
        text: String,
        tokens: u64,
        logprobs: Vec<TokenLogprob>,
    },
    End(FinishReason),
    Broken(ApiError),
}

/// Answers a request, or sends the stored answer to a repeated one.
pub async fn answer(
    app: &AppState,
    mut intake: CallIntake,
    job: GenerationJob,
) -> Result<Response, ApiError> {
    let admission = match app.admit(&intake).await? {
        Some(Admission::Repeated(answer)) => return Ok(repeat(app, answer)),
        admission => admission,
    };
    let wanted = job
        .options
        .max_tokens
        .unwrap_or(app.limits.max_tokens as u64);
    let permit = app.turn_if_free(&intake, wanted).await?;
    let prompts = std::slice::from_ref(&job.prompt);
    let prompt_tokens = intake.count(app, prompts).await?;
    let context = intake.adapter.engine.limits().context_tokens;
    let room = context.saturating_sub(usize::try_from(prompt_tokens).unwrap_or(usize::MAX));
    let temperature = intake.adapter.default_temperature();
    let mut sampling = job
        .options
        .resolve(app.limits.max_tokens, room, temperature);
    if sampling.temperature.is_some() {
        // The receipt states it, so that the answer can be computed again.
        sampling.seed.get_or_insert_with(draw_seed);
    }
    let work = CallWork::Tokens {
        prompt: prompt_tokens,
        completion: sampling.max_tokens as u64,
    };
    let media_type = match job.streaming.on {
        true => FinishedAnswer::EVENTS,
        false => FinishedAnswer::JSON,
    };
    let opened = app.open(&mut intake, admission, permit, work, media_type);
    let ticket = match opened.await? {
        OpenedCall::Run(ticket) => ticket,
        OpenedCall::Repeated(answer) => return Ok(repeat(app, answer)),
    };
    let (form, streaming) = (job.form, job.streaming);
    let connection = intake.connection.clone();
    let allowed = AdmittedCall {
        app: app.clone(),
        intake,
        ticket,
        form,
        prompt: job.prompt,
        prompt_tokens,
        sampling,
    };
    if streaming.on {
        let writer = ChunkWriter::new(form, streaming.include_usage);
        let run = allowed.begin().await?;
        let (answer, body) = app.unread.answer(connection);
        tokio::spawn(run.stream(writer, answer));
        Ok(events(body))
    } else {
        let whole = finished(async move { allowed.begin().await?.whole(form).await }).await?;
        Ok(deliver(app, connection, whole))
    }
}

/// A random seed. Its 53 bits survive JSON parsers that read numbers as floats.
pub fn draw_seed() -> u64 {
    rand::random::<u64>() >> 11
}

/// A call that is free or paid for, and has its engine turn.
struct AdmittedCall {
    app: AppState,
    intake: CallIntake,
    ticket: CallTicket,
    form: AnswerForm,
    prompt: Prompt,
    prompt_tokens: u64,
    sampling: SamplingParams,
}

impl AdmittedCall {
    /// Reserves the call and starts the model.
    async fn begin(self) -> Result<GenerationRun, ApiError> {
        let Self {
            app,
            intake,
            ticket,
            form,
            prompt,
            prompt_tokens,
            sampling,
        } = self;
        let asked = CallPrompts {
            kind: form.kind(),
            prompts: vec![prompt.clone()],
            prompt_tokens,
            computation: intake.adapter.computation(Some(&sampling)),
        };
        let writes_logprobs = sampling.logprobs.is_some();
        let engine = Arc::clone(&ticket.engine);
        let call = app.reserve(&intake, ticket, asked).await?;
        let started = tokio::select! {
            biased;
            started = engine.generate(prompt, sampling) => {
                started.map_err(|error| ApiError::from_engine(&error))
            }
            () = app.stop.force_stop.cancelled() => Err(hurried()),
            () = passed(call.deadline()) => Err(too_late()),
        };
        let generation = match started {
            Ok(generation) => generation,
            Err(refusal) => {
                call.finish(FinishReason::Failed, None).await?;
                return Err(refusal);
            }
        };
        Ok(GenerationRun {
            call,
            envelope: envelope(&intake),
            generation,
            force_stop: app.stop.force_stop.clone(),
            writes_logprobs,
        })
    }
}

/// Runs a call to its end, whether or not its caller waits for it.
pub async fn finished(
    call: impl Future<Output = Result<FinishedAnswer, ApiError>> + Send + 'static,
) -> Result<FinishedAnswer, ApiError> {
    tokio::spawn(call).await.unwrap_or_else(|_| {
        let message = "The call broke off; the server's log says why.";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Err(ApiError::new(status, "internal", message))
    })
}

/// An answer that is sent for the first time, within the memory for unread answers.
pub fn deliver(app: &AppState, connection: Option<Connection>, answer: FinishedAnswer) -> Response {
    let bytes = answer.body.clone();
    let mut response = respond(answer);
    let length = HeaderValue::from(bytes.len());
    *response.body_mut() = app.unread.complete_body(bytes, connection);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    response
}

fn envelope(intake: &CallIntake) -> AnswerEnvelope {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    AnswerEnvelope {
        id: intake.id.as_str().to_owned(),
        created: now.as_secs(),
        model: intake.adapter.name.clone(),
        fingerprint: intake.adapter.fingerprint(),
        finish: FinishReason::Stop,
        usage: TokenUsage::default(),
    }
}

/// An answer as it left for the first time.
pub fn respond(answer: FinishedAnswer) -> Response {
    let content_type = HeaderValue::from_static(answer.content_type);
    let content_type = [(header::CONTENT_TYPE, content_type)];
    let mut response = (StatusCode::OK, content_type, answer.body).into_response();
    let payment = answer.payment.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(payment)) = payment {
        response.headers_mut().insert(PAYMENT_RESPONSE, payment);
    }
    response
}

/// An answer that is sent again.
pub fn repeat(app: &AppState, answer: FinishedAnswer) -> Response {
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
            HeaderValue::from_static(FinishedAnswer::EVENTS),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (StatusCode::OK, headers, body).into_response()
}

impl GenerationRun {
    async fn step(&mut self) -> AnswerStep {
        let deadline = self.call.deadline();
        // Engines begin at the first request for a step.
        self.call.begin();
        let next = tokio::select! {
            next = self.generation.next() => next,
            () = self.force_stop.cancelled() => return AnswerStep::Broken(hurried()),
            // Ends as if the token limit was reached: the generated tokens are paid for.
            () = passed(deadline) => return AnswerStep::End(FinishReason::Length),
        };
        match next {
            Some(Ok(GenerationStep::Delta {
                text,
                tokens,
                logprobs,
            })) => {
                self.call.first_token();
                AnswerStep::Text {
                    text,
                    tokens,
                    logprobs,
                }
            }
            Some(Ok(GenerationStep::Done { finish, .. })) => AnswerStep::End(finish),
            Some(Err(error)) => AnswerStep::Broken(ApiError::from_engine(&error)),
            None => AnswerStep::Broken(ApiError::from_engine(
                &openlora_engine::EngineError::Failed(
                    "the answer broke off without an end".to_owned(),
                ),
            )),
        }
    }

    fn close(&mut self, finish: FinishReason) {
        self.envelope.finish = finish;
        self.envelope.usage = self.call.usage(finish);
    }

    /// The answer in one piece, metered before it is returned.
    async fn whole(mut self, form: AnswerForm) -> Result<FinishedAnswer, ApiError> {
        let mut text = String::new();
        let mut tokens = 0_u64;
        let mut logprobs = Vec::new();
        let finish = loop {
            match self.step().await {
                AnswerStep::Text {
                    text: more,
                    tokens: count,
                    logprobs: values,
                } => {
                    text.push_str(&more);
                    tokens = tokens.saturating_add(count);
                    logprobs.extend(values);
                }
                AnswerStep::End(finish) => break finish,
                AnswerStep::Broken(refusal) => {
                    self.call.finish(FinishReason::Failed, None).await?;
                    return Err(refusal);
                }
            }
        };
        self.call.deliver_whole(&text, vec![text.clone()], tokens);
        self.close(finish);
        let logprobs = self.writes_logprobs.then_some(logprobs.as_slice());
        let payment = self.call.payment_response(finish);
        let answer = FinishedAnswer::json(&form.complete_answer(&self.envelope, &text, logprobs))
            .paid(payment);
        drop(self.generation);
        self.call.finish(finish, Some(answer.clone())).await?;
        Ok(answer)
    }

    /// The answer as events. Text is counted as it is generated; the ending, which tells the
    /// caller that the answer is complete, follows the durable count.
    async fn stream(mut self, writer: ChunkWriter, answer: AnswerWriter) {
        let mut sent = Vec::new();
        if let Some(opening) = writer.opening(&self.envelope) {
            sent.extend_from_slice(&opening);
            answer.write(opening);
        }
        let paid_whole = self.call.is_paid_whole();
        let mut unsent = UnsentTokens::default();
        let ended = loop {
            // A disconnected reader is detected before the next token is asked for.
            let step = tokio::select! {
                biased;
                () = answer.reader_closed(), if !paid_whole => AnswerStep::End(FinishReason::Disconnected),
                () = answer.sent_more(unsent.sent) => {
                    if let Some(tokens) = unsent.sent(answer.sent()) {
                        self.call.sent(tokens);
                    }
                    continue;
                }
                step = self.step() => step,
            };
            match step {
                AnswerStep::Text {
                    text,
                    tokens,
                    logprobs,
                } => {
                    let tokens = self.call.deliver(&text, tokens);
                    if text.is_empty() && logprobs.is_empty() {
                        continue;
                    }
                    let logprobs = self.writes_logprobs.then_some(logprobs.as_slice());
                    let chunk = writer.text(&self.envelope, &text, logprobs);
                    sent.extend_from_slice(&chunk);
                    unsent.wrote(sent.len(), tokens);
                    answer.write(chunk);
                }
                AnswerStep::End(finish) => break Ok(finish),
                AnswerStep::Broken(refusal) => break Err(refusal),
            }
        };
        let last = match ended {
            Ok(finish) => self.end(finish, &writer, sent).await,
            Err(refusal) => Err(self.break_off(refusal).await),
        };
        answer.write(last.unwrap_or_else(|refusal| frame(&refusal.envelope())));
        answer.finish().await;
    }

    /// Counts the call, and returns how its stream ends.
    async fn end(
        mut self,
        finish: FinishReason,
        writer: &ChunkWriter,
        mut sent: Vec<u8>,
    ) -> Result<Bytes, ApiError> {
        self.close(finish);
        let mut ending = writer.ending(&self.envelope).to_vec();
        if let Some(payment) = self.call.payment_response(finish) {
            ending.extend_from_slice(&closing_event(&payment));
        }
        sent.extend_from_slice(&ending);
        drop(self.generation);
        let answer = FinishedAnswer {
            content_type: FinishedAnswer::EVENTS,
            body: sent.into(),
            payment: None,
        };
        self.call.finish(finish, Some(answer)).await?;
        Ok(ending.into())
    }

    async fn break_off(self, refusal: ApiError) -> ApiError {
        drop(self.generation);
        match self.call.finish(FinishReason::Failed, None).await {
            Ok(_) => refusal,
            Err(worse) => worse,
        }
    }
}

/// The pieces of an answer that are not sent yet.
#[derive(Default)]
struct UnsentTokens {
    /// Bytes that are sent.
    sent: u64,
    /// For each piece, the bytes and tokens of the answer up to its end.
    pieces: VecDeque<(u64, u64)>,
}

impl UnsentTokens {
    fn wrote(&mut self, bytes: usize, tokens: u64) {
        self.pieces.push_back((bytes as u64, tokens));
    }

    /// How many tokens the first `bytes` bytes have, if they have more than before.
    fn sent(&mut self, bytes: u64) -> Option<u64> {
        self.sent = bytes;
        let mut tokens = None;
        while let Some((_, of_piece)) = self.pieces.pop_front_if(|(end, _)| *end <= bytes) {
            tokens = Some(of_piece);
        }
        tokens
    }
}

/// Waits until a deadline; without one, forever.
pub async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn hurried() -> ApiError {
    ApiError::unavailable("draining", "The server was told to stop at once.")
}

/// The refusal of a call whose time is over before it has an answer.
pub fn too_late() -> ApiError {
    let message = "The model had no answer within the time of the payment; nothing was charged. Try again later.";
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, "time_limit", message)
}
