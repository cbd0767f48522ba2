//! `/v1/images/generations`, over a base for pictures with random weights.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_ledger::event::{CallKind, Event, FinishReason, TokenUsage};
use openlora_model::dataset::Task;
use openlora_pictures::{ReadLimits, read_picture, read_png_texts};
use openlora_serve::{
    AdapterProfile, ServeError, ServedAdapter, picture_files, prompt_filter::PromptFilter,
    wire::images::PictureOrder,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::{
    serve_support::{LIMITS, Reply, TestServer, adapters, chat, start_serving, test_journal, with},
    tiny_pictures::{CAPTION, SIDE, STEPS, SteeredPictures},
    waiting,
};

const IMAGES: &str = "/v1/images/generations";

/// The usual adapters and `painter`.
fn served(steps: &Arc<Semaphore>) -> Vec<ServedAdapter> {
    let mut all = adapters(steps, &Arc::default());
    let persona = adapters(steps, &Arc::default()).remove(0);
    all.push(ServedAdapter {
        name: "painter".to_owned(),
        digest: "painter0digest".to_owned(),
        base_id: "pico".to_owned(),
        task: Some(Task::Image),
        profile: AdapterProfile {
            manifest_sha256: Some("manifest0digest".to_owned()),
            ..AdapterProfile::default()
        },
        engine: Arc::new(SteeredPictures::new(steps, &Arc::default())),
        ..persona
    });
    all
}

async fn start_with_filter(filter: Option<PromptFilter>) -> Result<TestServer, ServeError> {
    let steps = Arc::new(Semaphore::new(0));
    start_serving(served(&steps), filter, LIMITS, test_journal(), steps).await
}

async fn start() -> TestServer {
    start_with_filter(None).await.unwrap()
}

fn order(prompt: &str) -> Value {
    json!({ "model": "painter", "prompt": prompt, "seed": 7 })
}

fn files(reply: &Reply) -> Vec<Vec<u8>> {
    let answer = reply.json();
    let items = answer["data"]
        .as_array()
        .unwrap_or_else(|| panic!("{reply:?}"));
    let file = |item: &Value| STANDARD.decode(item["b64_json"].as_str().unwrap()).unwrap();
    items.iter().map(file).collect()
}

#[tokio::test]
async fn pictures_come_whole_in_openais_form() {
    let server = start().await;
    let body = with(order("a red circle"), json!({ "n": 2, "user": "u" }));
    let reply = server.post_as("p1", IMAGES, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let files = files(&reply);
    let mut answer = reply.json();
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    answer["created"] = json!(0);
    for item in answer["data"].as_array_mut().unwrap() {
        item["b64_json"] = Value::Null;
    }
    let item = |at: usize| {
        json!({
            "b64_json": null,
            "seed": 7 + at,
            "sha256": hex::encode(Sha256::digest(&files[at])),
        })
    };
    let evaluations = 2 * 2 * STEPS;
    let expected = json!({
        "id": "p1",
        "created": 0,
        "model": "painter",
        "system_fingerprint": "fp_base0digpainter0",
        "data": [item(0), item(1)],
        "background": "opaque",
        "output_format": "png",
        "size": "16x16",
        "steps": STEPS,
        "guidance": 2.0,
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": { "text_tokens": 3, "image_tokens": 0 },
            "output_tokens": 2,
            "total_tokens": 5,
            "pictures": 2,
            "evaluations": evaluations,
        },
    });
    assert_eq!(answer, expected);
    assert_ne!(files[0], files[1]);
    let picture = read_picture(&files[0], &ReadLimits::default()).unwrap();
    assert_eq!((picture.width, picture.height), (SIDE, SIDE));
    let receipt = server.get("/v1/receipts/p1").await.json();
    assert_eq!(receipt["kind"], "image");
    let usage = json!({
        "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
        "pictures": 2, "evaluations": evaluations,
    });
    assert_eq!(receipt["usage"], usage);
    // Of a free call, whose id may be guessed, no digest is told.
    let made = json!({
        "width": 16, "height": 16, "steps": STEPS, "guidance": "2", "sampler": "euler", "seed": 7,
        "pictures": 2, "evaluations": evaluations,
    });
    assert_eq!(receipt["computation"]["pictures"], made);
    let metrics = server.get("/metrics").await.text;
    for line in [
        "openlora_pictures_total{adapter=\"painter\"} 2",
        "openlora_picture_evaluations_total{adapter=\"painter\"} 16",
        "openlora_calls_total{adapter=\"painter\",kind=\"image\",finish=\"stop\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    server.drain().await;
}

#[tokio::test]
async fn a_seed_gives_the_same_file_whatever_else_is_asked() {
    let server = start().await;
    let alone = files(&server.post(IMAGES, &order("a red circle")).await);
    let second = with(order("a red circle"), json!({ "seed": 6, "n": 3 }));
    let three = server.post(IMAGES, &second);
    let others = (0..4).map(|seed| {
        let body = with(order("a blue square"), json!({ "seed": seed }));
        async { body }
    });
    let others = futures::future::join_all(others).await;
    let (three, ..) = tokio::join!(three, server.post(IMAGES, &others[0]));
    assert_eq!(files(&three)[1], alone[0]);
    assert_ne!(files(&three)[0], alone[0]);
    let texts = read_png_texts(&alone[0]).unwrap();
    let texts: Vec<_> = texts
        .iter()
        .map(|it| (it.keyword.as_str(), it.text.as_str()))
        .collect();
    let settings = format!("seed=7 size=16x16 steps={STEPS} guidance=2 sampler=euler");
    let expected = [
        (picture_files::PNG_ADAPTER, "painter0digest"),
        (picture_files::PNG_BASE, "base0digest"),
        (picture_files::PNG_MANIFEST, "manifest0digest"),
        (picture_files::PNG_SETTINGS, settings.as_str()),
    ];
    assert_eq!(texts, expected);
    server.drain().await;
}

#[tokio::test]
async fn a_repeated_id_gets_the_same_pictures_and_runs_nothing() {
    let server = start().await;
    let body = json!({ "model": "painter", "prompt": "a !step circle" });
    server.steps.add_permits(1);
    let first = server.post_as("r", IMAGES, &body).await;
    // A second run would wait for a permit for ever.
    let again = waiting::within("the repeat", server.post_as("r", IMAGES, &body)).await;
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("x-openlora-replayed"), Some("true"));
    let other = with(body, json!({ "n": 2 }));
    let refused = server.post_as("r", IMAGES, &other).await;
    assert_eq!(refused.status, 422);
    assert_eq!(server.metered("r").await.0.completion_tokens, 1);
    server.drain().await;
}

#[tokio::test]
async fn a_failed_picture_takes_all_of_its_call() {
    let server = start().await;
    // The first of the three pictures succeeds.
    let body = with(order("!fail here"), json!({ "n": 3, "seed": 1 }));
    let reply = server.post_as("f", IMAGES, &body).await;
    assert_eq!(reply.status, 500);
    assert_eq!(reply.json()["error"]["code"], "engine_failed");
    let counted = server.metered("f").await;
    assert_eq!(counted, (TokenUsage::default(), FinishReason::Failed));
    let record = server.journal.metered("f").await.unwrap().unwrap();
    let Event::CallMetered {
        kind, computation, ..
    } = record.event
    else {
        panic!()
    };
    let made = computation.unwrap().pictures.unwrap();
    assert_eq!(kind, CallKind::Image);
    assert_eq!((made.pictures, made.evaluations), (0, 0));
    assert!(made.digests.is_empty());
    server.drain().await;
}

/// A caller who goes away gets the pictures under the same id.
#[tokio::test]
async fn pictures_are_counted_though_nobody_waits_for_them() {
    let server = start().await;
    let body = order("a !step circle");
    let request = server
        .client
        .post(server.url(IMAGES))
        .header("idempotency-key", "gone")
        .json(&body);
    let sent = tokio::spawn(request.send());
    let reserved = async || {
        let records = server.records().await;
        records
            .iter()
            .any(|it| matches!(&it.event, Event::CallReserved { request_id, .. } if request_id == "gone"))
    };
    waiting::until("the reservation", reserved).await;
    sent.abort();
    server.steps.add_permits(1);
    let (usage, finish) = server.metered("gone").await;
    assert_eq!((usage.completion_tokens, finish), (1, FinishReason::Stop));
    let again = server.post_as("gone", IMAGES, &body).await;
    assert_eq!(again.status, 200);
    assert_eq!(files(&again).len(), 1);
    server.drain().await;
}

/// A wrong part of a request, and the code, the parameter and the message of its refusal.
type WrongPart = (Value, &'static str, &'static str, &'static str);

fn wrong_counts_and_sizes() -> Vec<WrongPart> {
    vec![
        (
            json!({ "n": 0 }),
            "invalid_value",
            "n",
            "Invalid value for 'n': expected an integer from 1 to 10, found 0.",
        ),
        (
            json!({ "n": 1000 }),
            "invalid_value",
            "n",
            "Invalid value for 'n': expected an integer from 1 to 10, found 1000.",
        ),
        (
            json!({ "n": "two" }),
            "invalid_type",
            "n",
            "Invalid type for 'n': expected an integer from 1 to 10, found a string.",
        ),
        (
            json!({ "size": "17x16" }),
            "invalid_value",
            "size",
            "Invalid value for 'size': expected '16x16', the only size of this model, found '17x16'.",
        ),
        (
            json!({ "size": "1024x1024" }),
            "invalid_value",
            "size",
            "Invalid value for 'size': expected '16x16', the only size of this model, found '1024x1024'.",
        ),
        (
            json!({ "size": "big" }),
            "invalid_value",
            "size",
            "Invalid value for 'size': expected 'auto', or width and height such as '64x64', found 'big'.",
        ),
        (
            json!({ "size": 64 }),
            "invalid_type",
            "size",
            "Invalid type for 'size': expected 'auto', or width and height such as '64x64', found a number.",
        ),
        (
            json!({ "steps": 0 }),
            "invalid_value",
            "steps",
            "Invalid value for 'steps': expected an integer from 1 to 100, found 0.",
        ),
        (
            json!({ "guidance": 0.5 }),
            "invalid_value",
            "guidance",
            "Invalid value for 'guidance': expected a number from 1 to 20, found 0.5.",
        ),
        (
            json!({ "n": 6, "steps": 100 }),
            "invalid_value",
            "n",
            "Invalid value for 'n': expected at most 5 with 100 steps and this guidance, because a call evaluates the model at most 1000 times, found 6.",
        ),
    ]
}

fn wrong_prompts_and_forms() -> Vec<WrongPart> {
    vec![
        (
            json!({ "prompt": "" }),
            "invalid_value",
            "prompt",
            "Invalid value for 'prompt': expected a description, found an empty text.",
        ),
        (
            json!({ "prompt": " \n" }),
            "invalid_value",
            "prompt",
            "Invalid value for 'prompt': expected a description, found an empty text.",
        ),
        (
            json!({ "prompt": null }),
            "missing_required_parameter",
            "prompt",
            "Missing required parameter: 'prompt'.",
        ),
        (
            json!({ "prompt": 7 }),
            "invalid_type",
            "prompt",
            "Invalid type for 'prompt': expected a string, found a number.",
        ),
        (
            json!({ "prompt": ["a", "b"] }),
            "unsupported_parameter",
            "prompt",
            "Unsupported parameter: 'prompt'. One prompt is answered per call; ask for several pictures of it with 'n'.",
        ),
        (
            json!({ "seed": "x" }),
            "invalid_type",
            "seed",
            "Invalid type for 'seed': expected an integer, found a string.",
        ),
        (
            json!({ "response_format": "url" }),
            "unsupported_parameter",
            "response_format",
            "Unsupported value for 'response_format': 'url'. Pictures are not kept under a URL; ask for 'b64_json'.",
        ),
        (
            json!({ "output_format": "webp" }),
            "invalid_value",
            "output_format",
            "Invalid value for 'output_format': expected 'png', found 'webp'.",
        ),
        (
            json!({ "quality": "hd" }),
            "unsupported_parameter",
            "quality",
            "Unsupported parameter: 'quality'. The quality depends on 'steps' and 'guidance'.",
        ),
    ]
}

fn wrong_options() -> Vec<WrongPart> {
    vec![
        (
            json!({ "style": "vivid" }),
            "unsupported_parameter",
            "style",
            "Unsupported parameter: 'style'. The style is the adapter's own; describe others in the prompt.",
        ),
        (
            json!({ "background": "transparent" }),
            "unsupported_parameter",
            "background",
            "Unsupported parameter: 'background'. Pictures have no transparency; describe the background in the prompt.",
        ),
        (
            json!({ "stream": true }),
            "unsupported_parameter",
            "stream",
            "Unsupported parameter: 'stream'. Pictures are delivered whole.",
        ),
        (
            json!({ "num_inference_steps": 4 }),
            "unsupported_parameter",
            "num_inference_steps",
            "Unsupported parameter: 'num_inference_steps'. Use 'steps'.",
        ),
        (
            json!({ "setps": 4 }),
            "unknown_parameter",
            "setps",
            "Unknown parameter: 'setps'. Did you mean 'steps'?",
        ),
        (
            json!({ "prompt": "word ".repeat(CAPTION + 1) }),
            "context_length_exceeded",
            "",
            "The prompt takes 13 tokens and the model's context holds 12. Shorten the prompt.",
        ),
        (
            json!({ "prompt": "w".repeat(3000) }),
            "context_length_exceeded",
            "",
            "The prompt takes 3000 bytes and the model's context holds 12 tokens of at most 64 bytes. Shorten the prompt.",
        ),
        (
            json!({ "model": "persona" }),
            "not_an_image_model",
            "model",
            "The model 'persona' makes no pictures; use /v1/chat/completions.",
        ),
    ]
}

#[tokio::test]
async fn wrong_requests_are_refused_by_name_and_never_reserved() {
    let server = start().await;
    let before = server.records().await.len();
    let cases = [
        wrong_counts_and_sizes(),
        wrong_prompts_and_forms(),
        wrong_options(),
    ]
    .concat();
    for (wrong, code, param, message) in cases {
        let body = with(order("a red circle"), wrong.clone());
        let reply = server.post(IMAGES, &body).await;
        let param = if param.is_empty() {
            Value::Null
        } else {
            json!(param)
        };
        let expected = json!({ "error": {
            "message": message, "type": "invalid_request_error", "param": param, "code": code,
        } });
        assert_eq!((reply.status, reply.json()), (400, expected), "{wrong}");
    }
    let texts = [
        (
            "/v1/chat/completions",
            chat("painter", "hi"),
            "not_a_text_model",
            "The model 'painter' makes pictures; use /v1/images/generations.",
        ),
        (
            "/v1/completions",
            order("hi"),
            "not_a_text_model",
            "The model 'painter' makes pictures; use /v1/images/generations.",
        ),
        (
            "/v1/classify",
            json!({ "model": "painter", "input": "hi" }),
            "not_a_classifier",
            "The model 'painter' is not a classifier; use /v1/images/generations.",
        ),
    ];
    for (path, body, code, message) in texts {
        let reply = server.post(path, &body).await;
        let error = &reply.json()["error"];
        assert_eq!(
            (error["code"].as_str(), error["message"].as_str()),
            (Some(code), Some(message))
        );
    }
    assert_eq!(server.records().await.len(), before);
    server.drain().await;
}

/// What OpenAI's clients write for "nothing special" changes nothing.
#[tokio::test]
async fn neutral_values_of_pictures_are_accepted() {
    let server = start().await;
    let plain = files(&server.post(IMAGES, &order("a red circle")).await);
    for neutral in [
        json!({ "n": 1, "size": "auto" }),
        json!({ "size": "16x16", "quality": "auto", "background": "opaque" }),
        json!({ "response_format": "b64_json", "output_format": "png", "output_compression": 100 }),
        json!({ "moderation": "auto", "stream": false, "partial_images": 0, "style": null }),
        json!({ "steps": STEPS, "guidance": 2.0, "negative_prompt": "" }),
    ] {
        let reply = server
            .post(IMAGES, &with(order("a red circle"), neutral.clone()))
            .await;
        assert_eq!(reply.status, 200, "{neutral} {}", reply.text);
        assert_eq!(files(&reply), plain, "{neutral}");
    }
    server.drain().await;
}

#[tokio::test]
async fn the_list_of_models_tells_what_pictures_may_be_asked_for() {
    let server = start().await;
    let model = server.get("/v1/models/painter").await.json();
    assert_eq!(model["task"], json!({ "kind": "image", "labels": [] }));
    let images = json!({
        "size": { "default": "16x16", "min_side": 16, "max_side": 16, "multiple_of": 8 },
        "n": { "default": 1, "max": 10 },
        "steps": { "default": STEPS, "max": 100 },
        "guidance": { "default": 2.0, "max": 20.0 },
        "sampler": "euler",
    });
    assert_eq!(model["images"], images);
    let persona = server.get("/v1/models/persona").await.json();
    assert_eq!(persona.get("images"), None);
    server.drain().await;
}

#[tokio::test]
async fn a_filter_refuses_prompts_before_anything_runs() {
    let filter = PromptFilter {
        adapter: "filter".to_owned(),
        labels: vec!["scam".to_owned()],
    };
    let server = start_with_filter(Some(filter)).await.unwrap();
    let before = server.records().await.len();
    let reply = server.post_as("bad", IMAGES, &order("a scam poster")).await;
    let expected = json!({ "error": {
        "message": "The server's content filter refuses this prompt; nothing was charged.",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "content_policy_violation",
    } });
    assert_eq!((reply.status, reply.json()), (400, expected));
    assert_eq!(server.records().await.len(), before);
    // Only the named labels are refused.
    assert_eq!(
        server.post(IMAGES, &order("a spam poster")).await.status,
        200
    );
    assert_eq!(server.post(IMAGES, &order("allowed")).await.status, 200);
    server.drain().await;
}

#[tokio::test]
async fn a_filter_must_be_served_and_have_its_labels() {
    let of = |adapter: &str, labels: &[&str]| PromptFilter {
        adapter: adapter.to_owned(),
        labels: labels.iter().map(|it| (*it).to_owned()).collect(),
    };
    let cases = [
        (
            of("nobody", &[]),
            "expected a served adapter, found `nobody`",
        ),
        (of("persona", &[]), "expected a classifier, found `persona`"),
        (
            of("filter", &["theft"]),
            "expected labels of it (allowed, spam, scam), found `theft`, found `filter`",
        ),
        (
            of("mood", &[]),
            "expected the labels to refuse, because none of its own marks harmless text, found `mood`",
        ),
    ];
    for (filter, expected) in cases {
        let refused = start_with_filter(Some(filter)).await.err().unwrap();
        assert_eq!(
            refused.to_string(),
            format!("`serve.prompt_filter` is wrong: {expected}")
        );
    }
    let every = start_with_filter(Some(of("filter", &[]))).await.unwrap();
    for (prompt, status) in [("spam", 400), ("scam", 400), ("allowed", 200)] {
        assert_eq!(
            every.post(IMAGES, &order(prompt)).await.status,
            status,
            "{prompt}"
        );
    }
    every.drain().await;
}

/// As many pictures as can be kept for a repeated request, and no more.
#[test]
fn pictures_that_could_not_be_sent_again_are_refused() {
    let order = |pictures: u64, side: u32| PictureOrder {
        pictures,
        width: side,
        height: side,
        steps: 20,
        guidance: 2.0,
        ..PictureOrder::default()
    };
    let held = 4 << 20;
    assert_eq!(order(10, 64).check_extent(held), Ok(()));
    assert_eq!(order(2, 512).check_extent(held), Ok(()));
    let refused = order(3, 512).check_extent(held).unwrap_err();
    let expected = "Invalid value for 'n': expected at most 2 of 512x512 pixels, because answers of at \
                    most 4194304 bytes are kept for repeated requests, found 3.";
    assert_eq!(&*refused.message, expected);
    let refused = order(1, 1024).check_extent(held).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("size"));
}

#[tokio::test]
async fn agents_get_pictures_from_a_tool() {
    let server = start().await;
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": "draw_with_painter",
            "arguments": { "prompt": "a red circle", "seed": 7 },
        },
    });
    let request = server.client.post(server.url("/mcp"));
    let request = request.header("accept", "application/json, text/event-stream");
    let reply: Value = request
        .json(&call)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let content = &reply["result"]["content"][0];
    assert_eq!(content["type"], "image", "{reply}");
    let file = STANDARD.decode(content["data"].as_str().unwrap()).unwrap();
    let plain = files(&server.post(IMAGES, &order("a red circle")).await);
    assert_eq!(file, plain[0]);
    server.drain().await;
}
