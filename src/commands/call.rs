//! `call`: one call to a server, and its answer.

mod answer;
mod client;
mod stream;

use std::io::{IsTerminal, Read};

use serde_json::{Value, json};

use super::Context;
use crate::error::{ExitClass, ExitStatus, Failure};
pub use answer::Answered;
use answer::{Said, Share};
use client::{Client, text_at};

/// What is asked of the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Chat,
    Classify,
}

/// What `call` is told besides settings.
#[derive(Clone, Debug, Default)]
pub struct CallRequest {
    /// `-` reads standard input.
    pub prompt: String,
    pub url: Option<String>,
    pub adapter: Option<String>,
    /// What the adapter was trained for when unset.
    pub kind: Option<Kind>,
    /// In token units, as typed.
    pub max_price: Option<String>,
    pub max_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub system: Option<String>,
}

/// Makes the call and prints its answer.
pub async fn run(context: &Context, request: CallRequest) -> Result<ExitStatus, Failure> {
    check_price(request.max_price.as_deref())?;
    let prompt = read_prompt(&request.prompt)?;
    let client = Client::new(context, request.url.as_deref())?;
    let models = client.models().await?;
    let model = choose(&models, request.adapter.as_deref())?;
    check_free(model)?;
    match request.kind.unwrap_or_else(|| trained_for(model)) {
        Kind::Chat => chat(context, &client, &request, model, &prompt).await?,
        Kind::Classify => classify(context, &client, &request, model, &prompt).await?,
    }
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

/// A price is a decimal number; what it buys is up to the server.
fn check_price(price: Option<&str>) -> Result<(), Failure> {
    let Some(text) = price else { return Ok(()) };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if digits(whole) && digits(fraction) && !whole.is_empty() && !fraction.is_empty() {
        return Ok(());
    }
    let message = format!("--max-price {text}: expected a decimal number such as 0.01");
    Err(Failure::new(ExitClass::Usage, message))
}

/// This build cannot pay: an adapter with a price is refused before anything is sent.
fn check_free(model: &Value) -> Result<(), Failure> {
    let priced = model["pricing"].as_object().and_then(|prices| {
        prices
            .iter()
            .find(|(_, price)| price.as_str().is_some_and(|price| price != "0"))
    });
    match priced {
        None => Ok(()),
        Some((what, price)) => Err(Failure::new(
            ExitClass::Usage,
            format!(
                "adapter {} asks {price} per {what}, and this version of openlora cannot pay",
                text_at(model, "id")
            ),
        )),
    }
}

/// The adapter asked for, or the only one.
fn choose<'a>(models: &'a [Value], wanted: Option<&str>) -> Result<&'a Value, Failure> {
    let names: Vec<&str> = models.iter().map(|model| text_at(model, "id")).collect();
    let served = names.join(", ");
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
                    Some(other) => format!("did you mean `{other}`?"),
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

fn closest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let near = names
        .iter()
        .map(|other| (strsim::jaro_winkler(name, other), *other));
    let best = near.filter(|(similarity, _)| *similarity >= 0.7);
    best.max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, other)| other)
}

fn trained_for(model: &Value) -> Kind {
    match model.pointer("/task/kind").and_then(Value::as_str) {
        Some("classify") => Kind::Classify,
        _ => Kind::Chat,
    }
}

async fn chat(
    context: &Context,
    client: &Client,
    request: &CallRequest,
    model: &Value,
    prompt: &str,
) -> Result<(), Failure> {
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
    let printer = &context.printer;
    if !printer.is_json() && std::io::stdout().is_terminal() {
        let answer = stream::show(client, body, printer).await?;
        return close(context, client, &answer).await;
    }
    let answer = client.post("/v1/chat/completions", &body).await?;
    let text = answer
        .pointer("/choices/0/message/content")
        .and_then(Value::as_str);
    let text = text.unwrap_or_default();
    if printer.is_json() {
        let text = text.to_owned();
        return report(context, client, &answer, Said::Text { text }).await;
    }
    printer.line(text);
    close(context, client, &answer).await
}

async fn classify(
    context: &Context,
    client: &Client,
    request: &CallRequest,
    model: &Value,
    prompt: &str,
) -> Result<(), Failure> {
    let chat_only = [
        ("--system", request.system.is_some()),
        ("--max-tokens", request.max_tokens.is_some()),
        ("--temperature", request.temperature.is_some()),
    ];
    if let Some((flag, _)) = chat_only.iter().find(|(_, given)| *given) {
        let message = format!("{flag} has no meaning in a classification");
        return Err(Failure::new(ExitClass::Usage, message).with_hint(format!(
            "leave {flag} out, or ask for a chat with --kind chat"
        )));
    }
    let body = json!({ "model": model["id"], "input": prompt });
    let answer = client.post("/v1/classify", &body).await?;
    let mut labels: Vec<Share> = client.typed(&answer["labels"])?;
    if context.printer.is_json() {
        let label = text_at(&answer, "label").to_owned();
        return report(context, client, &answer, Said::Labels { label, labels }).await;
    }
    labels.sort_by(|left, right| right.probability.total_cmp(&left.probability));
    for Share { label, probability } in labels {
        context.printer.line(format!("{probability:.4}  {label}"));
    }
    close(context, client, &answer).await
}

/// Prints the JSON result.
async fn report(
    context: &Context,
    client: &Client,
    answer: &Value,
    said: Said,
) -> Result<(), Failure> {
    let receipt = client.receipt(text_at(answer, "id")).await?;
    context.printer.json(&Answered {
        id: text_at(answer, "id").to_owned(),
        said,
        usage: client.typed(&answer["usage"])?,
        paid: receipt.paid,
        receipt,
    });
    Ok(())
}

/// The closing remark for a person.
async fn close(context: &Context, client: &Client, answer: &Value) -> Result<(), Failure> {
    let receipt = client.receipt(text_at(answer, "id")).await?;
    context.printer.note(format!(
        "{} + {} tokens, paid {}, receipt {}",
        receipt.usage.prompt_tokens, receipt.usage.completion_tokens, receipt.paid, receipt.id
    ));
    Ok(())
}
