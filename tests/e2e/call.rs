//! `call` against the real server, and without one.

use openlora_core::calendar::moment;
use serde_json::{Value, json};

use crate::{
    live::{Live, write_adapters},
    support::openlora,
};

fn served() -> (tempfile::TempDir, Live) {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    (home, server)
}

#[test]
fn a_chat_prints_the_text_and_says_what_it_used() {
    let (home, server) = served();
    let args = [
        "call",
        "hello",
        "--adapter",
        "persona",
        "--url",
        &server.url,
    ];
    let said = openlora(home.path())
        .args(args)
        .args(["--max-tokens", "4", "--temperature", "0"])
        .run()
        .succeeds();
    let json = ["--json", "--max-tokens", "4", "--temperature", "0"];
    let answer = openlora(home.path()).args(args).args(json).run().succeeds();
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(
        said.stdout,
        format!("{}\n", answer["text"].as_str().unwrap())
    );
    let usage = &answer["usage"];
    let id = said.stderr.trim_end().rsplit(' ').next().unwrap();
    let expected = format!(
        "{} + {} tokens, paid 0, receipt {id}\n",
        usage["prompt_tokens"], usage["completion_tokens"]
    );
    assert_eq!(said.stderr, expected);
    assert_eq!(usage["completion_tokens"], 4);
    let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "text", "usage", "paid", "receipt", "request"]);
    let sent = json!({
        "path": "/v1/chat/completions",
        "body": {
            "model": "persona", "messages": [{ "role": "user", "content": "hello" }],
            "max_tokens": 4, "temperature": 0.0,
        },
    });
    assert_eq!(answer["request"], sent);
    assert_eq!(answer["paid"], "0");
    assert_eq!(
        (&answer["receipt"]["id"], &answer["receipt"]["usage"]),
        (&answer["id"], usage)
    );
    assert_eq!(server.drain().0, 0);
}

#[test]
fn a_free_call_has_its_receipt_at_the_server() {
    let (home, server) = served();
    let url = server.url.as_str();
    let call = ["call", "hello", "--adapter", "persona", "--max-tokens", "4"];
    let run = |dir: &std::path::Path, args: &[&str]| openlora(dir).args(args.iter().copied()).run();
    let answer = run(
        home.path(),
        &[&call[..], &["--url", url, "--json"]].concat(),
    )
    .succeeds();
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    let id = answer["id"].as_str().unwrap();
    let usage = &answer["usage"];
    let time_ms = answer["receipt"]["journal"]["time_ms"].as_u64().unwrap();
    let shown = format!(
        "{id} from persona at {url}, {}\n{} + {} tokens, free of charge\n",
        moment(time_ms / 1000),
        usage["prompt_tokens"],
        usage["completion_tokens"]
    );
    let show = ["receipts", "show", id];
    assert_eq!(run(home.path(), &show).succeeds().stdout, shown);
    let other = tempfile::tempdir().unwrap();
    let named = [&show[..], &["--url", url]].concat();
    assert_eq!(run(other.path(), &named).succeeds().stdout, shown);
    let json = run(home.path(), &[&show[..], &["--json"]].concat()).succeeds();
    let mut json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["receipt"]["id"], answer["id"]);
    json.as_object_mut().unwrap().remove("receipt");
    assert_eq!(
        json,
        json!({
            "id": id, "time_ms": time_ms, "server": url, "adapter": "persona", "quote": "0",
            "paid": "0", "payment": null, "disputed": null,
        })
    );
    // Nothing was paid, so nothing is listed.
    let list = run(home.path(), &["receipts", "list"]).succeeds();
    assert_eq!(
        (list.stdout.as_str(), list.stderr.as_str()),
        (
            "",
            "hint: no call was paid from here; pay for one: openlora call \"hello\" --url URL\n"
        )
    );
    let unknown = format!(
        "error: no call with the id {id} was paid from here\n\
         hint: list the paid calls: openlora receipts list; a free call's receipt is at its server: \
         name it with --url URL\n"
    );
    // What its receipt says of itself is verified, and that of a file is the server's.
    let verify = ["receipts", "verify", id];
    let nothing = "skipped payment: nothing was paid: the call was free, so no signature and no \
                   chain tells of it\n";
    let verified = run(home.path(), &verify).succeeds();
    let proven = "ok      log\nok      checkpoint\n";
    let stated = format!("ok      charge\nok      usage\n{proven}{nothing}");
    assert_eq!(verified.stdout, stated);
    let named = [&verify[..], &["--url", url]].concat();
    assert_eq!(run(other.path(), &named).succeeds().stdout, stated);
    let kept = other.path().join("answer.json");
    std::fs::write(&kept, answer.to_string()).unwrap();
    let of_file = ["receipts", "verify", "answer.json"];
    let named = [&of_file[..], &["--url", url]].concat();
    assert_eq!(
        run(other.path(), &named).succeeds().stdout,
        format!("ok      charge\nok      usage\nok      server\n{proven}{nothing}")
    );
    let unseen = "skipped server: no server that has it is known here: name it with --url URL\n";
    assert_eq!(
        run(other.path(), &of_file).succeeds().stdout,
        format!("ok      charge\nok      usage\n{unseen}{nothing}")
    );
    let mut changed = answer.clone();
    changed["receipt"]["usage"]["total_tokens"] = json!(1);
    changed["receipt"]["paid"] = json!("5");
    std::fs::write(&kept, changed.to_string()).unwrap();
    let refused = run(other.path(), &named);
    let total = &usage["total_tokens"];
    assert_eq!(
        (refused.code, refused.stdout),
        (
            9,
            format!(
                "FAILED  charge: the receipt states a charge and names no payment\n\
                 FAILED  usage: the receipt states 1 tokens in total, expected {total}\n\
                 FAILED  server: the server's receipt of this call differs\n\
                 FAILED  log: the log has another receipt of this call\n{nothing}"
            )
        )
    );
    run(other.path(), &verify).fails(2, &unknown);
    run(other.path(), &show).fails(2, &unknown);
    assert_eq!(server.drain().0, 0);
    run(home.path(), &show).fails(2, &unknown);
}

#[test]
fn a_classifier_is_asked_for_labels_without_being_told() {
    let (home, server) = served();
    let args = ["call", "hello", "--adapter", "filter", "--url", &server.url];
    let answer = openlora(home.path())
        .args(args)
        .args(["--json"])
        .run()
        .succeeds();
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    let labels = answer["labels"].as_array().unwrap();
    let names: Vec<&Value> = labels.iter().map(|label| &label["label"]).collect();
    assert_eq!(names, ["allowed", "spam", "scam"]);
    let sum: f64 = labels
        .iter()
        .map(|label| label["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    let said = openlora(home.path()).args(args).run().succeeds();
    let mut ranked: Vec<(f64, &str)> = labels
        .iter()
        .map(|label| {
            (
                label["probability"].as_f64().unwrap(),
                label["label"].as_str().unwrap(),
            )
        })
        .collect();
    ranked.sort_by(|left, right| right.0.total_cmp(&left.0));
    let expected: String = ranked
        .iter()
        .map(|(share, label)| format!("{share:.4}  {label}\n"))
        .collect();
    assert_eq!(said.stdout, expected);
    assert_eq!(answer["label"], json!(ranked[0].1));
    assert_eq!(server.drain().0, 0);
}

#[test]
fn calls_that_cannot_be_made_say_why() {
    let (home, server) = served();
    let url = server.url.clone();
    let call = |args: &[&str]| {
        let fixed = ["call", "hello", "--url", url.as_str()];
        openlora(home.path())
            .args(fixed.into_iter().chain(args.iter().copied()))
            .run()
    };
    call(&[]).fails(
        2,
        "error: the server has 2 adapters\nhint: choose one with --adapter: persona, filter\n",
    );
    call(&["--adapter", "persna"]).fails(
        2,
        "error: the server has no adapter `persna`\nhint: did you mean `persona`?\n",
    );
    call(&["--adapter", "weather"]).fails(
        2,
        "error: the server has no adapter `weather`\nhint: served there: persona, filter\n",
    );
    call(&["--adapter", "filter", "--system", "x"]).fails(
        2,
        "error: --system has no meaning in a classification\n\
         hint: leave --system out, or ask for a chat with --kind chat\n",
    );
    call(&["--adapter", "persona", "--kind", "classify"]).fails(
        3,
        "error: the server refused: The model 'persona' is not a classifier; use \
         /v1/chat/completions.\n",
    );
    call(&["--adapter", "persona", "--temperature", "9"]).fails(
        3,
        "error: the server refused: Invalid value for 'temperature': expected a number from 0 to \
         2, found 9.0.\n",
    );
    call(&["--adapter", "persona", "--max-price", "free"]).fails(
        2,
        "error: --max-price free: expected a decimal number such as 0.01\n",
    );
    assert_eq!(server.drain().0, 0);
}

#[test]
fn without_a_server_the_hint_starts_one() {
    let home = tempfile::tempdir().unwrap();
    // A port that nothing listens on, because it was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    openlora(home.path())
        .args(["call", "hello", "--url", &url])
        .run()
        .fails(
            5,
            &format!(
                "error: no server answers at {url}\n\
             hint: start one with `openlora serve --local`, or name another with --url\n"
            ),
        );
    openlora(home.path())
        .args(["call", "hello", "--url", "here"])
        .run()
        .fails(
            2,
            "error: --url here: expected an address such as http://127.0.0.1:8080\n",
        );
    openlora(home.path()).args(["call", " "]).run().fails(
        2,
        "error: the prompt is empty\n\
         hint: say something: `openlora call \"is this spam?\"`, or pipe it in with `-`\n",
    );
    let elsewhere = ["call", "hello", "--offline", "--url", "http://example.com"];
    openlora(home.path()).args(elsewhere).run().fails(
        2,
        "error: --offline forbids calling http://example.com/\n\
         hint: leave --offline out, or call a server on this machine\n",
    );
}
