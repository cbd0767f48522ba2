//! Requests that are refused: the whole envelope of each.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::serve_support::{CONTEXT, LIMITS, TestServer, chat, reply, start, with};

fn envelope(kind: &str, message: &str, param: Value, code: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

fn invalid(code: &str, param: &str, message: &str) -> (u16, Value) {
    (
        400,
        envelope("invalid_request_error", message, json!(param), code),
    )
}

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

/// One refused body: where it goes, what it is, and the answer.
type Case = (&'static str, Value, (u16, Value));

fn hi() -> Value {
    chat("persona", "hi")
}

fn wrong_types() -> Vec<Case> {
    vec![
        (
            CHAT,
            json!({ "messages": [] }),
            invalid(
                "missing_required_parameter",
                "model",
                "Missing required parameter: 'model'.",
            ),
        ),
        (
            CHAT,
            json!({ "model": 7 }),
            invalid(
                "invalid_type",
                "model",
                "Invalid type for 'model': expected a string, found a number.",
            ),
        ),
        (
            CHAT,
            json!({ "model": "persona" }),
            invalid(
                "missing_required_parameter",
                "messages",
                "Missing required parameter: 'messages'.",
            ),
        ),
        (
            CHAT,
            json!({ "model": "persona", "messages": "hi" }),
            invalid(
                "invalid_type",
                "messages",
                "Invalid type for 'messages': expected a list of at least one message, found a string.",
            ),
        ),
        (
            CHAT,
            json!({ "model": "persona", "messages": [] }),
            invalid(
                "invalid_value",
                "messages",
                "Invalid value for 'messages': expected a list of at least one message, found an empty list.",
            ),
        ),
        (
            CHAT,
            json!({ "model": "persona", "messages": ["hi"] }),
            invalid(
                "invalid_type",
                "messages[0]",
                "Invalid type for 'messages[0]': expected an object with role and content, found a string.",
            ),
        ),
        (
            CHAT,
            json!({ "model": "persona", "messages": [{ "content": "hi" }] }),
            invalid(
                "missing_required_parameter",
                "messages[0].role",
                "Missing required parameter: 'messages[0].role'.",
            ),
        ),
        (
            CHAT,
            json!({ "model": "persona", "messages": [{ "role": "tool", "content": "hi" }] }),
            invalid(
                "invalid_value",
                "messages[0].role",
                "Invalid value for 'messages[0].role': expected system, developer, user or assistant, found 'tool'.",
            ),
        ),
        (
            CHAT,
            json!({ "model": "persona", "messages": [{ "role": "user", "content": 5 }] }),
            invalid(
                "invalid_type",
                "messages[0].content",
                "Invalid type for 'messages[0].content': expected a string or a list of text parts, found a number.",
            ),
        ),
        (
            CHAT,
            json!({ "model": "persona", "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "x" } }] }] }),
            invalid(
                "invalid_value",
                "messages[0].content[0].type",
                "Invalid value for 'messages[0].content[0].type': expected 'text', found 'image_url'.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "temperature": "hot" })),
            invalid(
                "invalid_type",
                "temperature",
                "Invalid type for 'temperature': expected a number from 0 to 2, found a string.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "temperature": 3 })),
            invalid(
                "invalid_value",
                "temperature",
                "Invalid value for 'temperature': expected a number from 0 to 2, found 3.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "top_p": 0 })),
            invalid(
                "invalid_value",
                "top_p",
                "Invalid value for 'top_p': expected a number above 0 and up to 1, found 0.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "max_tokens": 0 })),
            invalid(
                "invalid_value",
                "max_tokens",
                "Invalid value for 'max_tokens': expected an integer from 1 to 4294967295, found 0.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "max_tokens": 1.5 })),
            invalid(
                "invalid_value",
                "max_tokens",
                "Invalid value for 'max_tokens': expected an integer from 1 to 4294967295, found 1.5.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "stop": ["a", "b", "c", "d", "e"] })),
            invalid(
                "invalid_value",
                "stop",
                "Invalid value for 'stop': expected up to 4 texts, none of them empty, found 5 texts.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "stop": ["a", 1] })),
            invalid(
                "invalid_type",
                "stop[1]",
                "Invalid type for 'stop[1]': expected a string, found a number.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "seed": 0.5 })),
            invalid(
                "invalid_type",
                "seed",
                "Invalid type for 'seed': expected an integer, found a number.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "stream": "yes" })),
            invalid(
                "invalid_type",
                "stream",
                "Invalid type for 'stream': expected a boolean, found a string.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "presence_penalty": -3 })),
            invalid(
                "invalid_value",
                "presence_penalty",
                "Invalid value for 'presence_penalty': expected a number from -2 to 2, found -3.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "top_logprobs": 2 })),
            invalid(
                "invalid_value",
                "top_logprobs",
                "Invalid value for 'top_logprobs': it needs 'logprobs': true.",
            ),
        ),
        (
            TEXT,
            json!({ "model": "persona", "prompt": {} }),
            invalid(
                "invalid_type",
                "prompt",
                "Invalid type for 'prompt': expected a string, found an object.",
            ),
        ),
        (
            "/v1/classify",
            json!({ "model": "mood" }),
            invalid(
                "missing_required_parameter",
                "input",
                "Missing required parameter: 'input'.",
            ),
        ),
        (
            "/v1/classify",
            json!({ "model": "mood", "input": "a", "text": "b" }),
            invalid(
                "invalid_value",
                "text",
                "Send either 'input' or 'text', not both.",
            ),
        ),
        (
            "/v1/classify",
            json!({ "model": "mood", "input": ["a", "b"] }),
            invalid(
                "invalid_value",
                "input",
                "Invalid value for 'input': expected one text per call, found 2 texts.",
            ),
        ),
        (
            "/v1/moderations",
            json!({ "model": "filter", "input": [] }),
            invalid(
                "invalid_value",
                "input",
                "Invalid value for 'input': expected a string or a list of strings, found an empty list.",
            ),
        ),
    ]
}

fn unsupported() -> Vec<Case> {
    let refused = |name: &str, reason: &str| {
        invalid(
            "unsupported_parameter",
            name,
            &format!("Unsupported parameter: '{name}'. {reason}"),
        )
    };
    vec![
        (
            CHAT,
            with(hi(), json!({ "tools": [{ "type": "function" }] })),
            refused("tools", "Adapters here cannot call tools."),
        ),
        (
            CHAT,
            with(hi(), json!({ "n": 2 })),
            refused(
                "n",
                "One answer is given per call; send more calls for more answers.",
            ),
        ),
        (
            CHAT,
            with(
                hi(),
                json!({ "response_format": { "type": "json_schema" } }),
            ),
            refused(
                "response_format",
                "Answers are plain text; /v1/classify answers in a fixed form.",
            ),
        ),
        (
            CHAT,
            with(hi(), json!({ "logit_bias": { "1": 5 } })),
            refused("logit_bias", "Biasing tokens is not available."),
        ),
        (
            CHAT,
            with(hi(), json!({ "stream_options": {} })),
            refused(
                "stream_options",
                "It is only allowed together with 'stream': true.",
            ),
        ),
        (
            CHAT,
            json!({ "model": "persona", "messages": [{ "role": "assistant", "content": null, "tool_calls": [] }] }),
            refused("messages[0].tool_calls", "Messages carry text only."),
        ),
        (
            TEXT,
            json!({ "model": "persona", "prompt": [1, 2] }),
            refused("prompt", "Prompts are text; token ids are not accepted."),
        ),
        (
            TEXT,
            json!({ "model": "persona", "prompt": ["a", "b"] }),
            refused(
                "prompt",
                "One prompt is answered per call; send more calls.",
            ),
        ),
        (
            TEXT,
            json!({ "model": "persona", "prompt": "a", "echo": true }),
            refused("echo", "The prompt is not repeated in the answer."),
        ),
    ]
}

fn wrong_models() -> Vec<Case> {
    let missing = |name: &str, advice: &str| {
        let message = format!("The model '{name}' does not exist. {advice}");
        (
            404,
            envelope(
                "invalid_request_error",
                &message,
                json!("model"),
                "model_not_found",
            ),
        )
    };
    vec![
        (
            CHAT,
            chat("persna", "hi"),
            missing("persna", "Did you mean 'persona'?"),
        ),
        (
            CHAT,
            chat("nano", "hi"),
            missing("nano", "Served here: persona, filter, mood."),
        ),
        (
            "/v1/embeddings",
            json!({ "model": "gpt", "input": "x" }),
            missing("gpt", "Served here: persona, filter, mood."),
        ),
        (
            "/v1/classify",
            json!({ "model": "persona", "input": "x" }),
            invalid(
                "not_a_classifier",
                "model",
                "The model 'persona' is not a classifier; use /v1/chat/completions.",
            ),
        ),
        (
            "/v1/moderations",
            json!({ "model": "mood", "input": "x" }),
            invalid(
                "not_a_content_filter",
                "model",
                "The model 'mood' is not a content filter: none of its labels (negative, positive) marks harmless text (allowed, allow, ok, safe, clean, ham). Use /v1/classify.",
            ),
        ),
        (
            "/v1/embeddings",
            json!({ "model": "persona", "input": "x" }),
            invalid(
                "embeddings_unsupported",
                "model",
                "The model 'persona' generates text and gives no embeddings.",
            ),
        ),
    ]
}

#[tokio::test]
async fn bad_bodies_are_refused_by_name_and_never_reserved() {
    let server = start().await;
    let before = server.records().await.len();
    for (path, body, (status, expected)) in wrong_types()
        .into_iter()
        .chain(unsupported())
        .chain(wrong_models())
    {
        let found = server.post(path, &body).await;
        assert_eq!(
            (found.status, found.json()),
            (status, expected),
            "{path} {body}"
        );
    }
    assert_eq!(server.records().await.len(), before);
    server.drain().await;
}

async fn send(server: &TestServer, kind: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = server
        .client
        .post(server.url(CHAT))
        .header("content-type", kind)
        .body(body);
    let reply = reply(request).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_with_the_position() {
    let server = start().await;
    let refused = |status: u16, code: &str, message: &str| {
        (
            status,
            envelope("invalid_request_error", message, Value::Null, code),
        )
    };
    let json = "application/json";
    assert_eq!(
        send(&server, json, "{\"model\": \"persona\",\n \"messages\": [}").await,
        refused(
            400,
            "invalid_json",
            "The request body is not valid JSON: expected value at line 2 column 15."
        )
    );
    assert_eq!(
        send(&server, json, "[1]").await,
        refused(
            400,
            "invalid_json",
            "The request body must be a JSON object, found a list."
        )
    );
    assert_eq!(
        send(&server, json, b"{\"model\": \"\xff\"}".to_vec()).await,
        refused(
            400,
            "invalid_utf8",
            "The request body is not UTF-8: invalid byte at position 11."
        )
    );
    assert_eq!(
        send(&server, "text/plain", "{}").await,
        refused(
            415,
            "unsupported_content_type",
            "Invalid Content-Type: expected application/json, found 'text/plain'."
        )
    );
    let ten_megabytes = vec![b' '; 10_000_000];
    let limit = LIMITS.max_body;
    assert_eq!(
        send(&server, json, ten_megabytes).await,
        refused(
            413,
            "body_too_large",
            &format!("The request body is larger than the limit of {limit} bytes.")
        )
    );
    server.drain().await;
}

#[tokio::test]
async fn a_missing_content_type_and_a_compressed_body_are_refused() {
    let server = start().await;
    let bare = reply(server.client.post(server.url(CHAT)).body("{}")).await;
    let expected = envelope(
        "invalid_request_error",
        "Invalid Content-Type: expected application/json, found none.",
        Value::Null,
        "unsupported_content_type",
    );
    assert_eq!((bare.status, bare.json()), (415, expected));
    let request = server
        .client
        .post(server.url(CHAT))
        .json(&hi())
        .header("content-encoding", "gzip");
    let packed = reply(request).await;
    let expected = envelope(
        "invalid_request_error",
        "Invalid Content-Encoding: expected identity, found 'gzip'.",
        Value::Null,
        "unsupported_content_encoding",
    );
    assert_eq!((packed.status, packed.json()), (415, expected));
    server.drain().await;
}

#[tokio::test]
async fn large_headers_are_431() {
    let server = start().await;
    let request = server
        .client
        .get(server.url("/health"))
        .header("x-padding", "x".repeat(20_000));
    let found = reply(request).await;
    let size = 20_000
        + "x-padding".len()
        + "accept*/*".len()
        + "host".len()
        + server.address.to_string().len();
    let expected = envelope(
        "invalid_request_error",
        &format!("The request's headers take {size} bytes; at most 16384 are read."),
        Value::Null,
        "headers_too_large",
    );
    assert_eq!((found.status, found.json()), (431, expected));

    // Far beyond the bound the head is not even kept in memory.
    let mut socket = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let head = format!(
        "GET /health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let _ = socket.write_all(head.as_bytes()).await;
    let mut answer = vec![0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 431");
    server.drain().await;
}

#[tokio::test]
async fn prompts_beyond_the_context_are_400_and_not_reserved() {
    let server = start().await;
    let before = server.records().await.len();
    let long = "word ".repeat(CONTEXT - 2);
    let found = server.post(CHAT, &chat("persona", &long)).await;
    let expected = envelope(
        "invalid_request_error",
        "The prompt takes 64 tokens and the model's context holds 64, one of which must be left for \
         the answer. Shorten the prompt.",
        Value::Null,
        "context_length_exceeded",
    );
    assert_eq!((found.status, found.json()), (400, expected));
    assert_eq!(server.records().await.len(), before);
    server.drain().await;
}

#[tokio::test]
async fn unknown_paths_and_receipts_are_404() {
    let server = start().await;
    let refused =
        |code: &str, message: &str| envelope("invalid_request_error", message, Value::Null, code);
    let found = server.get("/v2/nothing").await;
    assert_eq!(
        (found.status, found.json()),
        (
            404,
            refused("unknown_url", "There is no route GET /v2/nothing.")
        )
    );
    let found = server.get("/v1/receipts/nobody").await;
    let message = "No call was metered under the request id 'nobody'.";
    assert_eq!(
        (found.status, found.json()),
        (404, refused("receipt_not_found", message))
    );
    let found = server.get("/v1/models/some/other").await;
    let expected = envelope(
        "invalid_request_error",
        "The model 'some/other' does not exist. Served here: persona, filter, mood.",
        json!("model"),
        "model_not_found",
    );
    assert_eq!((found.status, found.json()), (404, expected));
    server.drain().await;
}

#[tokio::test]
async fn bad_request_ids_are_refused() {
    let server = start().await;
    for id in ["", "a b", "ä", &"x".repeat(129)] {
        let found = server.post_as(id, CHAT, &hi()).await;
        let expected = envelope(
            "invalid_request_error",
            "Invalid header 'idempotency-key': expected 1 to 128 letters, digits or any of - _ . : ~.",
            json!("idempotency-key"),
            "invalid_request_id",
        );
        assert_eq!((found.status, found.json()), (400, expected), "{id}");
    }
    server.drain().await;
}

#[tokio::test]
async fn operator_routes_refuse_a_foreign_name() {
    let server = start().await;
    for path in ["/metrics", "/events"] {
        let found = reply(
            server
                .client
                .get(server.url(path))
                .header("host", "evil.example"),
        )
        .await;
        let expected = envelope(
            "invalid_request_error",
            "This route answers callers on the server's own machine only.",
            Value::Null,
            "operator_only",
        );
        assert_eq!((found.status, found.json()), (403, expected));
    }
    server.drain().await;
}
