//! What a receipt states of an answer's computation.

use openlora_engine::{EngineError, SamplingParams};
use openlora_ledger::{CallComputation, SamplingRecord, event::Event};
use openlora_serve::response_hash::response_hash;
use serde_json::json;

use crate::serve_support::{TestServer, chat, start, with};

const CHAT: &str = "/v1/chat/completions";

/// What was recorded of a call.
async fn recorded(server: &TestServer, id: &str) -> CallComputation {
    let record = server.journal.metered(id).await.unwrap().unwrap();
    let Event::CallMetered { computation, .. } = record.event else {
        panic!("{record:?}")
    };
    *computation.expect("the engine names itself")
}

fn by_words(sampling: Option<SamplingRecord>) -> CallComputation {
    CallComputation {
        engine: "words/1".to_owned(),
        weights: "letters".to_owned(),
        base_digest: "base0digest".to_owned(),
        sampling,
        pictures: None,
    }
}

#[tokio::test]
async fn a_receipt_states_the_settings_that_an_answer_was_sampled_with() {
    let server = start().await;
    let asked = json!({
        "max_tokens": 3, "temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.05,
        "frequency_penalty": 0.5, "presence_penalty": -0.25, "repetition_penalty": 1.1,
        "min_tokens": 1, "stop": ["secret words"], "stop_token_ids": [7], "seed": -1,
    });
    server
        .post_as("all", CHAT, &with(chat("persona", "hi"), asked))
        .await;
    let expected = SamplingRecord {
        max_tokens: 3,
        temperature: Some("0.7".to_owned()),
        seed: Some(u64::MAX),
        top_p: Some("0.9".to_owned()),
        top_k: Some(20),
        min_p: Some("0.05".to_owned()),
        frequency_penalty: Some("0.5".to_owned()),
        presence_penalty: Some("-0.25".to_owned()),
        repetition_penalty: Some("1.1".to_owned()),
        min_tokens: Some(1),
        stop_token_ids: vec![7],
        stop_texts: Some(1),
    };
    assert_eq!(
        recorded(&server, "all").await,
        by_words(Some(expected.clone()))
    );
    let receipt = server.get("/v1/receipts/all").await;
    assert_eq!(
        receipt.json()["computation"]["sampling"],
        json!(expected),
        "{receipt:?}"
    );
    assert!(!receipt.text.contains("secret words"), "{receipt:?}");
    server.drain().await;
}

#[tokio::test]
async fn the_server_draws_a_seed_where_the_caller_gives_none() {
    let server = start().await;
    let mut seeds = Vec::new();
    for id in ["one", "two"] {
        server.post_as(id, CHAT, &chat("persona", "hi")).await;
        let computation = recorded(&server, id).await;
        let sampling = computation.sampling.unwrap();
        let seed = sampling.seed.unwrap();
        assert_eq!(seed >> 53, 0, "{seed}");
        seeds.push(seed);
        let expected = SamplingRecord {
            max_tokens: 5,
            temperature: Some("1".to_owned()),
            seed: Some(seed),
            ..SamplingRecord::default()
        };
        assert_eq!(sampling, expected);
    }
    assert_ne!(seeds[0], seeds[1]);
    let greedy = with(chat("persona", "hi"), json!({ "temperature": 0 }));
    server.post_as("greedy", CHAT, &greedy).await;
    let expected = SamplingRecord {
        max_tokens: 5,
        ..SamplingRecord::default()
    };
    assert_eq!(recorded(&server, "greedy").await, by_words(Some(expected)));
    let body = json!({ "model": "mood", "input": "positive" });
    server.post_as("label", "/v1/classify", &body).await;
    assert_eq!(recorded(&server, "label").await, by_words(None));
    server.drain().await;
}

#[test]
fn recorded_parameters_are_read_back_to_the_same_bits() {
    let mut number = 1_u64;
    let mut next = || {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        number
    };
    for _ in 0..1000 {
        let mut fraction = || (next() >> 11) as f64 / (1_u64 << 53) as f64;
        let sampling = SamplingParams {
            max_tokens: 17,
            temperature: Some(fraction() * 2.0),
            top_p: Some(fraction()),
            top_k: Some(40),
            min_p: Some(fraction() * 1e-9),
            frequency_penalty: Some(fraction() as f32),
            presence_penalty: Some(-fraction() as f32),
            repetition_penalty: Some(fraction() as f32),
            min_tokens: 2,
            stop: vec!["a".to_owned(), "b".to_owned()],
            stop_token_ids: vec![1, 2],
            logprobs: None,
            seed: Some(next()),
        };
        let text = serde_json::to_string(&sampling.to_record()).unwrap();
        let record: SamplingRecord = serde_json::from_str(&text).unwrap();
        let read = SamplingParams::from_record(&record, sampling.stop.clone());
        assert_eq!(read.unwrap(), sampling);
    }
}

#[test]
fn parameters_that_contradict_their_record_are_refused() {
    let told = |record: &SamplingRecord, stop: &[&str]| {
        let stop = stop.iter().map(|stop| (*stop).to_owned()).collect();
        match SamplingParams::from_record(record, stop) {
            Err(EngineError::Invalid { message, parameter }) => (message, parameter),
            other => panic!("{other:?}"),
        }
    };
    let record = SamplingRecord {
        max_tokens: 5,
        stop_texts: Some(2),
        ..SamplingRecord::default()
    };
    assert_eq!(
        told(&record, &["one"]),
        (
            "the request has 1 stop texts, the receipt 2".to_owned(),
            Some("stop")
        )
    );
    let record = SamplingRecord {
        temperature: Some("warm".to_owned()),
        ..SamplingRecord::default()
    };
    assert_eq!(
        told(&record, &[]),
        (
            "temperature must be a number, found `warm`".to_owned(),
            Some("temperature")
        )
    );
}

#[test]
fn a_key_opens_the_hash_of_its_text_only() {
    // SHA-256 of 32 zero bytes and "yes", by another implementation.
    let expected = "672450f5fca51bfa9a9e2009d7e68cd42a004d8d5fdb1422101021667e42956f";
    let key = "00".repeat(32);
    let hash = response_hash(&key, "yes").unwrap();
    assert_eq!(hash, expected);
    assert_ne!(hash, response_hash(&key, "no").unwrap());
    assert_ne!(hash, response_hash(&"01".repeat(32), "yes").unwrap());
    assert_eq!(response_hash("00", "yes"), None);
    assert_eq!(response_hash("no hex", "yes"), None);
}
