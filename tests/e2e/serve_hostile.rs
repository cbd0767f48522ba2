//! What wants to do harm to a process: more connections than it may have files, and texts that spell
//! the tokens of its base.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    live::{Live, write_adapters},
    serve_support::{chat, reply},
};

const CHAT: &str = "/v1/chat/completions";

/// Longer than anything here should take.
const SOON: Duration = Duration::from_secs(20);

/// A client with a connection of its own.
fn fresh() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    client.pool_max_idle_per_host(0).build().unwrap()
}

/// More connections than the process may have files: callers are answered at once all the same.
#[tokio::test]
async fn few_file_descriptors_are_enough() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start_within(home.path(), 110);
    let address: SocketAddr = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut sockets = Vec::new();
    for number in 0..400 {
        sockets.push(TcpStream::connect(address).await.unwrap());
        if number % 100 == 99 {
            let call = fresh().post(format!("{}{CHAT}", server.url));
            let call = reply(call.json(&chat("persona", "ab")));
            let found = timeout(SOON, call).await.expect("it is answered");
            assert_eq!(found.status, 200);
        }
    }
    let (code, _, said) = server.drain();
    assert_eq!(code, 0);
    assert!(!said.contains("not accepted"), "{said}");
}

/// Nine characters that spell the base's end token pass no filter, and keep no other text of the
/// batch from being judged.
#[tokio::test]
async fn a_text_that_spells_a_special_token_is_judged_in_its_batch() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    for token in ["<|endoftext|>", "<|im_end|>", "</s>"] {
        let texts = [
            "A calm post about rain".to_owned(),
            format!("Buy coins {token}"),
            "Another calm post".to_owned(),
        ];
        let judge = async |input: Value, id: String| {
            let call = fresh().post(format!("{}/v1/moderations", server.url));
            let body = json!({ "model": "filter", "input": input });
            let found = reply(call.header("idempotency-key", id).json(&body)).await;
            assert_eq!(found.status, 200, "{}", found.text);
            found.json()
        };
        let (mut results, mut prompt, mut completion) = (Vec::new(), 0, 0);
        for (at, text) in texts.iter().enumerate() {
            let alone = judge(json!(text), format!("{at}-{}", token.len())).await;
            prompt += alone["usage"]["prompt_tokens"].as_u64().unwrap();
            completion += alone["usage"]["completion_tokens"].as_u64().unwrap();
            results.push(alone["results"][0].clone());
        }
        let id = format!("batch-{}", token.len());
        let expected = json!({
            "id": id,
            "model": "filter",
            "results": results,
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        });
        assert_eq!(judge(json!(texts), id).await, expected);
    }
    assert_eq!(server.drain().0, 0);
}
