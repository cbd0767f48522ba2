//! Workers that say something else than an engine would: nothing of it reaches a call.

use std::sync::Arc;

use futures::StreamExt;
use openlora_engine::{Engine, EngineError, GenerationStep, SamplingParams};
use openlora_generation::PromptCounter;
use openlora_worker::{WorkerEngine, WorkerLink};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixListener,
};

use crate::{
    engine::SocketAt,
    engine_suite::{base, text},
};

/// An engine whose worker answers every request with these lines, and then ends the connection.
fn saying(lines: &[String]) -> (WorkerEngine, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("worker.sock");
    let listener = UnixListener::bind(&place).unwrap();
    let said: String = lines.iter().map(|line| format!("{line}\n")).collect();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (from, mut to) = stream.into_split();
            let mut line = String::new();
            BufReader::new(from).read_line(&mut line).await.unwrap();
            // The server may have heard enough.
            let _ = to.write_all(said.as_bytes()).await;
        }
    });
    let link = Arc::new(WorkerLink::new("tone"));
    link.running(Arc::new(SocketAt(place)), "test", Vec::new());
    let counter = PromptCounter::open("tone", &base("llama"), 64).unwrap();
    (WorkerEngine::new(link, counter, Arc::new(())), folder)
}

fn lines_of(replies: &[Value]) -> Vec<String> {
    replies.iter().map(Value::to_string).collect()
}

fn delta(text: &str, tokens: u64) -> Value {
    json!({ "delta": { "text": text, "tokens": tokens, "logprobs": [] } })
}

fn done(finish: &str) -> Value {
    let usage = json!({ "prompt_tokens": 7_000, "completion_tokens": 9_000 });
    json!({ "done": { "finish": finish, "usage": usage } })
}

/// What an answer of at most four tokens comes to: its steps, and the error that ends it.
async fn answered(lines: &[String]) -> (Vec<GenerationStep>, Option<String>) {
    answered_with(lines, None).await
}

async fn answered_with(
    lines: &[String],
    logprobs: Option<usize>,
) -> (Vec<GenerationStep>, Option<String>) {
    let (engine, _folder) = saying(lines);
    let sampling = SamplingParams {
        max_tokens: 4,
        logprobs,
        ..SamplingParams::default()
    };
    let mut stream = match engine.generate(text("hello"), sampling).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let mut steps = Vec::new();
    while let Some(step) = stream.next().await {
        match step {
            Ok(step) => steps.push(step),
            Err(error) => return (steps, Some(error.to_string())),
        }
    }
    (steps, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_those_of_the_server() {
    let replies = lines_of(&[json!("started"), delta("a b", 3), done("stop")]);
    let (steps, error) = answered(&replies).await;
    assert_eq!((steps.len(), error), (2, None));
    let GenerationStep::Done { usage, .. } = &steps[1] else {
        panic!("{steps:?}");
    };
    let (engine, _folder) = saying(&[]);
    let prompt = engine.count_prompt(&text("hello")).await.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (prompt, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_taken_than_was_asked_for() {
    let started = || json!("started");
    let long = "x".repeat(1 << 16);
    for (replies, steps, problem) in [
        (
            vec![started(), delta("a", 4), delta("b", 1)],
            1,
            "it answers more than was asked for",
        ),
        (
            vec![started(), delta("a", u64::MAX)],
            0,
            "it answers more than was asked for",
        ),
        (
            vec![started(), delta(&long, 1)],
            0,
            "it answers more than was asked for",
        ),
        (vec![started(), delta("a", 1)], 1, "it ended"),
        (vec![], 0, "it does not begin an answer"),
        (vec![delta("a", 1)], 0, "it does not begin an answer"),
        (vec![started(), started()], 0, "it answers something else"),
        (
            vec![started(), done("disconnected")],
            0,
            "it ends an answer as only a server can",
        ),
        (
            vec![started(), json!({ "facts": 1 })],
            0,
            "invalid type: integer `1`, expected struct WorkerFacts at line 1 column 10",
        ),
    ] {
        let (found, error) = answered(&lines_of(&replies)).await;
        let expected = format!("the engine failed: the worker of tone: {problem}");
        assert_eq!((found.len(), error.as_deref()), (steps, Some(&*expected)));
    }
    // After the end nothing is read.
    let replies = lines_of(&[started(), done("length"), delta("more", 1)]);
    let (steps, error) = answered(&replies).await;
    assert_eq!((steps.len(), error), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_have_probabilities() {
    let labels = ["yes", "no"].map(str::to_owned);
    let reply = |shares: &[f64]| {
        let bits: Vec<u64> = shares.iter().map(|it| it.to_bits()).collect();
        let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1_000 });
        lines_of(&[json!({ "labels": { "probabilities": bits, "usage": usage } })])
    };
    let (engine, _folder) = saying(&reply(&[0.25, 0.75]));
    let found = engine.classify(text("so?"), &labels).await.unwrap();
    assert_eq!(found.probabilities, [0.25, 0.75]);
    assert!(found.usage.completion_tokens <= 64);
    for shares in [
        &[1.0][..],
        &[0.5, 0.25, 0.25],
        &[0.5, 0.6],
        &[-0.5, 1.5],
        &[f64::NAN, 1.0],
        &[f64::INFINITY, 0.0],
    ] {
        let (engine, _folder) = saying(&reply(shares));
        let refused = engine.classify(text("so?"), &labels).await.unwrap_err();
        let expected = "the engine failed: the worker of tone: it answers no probabilities of these \
                        labels";
        assert_eq!(refused.to_string(), expected, "{shares:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_engine_keep_their_kind() {
    let error = |it: Value| lines_of(&[json!({ "error": it })]);
    let invalid = json!({ "invalid": { "message": "too long", "parameter": "messages" } });
    let (engine, _folder) = saying(&error(invalid));
    let refused = engine.generate(text("a"), SamplingParams::default()).await;
    let Some(EngineError::Invalid { message, parameter }) = refused.err() else {
        panic!("another error");
    };
    assert_eq!(
        (message.as_str(), parameter),
        ("too long", Some("messages"))
    );
    // A parameter that no engine names is not passed on.
    let invalid = json!({ "invalid": { "message": "no", "parameter": "<script>" } });
    let (engine, _folder) = saying(&error(invalid));
    let refused = engine.generate(text("a"), SamplingParams::default()).await;
    assert!(matches!(
        refused.err(),
        Some(EngineError::Invalid {
            parameter: None,
            ..
        })
    ));
    let busy = json!({ "busy": { "reason": "no memory" } });
    let (engine, _folder) = saying(&error(busy));
    let refused = engine.generate(text("a"), SamplingParams::default()).await;
    assert!(matches!(refused.err(), Some(EngineError::Busy { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_probabilities_are_those_that_were_asked_for() {
    let token = |length: usize| json!({ "id": 1, "bytes": vec![97; length] });
    let logprob = |length: usize, top: usize| {
        let top: Vec<Value> = (0..top).map(|_| json!([token(1), 0])).collect();
        json!({ "token": token(length), "logprob": 0, "top": top, "offset": 0 })
    };
    let part = |logprobs: Vec<Value>| {
        let delta = json!({ "delta": { "text": "a", "tokens": 1, "logprobs": logprobs } });
        lines_of(&[json!("started"), delta, done("stop")])
    };
    let own = |count: usize| vec![logprob(1, 2); count];
    let asked = answered_with(&part(own(4)), Some(2)).await;
    assert_eq!((asked.0.len(), asked.1), (2, None));
    for (given, wanted) in [
        (own(5), Some(2)),
        (own(1), Some(1)),
        (own(1), None),
        (vec![logprob(1 << 16, 2)], Some(2)),
    ] {
        let (steps, error) = answered_with(&part(given), wanted).await;
        let expected = "the engine failed: the worker of tone: it answers more than was asked for";
        assert_eq!((steps.len(), error.as_deref()), (0, Some(expected)));
    }
    let empty = lines_of(&[json!("started"), delta("", 0)]);
    let (steps, error) = answered(&empty).await;
    let expected =
        "the engine failed: the worker of tone: it sends a part of an answer without content";
    assert_eq!((steps.len(), error.as_deref()), (0, Some(expected)));
}

/// A worker that accepts no connection holds no thread of the server.
#[tokio::test]
async fn a_worker_that_accepts_nothing_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("worker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&place).unwrap();
    let mut waiting = Vec::new();
    // The backlog has a place more than it says.
    let refused = loop {
        let socket = tokio::net::UnixStream::connect(&place).await;
        match socket {
            Ok(socket) => waiting.push(socket),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
    let link = WorkerLink::new("tone");
    link.running(Arc::new(SocketAt(place)), "test", Vec::new());
    let error = link.facts().await.unwrap_err();
    let EngineError::Busy { reason, .. } = error else {
        panic!("another error");
    };
    assert_eq!(reason, "it takes no further connections now");
}
