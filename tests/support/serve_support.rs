//! A deterministic engine and a server on a free port, for the tests of the HTTP surface.
//!
//! A token is a word. The engine answers a chat with its own name and the words of the last user
//! message, over and over, until the token limit; words that start with `!` steer it:
//! `!end=N` ends after N tokens, `!fail=N` fails after N tokens, `!step` waits for a permit of
//! `steps` before every token.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::memory_journal::memory_journal;
use crate::waiting;
use futures::StreamExt;
use openlora_attribution::Provenance;
use openlora_engine::{
    Engine, EngineError, EngineIdentity, EngineLimits, FairShareKey, GenerationStep,
    GenerationStream, LabelProbabilities, Prompt, SamplingParams, TokenLogprob, VocabularyToken,
};
use openlora_journal::Journal;
use openlora_ledger::{
    PriceList,
    event::{Event, EventRecord, FinishReason, TokenUsage},
};
use openlora_model::dataset::Task;
use openlora_serve::{
    AdapterProfile, BoundSocket, ConnectionLimits, ServeError, ServeInputs, ServeLimits,
    ServedAdapter, Server, StopHandle,
    access::{AccessRules, AccessToken, FacilitatorAccess},
    attribution::AttributionConfig,
    origins::AllowedOrigins,
    prompt_filter::PromptFilter,
    proxies::TrustedProxies,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

pub const CONTEXT: usize = 64;

/// Words in, words out. One that is named `away` cannot come back into memory.
pub struct Words {
    pub name: String,
    /// One permit lets a `!step` answer go on by one token.
    pub steps: Arc<Semaphore>,
    /// Answers that were begun.
    pub begun: Arc<AtomicUsize>,
}

fn words(prompt: &Prompt) -> Vec<String> {
    let text = match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Chat(messages) => messages
            .iter()
            .map(|message| message.content.as_str())
            .collect::<Vec<_>>()
            .join(" "),
    };
    text.split_whitespace().map(str::to_owned).collect()
}

fn subject(prompt: &Prompt) -> Vec<String> {
    match prompt {
        Prompt::Chat(messages) => words(&Prompt::Text(messages.last().unwrap().content.clone())),
        text => words(text),
    }
}

fn order(words: &[String], name: &str) -> Option<usize> {
    let value = words
        .iter()
        .find_map(|word| word.strip_prefix(&format!("!{name}=")))?;
    Some(value.parse().unwrap())
}

#[async_trait::async_trait]
impl Engine for Words {
    fn limits(&self) -> EngineLimits {
        EngineLimits {
            context_tokens: CONTEXT,
        }
    }

    async fn for_call(&self, _: &FairShareKey) -> Result<Option<Arc<dyn Engine>>, EngineError> {
        match self.name.as_str() {
            "away" => Err(EngineError::Load {
                name: self.name.clone(),
                reason: "scripted".to_owned(),
            }),
            _ => Ok(None),
        }
    }

    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError> {
        Ok(words(prompt).len() as u64)
    }

    async fn generate(
        &self,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let subject = subject(&prompt);
        let end = order(&subject, "end").unwrap_or(usize::MAX);
        let fail = order(&subject, "fail");
        let paced = subject.iter().any(|word| word == "!step");
        let spoken: Vec<String> = subject
            .into_iter()
            .filter(|word| !word.starts_with('!'))
            .collect();
        let vocabulary: Vec<String> = std::iter::once(self.name.clone()).chain(spoken).collect();
        let prompt_tokens = words(&prompt).len() as u64;
        let steps = Arc::clone(&self.steps);
        let stream = async_stream::stream! {
            let length = sampling.max_tokens.min(end);
            let mut said = 0;
            for index in 0..length {
                if fail == Some(index) {
                    yield Err(EngineError::Failed("scripted".to_owned()));
                    return;
                }
                if paced {
                    steps.acquire().await.unwrap().forget();
                }
                let word = &vocabulary[index % vocabulary.len()];
                let text = if index == 0 { word.clone() } else { format!(" {word}") };
                let token = |id: usize, text: &str| VocabularyToken { id: id as u32, bytes: text.into() };
                let logprobs = sampling.logprobs.map(|count| TokenLogprob {
                    token: token(index, &text),
                    logprob: -0.5,
                    top: (0..count).map(|rank| (token(rank, &format!("t{rank}")), -1.0 - rank as f32)).collect(),
                    offset: said,
                });
                said += text.chars().count();
                yield Ok(GenerationStep::Delta { text, tokens: 1, logprobs: logprobs.into_iter().collect() });
            }
            let finish = if length == end { FinishReason::Stop } else { FinishReason::Length };
            let usage = TokenUsage { prompt_tokens, completion_tokens: length as u64 };
            yield Ok(GenerationStep::Done { usage, finish });
        };
        Ok(stream.boxed())
    }

    async fn classify(
        &self,
        prompt: Prompt,
        labels: &[String],
    ) -> Result<LabelProbabilities, EngineError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let subject = subject(&prompt);
        if subject.iter().any(|word| word == "!fail") {
            return Err(EngineError::Failed("scripted".to_owned()));
        }
        let named = labels
            .iter()
            .position(|label| subject.contains(label))
            .unwrap_or(0);
        let rest = 0.25 / (labels.len() - 1) as f64;
        let probabilities = (0..labels.len())
            .map(|index| if index == named { 0.75 } else { rest })
            .collect();
        let usage = TokenUsage {
            prompt_tokens: words(&prompt).len() as u64,
            completion_tokens: 1,
        };
        Ok(LabelProbabilities {
            probabilities,
            usage,
        })
    }
}

/// A server in this process.
pub struct TestServer {
    pub address: SocketAddr,
    pub journal: Journal,
    pub stop: StopHandle,
    pub steps: Arc<Semaphore>,
    pub begun: Arc<AtomicUsize>,
    pub running: tokio::task::JoinHandle<Result<(), ServeError>>,
    pub client: reqwest::Client,
}

pub const LIMITS: ServeLimits = ServeLimits {
    max_concurrent: 2,
    parallel: 2,
    queue: 1,
    max_body: 4096,
    max_tokens: 5,
};

/// What receipts name as the origin of [`Words`]' answers.
pub fn identity() -> EngineIdentity {
    EngineIdentity {
        engine: "words/1".to_owned(),
        weights: "letters".to_owned(),
    }
}

/// `persona` talks, `filter` is a content filter, `mood` a classifier that is none.
pub fn adapters(steps: &Arc<Semaphore>, begun: &Arc<AtomicUsize>) -> Vec<ServedAdapter> {
    let classify = |labels: &[&str]| Task::Classify {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        instruction: "Name the label.".to_owned(),
    };
    let tasks = [
        (
            "persona",
            Task::Chat {
                instruction: Some("Be kind.".to_owned()),
            },
        ),
        ("filter", classify(&["allowed", "spam", "scam"])),
        ("mood", classify(&["negative", "positive"])),
    ];
    tasks
        .into_iter()
        .map(|(name, task)| ServedAdapter {
            name: name.to_owned(),
            digest: format!("{name}0digest"),
            version: "1".to_owned(),
            base_id: "nano".to_owned(),
            base_digest: "base0digest".to_owned(),
            task: Some(task),
            temperature: None,
            created: 1_700_000_000,
            prices: PriceList::default(),
            provenance: Provenance::default(),
            profile: AdapterProfile::default(),
            is_announced: false,
            kept: None,
            identity: identity(),
            engine: Arc::new(Words {
                name: name.to_owned(),
                steps: Arc::clone(steps),
                begun: Arc::clone(begun),
            }),
        })
        .collect()
}

pub async fn start() -> TestServer {
    start_with(LIMITS, test_journal()).await
}

/// The operator's token of every test server.
pub const OPERATOR: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// What a server has unless a test says otherwise.
pub fn access() -> AccessRules {
    AccessRules {
        operator: OPERATOR.parse().unwrap(),
        sellers: AccessToken::random().unwrap(),
        facilitation: FacilitatorAccess::default(),
        proxies: TrustedProxies::default(),
        origins: AllowedOrigins::default(),
        public_url: None,
    }
}

/// A client that has the operator's token.
pub fn operator_client() -> reqwest::Client {
    let token = access().operator.bearer();
    let headers = [(reqwest::header::AUTHORIZATION, token)];
    let builder = reqwest::Client::builder().default_headers(headers.into_iter().collect());
    builder.no_proxy().build().unwrap()
}

pub fn test_journal() -> Journal {
    memory_journal()
}

pub async fn start_with(limits: ServeLimits, journal: Journal) -> TestServer {
    start_behind(access(), limits, journal).await
}

pub async fn start_behind(
    access: AccessRules,
    limits: ServeLimits,
    journal: Journal,
) -> TestServer {
    start_bounded(access, limits, journal, ConnectionLimits::default()).await
}

pub async fn start_bounded(
    access: AccessRules,
    limits: ServeLimits,
    journal: Journal,
    connections: ConnectionLimits,
) -> TestServer {
    let (steps, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let goods = ServeInputs {
        access,
        ..inputs(adapters(&steps, &begun))
    };
    let started = StartedParts { steps, begun };
    let started = run_server(goods, started, limits, journal, connections).await;
    started.unwrap()
}

/// What a server has unless a test says otherwise.
fn inputs(adapters: Vec<ServedAdapter>) -> ServeInputs {
    ServeInputs {
        adapters,
        sales: None,
        attribution: AttributionConfig::default(),
        access: access(),
        transparency: None,
        loader: None,
        standings: None,
        on_demand: None,
        prompt_filter: None,
    }
}

/// A server of these adapters, which wait for permits of `steps`.
pub async fn start_serving(
    adapters: Vec<ServedAdapter>,
    prompt_filter: Option<PromptFilter>,
    limits: ServeLimits,
    journal: Journal,
    steps: Arc<Semaphore>,
) -> Result<TestServer, ServeError> {
    let goods = ServeInputs {
        prompt_filter,
        ..inputs(adapters)
    };
    let begun = Arc::default();
    let started = StartedParts { steps, begun };
    run_server(goods, started, limits, journal, ConnectionLimits::default()).await
}

struct StartedParts {
    steps: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

async fn run_server(
    goods: ServeInputs,
    StartedParts { steps, begun }: StartedParts,
    limits: ServeLimits,
    journal: Journal,
    connections: ConnectionLimits,
) -> Result<TestServer, ServeError> {
    let stop = StopHandle::default();
    let bound = BoundSocket::new("127.0.0.1", 0).await.unwrap();
    let server = Server::new(bound, goods, journal.clone(), limits, stop.clone())
        .await?
        .with_connections(connections);
    let address = server.address();
    let running = tokio::spawn(server.run());
    Ok(TestServer {
        address,
        journal,
        stop,
        steps,
        begun,
        running,
        client: operator_client(),
    })
}

/// Status, headers that matter, and body of an answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The JSON values of an event stream, and whether `[DONE]` ended it.
    pub fn chunks(&self) -> (Vec<Value>, bool) {
        let data: Vec<&str> = self
            .text
            .split("\n\n")
            .filter_map(|e| e.strip_prefix("data: "))
            .collect();
        let done = data.last() == Some(&"[DONE]");
        let values = data.iter().filter(|text| **text != "[DONE]");
        (
            values
                .map(|text| serde_json::from_str(text).unwrap())
                .collect(),
            done,
        )
    }
}

impl TestServer {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Reply {
        reply(self.client.get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        reply(self.client.post(self.url(path)).json(body)).await
    }

    pub async fn post_as(&self, id: &str, path: &str, body: &Value) -> Reply {
        reply(
            self.client
                .post(self.url(path))
                .header("idempotency-key", id)
                .json(body),
        )
        .await
    }

    /// Every record so far.
    pub async fn records(&self) -> Vec<EventRecord> {
        self.journal.read(1, 100_000).await.unwrap()
    }

    /// What was metered under an id, once it was.
    pub async fn metered(&self, id: &str) -> (TokenUsage, FinishReason) {
        let found = async || self.journal.metered(id).await.unwrap();
        self.once(&format!("the call {id}"), found).await
    }

    /// What was metered of the `count`th call, once it was: a paid call's id is not its caller's.
    pub async fn metered_nth(&self, count: usize) -> (TokenUsage, FinishReason) {
        let found = async || {
            let mut calls = Vec::new();
            let visit = |record: &EventRecord| {
                if matches!(record.event, Event::CallMetered { .. }) {
                    calls.push(record.clone());
                }
            };
            self.journal.replay(1, visit).unwrap();
            calls.into_iter().nth(count - 1)
        };
        self.once(&format!("call {count}"), found).await
    }

    async fn once(
        &self,
        what: &str,
        find: impl AsyncFn() -> Option<EventRecord>,
    ) -> (TokenUsage, FinishReason) {
        let mut news = self.journal.subscribe();
        let wait = async {
            loop {
                if let Some(record) = find().await {
                    let Event::CallMetered { usage, finish, .. } = record.event else {
                        panic!("{record:?}")
                    };
                    return (usage, finish);
                }
                let _ = news.recv().await;
            }
        };
        waiting::within(&format!("the count of {what}"), wait).await
    }

    pub async fn drain(self) {
        self.stop.draining.cancel();
        let ended = waiting::within("the server to drain", self.running).await;
        ended.unwrap().unwrap();
    }
}

pub async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply {
        status,
        headers,
        text: response.text().await.unwrap(),
    }
}

pub fn chat(model: &str, content: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": content }] })
}

/// `body` with more fields.
pub fn with(mut body: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}
