//! Every route's answer, whole.

use openlora_ledger::event::{Event, FinishReason, TokenUsage};
use openlora_serve::{ROUTES, RouteAudience};
use serde_json::{Value, json};

use crate::serve_support::{CONTEXT, chat, start, with};

/// The answer without what the clock decides.
fn timeless(mut answer: Value) -> Value {
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    answer["created"] = json!(0);
    answer
}

#[tokio::test]
async fn chat_answers_whole() {
    let server = start().await;
    let reply = server
        .post_as(
            "c1",
            "/v1/chat/completions",
            &chat("persona", "hello you !end=3"),
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("x-request-id"), Some("c1"));
    let expected = json!({
        "id": "c1",
        "object": "chat.completion",
        "created": 0,
        "model": "persona",
        "system_fingerprint": "fp_base0digpersona0",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "persona hello you", "refusal": null },
            "logprobs": null,
            "finish_reason": "stop",
        }],
        // Two words of instruction come before the caller's three.
        "usage": { "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8 },
    });
    assert_eq!(timeless(reply.json()), expected);
    server.drain().await;
}

#[tokio::test]
async fn the_callers_system_message_replaces_the_tasks_instruction() {
    let server = start().await;
    let body = json!({ "model": "persona", "messages": [
        { "role": "developer", "content": [{ "type": "text", "text": "one two" }, { "type": "text", "text": " three" }] },
        { "role": "user", "content": "x" },
    ]});
    let reply = server.post("/v1/chat/completions", &body).await;
    assert_eq!(reply.json()["usage"]["prompt_tokens"], 4);
    server.drain().await;
}

#[tokio::test]
async fn length_follows_the_caller_then_the_server_then_the_context() {
    let server = start().await;
    for (more, tokens) in [
        (json!({}), 5),
        (json!({ "max_tokens": 2 }), 2),
        (json!({ "max_tokens": 9, "max_completion_tokens": 7 }), 7),
        (json!({ "max_tokens": 100_000 }), CONTEXT - 3),
    ] {
        let body = with(chat("persona", "x"), more);
        let answer = server.post("/v1/chat/completions", &body).await.json();
        assert_eq!(answer["usage"]["completion_tokens"], tokens, "{answer}");
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
    }
    server.drain().await;
}

#[tokio::test]
async fn chat_streams_chunks_and_usage() {
    let server = start().await;
    let body = with(
        chat("persona", "hi !end=2"),
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
    );
    let reply = server.post_as("s1", "/v1/chat/completions", &body).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let (chunks, done) = reply.chunks();
    assert!(done);
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": "s1",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "persona",
            "system_fingerprint": "fp_base0digpersona0",
            "choices": choices,
            "usage": usage,
        })
    };
    let choice = |delta: Value, finish: Value| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
    let expected = vec![
        chunk(
            choice(json!({ "role": "assistant", "content": "" }), Value::Null),
            Value::Null,
        ),
        chunk(
            choice(json!({ "content": "persona" }), Value::Null),
            Value::Null,
        ),
        chunk(
            choice(json!({ "content": " hi" }), Value::Null),
            Value::Null,
        ),
        chunk(choice(json!({}), json!("stop")), Value::Null),
        chunk(
            json!([]),
            json!({ "prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6 }),
        ),
    ];
    assert_eq!(
        chunks.into_iter().map(timeless).collect::<Vec<_>>(),
        expected
    );
    server.drain().await;
}

#[tokio::test]
async fn streams_carry_no_usage_unless_asked() {
    let server = start().await;
    let body = with(chat("persona", "hi !end=1"), json!({ "stream": true }));
    let (chunks, done) = server.post("/v1/chat/completions", &body).await.chunks();
    assert!(done);
    assert_eq!(chunks.len(), 3);
    assert!(
        chunks.iter().all(|chunk| chunk.get("usage").is_none()),
        "{chunks:?}"
    );
    server.drain().await;
}

#[tokio::test]
async fn chat_logprobs_name_the_alternatives() {
    let server = start().await;
    let body = with(
        chat("persona", "hi !end=1"),
        json!({ "logprobs": true, "top_logprobs": 1 }),
    );
    let answer = server.post("/v1/chat/completions", &body).await.json();
    let expected = json!({ "content": [{
        "token": "persona",
        "logprob": -0.5,
        "bytes": "persona".as_bytes(),
        "top_logprobs": [{ "token": "t0", "logprob": -1.0, "bytes": [116, 48] }],
    }], "refusal": null });
    assert_eq!(answer["choices"][0]["logprobs"], expected);
    server.drain().await;
}

/// What clients write for "nothing special" changes nothing.
#[tokio::test]
async fn neutral_values_are_accepted() {
    let server = start().await;
    let body = chat("persona", "hi !end=1");
    let plain = server.post("/v1/chat/completions", &body).await.json();
    for neutral in [
        json!({ "top_p": 0 }),
        json!({ "top_k": 0 }),
        json!({ "top_k": -1 }),
        json!({ "n": 1.0, "max_tokens": 16.0 }),
        json!({ "reasoning_effort": "none", "verbosity": "medium" }),
        json!({ "repetition_penalty": 1.0, "min_tokens": 0, "stop_token_ids": [] }),
        json!({ "typical_p": 1.0, "mirostat": 0, "use_beam_search": false, "ignore_eos": false }),
        json!({ "grammar": "", "chat_template_kwargs": {}, "bad_words": [] }),
        json!({ "user": "u", "metadata": { "a": "b" }, "store": false, "service_tier": "auto" }),
        json!({ "temprature": null }),
    ] {
        let found = server
            .post("/v1/chat/completions", &with(body.clone(), neutral.clone()))
            .await;
        assert_eq!(found.status, 200, "{neutral} {}", found.json());
        assert_eq!(found.json()["choices"], plain["choices"], "{neutral}");
    }
    let history = json!({ "model": "persona", "messages": [
        { "role": "user", "content": "one" },
        { "role": "assistant", "content": null, "refusal": null, "tool_calls": null },
        { "role": "user", "content": "hi !end=1" },
    ]});
    let found = server.post("/v1/chat/completions", &history).await;
    assert_eq!(
        (found.status, found.json()["choices"].clone()),
        (200, plain["choices"].clone())
    );
    server.drain().await;
}

/// OpenAI's clients name no model here.
#[tokio::test]
async fn the_only_content_filter_needs_no_name() {
    let server = start().await;
    let named = json!({ "model": "filter", "input": "x" });
    let named = server.post("/v1/moderations", &named).await.json();
    let found = server
        .post("/v1/moderations", &json!({ "input": "x" }))
        .await;
    assert_eq!(found.status, 200);
    assert_eq!(found.json()["results"], named["results"]);
    assert_eq!(found.json()["model"], "filter");
    server.drain().await;
}

#[tokio::test]
async fn text_completion_answers_whole() {
    let server = start().await;
    let body = json!({ "model": "persona", "prompt": "go on !end=2", "logprobs": 1 });
    let reply = server.post_as("t1", "/v1/completions", &body).await;
    let expected = json!({
        "id": "t1",
        "object": "text_completion",
        "created": 0,
        "model": "persona",
        "system_fingerprint": "fp_base0digpersona0",
        "choices": [{
            "index": 0,
            "text": "persona go",
            "logprobs": {
                "tokens": ["persona", " go"],
                "token_logprobs": [-0.5, -0.5],
                "top_logprobs": [{ "t0": -1.0 }, { "t0": -1.0 }],
                "text_offset": [0, 7],
            },
            "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
    });
    assert_eq!(timeless(reply.json()), expected);
    server.drain().await;
}

#[tokio::test]
async fn text_completion_streams() {
    let server = start().await;
    let body = json!({
        "model": "persona", "prompt": "go !end=2", "stream": true, "logprobs": 0,
        "stream_options": { "include_usage": true },
    });
    let (chunks, done) = server.post("/v1/completions", &body).await.chunks();
    assert!(done);
    let said: Vec<_> = chunks
        .iter()
        .map(|chunk| {
            let choice = &chunk["choices"][0];
            json!([
                choice["text"],
                choice["logprobs"]["text_offset"],
                choice["finish_reason"],
                chunk["usage"]
            ])
        })
        .collect();
    let expected = json!([
        ["persona", [0], null, null],
        [" go", [7], null, null],
        ["", null, "length", null],
        [null, null, null, { "prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4 }],
    ]);
    // `!end=2` and the two tokens agree: the engine ends by itself.
    let mut expected = expected;
    expected[2][2] = json!("stop");
    assert_eq!(json!(said), expected);
    server.drain().await;
}

#[tokio::test]
async fn classify_gives_every_label_its_probability() {
    let server = start().await;
    for field in ["input", "text"] {
        let mut body = json!({ "model": "filter" });
        body[field] = json!("pure spam");
        let reply = server.post_as(field, "/v1/classify", &body).await;
        let expected = json!({
            "id": field,
            "object": "classification",
            "model": "filter",
            "label": "spam",
            "labels": [
                { "label": "allowed", "probability": 0.125 },
                { "label": "spam", "probability": 0.75 },
                { "label": "scam", "probability": 0.125 },
            ],
            "usage": { "prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6 },
        });
        assert_eq!(reply.json(), expected);
    }
    server.drain().await;
}

#[tokio::test]
async fn moderations_flag_all_but_the_harmless_label() {
    let server = start().await;
    let body = json!({ "model": "filter", "input": ["a scam", "allowed talk"] });
    let reply = server.post_as("m1", "/v1/moderations", &body).await;
    let result = |flagged: bool, scores: Value| {
        json!({
            "flagged": flagged,
            "categories": { "spam": false, "scam": flagged },
            "category_scores": scores,
            "category_applied_input_types": { "spam": ["text"], "scam": ["text"] },
        })
    };
    let expected = json!({
        "id": "m1",
        "model": "filter",
        "results": [
            result(true, json!({ "spam": 0.125, "scam": 0.75 })),
            result(false, json!({ "spam": 0.125, "scam": 0.125 })),
        ],
        "usage": { "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12 },
    });
    assert_eq!(reply.json(), expected);
    server.drain().await;
}

#[tokio::test]
async fn models_are_the_adapters() {
    let server = start().await;
    let persona = json!({
        "id": "persona",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "openlora",
        "parent": "nano",
        "version": "1",
        "digest": "persona0digest",
        "base_digest": "base0digest",
        "context_length": CONTEXT,
        "engine": "words/1",
        "weights": "letters",
        "task": { "kind": "chat", "labels": [] },
        "pricing": {
            "prompt": "0",
            "completion": "0",
            "classification": "0",
            "image": "0",
            "request": "0",
            "tokens": 1000,
        },
    });
    let list = server.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][0], persona);
    let names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| &model["id"])
        .collect();
    assert_eq!(names, ["persona", "filter", "mood"]);
    assert_eq!(server.get("/v1/models/persona").await.json(), persona);
    server.drain().await;
}

#[tokio::test]
async fn a_receipt_repeats_the_journals_numbers() {
    let server = start().await;
    let answer = server
        .post_as("r1", "/v1/chat/completions", &chat("persona", "hi !end=2"))
        .await;
    let receipt = server.get("/v1/receipts/r1").await.json();
    assert_eq!(receipt["usage"], answer.json()["usage"]);
    let record = server.journal.metered("r1").await.unwrap().unwrap();
    let Event::CallMetered {
        usage,
        request_hash,
        response_hash,
        milliseconds,
        first_token_milliseconds,
        computation,
        ..
    } = record.event
    else {
        panic!()
    };
    assert_eq!(
        usage,
        TokenUsage {
            prompt_tokens: 4,
            completion_tokens: 2
        }
    );
    let expected = json!({
        "id": "r1",
        "object": "receipt",
        "adapter": "persona",
        "adapter_digest": "persona0digest",
        "kind": "chat",
        "usage": { "prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6 },
        "finish": "stop",
        "paid": "0",
        "payment": null,
        "milliseconds": milliseconds,
        "first_token_milliseconds": first_token_milliseconds,
        "request_hash": request_hash,
        "response_hash": response_hash,
        "response_key": null,
        "computation": computation,
        "journal": { "sequence": record.sequence, "time_ms": record.time_ms, "hash": record.hash },
    });
    // Whose data it was is told as soon as it is known, which may be now or in a moment.
    let mut told = receipt.clone();
    told.as_object_mut().unwrap().remove("attribution").unwrap();
    assert_eq!(told, expected);
    server.drain().await;
}

#[tokio::test]
async fn health_and_readiness() {
    let server = start().await;
    let health = server.get("/health").await.json();
    assert_eq!(
        health,
        json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") })
    );
    let ready = server.get("/ready").await.json();
    assert_eq!(
        ready,
        json!({ "status": "ready", "adapters": ["persona", "filter", "mood"] })
    );
    server.drain().await;
}

#[tokio::test]
async fn metrics_count_what_the_journal_counts() {
    let server = start().await;
    for _ in 0..3 {
        server
            .post("/v1/chat/completions", &chat("persona", "hi !end=2"))
            .await;
    }
    let text = server.get("/metrics").await.text;
    for line in [
        r#"openlora_calls_total{adapter="persona",kind="chat",finish="stop"} 3"#,
        r#"openlora_prompt_tokens_total{adapter="persona"} 12"#,
        r#"openlora_completion_tokens_total{adapter="persona"} 6"#,
        r#"openlora_call_seconds_count{adapter="persona"} 3"#,
        r#"openlora_http_responses_total{path="/v1/chat/completions",status="200"} 3"#,
        "vllm:num_requests_running 0.0",
        "# EOF",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    let info = text
        .lines()
        .find(|line| line.starts_with("vllm:lora_requests_info{"))
        .unwrap();
    let labels = r#"vllm:lora_requests_info{max_lora="3",waiting_lora_adapters="",running_lora_adapters=""} "#;
    let time: f64 = info.strip_prefix(labels).unwrap().parse().unwrap();
    assert!(time > 1_700_000_000.0);
    server.drain().await;
}

#[tokio::test]
async fn running_adapters_show_in_the_gauge() {
    let server = start().await;
    let body = with(
        chat("mood", "!step x"),
        json!({ "stream": true, "max_tokens": 1 }),
    );
    let running = server
        .client
        .post(server.url("/v1/chat/completions"))
        .json(&body)
        .send()
        .await
        .unwrap();
    let text = server.get("/metrics").await.text;
    assert!(
        text.contains(r#"waiting_lora_adapters="",running_lora_adapters="mood"} "#),
        "{text}"
    );
    assert!(text.contains("vllm:num_requests_running 1.0"), "{text}");
    server.steps.add_permits(1);
    running.text().await.unwrap();
    server.drain().await;
}

#[tokio::test]
async fn journal_events_hold_no_text() {
    let server = start().await;
    server
        .post("/v1/chat/completions", &chat("persona", "topsecret !end=4"))
        .await;
    let written = serde_json::to_string(&server.records().await).unwrap();
    assert!(
        !written.contains("topsecret") && !written.contains("kind."),
        "{written}"
    );
    let finish = server
        .records()
        .await
        .into_iter()
        .find_map(|record| match record.event {
            Event::CallMetered { finish, .. } => Some(finish),
            _ => None,
        });
    assert_eq!(finish, Some(FinishReason::Stop));
    server.drain().await;
}

#[tokio::test]
async fn every_route_of_the_table_answers_its_method_only() {
    let server = start().await;
    for route in ROUTES {
        let path = route
            .path
            .replace("{*id}", "persona")
            .replace("{id}", "none")
            .replace("{manifest}", "none");
        let (wrong, allowed) = match route.method {
            "GET" => (reqwest::Method::DELETE, "GET,HEAD"),
            _ => (reqwest::Method::GET, "POST"),
        };
        let reply =
            crate::serve_support::reply(server.client.request(wrong.clone(), server.url(&path)))
                .await;
        assert_eq!(reply.status, 405, "{path}");
        assert_eq!(reply.header("allow"), Some(allowed), "{path}");
        let expected = json!({ "error": {
            "message": format!("{wrong} {path} is not possible: this path answers {}.", route.method),
            "type": "invalid_request_error",
            "param": null,
            "code": "method_not_allowed",
        }});
        assert_eq!(reply.json(), expected);
    }
    let of = |audience| {
        let routes = ROUTES
            .iter()
            .filter(move |route| route.audience == audience);
        routes.map(|route| route.path).collect::<Vec<_>>()
    };
    assert_eq!(
        of(RouteAudience::Operator),
        [
            "/events",
            "/operator/settle",
            "/operator/withdraw",
            "/operator/facts",
            "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
            "/metrics"
        ]
    );
    assert_eq!(
        of(RouteAudience::Sellers),
        ["/supported", "/verify", "/settle"]
    );
    let metered: Vec<_> = ROUTES
        .iter()
        .filter(|route| route.metered)
        .map(|route| route.path)
        .collect();
    assert_eq!(
        metered,
        [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/classify",
            "/v1/moderations",
            "/v1/images/generations"
        ]
    );
    server.drain().await;
}
