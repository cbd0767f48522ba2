//! The common first steps of metered routes: reads the body, finds the adapter, and determines the
//! id and the hash.

use std::{sync::Arc, time::Instant};

use axum::{extract::Request, http::StatusCode};

use super::{
    adapter_registry::{AdapterRegistry, ServedAdapter},
    api_error::ApiError,
    app::AppState,
    body::{self, BufferedBody},
    client::{ClientAddress, Relayed},
    connections::Connection,
    fingerprint::RequestFingerprint,
    gate::draining,
    listing::{CalledTool, TOOLS_PATH},
    on_demand_loading::find_or_announced,
    payment,
    request_id::RequestId,
    wire::{fields::BodyFields, problems::BodyProblems},
};
use openlora_core::Word;
use openlora_engine::Prompt;
use openlora_ledger::request_digest;

/// The bytes that a body of unknown length counts for.
const UNANNOUNCED: usize = 64 * 1024;

/// A request for a served adapter.
pub struct CallIntake {
    pub id: RequestId,
    pub fields: BodyFields,
    /// The fingerprint of route and body: it makes a repeated id the same call.
    pub fingerprint: RequestFingerprint,
    /// The request hash in a payment that is bound to this request.
    pub digest: Word,
    pub adapter: Arc<ServedAdapter>,
    pub accepted: Instant,
    /// The payer requested that no sketch of this call is computed or published.
    pub static_shares: bool,
    /// The value of `PAYMENT-SIGNATURE`.
    pub payment: Option<String>,
    /// The path that was called.
    pub path: String,
    /// The tool that was called, if it was not the route itself.
    pub tool: Option<CalledTool>,
    /// The address that was called, as clients reach it.
    pub resource: String,
    /// A prompt that the filter reads before money is taken; `None` for all but pictures.
    pub screened: Option<String>,
    /// Where each prompt's text is in the request, such as `input[3]`; empty for requests of one
    /// prompt, which its refusal describes.
    pub places: Vec<String>,
    /// The connection of the request; `None` if it came over no connection.
    pub address: Option<ClientAddress>,
    pub connection: Option<Connection>,
    /// The address that a repeat is expected from; `None` if many clients share it.
    pub retry_address: Option<ClientAddress>,
    /// Holds the request's share of the memory for bodies.
    _body: BufferedBody,
}

impl CallIntake {
    /// Reads a request whose `model` names the adapter. Where there is none, `problems` tells what
    /// else is wrong with the request: a misspelt name may be the reason.
    pub async fn read(
        app: &AppState,
        request: Request,
        problems: fn(&BodyFields) -> BodyProblems,
    ) -> Result<Self, ApiError> {
        Self::read_for(app, request, problems, |_| None).await
    }

    /// Reads a request; if it names no `model`, `unnamed` may choose the adapter.
    pub async fn read_for(
        app: &AppState,
        request: Request,
        problems: fn(&BodyFields) -> BodyProblems,
        unnamed: fn(&AdapterRegistry) -> Option<Arc<ServedAdapter>>,
    ) -> Result<Self, ApiError> {
        let accepted = Instant::now();
        if app.stop.draining.is_cancelled() {
            return Err(draining());
        }
        let (parts, body) = request.into_parts();
        let payment = payment::payment_header(&parts.headers)?;
        let address = ClientAddress::from_request(&parts.extensions);
        let limit = app.limits.max_body;
        if app.sales.is_some() && payment.is_none() {
            let length = body::content_length(&parts.headers);
            app.quotes.spend(address, length.unwrap_or(UNANNOUNCED))?;
        }
        let tool = parts.extensions.get::<CalledTool>().cloned();
        let called = tool.as_ref().map_or(parts.uri.path(), |_| TOOLS_PATH);
        let resource = app.access.resource(&parts.headers, called);
        let body = body::read(&parts.headers, body, limit, &app.bodies).await?;
        let connection = parts.extensions.get::<Connection>().cloned();
        // Up to here, and without a payment, the connection may be closed for others.
        if let (Some(connection), true) = (&connection, app.sales.is_none() || payment.is_some()) {
            connection.keep_open();
        }
        let fields = BodyFields::parse(&body.bytes)?;
        let unnamed = match fields.get("model") {
            None => unnamed(&app.adapters),
            Some(_) => None,
        };
        let adapter = match (unnamed, fields.required_string("model")) {
            (Some(adapter), _) => Ok(adapter),
            (None, Ok(name)) => find_or_announced(app, name).await,
            (None, Err(refusal)) => Err(refusal),
        };
        let adapter = adapter.map_err(|refusal| problems(&fields).with_model(refusal))?;
        let static_shares = fields.is_word("attribution", "static").map_err(|refusal| {
            let mut problems = problems(&fields);
            problems.keep::<()>(Err(refusal));
            problems
        })?;
        let digest = request_digest(parts.method.as_str(), parts.uri.path(), &body.bytes);
        let fingerprint = app
            .meter
            .fingerprint(&[parts.uri.path().as_bytes(), &body.bytes]);
        // The edge has set the id. Without the edge, the call is counted under a new one.
        let id = match parts.extensions.get::<RequestId>() {
            Some(id) => id.clone(),
            None => RequestId::from_headers(&parts.headers)?,
        };
        Ok(Self {
            id,
            fields,
            fingerprint,
            digest,
            adapter,
            accepted,
            static_shares,
            payment,
            path: parts.uri.path().to_owned(),
            tool,
            resource,
            screened: None,
            places: Vec::new(),
            address,
            connection,
            retry_address: address.filter(|_| parts.extensions.get::<Relayed>().is_none()),
            _body: body,
        })
    }
}

impl CallIntake {
    /// Counts the tokens of the prompts. Each prompt must leave room for at least one more token. A
    /// request is counted once, and one that can never fit is refused without counting. A refusal
    /// names the text at fault: one that is refused in a batch is not to hide the others.
    pub async fn count(&self, app: &AppState, prompts: &[Prompt]) -> Result<u64, ApiError> {
        // A name may be served with other weights later, whose instruction is another.
        let hash = &format!("{}{}", self.fingerprint.hash, self.adapter.digest);
        if let Some(tokens) = app.quotes.known(hash) {
            return Ok(tokens);
        }
        for (at, prompt) in prompts.iter().enumerate() {
            self.check_length(prompt)
                .map_err(|refusal| placed(&self.places, at, refusal))?;
        }
        // If calls are free, the request already has a turn on an engine.
        let _counting = match app.sales.is_some() {
            true => Some(app.quotes.enter(self.address).await?),
            false => None,
        };
        let tokens = self.counted(prompts).await?;
        app.quotes.store_count(hash, tokens);
        Ok(tokens)
    }

    /// Refuses a prompt that is too long in bytes, because a token stands for a bounded number of
    /// bytes.
    fn check_length(&self, prompt: &Prompt) -> Result<(), ApiError> {
        let context = self.adapter.engine.limits().context_tokens;
        let Some(longest) = self.adapter.engine.longest_token() else {
            return Ok(());
        };
        let (bytes, least) = match prompt {
            // A message takes a token at least.
            Prompt::Text(text) => (text.len(), 0),
            Prompt::Chat(messages) => {
                let bytes = messages.iter().map(|message| message.content.len()).sum();
                (bytes, messages.len())
            }
        };
        let most = context.saturating_mul(longest);
        if bytes <= most && least < context {
            return Ok(());
        }
        let messages = match least {
            0 => String::new(),
            _ => format!(" in {least} messages"),
        };
        let message = format!(
            "The prompt takes {bytes} bytes{messages} and the model's context holds \
             {context} tokens of at most {longest} bytes. Shorten the prompt."
        );
        Err(context_exceeded(message))
    }

    async fn counted(&self, prompts: &[Prompt]) -> Result<u64, ApiError> {
        let context = self.adapter.engine.limits().context_tokens as u64;
        // A text needs room for at least one token of its answer.
        let answer = u64::from(self.adapter.engine.images().is_none());
        let mut total = 0_u64;
        for (at, prompt) in prompts.iter().enumerate() {
            let counted = self.adapter.engine.count_prompt(prompt).await;
            let counted = counted.map_err(|error| ApiError::from_engine(&error));
            let fitting =
                counted.and_then(|tokens| match tokens.saturating_add(answer) > context {
                    true => Err(too_long(context, tokens, answer > 0)),
                    false => Ok(tokens),
                });
            let tokens = fitting.map_err(|refusal| placed(&self.places, at, refusal))?;
            total = total.saturating_add(tokens);
        }
        Ok(total)
    }
}

/// The refusal of one of several prompts.
pub fn placed(places: &[String], at: usize, refusal: ApiError) -> ApiError {
    let is_of_prompt = refusal.status == StatusCode::BAD_REQUEST
        && refusal.param.as_deref().is_none_or(|it| it == "messages");
    match places.get(at).filter(|_| is_of_prompt) {
        Some(place) => {
            let message = format!("{place}: {}", refusal.message);
            ApiError {
                message: message.into(),
                ..refusal.with_param(place.as_str())
            }
        }
        None => refusal,
    }
}

fn too_long(context: u64, tokens: u64, needs_room: bool) -> ApiError {
    let room = match needs_room {
        true => ", one of which must be left for the answer",
        false => "",
    };
    let message = format!(
        "The prompt takes {tokens} tokens and the model's context holds {context}{room}. Shorten the \
         prompt."
    );
    context_exceeded(message)
}

fn context_exceeded(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "context_length_exceeded", message)
}
