//! A metered request as all its routes begin: body read, adapter found, id and hash known.

use std::{sync::Arc, time::Instant};

use axum::extract::Request;

use super::{
    body,
    gate::draining,
    hosted::Hosted,
    imprint::Imprint,
    meter::{Call, Reservation},
    payment::{self, Ticket},
    refusal::Refusal,
    request_id::RequestId,
    routes::App,
    wire::fields::Fields,
};
use crate::runtime::{
    event::{CallKind, Finish},
    ledger::{Word, request_digest},
    ports::Prompt,
};

/// A request for a served adapter.
pub struct Intake {
    pub id: RequestId,
    pub fields: Fields,
    /// Of route and body: what makes a repeated id the same call.
    pub imprint: Imprint,
    /// What a payment names that is bound to this request.
    pub digest: Word,
    pub adapter: Arc<Hosted>,
    pub accepted: Instant,
    /// The value of `PAYMENT-SIGNATURE`.
    pub payment: Option<String>,
    /// The address that was called, as the caller wrote it.
    pub resource: String,
}

/// What the model is asked in one call.
pub struct Asked {
    pub kind: CallKind,
    pub prompts: Vec<Prompt>,
    pub prompt_tokens: u64,
}

impl Intake {
    pub async fn read(app: &App, request: Request) -> Result<Self, Refusal> {
        let accepted = Instant::now();
        if app.stop.draining.is_cancelled() {
            return Err(draining());
        }
        app.attributions.check_room()?;
        let (parts, body) = request.into_parts();
        let payment = payment::presented(&parts.headers)?;
        let resource = payment::resource(&parts.headers, parts.uri.path());
        let body = body::read(&parts.headers, body, app.limits.max_body).await?;
        let fields = Fields::parse(&body)?;
        let adapter = app.shelf.find(fields.required_string("model")?)?;
        let digest = request_digest(parts.method.as_str(), parts.uri.path(), &body);
        let imprint = app.meter.imprint(&[parts.uri.path().as_bytes(), &body]);
        // The edge put the id there; a router without the edge still counts under a fresh one.
        let id = match parts.extensions.get::<RequestId>() {
            Some(id) => id.clone(),
            None => RequestId::from_headers(&parts.headers)?,
        };
        Ok(Self {
            id,
            fields,
            imprint,
            digest,
            adapter,
            accepted,
            payment,
            resource,
        })
    }
}

impl Intake {
    /// Tokens of the prompts, each of which must leave room for at least one more token.
    pub async fn count(&self, prompts: &[Prompt]) -> Result<u64, Refusal> {
        let context = self.adapter.engine.limits().context_tokens as u64;
        let mut total = 0_u64;
        for prompt in prompts {
            let counted = self.adapter.engine.count_prompt(prompt).await;
            let tokens = counted.map_err(|error| Refusal::from_engine(&error))?;
            if tokens >= context {
                return Err(too_long(context, tokens));
            }
            total = total.saturating_add(tokens);
        }
        Ok(total)
    }
}

fn too_long(context: u64, tokens: u64) -> Refusal {
    let message = format!(
        "The prompt takes {tokens} tokens and the model's context holds {context}, \
         one of which must be left for the answer. Shorten the prompt."
    );
    Refusal::new(
        axum::http::StatusCode::BAD_REQUEST,
        "context_length_exceeded",
        message,
    )
}

impl App {
    /// Reserves a call that has a turn.
    pub async fn reserve(
        &self,
        intake: &Intake,
        Ticket { slot, pass, tab }: Ticket,
        asked: Asked,
    ) -> Result<Call, Refusal> {
        let Asked {
            kind,
            prompts,
            prompt_tokens,
        } = asked;
        let reservation = Reservation {
            slot,
            imprint: intake.imprint.clone(),
            adapter: Arc::clone(&intake.adapter),
            kind,
            prompt_tokens,
            accepted: intake.accepted,
            pass,
            tab,
            prompts,
        };
        let mut call = self.meter.reserve(reservation).await?;
        match call.collect().await {
            Ok(()) => Ok(call),
            Err(why) => {
                call.finish(Finish::Failed, None).await?;
                Err(payment::unpaid(why))
            }
        }
    }
}
