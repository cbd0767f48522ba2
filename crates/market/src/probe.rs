//! What a server sells and whom its offers pay, asked without paying: its list of models, and a 402
//! for the smallest call of each.

use std::{collections::BTreeSet, time::Instant};

use futures::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::http::{MarketHttp, ServerAddress, broken, json};
use openlora_core::{Address, Amount};
use openlora_payments::x402::wire::{PAYMENT_REQUIRED, PaymentRequired, network};

/// The most models of one server that are asked for.
const MOST_MODELS: usize = 64;
/// The longest name of a model, and the largest field that is kept of one, in bytes.
const LONGEST_NAME: usize = 128;
const LARGEST_FIELD: usize = 4 << 10;
/// The largest list of models that is read, in bytes.
const LARGEST_LIST: usize = 2 << 20;
/// Questions to one server at the same time.
const AT_ONCE: usize = 4;

/// Which models of servers are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelFilter<'a> {
    All,
    Named(&'a str),
}

impl ModelFilter<'_> {
    fn selects(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(wanted) => name == wanted,
        }
    }
}

/// A server's answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbedServer {
    /// How long the list of models took.
    pub latency_ms: u64,
    pub models: Vec<ProbedModel>,
}

/// One model of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbedModel {
    /// The name by which the server sells it.
    pub name: String,
    /// What the server lists of it besides its name: creation, task, parent, prices
    /// and limits of pictures.
    pub listed: Value,
    /// Whom its offers on the chain pay.
    pub pay_to: Vec<Address>,
    /// The most that the smallest call costs, in base units of the token that the offer names.
    pub smallest: Option<Amount>,
}

impl ProbedModel {
    /// What it was trained for, such as `classify`; empty where its server does not say.
    pub fn task(&self) -> &str {
        let kind = self.listed.pointer("/task/kind").and_then(Value::as_str);
        kind.unwrap_or_default()
    }
}

/// Whether a name can stand in a command, in a path and in what agents read.
fn is_plain_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/+".contains(letter);
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(fits)
}

/// The used fields of a listed model. What a stranger fills without measure is left out.
fn kept_fields(listed: &Value) -> Value {
    let fields =
        ["created", "task", "parent", "pricing", "images"].map(|name| (name, &listed[name]));
    let kept = fields.into_iter().filter(|(_, value)| {
        let is_there = !value.is_null();
        is_there && value.to_string().len() <= LARGEST_FIELD
    });
    let kept = kept.map(|(name, value)| (name.to_owned(), value.clone()));
    Value::Object(kept.collect())
}

/// Asks a server for its models, and for the offers of those that `filter` selects.
pub(crate) async fn probe(
    http: &MarketHttp,
    address: &ServerAddress,
    chain_id: u64,
    filter: ModelFilter<'_>,
) -> Result<ProbedServer, String> {
    let began = Instant::now();
    let sent = http.client(address)?.get(address.url("/v1/models")).send();
    let response = sent.await.map_err(|error| broken(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("answers {}", response.status()));
    }
    let answer = json(response, LARGEST_LIST).await?;
    let latency = began.elapsed().as_millis();
    let listed = answer["data"].as_array().cloned().unwrap_or_default();
    let named = listed.into_iter().filter_map(|listed| {
        let name = listed["id"].as_str().filter(|it| is_plain_name(it))?;
        let name = name.to_owned();
        filter.selects(&name).then(|| (name, kept_fields(&listed)))
    });
    let chosen: Vec<(String, Value)> = named.take(MOST_MODELS).collect();
    let questions = chosen
        .into_iter()
        .map(|(name, listed)| offered(http, address, chain_id, name, listed));
    let questions: Vec<_> = questions.collect();
    let models = stream::iter(questions).buffered(AT_ONCE).collect().await;
    Ok(ProbedServer {
        latency_ms: u64::try_from(latency).unwrap_or(u64::MAX),
        models,
    })
}

/// The offer for the smallest call of a model; a model without one has no payee.
async fn offered(
    http: &MarketHttp,
    address: &ServerAddress,
    chain_id: u64,
    name: String,
    listed: Value,
) -> ProbedModel {
    let mut model = ProbedModel {
        name,
        listed,
        pay_to: Vec::new(),
        smallest: None,
    };
    let (path, body) = smallest_call(&model);
    let Ok(client) = http.client(address) else {
        return model;
    };
    let sent = client.post(address.url(path)).json(&body).send().await;
    let required = sent.ok().and_then(|response| {
        let header = response.headers().get(PAYMENT_REQUIRED)?.to_str().ok()?;
        let is_unpaid = response.status() == StatusCode::PAYMENT_REQUIRED;
        is_unpaid.then(|| PaymentRequired::decode(header).ok())?
    });
    let Some(required) = required else {
        return model;
    };
    let here = network(chain_id);
    let terms = required.offers().map(|(_, terms)| terms);
    let mut payees = BTreeSet::new();
    for terms in terms.filter(|terms| terms.network == here) {
        payees.insert(terms.pay_to);
        let cheapest = model.smallest.unwrap_or(terms.amount);
        model.smallest = Some(cheapest.min(terms.amount));
    }
    model.pay_to = payees.into_iter().collect();
    model
}

fn smallest_call(model: &ProbedModel) -> (&'static str, Value) {
    match model.task() {
        "classify" => {
            let body = json!({ "model": model.name, "input": "." });
            return ("/v1/classify", body);
        }
        "image" => {
            let body = json!({ "model": model.name, "prompt": "." });
            return ("/v1/images/generations", body);
        }
        _ => {}
    }
    let messages = [json!({ "role": "user", "content": "." })];
    let body = json!({ "model": model.name, "messages": messages, "max_tokens": 1 });
    ("/v1/chat/completions", body)
}
