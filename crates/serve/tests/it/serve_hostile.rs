//! Connections that want to do harm, over raw sockets: heads that proxies would read otherwise,
//! sockets that are only opened, bodies and heads that trickle, answers that nobody reads.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use openlora_engine::turns::{TurnParty, TurnQueue, due_time};
use openlora_ledger::event::FinishReason;
use openlora_serve::{ConnectionLimits, ServeLimits};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::serve_support::{
    LIMITS, TestServer, access, chat, operator_client, reply, start, start_bounded, start_with,
    test_journal, with,
};

const CHAT: &str = "/v1/chat/completions";

/// Longer than anything here should take.
const SOON: Duration = crate::waiting::PATIENCE;

async fn connect(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// Sends bytes and reads until the server closes.
async fn exchange(server: &TestServer, bytes: &[u8]) -> String {
    let mut socket = connect(server).await;
    // The server may answer and close before it has read everything.
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    timeout(SOON, socket.read_to_end(&mut answer))
        .await
        .expect("the server closes")
        .unwrap();
    String::from_utf8(answer).unwrap()
}

/// Status lines and bodies of pipelined answers that carry their lengths.
fn answers(mut text: &str) -> Vec<(u16, Value)> {
    let mut found = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap_or("0");
        let (body, rest) = rest.split_at(length.parse().unwrap());
        found.push((status, serde_json::from_str(body).unwrap_or(Value::Null)));
        text = rest;
    }
    found
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap())
}

/// A body that would be answered.
fn body() -> String {
    chat("persona", "hi").to_string()
}

type Case = (String, (u16, &'static str));

const BAD: (u16, &str) = (400, "malformed_request");

/// Requests whose end can be read in several ways.
fn framed_badly() -> Vec<Case> {
    let body = body();
    let length = body.len();
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let rows = [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "content-length: 4\r\ncontent-length: 5\r\n",
        "content-length: 4\r\ncontent-length: 4\r\n",
        "content-length: 4, 4\r\n",
        "content-length: +4\r\n",
        "content-length : 4\r\n",
        "content-length: \r\n",
        "content-length: 18446744073709551616\r\n",
    ];
    let post = |fields: &str| {
        let kind = "content-type: application/json\r\n";
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\n{kind}{fields}\r\n{chunked}")
    };
    rows.into_iter().map(|row| (post(row), BAD)).collect()
}

/// Requests that are for nobody, or for several, or cannot be read.
fn addressed_badly() -> Vec<Case> {
    let get = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
    let bad = [
        get("/metrics", "host: 127.0.0.1\r\nhost: evil.example\r\n"),
        get("/metrics", "host: evil.example\r\nhost: 127.0.0.1\r\n"),
        get("/health", ""),
        get("/health", "host: user@x\r\n"),
        get("/health", "host: a b\r\n"),
        get("http://evil.example/metrics", "host: 127.0.0.1\r\n"),
        get("metrics", "host: x\r\n"),
        get("ftp://x/metrics", "host: x\r\n"),
        get("/health", "host: x\r\n folded: yes\r\n"),
        get("/health", "host: x\r\nx-a: a\0b\r\n"),
        "GET /health HTTP/1.1\nhost: x\n\n".to_owned(),
        "GET /health HTTP/1.1\r\nhost: x\nx-a: b\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
    ];
    let many = format!("host: x\r\n{}", "x-a: 1\r\n".repeat(101));
    let large = format!("host: x\r\nx: {}\r\n", "x".repeat(100_000));
    let others = [
        (
            "CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n".to_owned(),
            (501, "method_not_implemented"),
        ),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            (505, "http_version_not_supported"),
        ),
        (
            get(&format!("/{}", "a".repeat(20_000)), "host: x\r\n"),
            (414, "uri_too_long"),
        ),
        (get("/health", &many), (431, "headers_too_large")),
        (get("/health", &large), (431, "headers_too_large")),
    ];
    let bad = bad.into_iter().map(|request| (request, BAD));
    bad.chain(others).collect()
}

#[tokio::test]
async fn heads_that_others_would_read_otherwise_get_the_envelope() {
    let server = start().await;
    let before = server.records().await.len();
    for (request, expected) in framed_badly().into_iter().chain(addressed_badly()) {
        let text = exchange(&server, request.as_bytes()).await;
        let found = answers(&text);
        assert_eq!(found.len(), 1, "{request:?}: {text}");
        assert_eq!(code(&found[0]), expected, "{request:?}");
        assert!(text.contains("connection: close\r\n"), "{text}");
    }
    assert_eq!(server.records().await.len(), before);
    server.drain().await;
}

#[tokio::test]
async fn ids_and_queries_that_are_no_text_get_the_envelope() {
    let server = start().await;
    for path in [
        "/v1/receipts/%ff",
        "/v1/attributions/a%c3",
        "/attribution-log/%fe%ff",
        "/v1/models/%80",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let found = answers(&exchange(&server, request.as_bytes()).await);
        assert_eq!(code(&found[0]), (400, "invalid_path"), "{path}");
    }
    let odd = server.get("/v1/receipts/%zz%").await;
    assert_eq!(odd.json()["error"]["code"], "receipt_not_found");
    server.drain().await;
}

/// What comes before and after is answered in its order, and nothing behind a refused head is read
/// as a request.
#[tokio::test]
async fn a_refused_head_takes_its_turn_and_is_the_last() {
    let server = start().await;
    let body = body();
    let good = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let smuggled = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\
         transfer-encoding: chunked\r\n\r\n0\r\n\r\n{good}"
    );
    let all = format!("\r\n{good}{good}{smuggled}{good}");
    let found = answers(&exchange(&server, all.as_bytes()).await);
    let statuses: Vec<u16> = found.iter().map(|it| it.0).collect();
    assert_eq!(statuses, [200, 200, 400]);
    assert_eq!(code(&found[2]), (400, "malformed_request"));

    // A chunked body is read, and is the last of its connection.
    let chunked = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let found = answers(&exchange(&server, format!("{chunked}{good}").as_bytes()).await);
    let statuses: Vec<u16> = found.iter().map(|it| it.0).collect();
    assert_eq!(statuses, [200]);

    // HTTP/1.0 is answered and ends.
    let old = exchange(&server, b"GET /health HTTP/1.0\r\n\r\n").await;
    assert_eq!(answers(&old)[0].0, 200);
    server.drain().await;
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_read() {
    let server = start().await;
    let mut socket = connect(&server).await;
    socket.set_nodelay(true).unwrap();
    for byte in b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" {
        socket.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    assert_eq!(answers(&text)[0].0, 200);
    server.drain().await;
}

const FEW: ConnectionLimits = ConnectionLimits {
    total: 8,
    per_address: 4,
};

async fn is_closed(socket: &mut TcpStream) -> bool {
    let mut byte = [0];
    matches!(
        timeout(SOON, socket.read(&mut byte)).await,
        Ok(Ok(0) | Err(_))
    )
}

/// Sockets that are opened, and heads and bodies that never end, give way to whoever comes.
#[tokio::test]
async fn idle_and_trickling_connections_give_way() {
    let server = start_bounded(access(), LIMITS, test_journal(), FEW).await;
    let mut sockets = Vec::new();
    for number in 0..60 {
        let mut socket = connect(&server).await;
        let start: &[u8] = match number % 3 {
            0 => b"",
            1 => b"POST /v1/chat/completions HT",
            _ => {
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\
                   content-type: application/json\r\ncontent-length: 4000\r\n\r\n{\"mod"
            }
        };
        let _ = socket.write_all(start).await;
        sockets.push(socket);
        if number % 10 == 0 {
            let client = fresh();
            let found = reply(client.get(server.url("/health"))).await;
            assert_eq!(found.status, 200);
        }
    }
    let found = reply(fresh().post(server.url(CHAT)).json(&chat("persona", "hi"))).await;
    assert_eq!(found.status, 200);
    let metrics = reply(operator_client().get(server.url("/metrics")))
        .await
        .text;
    let open = metrics
        .lines()
        .find_map(|line| line.strip_prefix("openlora_connections "))
        .unwrap();
    assert!(open.parse::<usize>().unwrap() <= FEW.total, "{open}");
    assert!(is_closed(&mut sockets[0]).await);
    server.drain().await;
}

/// A client with a connection of its own.
fn fresh() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    client.pool_max_idle_per_host(0).build().unwrap()
}

/// Connections at work are kept, and whoever comes then is told so.
#[tokio::test]
async fn connections_at_work_are_kept() {
    let limits = ServeLimits {
        max_concurrent: 8,
        parallel: 8,
        ..LIMITS
    };
    let server = start_bounded(access(), limits, test_journal(), FEW).await;
    let body = with(chat("persona", "!step a"), json!({ "stream": true }));
    let mut running = Vec::new();
    for _ in 0..FEW.total {
        let call = fresh().post(server.url(CHAT)).json(&body);
        running.push(call.send().await.unwrap());
    }
    let refused = exchange(&server, b"").await;
    let found = answers(&refused);
    assert_eq!(code(&found[0]), (503, "too_many_connections"));
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    server.steps.add_permits(1000);
    for call in running {
        assert!(call.text().await.unwrap().contains("[DONE]"));
    }
    assert_eq!(server.get("/health").await.status, 200);
    server.drain().await;
}

/// A socket that takes in next to nothing.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    socket.connect(address).await.unwrap()
}

/// Answers far larger than what sockets hold, to readers who read nothing: the model goes on to
/// the next call, and everything is counted.
#[tokio::test]
async fn readers_who_do_not_read_hold_no_turn() {
    let limits = ServeLimits {
        max_concurrent: 2,
        parallel: 2,
        queue: 64,
        max_body: 1 << 20,
        max_tokens: 5,
    };
    let server = start_with(limits, test_journal()).await;
    let word = "w".repeat(400_000);
    let mut unread = Vec::new();
    for number in 0..12 {
        let stream = number % 2 == 0;
        let body = with(
            chat("persona", &word),
            json!({ "stream": stream, "max_tokens": 60 }),
        )
        .to_string();
        let mut socket = narrow(server.address).await;
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             x-request-id: unread-{number}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(body.as_bytes()).await.unwrap();
        unread.push(socket);
    }
    for number in 0..12 {
        let id = format!("unread-{number}");
        let counted = timeout(2 * SOON, server.metered(&id)).await;
        let (usage, finish) = counted.unwrap();
        assert_eq!(
            (usage.completion_tokens, finish),
            (60, FinishReason::Length)
        );
    }
    let found = timeout(SOON, server.post(CHAT, &chat("persona", "hi"))).await;
    assert_eq!(found.unwrap().status, 200);
    // What waits is bounded: the largest answers are cut off first, and can be asked for again.
    let waiting = unread_bytes(&server).await;
    assert!(waiting > 1 << 20 && waiting <= 128 << 20, "{waiting}");
    drop(unread);
    while unread_bytes(&server).await > 0 {}
    server.drain().await;
}

/// Draining waits for readers; hurrying does not.
#[tokio::test]
async fn a_reader_who_does_not_read_cannot_keep_a_hurried_server() {
    let limits = ServeLimits {
        max_body: 1 << 20,
        ..LIMITS
    };
    let server = start_with(limits, test_journal()).await;
    let body = with(
        chat("persona", &"w".repeat(400_000)),
        json!({ "stream": true, "max_tokens": 60 }),
    );
    let mut socket = narrow(server.address).await;
    let body = body.to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         x-request-id: unread\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    server.metered("unread").await;
    server.stop.draining.cancel();
    server.stop.force_stop.cancel();
    let ended = timeout(SOON, server.running).await;
    ended.expect("it ends").unwrap().unwrap();
}

async fn unread_bytes(server: &TestServer) -> usize {
    let metrics = server.get("/metrics").await.text;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("openlora_unread_answers_bytes "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn followers_who_do_not_read_disturb_nobody() {
    let server = start().await;
    let mut followers = Vec::new();
    for _ in 0..8 {
        let mut socket = narrow(server.address).await;
        let head = format!("GET /events HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
        socket.write_all(head.as_bytes()).await.unwrap();
        followers.push(socket);
    }
    for _ in 0..50 {
        let answered = server.post(CHAT, &chat("persona", "hi")).await;
        assert_eq!(answered.status, 200);
    }
    drop(followers);
    server.drain().await;
}

/// A caller who closes its sending half has left, as far as HTTP/1.1 can tell.
#[tokio::test]
async fn floods_of_pipelined_requests_and_half_closed_sockets_leave_the_server_well() {
    let server = start().await;
    let mut socket = connect(&server).await;
    let request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n".repeat(500);
    let (mut reading, mut writing) = socket.split();
    let written = async {
        writing.write_all(&request).await.unwrap();
    };
    let read = async {
        let (mut count, mut tail) = (0, Vec::new());
        let mut piece = vec![0; 65_536];
        while count < 500 {
            let length = reading.read(&mut piece).await.unwrap();
            assert!(length > 0);
            tail.extend_from_slice(&piece[..length]);
            let marker = b"HTTP/1.1 200 OK";
            count += tail.windows(marker.len()).filter(|it| it == marker).count();
            let keep = tail.len().saturating_sub(marker.len() - 1);
            tail.drain(..keep);
        }
    };
    timeout(SOON, async { tokio::join!(written, read) })
        .await
        .unwrap();
    for _ in 0..20 {
        let mut socket = connect(&server).await;
        let head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
        socket.write_all(head).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(SOON, socket.read_to_end(&mut answer)).await;
        read.expect("the server closes").unwrap();
    }
    assert_eq!(server.get("/health").await.status, 200);
    server.drain().await;
}

/// Long calls that came first do not hold up a short one, and who leaves the queue loses no turn.
#[tokio::test]
async fn short_calls_go_before_long_ones() {
    let turns = Arc::new(TurnQueue::new(1));
    let anyone = TurnParty::default();
    let first = turns.try_take(&anyone).unwrap();
    assert!(turns.try_take(&anyone).is_none());
    let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut waiting = Vec::new();
    for tokens in [1000, 10, 5000, 2] {
        let (turns, told, anyone) = (Arc::clone(&turns), told.clone(), anyone.clone());
        let call = async move {
            let turn = turns.take(&anyone, due_time(tokens)).await;
            told.send(tokens).unwrap();
            drop(turn);
        };
        waiting.push(tokio::spawn(call));
    }
    tokio::task::yield_now().await;
    waiting.remove(1).abort();
    tokio::task::yield_now().await;
    drop((first, told));
    let mut found = Vec::new();
    while let Some(tokens) = order.recv().await {
        found.push(tokens);
    }
    assert_eq!(found, [2, 1000, 5000]);
    assert!(turns.try_take(&anyone).is_some());
}
