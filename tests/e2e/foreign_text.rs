//! Texts of others: what steers a terminal is replaced, in results, remarks, logs and JSON.

use std::path::Path;

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora::commands::printer::panic_report;
use openlora_core::private::foreign_text::{
    clean_line, clean_painted, clean_record, clean_text, escape_json, is_steering,
};
use openlora_tui as tui;
use serde_json::{Value, json};

use crate::support::openlora;

/// Ranges of the general categories Cc, Cf, Zl and Zp of Unicode 16.
const STEERING: &[(u32, u32)] = &[
    (0x0, 0x1f),
    (0x7f, 0x9f),
    (0xad, 0xad),
    (0x600, 0x605),
    (0x61c, 0x61c),
    (0x6dd, 0x6dd),
    (0x70f, 0x70f),
    (0x890, 0x891),
    (0x8e2, 0x8e2),
    (0x180e, 0x180e),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x2064),
    (0x2066, 0x206f),
    (0xfeff, 0xfeff),
    (0xfff9, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0001, 0xe0001),
    (0xe0020, 0xe007f),
];

fn letters() -> impl Iterator<Item = char> {
    (0..=0x10_ffff).filter_map(char::from_u32)
}

#[test]
fn what_steers_a_terminal_is_replaced() {
    for letter in letters() {
        let code = u32::from(letter);
        let steers = STEERING
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&code));
        // One unassigned code point, and the block that only tags are in, go with their neighbours.
        let beside = code == 0x2065 || (0xe0000..=0xe0fff).contains(&code);
        assert_eq!(is_steering(letter), steers || beside, "{code:x}");
    }
    let posing = "a\u{202e}b\nc\td\u{1b}[31me\u{9b}f\r\u{2028}g\u{e0041}";
    let shown = "a\u{fffd}b\nc\td\u{fffd}[31me\u{fffd}f\u{fffd}\u{fffd}g\u{fffd}";
    assert_eq!(clean_text(posing), shown);
    assert_eq!(clean_line(posing), shown.replace('\n', "\u{fffd}"));
    let plain = "Grüße, 東京 🙂\tمرحبا";
    assert_eq!(
        (clean_text(plain), clean_line(plain)),
        (plain.into(), plain.into())
    );
}

#[test]
fn of_escape_sequences_only_colours_of_a_line_stay() {
    let painted = "\u{1b}[1m\u{1b}[38;5;196mred\u{1b}[0m";
    assert_eq!(clean_painted(painted), painted);
    for (text, shown) in [
        ("\u{1b}[2Jx", "\u{fffd}[2Jx"),
        ("\u{1b}]0;t\u{7}x", "\u{fffd}]0;t\u{fffd}x"),
        ("\u{1b}[31", "\u{fffd}[31"),
        ("\u{1b}", "\u{fffd}"),
        ("\u{1b}\u{1b}[1mx\ny", "\u{fffd}\u{1b}[1mx\ny"),
        ("\u{1b}[1\u{9b}mx", "\u{fffd}[1\u{fffd}mx"),
    ] {
        assert_eq!(clean_painted(text), shown, "{text:?}");
    }
}

#[test]
fn json_keeps_its_value_and_steers_nothing() {
    let all: String = letters().filter(|letter| is_steering(*letter)).collect();
    let value = json!({ "text": format!("é{all}🙂") });
    let json = value.to_string();
    let escaped = escape_json(&json);
    assert!(!escaped.contains(is_steering), "{escaped:?}");
    assert!(
        escaped.contains("\\udb40\\udc41") && escaped.contains('🙂'),
        "{escaped:?}"
    );
    assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
}

#[test]
fn a_log_record_is_one_line_whatever_it_quotes() {
    let record = "INFO a\nERROR openlora: pay now\u{202e}\u{1b}[2J\u{1b}[1mb\n";
    let expected = "INFO a\u{fffd}ERROR openlora: pay now\u{fffd}\u{fffd}[2J\u{1b}[1mb\n";
    assert_eq!(clean_record(record), expected);
}

#[test]
fn the_dashboard_shows_none_of_them() {
    for letter in letters().filter(|letter| is_steering(*letter)) {
        let shown = tui::text::clean(&format!("a{letter}b")).into_owned();
        assert!(
            matches!(&*shown, "a·b" | "ab"),
            "{:x}: {shown:?}",
            u32::from(letter)
        );
    }
}

#[test]
fn a_copied_text_is_one_line_without_sequences() {
    let sequence = tui::text::clipboard_sequence("id\nrm -rf ~\u{1b}[2J");
    let code = sequence.strip_prefix("\u{1b}]52;c;").unwrap();
    let code = STANDARD
        .decode(code.strip_suffix('\u{7}').unwrap())
        .unwrap();
    assert_eq!(code, "id\u{fffd}rm -rf ~\u{fffd}[2J".as_bytes());
}

#[test]
fn a_panic_quotes_nothing_that_steers() {
    let report = panic_report("panicked at a.rs:1:2:\n`x\u{1b}]0;owned\u{7}` is cut");
    let thread = std::thread::current();
    let name = thread.name().unwrap();
    let expected =
        format!("thread {name} panicked at a.rs:1:2:\n  `x\u{fffd}]0;owned\u{fffd}` is cut\n");
    assert_eq!(report, expected);
}

/// Colours are on, as on a terminal.
#[test]
fn a_wrong_command_line_is_quoted_without_sequences() {
    for args in [
        &["call\u{1b}]0;owned\u{7}\u{1b}[8m"][..],
        &["data", "preview", "x", "--rows", "\u{1b}[2Jmany"],
        &["wallet", "new", "--no-such\u{202e}\u{9b}31m"],
    ] {
        let run = openlora(Path::new("."))
            .env("CLICOLOR_FORCE", "1")
            .args(args.iter().copied())
            .run();
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}");
        assert!(!run.stderr.contains(is_steering_line), "{:?}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{:?}", run.stderr);
    }
}

const SEQUENCES: &str =
    "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[1;31mPAID 0.0000\u{1b}[0m\u{1b}]52;c;aGk=\u{7}";
const SHOWN: &str = "\u{fffd}]0;owned\u{fffd}\u{fffd}[2J\u{fffd}[1;31mPAID 0.0000\u{fffd}[0m\
                     \u{fffd}]52;c;aGk=\u{fffd}";

/// A server that writes escape sequences where it can: answers, streamed or not, and errors.
async fn hostile() -> String {
    let models = json!({ "object": "list", "data": [
        { "id": "m", "object": "model", "created": 1, "owned_by": "x" },
    ]});
    let sell = async |Json(body): Json<Value>| -> Response {
        if body.to_string().contains("fail") {
            let error = json!({ "error": {
                "message": format!("no {SEQUENCES}"), "type": "x", "code": SEQUENCES, "param": null,
            }});
            return (StatusCode::BAD_REQUEST, Json(error)).into_response();
        }
        let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 });
        let content = format!("hi {SEQUENCES}");
        if body["stream"] == true {
            let delta = json!({ "id": "r1", "choices": [
                { "index": 0, "delta": { "content": content }, "finish_reason": null },
            ]});
            let last = json!({ "id": "r1", "choices": [], "usage": usage });
            let events = format!("data: {delta}\n\ndata: {last}\n\ndata: [DONE]\n\n");
            return ([("content-type", "text/event-stream")], events).into_response();
        }
        Json(json!({
            "id": "r1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{
                "index": 0, "message": { "role": "assistant", "content": content },
                "finish_reason": "stop",
            }],
            "usage": usage,
        }))
        .into_response()
    };
    let app = Router::new()
        .route("/v1/models", get(async || Json(models)))
        .route("/v1/chat/completions", post(sell));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_s_answers_and_errors_steer_no_terminal() {
    let home = tempfile::tempdir().unwrap();
    let url = hostile().await;
    let call = |more: &[&str]| {
        let args = ["--color", "always", "call", "--url", &url];
        openlora(home.path())
            .args(args.into_iter().chain(more.iter().copied()))
            .run()
    };
    for how in [&["hello"][..], &["hello", "--stream"]] {
        let run = call(how);
        assert_eq!(
            (run.code, run.stdout),
            (0, format!("hi {SHOWN}\n")),
            "{how:?}"
        );
        assert!(!run.stderr.contains("\u{1b}]"), "{:?}", run.stderr);
    }
    let run = call(&["fail"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
    assert!(
        run.stderr.contains(&format!("no {SHOWN}")),
        "{:?}",
        run.stderr
    );
    let run = call(&["hello", "--json"]);
    assert!(!run.stdout.contains(is_steering_line), "{:?}", run.stdout);
}

fn is_steering_line(letter: char) -> bool {
    is_steering(letter) && letter != '\n'
}
