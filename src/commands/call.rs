//! `call`: calls a server once and prints the answer.

mod answer;
pub(super) mod client;
pub(super) mod limits;
mod pay;
pub mod pictures;
pub mod png_receipt;
mod stream;

use std::io::{IsTerminal, Read};

use serde_json::{Value, json};

use super::{CommandContext, market, payer::PayerRequest};
pub use answer::{AdapterAnswer, CallResult, LabelProbability, PictureResult, SentRequest};
use client::{CallParams, ServerClient, text_at};
use openlora_core::{
    error::{ExitClass, ExitStatus, Failure},
    private::foreign_text::clean_line,
};
use openlora_market::{AdapterReference, RegisteredPayee};
use openlora_payments::payer::{PayerStore, SchemeChoice};
use openlora_serve::{PublishedReceipt, PublishedUsage, similar::closest};
use openlora_tui::figures::counted;
use pay::{PaidResponse, buy, resume};
use pictures::{IMAGES, PictureFiles, PictureOptions};

/// The kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTask {
    Chat,
    Classify,
    Image,
}

/// The request of `call` besides settings.
#[derive(Clone, Debug, Default)]
pub struct CallRequest {
    /// `-` reads standard input.
    pub prompt: String,
    /// Id of a call that was paid but not answered, to be repeated.
    pub again: Option<String>,
    pub url: Option<String>,
    pub adapter: Option<String>,
    /// Defaults to the task that the adapter was trained for.
    pub kind: Option<CallTask>,
    /// In token units, as typed.
    pub max_price: Option<String>,
    /// In token units, as typed.
    pub max_deposit: Option<String>,
    pub max_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub system: Option<String>,
    pub pictures: PictureOptions,
    /// Print the answer while it is streamed, as on a terminal.
    pub stream: bool,
    /// Ask for static shares: the server computes and publishes no sketch of the call.
    pub static_shares: bool,
    pub scheme: SchemeChoice,
    pub payer: PayerRequest,
    /// Whom the call must pay, where the registry says it.
    pub payee: Option<RegisteredPayee>,
}

/// Makes the call and prints its answer.
pub async fn run(context: &CommandContext, request: CallRequest) -> Result<ExitStatus, Failure> {
    check_amount("--max-price", request.max_price.as_deref())?;
    check_amount("--max-deposit", request.max_deposit.as_deref())?;
    if let Some(id) = &request.again {
        return again(context, &request, id).await;
    }
    let prompt = read_prompt(&request.prompt)?;
    if let (None, Some(text)) = (&request.url, &request.adapter) {
        market::check_registry(text)?;
    }
    let named = request.adapter.as_deref().map(AdapterReference::parse);
    if let (None, Some(reference)) = (&request.url, named.filter(AdapterReference::is_registered)) {
        return call_registered(context, &request, &reference, &prompt).await;
    }
    let client = ServerClient::new(context, request.url.as_deref())?;
    let mut models = client.models().await?;
    if let Some(name) = &request.adapter
        && models.iter().all(|model| text_at(model, "id") != name)
    {
        // The server may fetch it from a registry.
        models.extend(client.model(name).await?);
    }
    let model = choose(&models, request.adapter.as_deref())?;
    call_model(context, &client, &request, model, &prompt).await
}

async fn call_model(
    context: &CommandContext,
    client: &ServerClient,
    request: &CallRequest,
    model: &Value,
    prompt: &str,
) -> Result<ExitStatus, Failure> {
    match request.kind.unwrap_or_else(|| trained_for(model)) {
        CallTask::Chat => chat(context, client, request, model, prompt).await?,
        CallTask::Classify => classify(context, client, request, model, prompt).await?,
        CallTask::Image => image(context, client, request, model, prompt).await?,
    }
    Ok(ExitStatus::Success)
}

/// Calls an adapter at the first of its servers that answers. Nothing is paid to the others, and the
/// call must pay the registered splitter.
async fn call_registered(
    context: &CommandContext,
    request: &CallRequest,
    reference: &AdapterReference,
    prompt: &str,
) -> Result<ExitStatus, Failure> {
    let access = market::open(context).await?;
    let routes = access.catalog.routes(reference).await?;
    let mut last = None;
    for route in routes {
        let http = access.http.client_for(&route.server)?;
        let client = ServerClient::of_stranger(context, http, &route.server.url(""))?;
        let models = match client.models().await {
            Err(failure) if failure.class == ExitClass::Network => {
                context
                    .printer
                    .note(format!("{}; trying another server", failure.message));
                last = Some(failure);
                continue;
            }
            models => models?,
        };
        context.printer.note(format!(
            "calling {} at {}",
            clean_line(&route.model),
            client.place()
        ));
        let model = choose(&models, Some(&route.model))?;
        let request = CallRequest {
            payee: route.payee,
            ..request.clone()
        };
        return call_model(context, &client, &request, model, prompt).await;
    }
    let none = || Failure::new(ExitClass::Network, "no server of the adapter answers");
    Err(last.unwrap_or_else(none))
}

/// Repeats a call that was paid but not answered.
async fn again(
    context: &CommandContext,
    request: &CallRequest,
    id: &str,
) -> Result<ExitStatus, Failure> {
    let attempt = PayerStore::open(&context.dirs.data)?.attempt_named(id)?;
    let client = ServerClient::new(context, Some(&attempt.order.seller.server))?;
    let body: Value = serde_json::from_str(&attempt.order.body).unwrap_or_default();
    let form = match attempt.order.path.as_str() {
        CLASSIFY => OutputFormat::Labels,
        IMAGES => OutputFormat::Pictures(PictureFiles::check(context, request)?),
        _ if body["stream"].as_bool().unwrap_or_default() => OutputFormat::Stream,
        _ => OutputFormat::Text,
    };
    if !matches!(form, OutputFormat::Pictures(_)) {
        request.pictures.refuse("a call for text or labels")?;
    }
    let sent = SentRequest {
        path: attempt.order.path.clone(),
        body,
    };
    let bought = resume(context, &client, request, attempt).await?;
    let counter = CallSession {
        context,
        client: &client,
        request,
        sent,
    };
    counter.take(bought, form).await?;
    Ok(ExitStatus::Success)
}

fn read_prompt(text: &str) -> Result<String, Failure> {
    let mut prompt = text.to_owned();
    if text == "-" {
        prompt.clear();
        std::io::stdin()
            .read_to_string(&mut prompt)
            .map_err(|error| {
                let message = format!("cannot read the prompt from standard input: {error}");
                Failure::new(ExitClass::BadInput, message)
            })?;
        prompt.truncate(prompt.trim_end_matches(['\n', '\r']).len());
    }
    if prompt.trim().is_empty() {
        return Err(
            Failure::new(ExitClass::Usage, "the prompt is empty").with_hint(
                "say something: `openlora call \"is this spam?\"`, or pipe it in with `-`",
            ),
        );
    }
    Ok(prompt)
}

/// A price must be a decimal number.
fn check_amount(name: &str, amount: Option<&str>) -> Result<(), Failure> {
    let Some(text) = amount else { return Ok(()) };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if digits(whole) && digits(fraction) && !whole.is_empty() && !fraction.is_empty() {
        return Ok(());
    }
    let message = format!("{name} {text}: expected a decimal number such as 0.01");
    Err(Failure::new(ExitClass::Usage, message))
}

/// The requested adapter, or the only one.
fn choose<'a>(models: &'a [Value], wanted: Option<&str>) -> Result<&'a Value, Failure> {
    let names: Vec<&str> = models.iter().map(|model| text_at(model, "id")).collect();
    let served = clean_line(&names.join(", ")).into_owned();
    match (wanted, models) {
        (Some(name), _) => models
            .iter()
            .find(|model| text_at(model, "id") == name)
            .ok_or_else(|| {
                let failure = Failure::new(
                    ExitClass::Usage,
                    format!("the server has no adapter `{name}`"),
                );
                failure.with_hint(match closest(name, &names) {
                    Some(other) => format!("did you mean `{}`?", clean_line(other)),
                    None => format!("served there: {served}"),
                })
            }),
        (None, [only]) => Ok(only),
        (None, []) => Err(Failure::new(
            ExitClass::Network,
            "the server has no adapters",
        )),
        (None, _) => {
            let message = format!("the server has {} adapters", models.len());
            Err(Failure::new(ExitClass::Usage, message)
                .with_hint(format!("choose one with --adapter: {served}")))
        }
    }
}

fn trained_for(model: &Value) -> CallTask {
    match model.pointer("/task/kind").and_then(Value::as_str) {
        Some("classify") => CallTask::Classify,
        Some("image") => CallTask::Image,
        _ => CallTask::Chat,
    }
}

async fn chat(
    context: &CommandContext,
    client: &ServerClient,
    request: &CallRequest,
    model: &Value,
    prompt: &str,
) -> Result<(), Failure> {
    request.pictures.refuse("a chat")?;
    let mut messages = Vec::new();
    if let Some(system) = &request.system {
        messages.push(json!({ "role": "system", "content": system }));
    }
    messages.push(json!({ "role": "user", "content": prompt }));
    let mut body = json!({ "model": model["id"], "messages": messages });
    if let Some(tokens) = request.max_tokens {
        body["max_tokens"] = json!(tokens);
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature);
    }
    if request.static_shares {
        body["attribution"] = json!("static");
    }
    let printer = &context.printer;
    let live = !printer.is_json() && std::io::stdout().is_terminal();
    let stream = request.stream || live;
    if stream {
        stream::request_usage(&mut body);
    }
    let wanted = CallParams {
        adapter: text_at(model, "id").to_owned(),
        path: "/v1/chat/completions".to_owned(),
        body: body.to_string(),
    };
    let bought = buy(context, client, request, &wanted).await?;
    let form = match stream {
        true => OutputFormat::Stream,
        false => OutputFormat::Text,
    };
    let path = wanted.path;
    let counter = CallSession {
        context,
        client,
        request,
        sent: SentRequest { path, body },
    };
    counter.take(bought, form).await
}

async fn classify(
    context: &CommandContext,
    client: &ServerClient,
    request: &CallRequest,
    model: &Value,
    prompt: &str,
) -> Result<(), Failure> {
    refuse_chat_options(request, "a classification")?;
    request.pictures.refuse("a classification")?;
    let mut body = json!({ "model": model["id"], "input": prompt });
    if request.static_shares {
        body["attribution"] = json!("static");
    }
    let wanted = CallParams {
        adapter: text_at(model, "id").to_owned(),
        path: CLASSIFY.to_owned(),
        body: body.to_string(),
    };
    let bought = buy(context, client, request, &wanted).await?;
    let path = wanted.path;
    let counter = CallSession {
        context,
        client,
        request,
        sent: SentRequest { path, body },
    };
    counter.take(bought, OutputFormat::Labels).await
}

async fn image(
    context: &CommandContext,
    client: &ServerClient,
    request: &CallRequest,
    model: &Value,
    prompt: &str,
) -> Result<(), Failure> {
    refuse_chat_options(request, "a picture")?;
    let files = PictureFiles::check(context, request)?;
    let mut body = request.pictures.body(model, prompt);
    if request.static_shares {
        body["attribution"] = json!("static");
    }
    let wanted = CallParams {
        adapter: text_at(model, "id").to_owned(),
        path: IMAGES.to_owned(),
        body: body.to_string(),
    };
    let bought = buy(context, client, request, &wanted).await?;
    let path = wanted.path;
    let counter = CallSession {
        context,
        client,
        request,
        sent: SentRequest { path, body },
    };
    counter.take(bought, OutputFormat::Pictures(files)).await
}

fn refuse_chat_options(request: &CallRequest, what: &str) -> Result<(), Failure> {
    let chat_only = [
        ("--system", request.system.is_some()),
        ("--max-tokens", request.max_tokens.is_some()),
        ("--temperature", request.temperature.is_some()),
    ];
    let Some((flag, _)) = chat_only.iter().find(|(_, given)| *given) else {
        return Ok(());
    };
    let message = format!("{flag} has no meaning in {what}");
    Err(Failure::new(ExitClass::Usage, message).with_hint(format!(
        "leave {flag} out, or ask for a chat with --kind chat"
    )))
}

const CLASSIFY: &str = "/v1/classify";

/// How an answer is delivered.
enum OutputFormat {
    Text,
    Stream,
    Labels,
    Pictures(PictureFiles),
}

/// A completely received answer.
struct CompleteAnswer {
    answer: Value,
    payment: Option<pay::ChargeSource>,
    said: AdapterAnswer,
}

/// The steps of a call: receive the answer, pay, and store the receipt.
struct CallSession<'a> {
    context: &'a CommandContext,
    client: &'a ServerClient,
    request: &'a CallRequest,
    sent: SentRequest,
}

impl CallSession<'_> {
    /// Reads and prints the answer. If a paid answer is lost in transit, it is requested again.
    async fn take(self, mut bought: PaidResponse, form: OutputFormat) -> Result<(), Failure> {
        let mut screen = stream::StreamScreen::default();
        loop {
            let PaidResponse { response, account } = bought;
            let told = match &form {
                OutputFormat::Labels => self.labels(response).await,
                OutputFormat::Stream => self.streamed(response, &mut screen).await,
                OutputFormat::Text => self.text(response).await,
                OutputFormat::Pictures(files) => self.pictures(response, files).await,
            };
            match told {
                Ok(told) => return self.close(account, told).await,
                Err(failure) => {
                    let (context, client) = (self.context, self.client);
                    bought =
                        pay::retry_call(account, context, client, self.request, failure).await?;
                }
            }
        }
    }

    async fn streamed(
        &self,
        response: reqwest::Response,
        screen: &mut stream::StreamScreen,
    ) -> Result<CompleteAnswer, Failure> {
        let printer = &self.context.printer;
        let streamed = stream::print_stream(self.client, response, printer, screen).await?;
        Ok(CompleteAnswer {
            answer: streamed.answer,
            payment: streamed.payment.map(pay::ChargeSource::Event),
            said: AdapterAnswer::Text {
                text: streamed.text,
            },
        })
    }

    async fn text(&self, response: reqwest::Response) -> Result<CompleteAnswer, Failure> {
        let payment = pay::ChargeSource::in_header(&response);
        let answer = self.client.json(response).await?;
        let text = answer
            .pointer("/choices/0/message/content")
            .and_then(Value::as_str);
        let text = text.unwrap_or_default().to_owned();
        if !self.context.printer.is_json() {
            self.context.printer.text(&text);
        }
        Ok(CompleteAnswer {
            answer,
            payment,
            said: AdapterAnswer::Text { text },
        })
    }

    async fn labels(&self, response: reqwest::Response) -> Result<CompleteAnswer, Failure> {
        let payment = pay::ChargeSource::in_header(&response);
        let answer = self.client.json(response).await?;
        let labels: Vec<LabelProbability> = self.client.typed(&answer["labels"])?;
        if !self.context.printer.is_json() {
            let mut ranked: Vec<&LabelProbability> = labels.iter().collect();
            ranked.sort_by(|left, right| right.probability.total_cmp(&left.probability));
            for LabelProbability { label, probability } in ranked {
                let line = format!("{probability:.4}  {label}");
                self.context.printer.line(line);
            }
        }
        let label = text_at(&answer, "label").to_owned();
        Ok(CompleteAnswer {
            answer,
            payment,
            said: AdapterAnswer::Labels { label, labels },
        })
    }

    async fn pictures(
        &self,
        response: reqwest::Response,
        files: &PictureFiles,
    ) -> Result<CompleteAnswer, Failure> {
        let payment = pay::ChargeSource::in_header(&response);
        let answer = self.client.json(response).await?;
        let pictures = files.take(self.context, self.client, &answer)?;
        Ok(CompleteAnswer {
            answer,
            payment,
            said: AdapterAnswer::Pictures { pictures },
        })
    }

    /// Concludes the payment, stores the receipt, and prints the JSON result or the closing note.
    async fn close(
        self,
        account: Option<pay::OpenPayment>,
        told: CompleteAnswer,
    ) -> Result<(), Failure> {
        let (context, client) = (self.context, self.client);
        let CompleteAnswer {
            answer,
            payment,
            said,
        } = told;
        let closed = match account {
            Some(account) => Some(account.close_payment(context, payment).await?),
            None => None,
        };
        let id = text_at(&answer, "id").to_owned();
        let receipt = match client.receipt(&id).await {
            // The answer has arrived and is paid: only the receipt is missing.
            Err(failure) if closed.is_some() => {
                context.printer.warn(failure.message);
                None
            }
            // The proof is asked for when the receipt is verified: mostly no checkpoint covers the
            // call yet.
            receipt => receipt?.map(|receipt| PublishedReceipt {
                log: None,
                ..receipt
            }),
        };
        let charged = closed.as_ref().and_then(pay::ClosedPayment::amount);
        let quoted = receipt.as_ref().map(|receipt| receipt.paid);
        let paid = charged.or(quoted).unwrap_or_default();
        let shown = match &closed {
            Some(closed) => closed.payment_summary(),
            None => paid.to_string(),
        };
        // The server may have named another call's id, or none that can be one.
        let id = match &closed {
            Some(closed) => closed.store_receipt(context, &id, receipt.as_ref())?,
            None => id,
        };
        let usage = match &receipt {
            Some(receipt) => receipt.usage,
            None => pictures::stated_usage(client, &answer["usage"])?,
        };
        if context.printer.is_json() {
            context.printer.json(&CallResult {
                id,
                said,
                usage,
                paid,
                receipt,
                request: Some(self.sent),
            });
        } else {
            // Of a free call nothing is kept here, and another program's server keeps no receipt.
            let kept = match closed.is_some() || receipt.is_some() {
                true => format!(", receipt {}", clean_line(&id)),
                false => String::new(),
            };
            context
                .printer
                .note(format!("{}, paid {shown}{kept}", work_of(&usage)));
        }
        closed.map_or(Ok(()), |closed| closed.shown_to_caller())
    }
}

/// What was counted, in words.
pub(super) fn work_of(usage: &PublishedUsage) -> String {
    let tokens = usage.prompt_tokens;
    match usage.pictures {
        Some(pictures) => {
            let evaluations = usage.evaluations.map_or(String::new(), |it| {
                format!(", {}", counted(it, "evaluation"))
            });
            let pictures = counted(pictures, "picture");
            format!("{tokens} prompt tokens, {pictures}{evaluations}")
        }
        None => format!("{tokens} + {} tokens", usage.completion_tokens),
    }
}
