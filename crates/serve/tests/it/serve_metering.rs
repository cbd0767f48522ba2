//! Exactly one `CallMetered` per request id, whatever happens to the connection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{body::Body, http::Request};
use futures::StreamExt;
use openlora_journal::{
    AppendOutcome, Journal, JournalEntry, JournalError, JournalHead, JournalStore, StoreReader,
};
use openlora_ledger::event::{CallKind, Event, EventRecord, FinishReason, TokenUsage};
use openlora_serve::{
    BoundSocket, ServeInputs, Server, StopHandle, attribution::AttributionConfig,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::memory_journal::MemoryStore;
use crate::serve_support::{
    LIMITS, TestServer, access, adapters, chat, reply, start, start_with, test_journal, with,
};
use crate::waiting;

const CHAT: &str = "/v1/chat/completions";

fn usage(prompt_tokens: u64, completion_tokens: u64) -> TokenUsage {
    TokenUsage {
        prompt_tokens,
        completion_tokens,
    }
}

/// The events of one call, in order, without what clock and salt decide.
async fn story(server: &TestServer, id: &str) -> Vec<String> {
    let tell = |record: EventRecord| match record.event {
        Event::CallReserved {
            request_id,
            prompt_tokens,
            ..
        } if request_id == id => Some(format!("reserved {prompt_tokens}")),
        Event::CallCheckpointed {
            request_id,
            completion_tokens,
        } if request_id == id => Some(format!("checkpoint {completion_tokens}")),
        Event::CallMetered {
            request_id,
            usage,
            finish,
            ..
        } if request_id == id => Some(format!(
            "metered {}+{} {finish:?}",
            usage.prompt_tokens, usage.completion_tokens
        )),
        _ => None,
    };
    server
        .records()
        .await
        .into_iter()
        .filter_map(tell)
        .collect()
}

/// Waits until the journal holds an event that `wanted` picks.
async fn until(server: &TestServer, wanted: impl Fn(&Event) -> bool) {
    waiting::until("an event in the journal", async || {
        let records = server.records().await;
        records.iter().any(|record| wanted(&record.event))
    })
    .await;
}

async fn reserved(server: &TestServer, id: &str) {
    until(
        server,
        |event| matches!(event, Event::CallReserved { request_id, .. } if request_id == id),
    )
    .await;
}

/// Waits until the metrics hold a line; each look is a round trip to the server.
async fn until_metric(server: &TestServer, line: &str) {
    waiting::until(&format!("the metric {line}"), async || {
        let metrics = server.get("/metrics").await.text;
        metrics.lines().any(|found| found == line)
    })
    .await;
}

/// Opens a stream and reads it until `pieces` pieces of text came.
async fn read_pieces(
    server: &TestServer,
    id: &str,
    body: &Value,
    pieces: usize,
) -> reqwest::Response {
    let request = server
        .client
        .post(server.url(CHAT))
        .header("x-request-id", id)
        .json(body);
    let mut response = request.send().await.unwrap();
    let mut text = String::new();
    // The opening chunk has an empty text.
    while text.matches("\"content\":").count() < pieces + 1 {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    response
}

/// Waits for the first checkpoint of the journal.
async fn checkpointed(server: &TestServer) {
    until(server, |event| {
        matches!(event, Event::CallCheckpointed { .. })
    })
    .await;
}

#[tokio::test]
async fn a_call_is_reserved_checkpointed_and_metered() {
    let server = start().await;
    let body = with(
        chat("persona", "!step a"),
        json!({ "stream": true, "max_tokens": 40 }),
    );
    let paced = async {
        server.steps.add_permits(1);
        checkpointed(&server).await;
        server.steps.add_permits(39);
    };
    let (reply, ()) = tokio::join!(server.post_as("one", CHAT, &body), paced);
    let (chunks, done) = reply.chunks();
    assert!(done);
    assert_eq!(chunks.len(), 42);
    let story = story(&server, "one").await;
    assert_eq!(story.first().unwrap(), "reserved 4");
    assert_eq!(story[1], "checkpoint 1");
    assert_eq!(story.last().unwrap(), "metered 4+40 Length");
    assert_eq!(
        story
            .iter()
            .filter(|step| step.starts_with("metered"))
            .count(),
        1
    );
    server.drain().await;
}

/// A server that dies charges its last checkpoint, so a token is in one only once the caller has it.
#[tokio::test]
async fn tokens_that_are_not_sent_are_not_checkpointed() {
    let (steps, begun) = (Arc::new(Semaphore::new(0)), Arc::default());
    let journal = test_journal();
    let inputs = ServeInputs {
        adapters: adapters(&steps, &begun),
        sales: None,
        attribution: AttributionConfig::default(),
        access: access(),
        transparency: None,
        loader: None,
        standings: None,
        on_demand: None,
        prompt_filter: None,
    };
    let bound = BoundSocket::new("127.0.0.1", 0).await.unwrap();
    let stop = StopHandle::default();
    let server = Server::new(bound, inputs, journal.clone(), LIMITS, stop);
    let router = server.await.unwrap().router();
    let body = with(
        chat("persona", "!step a"),
        json!({ "stream": true, "max_tokens": 40 }),
    );
    let request = Request::post(CHAT)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = router.oneshot(request).await.unwrap().into_body();
    let mut answer = answer.into_data_stream();
    // What is appended now comes after every checkpoint up to here.
    let checkpoints = async || {
        let mark = Event::ServerStopped {
            session: "mark".to_owned(),
        };
        journal.append(mark).await.unwrap();
        let mut checkpoints = Vec::new();
        let keep = |record: &EventRecord| {
            if let Event::CallCheckpointed {
                completion_tokens, ..
            } = &record.event
            {
                checkpoints.push(*completion_tokens);
            }
        };
        journal.replay(1, keep).unwrap();
        checkpoints
    };
    steps.add_permits(20);
    let made = async || steps.available_permits() == 0;
    waiting::until("20 tokens to be made", made).await;
    assert_eq!(checkpoints().await, [0_u64; 0]);
    // The opening, and the first token.
    for _ in 0..2 {
        answer.next().await.unwrap().unwrap();
    }
    let found = async || checkpoints().await == [1];
    waiting::until("a checkpoint of one token", found).await;
}

#[tokio::test]
async fn streamed_and_whole_count_alike() {
    let server = start().await;
    let mut seen = Vec::new();
    for (id, stream) in [("w", false), ("s", true)] {
        let body = with(
            chat("persona", "count me !end=4"),
            json!({ "stream": stream }),
        );
        server.post_as(id, CHAT, &body).await;
        seen.push(server.metered(id).await);
    }
    assert_eq!(
        seen,
        [
            (usage(5, 4), FinishReason::Stop),
            (usage(5, 4), FinishReason::Stop)
        ]
    );
    server.drain().await;
}

#[tokio::test]
async fn a_reader_who_leaves_is_counted_for_what_was_delivered() {
    let server = start().await;
    let body = with(chat("persona", "!step a b c"), json!({ "stream": true }));
    server.steps.add_permits(3);
    let response = read_pieces(&server, "gone", &body, 3).await;
    drop(response);
    assert_eq!(
        server.metered("gone").await,
        (usage(6, 3), FinishReason::Disconnected)
    );
    // The engine's turn is free again.
    assert_eq!(server.post(CHAT, &chat("persona", "x")).await.status, 200);
    server.drain().await;
}

#[tokio::test]
async fn a_whole_answer_runs_to_its_end_without_its_caller() {
    let server = start().await;
    let body = chat("persona", "!step a b c");
    let request = server
        .client
        .post(server.url(CHAT))
        .header("x-request-id", "early")
        .json(&body);
    let call = tokio::spawn(request.send());
    reserved(&server, "early").await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    server.steps.add_permits(5);
    assert_eq!(
        server.metered("early").await,
        (usage(6, 5), FinishReason::Length)
    );
    assert_eq!(
        story(&server, "early").await,
        ["reserved 6", "metered 6+5 Length"]
    );
    // Whoever lost the connection gets what was computed.
    let again = server.post_as("early", CHAT, &body).await;
    assert_eq!(
        (again.status, again.header("x-openlora-replayed")),
        (200, Some("true"))
    );
    let said = again.json()["choices"][0]["message"]["content"].clone();
    assert_eq!(said, "persona a b c persona");
    assert_eq!(server.begun.load(Ordering::SeqCst), 1);
    server.drain().await;
}

#[tokio::test]
async fn a_stream_that_was_left_is_given_again_as_far_as_it_came() {
    let server = start().await;
    let body = with(
        chat("persona", "!step a b c"),
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
    );
    server.steps.add_permits(2);
    drop(read_pieces(&server, "cut", &body, 2).await);
    assert_eq!(
        server.metered("cut").await,
        (usage(6, 2), FinishReason::Disconnected)
    );
    let again = server.post_as("cut", CHAT, &body).await;
    let (chunks, done) = again.chunks();
    assert!(done);
    let said: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said.concat(), "persona a");
    let finish = &chunks[chunks.len() - 2]["choices"][0]["finish_reason"];
    assert_eq!(finish, "length");
    assert_eq!(chunks.last().unwrap()["usage"]["completion_tokens"], 2);
    assert_eq!(server.begun.load(Ordering::SeqCst), 1);
    server.drain().await;
}

#[tokio::test]
async fn a_failing_engine_is_500_and_counts_nothing_undelivered() {
    let server = start().await;
    let whole = server
        .post_as("f1", CHAT, &chat("persona", "!fail=2 a"))
        .await;
    let envelope = json!({ "error": {
        "message": "The model failed while answering; the server's log says why.",
        "type": "server_error",
        "param": null,
        "code": "engine_failed",
    }});
    assert_eq!((whole.status, whole.json()), (500, envelope.clone()));
    assert_eq!(
        server.metered("f1").await,
        (usage(0, 0), FinishReason::Failed)
    );

    let body = with(chat("persona", "!fail=2 a"), json!({ "stream": true }));
    let (chunks, done) = server.post_as("f2", CHAT, &body).await.chunks();
    assert!(!done);
    assert_eq!(chunks.last(), Some(&envelope));
    assert_eq!(
        server.metered("f2").await,
        (usage(4, 2), FinishReason::Failed)
    );

    let body = json!({ "model": "mood", "input": "!fail" });
    assert_eq!(
        server.post_as("f3", "/v1/classify", &body).await.status,
        500
    );
    assert_eq!(
        server.metered("f3").await,
        (usage(0, 0), FinishReason::Failed)
    );
    server.drain().await;
}

#[tokio::test]
async fn a_repeated_id_gets_its_answer_again_without_the_model() {
    let server = start().await;
    let begun = || server.begun.load(Ordering::SeqCst);
    let cases = [
        ("again1", CHAT, chat("persona", "hi")),
        (
            "again2",
            CHAT,
            with(chat("persona", "hi"), json!({ "stream": true })),
        ),
        (
            "again3",
            "/v1/classify",
            json!({ "model": "mood", "input": "positive" }),
        ),
    ];
    for (id, path, body) in cases {
        let before = begun();
        let first = server.post_as(id, path, &body).await;
        let second = server.post_as(id, path, &body).await;
        assert_eq!((first.status, second.status), (200, 200));
        assert_eq!(first.text, second.text);
        assert_eq!(first.header("content-type"), second.header("content-type"));
        assert_eq!(first.header("x-openlora-replayed"), None);
        assert_eq!(second.header("x-openlora-replayed"), Some("true"));
        assert_eq!(begun(), before + 1);
        let metered = |step: &String| step.starts_with("metered");
        assert_eq!(
            story(&server, id)
                .await
                .iter()
                .filter(|step| metered(step))
                .count(),
            1
        );
    }
    server.drain().await;
}

#[tokio::test]
async fn a_repeat_of_a_running_call_waits_for_it() {
    let server = start().await;
    let body = chat("persona", "!step a");
    let first = tokio::spawn({
        let request = server
            .client
            .post(server.url(CHAT))
            .header("x-request-id", "twin")
            .json(&body);
        reply(request)
    });
    reserved(&server, "twin").await;
    let second = tokio::spawn({
        let request = server
            .client
            .post(server.url(CHAT))
            .header("x-request-id", "twin")
            .json(&body);
        reply(request)
    });
    let running = server.get("/v1/receipts/twin").await;
    assert_eq!(
        (running.status, running.header("retry-after")),
        (409, Some("1"))
    );
    server.steps.add_permits(5);
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!(first.text, second.text);
    assert_eq!(server.begun.load(Ordering::SeqCst), 1);
    server.drain().await;
}

#[tokio::test]
async fn an_id_used_for_another_request_is_422() {
    let server = start().await;
    server.post_as("mine", CHAT, &chat("persona", "hi")).await;
    let expected = json!({ "error": {
        "message": "Request id 'mine' was used before with a different request; take a new id.",
        "type": "invalid_request_error",
        "param": null,
        "code": "idempotency_mismatch",
    }});
    let other_body = server.post_as("mine", CHAT, &chat("persona", "ho")).await;
    assert_eq!(
        (other_body.status, other_body.json()),
        (422, expected.clone())
    );
    let text = json!({ "model": "persona", "prompt": "x" });
    let other_path = server.post_as("mine", "/v1/completions", &text).await;
    assert_eq!((other_path.status, other_path.json()), (422, expected));
    server.drain().await;
}

#[tokio::test]
async fn after_a_restart_a_metered_id_has_its_answer_still() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let server = start_with(LIMITS, Journal::open(&path).unwrap()).await;
    let whole = server.post_as("old", CHAT, &chat("persona", "hi")).await;
    let streaming = json!({
        "model": "persona", "stream": true,
        "messages": [{ "role": "user", "content": "hi" }],
    });
    let streamed = server.post_as("streamed", CHAT, &streaming).await;
    server.drain().await;
    let server = start_with(LIMITS, Journal::open(&path).unwrap()).await;
    for (id, body, first) in [
        ("old", &chat("persona", "hi"), &whole),
        ("streamed", &streaming, &streamed),
    ] {
        let again = server.post_as(id, CHAT, body).await;
        assert_eq!((again.status, &again.text), (200, &first.text));
        assert_eq!(again.header("content-type"), first.header("content-type"));
        assert_eq!(again.header("x-openlora-replayed"), Some("true"));
    }
    assert_eq!(server.begun.load(Ordering::SeqCst), 0);
    server.drain().await;
    // The file holds neither question nor answer.
    let bytes = std::fs::read(&path).unwrap();
    let said = whole.json()["choices"][0]["message"]["content"].clone();
    for secret in [said.as_str().unwrap(), "choices", "messages"] {
        let found = bytes
            .windows(secret.len())
            .any(|it| it == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

#[tokio::test]
async fn a_metered_id_whose_answer_is_gone_is_409_with_its_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let server = start_with(LIMITS, Journal::open(&path).unwrap()).await;
    server.post_as("old", CHAT, &chat("persona", "hi")).await;
    server.drain().await;
    let file = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(file.execute("DELETE FROM enclosures", []).unwrap(), 1);
    drop(file);
    let server = start_with(LIMITS, Journal::open(&path).unwrap()).await;
    let receipt = server.get("/v1/receipts/old").await.json();
    let found = server.post_as("old", CHAT, &chat("persona", "hi")).await;
    let expected = json!({ "error": {
        "message": "The call with request id 'old' was already metered and its answer is no longer held.",
        "type": "invalid_request_error",
        "param": null,
        "code": "already_metered",
        "receipt": receipt,
    }});
    assert_eq!((found.status, found.json()), (409, expected));
    assert_eq!(found.header("x-should-retry"), Some("false"));
    assert_eq!(
        server
            .post_as("old", CHAT, &chat("persona", "ho"))
            .await
            .status,
        422
    );
    server.drain().await;
}

#[tokio::test]
async fn what_a_dead_process_left_open_is_metered_at_the_next_start() {
    let journal = test_journal();
    let reserve = |id: &str| Event::CallReserved {
        request_id: id.to_owned(),
        session: "dead".to_owned(),
        adapter: "persona".to_owned(),
        adapter_digest: "persona0digest".to_owned(),
        kind: CallKind::Chat,
        prompt_tokens: 7,
        request_hash: "aa".to_owned(),
        payment: None,
    };
    let checkpoint = |id: &str, completion_tokens: u64| Event::CallCheckpointed {
        request_id: id.to_owned(),
        completion_tokens,
    };
    for event in [
        reserve("b"),
        reserve("a"),
        checkpoint("b", 3),
        checkpoint("b", 9),
    ] {
        journal.append(event).await.unwrap();
    }
    let server = start_with(LIMITS, journal).await;
    assert_eq!(
        server.metered("b").await,
        (usage(7, 9), FinishReason::Recovered)
    );
    assert_eq!(
        server.metered("a").await,
        (usage(7, 0), FinishReason::Recovered)
    );
    let metrics = server.get("/metrics").await.text;
    assert!(
        metrics.contains(r#"openlora_completion_tokens_total{adapter="persona"} 9"#),
        "{metrics}"
    );
    server.drain().await;
}

#[tokio::test]
async fn a_full_queue_is_429_and_a_drain_sends_the_queue_away() {
    let server = start().await;
    let body = chat("persona", "!step a");
    let post = |id: &str| {
        let request = server
            .client
            .post(server.url(CHAT))
            .header("x-request-id", id)
            .json(&body);
        tokio::spawn(reply(request))
    };
    let running = [post("q1"), post("q2")];
    reserved(&server, "q1").await;
    reserved(&server, "q2").await;
    let waiting = post("q3");
    until_metric(&server, "vllm:num_requests_waiting 1.0").await;
    let refused = post("q4").await.unwrap();
    let expected = json!({ "error": {
        "message": "All turns are taken and 1 calls wait; try again shortly.",
        "type": "rate_limit_error",
        "param": null,
        "code": "queue_full",
    }});
    assert_eq!((refused.status, refused.json()), (429, expected));
    assert_eq!(refused.header("retry-after"), Some("1"));

    server.stop.draining.cancel();
    let away = waiting.await.unwrap();
    let expected = json!({ "error": {
        "message": "The server is shutting down and takes no new calls.",
        "type": "server_error",
        "param": null,
        "code": "draining",
    }});
    assert_eq!((away.status, away.json()), (503, expected));
    server.steps.add_permits(10);
    for call in running {
        assert_eq!(call.await.unwrap().status, 200);
    }
    let records = server.journal.clone();
    server.running.await.unwrap().unwrap();
    let last = records.read(1, 10_000).await.unwrap().pop().unwrap();
    assert!(
        matches!(last.event, Event::ServerStopped { .. }),
        "{last:?}"
    );
}

#[tokio::test]
async fn hurrying_cuts_a_stream_and_counts_it() {
    let server = start().await;
    let body = with(chat("persona", "!step a"), json!({ "stream": true }));
    server.steps.add_permits(2);
    let mut response = read_pieces(&server, "cut", &body, 2).await;
    server.stop.draining.cancel();
    server.stop.force_stop.cancel();
    let mut rest = String::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        rest.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let expected = json!({ "error": {
        "message": "The server was told to stop at once.",
        "type": "server_error",
        "param": null,
        "code": "draining",
    }});
    assert_eq!(rest, format!("data: {expected}\n\n"));
    assert_eq!(
        server.metered("cut").await,
        (usage(4, 2), FinishReason::Failed)
    );
    server.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn events_start_with_the_whole_journal_and_resume_where_a_client_left() {
    let server = start().await;
    server.post_as("e1", CHAT, &chat("persona", "hi")).await;
    let records = server.records().await;
    let frames = |from: usize| {
        let frame = |record: &EventRecord| {
            let data = serde_json::to_value(record).unwrap();
            let name = data["event"]["type"].as_str().unwrap();
            format!("id: {}\nevent: {name}\ndata: {data}\n\n", record.sequence)
        };
        records[from..].iter().map(frame).collect::<String>()
    };
    for (after, from) in [(None, 0), (Some("3"), 3)] {
        let mut request = server.client.get(server.url("/events"));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let mut stream = request.send().await.unwrap().bytes_stream();
        let expected = format!("retry: 1000\n\n{}", frames(from));
        let mut found = String::new();
        while found.len() < expected.len() {
            found.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
        assert_eq!(found, expected);
    }
    let bad = reply(
        server
            .client
            .get(server.url("/events"))
            .header("last-event-id", "x"),
    )
    .await;
    let message = "Invalid value for 'Last-Event-ID': expected a sequence number, found 'x'.";
    assert_eq!(
        (bad.status, bad.json()["error"]["message"].as_str().unwrap()),
        (400, message)
    );
    server.drain().await;
}

#[tokio::test]
async fn events_follow_new_calls_and_end_with_the_server() {
    let server = start().await;
    let head = server.records().await.len().to_string();
    let request = server
        .client
        .get(server.url("/events"))
        .header("last-event-id", head);
    let response = request.send().await.unwrap();
    server.post_as("live", CHAT, &chat("persona", "hi")).await;
    let attributed = |record: &EventRecord| matches!(record.event, Event::Attributed(_));
    waiting::until("the call's attribution", async || {
        server.records().await.iter().any(attributed)
    })
    .await;
    server.stop.draining.cancel();
    let text = response.text().await.unwrap();
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    assert_eq!(names, ["call_reserved", "call_metered", "attributed"]);
    server.running.await.unwrap().unwrap();
}

/// A store on a disk that can be full.
struct Fragile {
    store: MemoryStore,
    full: Arc<AtomicBool>,
}

impl JournalStore for Fragile {
    fn append(
        &mut self,
        now_ms: u64,
        batch: &[JournalEntry],
    ) -> Result<Vec<AppendOutcome>, JournalError> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(JournalError::Full {
                path: "journal.sqlite".into(),
            }),
            false => self.store.append(now_ms, batch),
        }
    }

    fn head(&self) -> JournalHead {
        self.store.head()
    }

    fn reader(&self) -> Result<Box<dyn StoreReader>, JournalError> {
        self.store.reader()
    }
}

async fn start_fragile() -> (TestServer, Arc<AtomicBool>) {
    let full = Arc::new(AtomicBool::new(false));
    let store = Fragile {
        store: MemoryStore::new(),
        full: Arc::clone(&full),
    };
    let journal = Journal::start(Box::new(store), Box::new(|| 1)).unwrap();
    (start_with(LIMITS, journal).await, full)
}

fn uncounted() -> Value {
    json!({ "error": {
        "message": "Calls cannot be counted now, so none is answered.",
        "type": "server_error",
        "param": null,
        "code": "journal_unavailable",
    }})
}

#[tokio::test]
async fn a_full_disk_refuses_calls_before_the_model_runs() {
    let (server, full) = start_fragile().await;
    let before = server.records().await;
    full.store(true, Ordering::SeqCst);
    for (path, body) in [
        (CHAT, chat("persona", "hi")),
        ("/v1/classify", json!({ "model": "mood", "input": "x" })),
    ] {
        let found = server.post(path, &body).await;
        assert_eq!((found.status, found.json()), (503, uncounted()));
        assert_eq!(found.header("retry-after"), Some("1"));
    }
    assert_eq!(server.begun.load(Ordering::SeqCst), 0);
    assert_eq!(server.records().await, before);
    assert_eq!(server.get("/ready").await.status, 503);
    // Space again: the same server goes on.
    full.store(false, Ordering::SeqCst);
    assert_eq!(server.post(CHAT, &chat("persona", "hi")).await.status, 200);
    assert_eq!(server.get("/ready").await.status, 200);
    server.drain().await;
}

#[tokio::test]
async fn a_disk_that_fills_during_a_stream_withholds_the_end_until_it_is_counted() {
    let (server, full) = start_fragile().await;
    let body = with(
        chat("persona", "!step a"),
        json!({ "stream": true, "max_tokens": 3 }),
    );
    server.steps.add_permits(2);
    let mut response = read_pieces(&server, "late", &body, 2).await;
    full.store(true, Ordering::SeqCst);
    server.steps.add_permits(1);
    let mut rest = String::new();
    while let Some(bytes) = response.chunk().await.unwrap() {
        rest.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    assert!(
        rest.ends_with(&format!("data: {}\n\n", uncounted())),
        "{rest}"
    );
    assert!(!rest.contains("[DONE]"), "{rest}");
    full.store(false, Ordering::SeqCst);
    assert_eq!(
        server.metered("late").await,
        (usage(4, 3), FinishReason::Length)
    );
    // The answer was kept: the repeat gets its end.
    let (chunks, done) = server.post_as("late", CHAT, &body).await.chunks();
    assert!(done);
    assert_eq!(chunks.len(), 5);
    server.drain().await;
}
