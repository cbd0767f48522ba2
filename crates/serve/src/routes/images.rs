//! `POST /v1/images/generations`.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio_util::sync::CancellationToken;

use super::AppState;
use crate::{
    admission::{CallPrompts, CallTicket, OpenedCall},
    answer::FinishedAnswer,
    api_error::ApiError,
    gate::draining,
    generate::{deliver, draw_seed, finished, passed, repeat},
    intake::CallIntake,
    meter::{Admission, ReservedCall},
    picture_files::{PictureFile, PictureStamp},
    receipt::PublishedUsage,
    wire::images::{PictureEnvelope, PictureOrder, SentPicture, answer},
};
use openlora_engine::{Engine, EngineError, ImageLimits, ImageRequest, Prompt};
use openlora_ledger::{
    CallComputation, CallWork, PictureRecord,
    event::{CallKind, FinishReason},
};

pub async fn generate(State(app): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let mut intake = CallIntake::read(&app, request, PictureOrder::problems).await?;
    let other_kind = |refusal| PictureOrder::problems(&intake.fields).with_model(refusal);
    let limits = picture_limits(&intake).map_err(other_kind)?;
    let order = PictureOrder::read(&intake.fields, &limits)?;
    order.check_extent(app.meter.largest_held() as u64)?;
    let admission = match app.admit(&intake).await? {
        Some(Admission::Repeated(answer)) => return Ok(repeat(&app, answer)),
        admission => admission,
    };
    let permit = app.turn_if_free(&intake, order.pictures).await?;
    let prompt = Prompt::Text(order.prompt.clone());
    let prompts = std::slice::from_ref(&prompt);
    let prompt_tokens = intake.count(&app, prompts).await?;
    intake.screened = Some(order.prompt.clone());
    let work = CallWork::Images {
        pictures: order.pictures,
    };
    let opened = app.open(&mut intake, admission, permit, work, FinishedAnswer::JSON);
    let ticket = match opened.await? {
        OpenedCall::Run(ticket) => ticket,
        OpenedCall::Repeated(answer) => return Ok(repeat(&app, answer)),
    };
    let connection = intake.connection.clone();
    let allowed = AdmittedPictures {
        app: app.clone(),
        intake,
        ticket,
        seed: order.seed.unwrap_or_else(draw_seed),
        order,
        limits,
        prompt_tokens,
    };
    let answer = finished(async move { allowed.run().await }).await?;
    Ok(deliver(&app, connection, answer))
}

/// What the adapter allows of pictures; one that answers with text is refused.
fn picture_limits(intake: &CallIntake) -> Result<ImageLimits, ApiError> {
    match intake.adapter.engine.images() {
        Some(images) => Ok(images.image_limits()),
        None => {
            let message = format!(
                "The model '{}' makes no pictures; use {}.",
                intake.adapter.name,
                intake.adapter.usual_path()
            );
            Err(
                ApiError::new(StatusCode::BAD_REQUEST, "not_an_image_model", message)
                    .with_param("model"),
            )
        }
    }
}

/// A call that is free or paid for, and has its engine turn.
struct AdmittedPictures {
    app: AppState,
    intake: CallIntake,
    ticket: CallTicket,
    order: PictureOrder,
    limits: ImageLimits,
    /// Seed of the first picture.
    seed: u64,
    prompt_tokens: u64,
}

impl AdmittedPictures {
    /// The answer, metered before it is returned. A call is charged once all of its pictures are
    /// encoded, even if the caller has disconnected, and costs nothing if one of them fails.
    async fn run(self) -> Result<FinishedAnswer, ApiError> {
        let record = self.record();
        let Self {
            app,
            intake,
            ticket,
            order,
            limits: _,
            seed,
            prompt_tokens,
        } = self;
        let adapter = Arc::clone(&intake.adapter);
        let asked = CallPrompts {
            kind: CallKind::Image,
            prompts: vec![Prompt::Text(order.prompt.clone())],
            prompt_tokens,
            computation: CallComputation {
                pictures: Some(Box::new(record.clone())),
                ..adapter.computation(None)
            },
        };
        let engine = Arc::clone(&ticket.engine);
        let call = app.reserve(&intake, ticket, asked).await?;
        let run = PictureRun {
            call,
            engine,
            stamp: PictureStamp::new(&adapter, &record),
            order,
            seed,
            force_stop: app.stop.force_stop.clone(),
        };
        let envelope = |usage| PictureEnvelope {
            id: intake.id.as_str().to_owned(),
            created: now(),
            model: adapter.name.clone(),
            fingerprint: adapter.fingerprint(),
            usage,
        };
        run.whole(envelope).await
    }

    fn record(&self) -> PictureRecord {
        let PictureOrder {
            width,
            height,
            steps,
            guidance,
            ..
        } = self.order;
        PictureRecord {
            width,
            height,
            steps,
            guidance: guidance.to_string(),
            sampler: self.limits.sampler.to_owned(),
            seed: self.seed,
            pictures: 0,
            evaluations: 0,
            digests: Vec::new(),
        }
    }
}

/// Pictures on their engine.
struct PictureRun {
    call: ReservedCall,
    engine: Arc<dyn Engine>,
    stamp: PictureStamp,
    order: PictureOrder,
    seed: u64,
    force_stop: CancellationToken,
}

impl PictureRun {
    async fn whole(
        mut self,
        envelope: impl FnOnce(PublishedUsage) -> PictureEnvelope + Send,
    ) -> Result<FinishedAnswer, ApiError> {
        let force_stop = self.force_stop.clone();
        let deadline = self.call.deadline();
        let made = tokio::select! {
            made = self.make() => made,
            () = force_stop.cancelled() => Err(draining()),
            () = passed(deadline) => Err(too_late()),
        };
        let files = match made {
            Ok(files) => files,
            Err(refusal) => {
                self.call.finish(FinishReason::Failed, None).await?;
                return Err(refusal);
            }
        };
        self.call.deliver_pictures(&self.order.prompt, &files);
        let payment = self.call.payment_response(FinishReason::Stop);
        let usage = self.call.published_usage(FinishReason::Stop);
        let sent: Vec<SentPicture> = files.iter().map(sent).collect();
        let written = answer(&envelope(usage), &self.order, &sent);
        let answer = FinishedAnswer::json(&written).paid(payment);
        self.call
            .finish(FinishReason::Stop, Some(answer.clone()))
            .await?;
        Ok(answer)
    }

    /// Makes the pictures one after the other, and encodes each.
    async fn make(&mut self) -> Result<Vec<PictureFile>, ApiError> {
        self.call.begin();
        let mut files = Vec::new();
        for at in 0..self.order.pictures {
            let seed = self.seed.wrapping_add(at);
            let made = self.picture(seed).await;
            files.push(made.map_err(|error| ApiError::from_engine(&error))?);
            self.call.first_token();
        }
        Ok(files)
    }

    async fn picture(&self, seed: u64) -> Result<PictureFile, EngineError> {
        let Some(images) = self.engine.images() else {
            let reason = "the model of a call for pictures makes none";
            return Err(EngineError::Failed(reason.to_owned()));
        };
        let request = ImageRequest {
            prompt: self.order.prompt.clone(),
            width: self.order.width,
            height: self.order.height,
            steps: self.order.steps,
            guidance: self.order.guidance,
            seed,
        };
        let made = images.generate_image(request).await?;
        let file = PictureFile::encode(made, seed, &self.stamp);
        file.map_err(|error| EngineError::Failed(error.to_string()))
    }
}

fn sent(file: &PictureFile) -> SentPicture {
    SentPicture {
        png_base64: STANDARD.encode(&file.png),
        seed: file.seed,
        sha256: file.sha256.clone(),
    }
}

fn too_late() -> ApiError {
    let message = "The pictures were not complete within the time of their payment; nothing was \
                   charged. Ask for fewer pictures or fewer steps.";
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, "time_limit", message)
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
