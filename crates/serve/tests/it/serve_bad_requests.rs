//! Requests that are refused: the whole envelope of each.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::serve_support::{CONTEXT, LIMITS, TestServer, access, chat, reply, start};

fn envelope(kind: &str, message: &str, param: Value, code: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

const CHAT: &str = "/v1/chat/completions";

fn hi() -> Value {
    chat("persona", "hi")
}

/// `tests/data/serve/refused.json`: where each body goes, and the whole answer.
#[tokio::test]
async fn bad_bodies_are_refused_by_name_and_never_reserved() {
    let server = start().await;
    let before = server.records().await.len();
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/data/serve/refused.json")).unwrap();
    assert!(cases.len() >= 40, "{}", cases.len());
    for case in cases {
        let found = server
            .post(case["path"].as_str().unwrap(), &case["body"])
            .await;
        assert_eq!(json!(found.status), case["status"], "{case}");
        assert_eq!(found.json(), json!({ "error": case["error"] }), "{case}");
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
        + server.address.to_string().len()
        + "authorization".len()
        + access().operator.bearer().len();
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

/// A batch is judged whole or not at all, and its sender learns which text to shorten.
#[tokio::test]
async fn a_text_that_does_not_fit_is_named_in_its_batch() {
    let server = start().await;
    let before = server.records().await.len();
    let long = "word ".repeat(CONTEXT);
    let cases = [
        (
            "/v1/moderations",
            json!(["a", "scam", long, "b"]),
            "input[2]",
        ),
        ("/v1/moderations", json!([long]), "input[0]"),
        ("/v1/moderations", json!(long), "input"),
        ("/v1/classify", json!([long]), "input"),
    ];
    for (route, input, place) in cases {
        let body = json!({ "model": "filter", "input": input });
        let found = server.post(route, &body).await;
        let expected = envelope(
            "invalid_request_error",
            &format!(
                "{place}: The prompt takes {} tokens and the model's context holds 64, one of \
                 which must be left for the answer. Shorten the prompt.",
                CONTEXT + 3
            ),
            json!(place),
            "context_length_exceeded",
        );
        assert_eq!((found.status, found.json()), (400, expected));
    }
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
async fn operator_routes_refuse_a_foreign_name_even_with_the_token() {
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
            "This route answers no web pages, and only under localhost, a numeric address or the \
             host of serve.public_url.",
            Value::Null,
            "operator_only",
        );
        assert_eq!((found.status, found.json()), (403, expected));
    }
    server.drain().await;
}
