//! The engine against PyTorch and PEFT (tests/data/golden), and what a server relies on: exact
//! counts, no leaks between adapters, refusals that leave it alive.

use std::{path::PathBuf, sync::Arc};

use futures::StreamExt;
use openlora::{
    error::Explain,
    runtime::{
        adapter,
        event::{Finish, Usage},
        model::{Base, text::TextCodec},
        ports::{Engine, Generated, Message, Prompt, Sampling},
        serve::{
            ServeError,
            engine::{EngineSpec, Engines, Loaded, Quant},
        },
    },
};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(name)
}

fn base(name: &str) -> Base {
    Base::open_dir(name, &golden(name)).unwrap()
}

async fn try_load(
    engines: &Engines,
    base_name: &str,
    adapter_name: Option<&str>,
    quant: Quant,
) -> Result<Loaded, ServeError> {
    let base = base(base_name);
    let adapter = adapter_name
        .map(|name| adapter::read(&golden(&format!("{base_name}.{name}"))).unwrap());
    let name = adapter_name.unwrap_or(base_name).to_owned();
    engines.load(EngineSpec { name, base: &base, adapter: adapter.as_ref(), quant }).await
}

async fn load(engines: &Engines, base: &str, adapter: Option<&str>) -> Arc<dyn Engine> {
    try_load(engines, base, adapter, Quant::Auto).await.unwrap().engine
}

/// A whole answer: text, token texts, usage, finish.
#[derive(Debug, PartialEq)]
struct Answer {
    text: String,
    tokens: Vec<String>,
    usage: Usage,
    finish: Finish,
}

async fn ask(engine: &Arc<dyn Engine>, prompt: Prompt, sampling: Sampling) -> Answer {
    let mut stream = engine.generate(prompt, sampling).await.unwrap();
    let (mut text, mut tokens, mut counted) = (String::new(), Vec::new(), 0);
    while let Some(step) = stream.next().await {
        match step.unwrap() {
            Generated::Delta { text: more, tokens: count, logprobs } => {
                text.push_str(&more);
                counted += count;
                tokens.extend(logprobs.into_iter().map(|token| token.token));
            }
            Generated::Done { usage, finish } => {
                assert_eq!(counted, usage.completion_tokens);
                assert!(stream.next().await.is_none());
                return Answer { text, tokens, usage, finish };
            }
        }
    }
    panic!("the stream ended without Done");
}

fn text(prompt: &str) -> Prompt {
    Prompt::Text(prompt.to_owned())
}

fn greedy(max_tokens: usize) -> Sampling {
    Sampling { max_tokens, logprobs: Some(0), ..Sampling::default() }
}

fn expected(base: &str) -> Value {
    let path = golden(base).join("expected.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Greedy continuations of one base and adapter must be PyTorch's, token for token.
async fn agrees(engines: &Engines, base: &str, adapter: Option<&str>) {
    let engine = load(engines, base, adapter).await;
    let codec = TextCodec::open(&golden(base)).unwrap();
    let expected = expected(base);
    for case in expected[adapter.unwrap_or("base")]["greedy"].as_array().unwrap() {
        let prompt = case["prompt"].as_str().unwrap();
        let ids = |key: &str| -> Vec<u32> { serde_json::from_value(case[key].clone()).unwrap() };
        let (ids, prompt_ids) = (ids("ids"), ids("prompt_ids"));
        let until_stop: Vec<u32> =
            ids.iter().copied().take_while(|id| !codec.stop_ids().contains(id)).collect();
        let stopped = until_stop.len() < ids.len();
        let found = ask(&engine, text(prompt), greedy(ids.len())).await;
        let wanted = Answer {
            text: codec.decode(&until_stop).unwrap(),
            tokens: until_stop.iter().map(|id| codec.token_text(*id)).collect(),
            usage: Usage {
                prompt_tokens: prompt_ids.len() as u64,
                completion_tokens: until_stop.len() as u64,
            },
            finish: if stopped { Finish::Stop } else { Finish::Length },
        };
        assert_eq!(found, wanted, "{base} {adapter:?} {prompt}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn greedy_text_is_that_of_peft() {
    let engines = Engines::new();
    for base in ["llama", "mistral", "qwen2", "qwen3"] {
        for adapter in [None, Some("qv"), Some("all-linear")] {
            agrees(&engines, base, adapter).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rslora_and_patterns_are_folded_in() {
    let engines = Engines::new();
    for adapter in ["rslora", "patterns"] {
        agrees(&engines, "llama", Some(adapter)).await;
    }
}
