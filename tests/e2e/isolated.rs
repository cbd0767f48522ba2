//! `serve --isolate`: adapters of others answer out of jails, as they do without; a process that ends
//! harms no other call and is started again.
//!
//! Needs permission to make user namespaces.
#![cfg(target_os = "linux")]

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    devnet_support::Rpc,
    live::{Live, golden, serve_on, write_adapters},
    support::{Invocation, openlora},
    waiting,
};

/// A home with the adapters `persona` and `filter`.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    home
}

fn serving(home: &Path, more: &[&str]) -> Invocation {
    let base = golden("llama").display().to_string();
    openlora(home)
        .args(serve_on(&base, "0"))
        .args(["--local", "--free", "--json", "--engine", "native"])
        .args(["--adapter", "persona=persona", "--adapter", "filter=filter"])
        .args(more.iter().copied())
}

fn post(server: &Live, path: &str, body: &Value) -> (u16, String) {
    let headers = [("content-type", "application/json")];
    Rpc::new(&server.url).http("POST", path, &headers, &body.to_string())
}

fn models(server: &Live) -> Vec<Value> {
    let (_, listed) = Rpc::new(&server.url).http("GET", "/v1/models", &[], "");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    listed["data"].as_array().unwrap().clone()
}

fn isolation(server: &Live, name: &str) -> Value {
    let models = models(server);
    let model = models.iter().find(|it| it["id"] == name).unwrap();
    model["isolation"].clone()
}

/// Answers to every kind of call, without what differs between any two calls.
fn answers(server: &Live) -> Vec<Value> {
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let chat = json!({
        "model": "persona", "messages": messages, "max_tokens": 12, "temperature": 0.9, "seed": 7,
        "logprobs": true, "top_logprobs": 3,
    });
    let mut stopped = chat.clone();
    stopped["stop"] = json!(["e"]);
    let text = json!({ "model": "persona", "prompt": "Once", "max_tokens": 8, "temperature": 0 });
    let labels = json!({ "model": "filter", "input": "buy now" });
    let calls = [
        ("/v1/chat/completions", chat.clone()),
        ("/v1/chat/completions", stopped),
        ("/v1/completions", text),
        ("/v1/classify", labels),
        // Too long for any context, and refused alike.
        (
            "/v1/completions",
            json!({ "model": "persona", "prompt": "word ".repeat(400), "max_tokens": 1 }),
        ),
    ];
    let mut found: Vec<Value> = calls
        .iter()
        .map(|(path, body)| {
            let (status, answer) = post(server, path, body);
            let mut answer: Value = serde_json::from_str(&answer).unwrap();
            for varying in ["id", "created"] {
                answer.as_object_mut().unwrap().remove(varying);
            }
            json!([status, answer])
        })
        .collect();
    let mut streamed = chat;
    streamed["stream"] = json!(true);
    streamed["stream_options"] = json!({ "include_usage": true });
    let (status, events) = post(server, "/v1/chat/completions", &streamed);
    let deltas = events
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"));
    let deltas = deltas.map(|line| {
        let event: Value = serde_json::from_str(&format!("{{{line}")).unwrap();
        json!([event["choices"], event["usage"]])
    });
    found.push(json!([status, deltas.collect::<Vec<_>>()]));
    found
}

/// The processes inside of the jails of a server.
fn workers(server: &Live) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_worker = line.split(|it| *it == 0).any(|it| it == b"__worker");
        if is_worker && descends(pid, server.pid()) {
            found.push(pid);
        }
    }
    found
}

fn descends(pid: u32, from: u32) -> bool {
    let mut at = pid;
    while at > 1 {
        let stat = fs::read_to_string(format!("/proc/{at}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1));
        at = parent.and_then(|it| it.parse().ok()).unwrap_or(0);
        if at == from {
            return true;
        }
    }
    false
}

fn kill(pid: u32) {
    let killed = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.unwrap().success());
}

#[test]
fn answers_out_of_jails_are_the_same() {
    let home = home();
    let open = Live::of(serving(home.path(), &[]));
    let expected = answers(&open);
    assert_eq!(isolation(&open, "persona"), Value::Null);
    open.drain();
    let jailed = Live::of(serving(home.path(), &["--isolate", "all"]));
    assert_eq!(answers(&jailed), expected);
    for name in ["persona", "filter"] {
        let shown = isolation(&jailed, name);
        assert_eq!(
            (&shown["runtime"], &shown["is_running"], &shown["restarts"]),
            (&json!("builtin"), &json!(true), &json!(0))
        );
        let limits = shown["limits"].as_array().unwrap();
        assert!(limits.iter().all(|it| it["in_force"] == true), "{shown:#}");
        let found = |limit: &str| {
            let limit = limits.iter().find(|it| it["limit"] == limit).unwrap();
            limit["found"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            (found("memory"), found("network")),
            ("4GiB".into(), "denied".into())
        );
    }
    assert_eq!(workers(&jailed).len(), 2);
    let (code, _, stderr) = jailed.drain();
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn what_is_ones_own_is_not_jailed_unless_all_is() {
    let home = home();
    let base = golden("llama").display().to_string();
    let package = [
        "package",
        "--adapter",
        "persona",
        "--base",
        &base,
        "--unsigned",
    ];
    openlora(home.path())
        .args(package)
        .args(["--out", "pkg"])
        .run()
        .succeeds();
    let pulled = openlora(home.path())
        .args(["--json", "pull", "dir:pkg"])
        .run();
    let pulled: Value = serde_json::from_str(&pulled.succeeds().stdout).unwrap();
    let foreign = format!("foreign={}", pulled["dir"].as_str().unwrap());
    let server = Live::of(serving(home.path(), &["--isolate", "--adapter", &foreign]));
    assert_eq!(isolation(&server, "persona"), Value::Null);
    assert_eq!(isolation(&server, "foreign")["is_running"], true);
    let body = |name: &str| json!({ "model": name, "prompt": "Once", "temperature": 0 });
    let said = ["persona", "foreign"].map(|name| {
        let (status, answer) = post(&server, "/v1/completions", &body(name));
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        (answer["choices"].clone(), answer["usage"].clone())
    });
    assert_eq!(said[0], said[1]);
    // The store does not remove what is served.
    let listed = openlora(home.path())
        .args(["--json", "store", "list"])
        .run();
    let listed: Value = serde_json::from_str(&listed.succeeds().stdout).unwrap();
    assert_eq!(listed[0]["in_use"], true);
    let removed = openlora(home.path())
        .args(["store", "remove", "persona"])
        .run();
    assert_eq!(removed.code, 4, "{}", removed.stderr);
    assert_eq!(server.drain().0, 0);
    openlora(home.path())
        .args(["store", "remove", "persona"])
        .run()
        .succeeds();
}

#[test]
fn a_process_that_dies_is_started_again() {
    let home = home();
    let server = Live::of(serving(home.path(), &["--isolate", "all"]));
    let before = workers(&server);
    before.iter().for_each(|pid| kill(*pid));
    let body = json!({ "model": "persona", "prompt": "Once", "max_tokens": 4, "temperature": 0 });
    // Until it runs again, calls are refused in the form of a busy engine, or fail with it.
    let answered = waiting::wait_for("a process that answers", || {
        let (status, answer) = post(&server, "/v1/completions", &body);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        match status {
            200 => Some(answer),
            503 => {
                assert_eq!(answer["error"]["code"], "engine_busy", "{answer}");
                None
            }
            500 => None,
            other => panic!("{other}: {answer}"),
        }
    });
    assert_eq!(answered["usage"]["completion_tokens"], 4);
    waiting::wait_until("both processes to run again", || {
        ["persona", "filter"].iter().all(|name| {
            let shown = isolation(&server, name);
            shown["is_running"] == true && shown["restarts"] == 1
        })
    });
    let after = workers(&server);
    assert!(
        after.iter().all(|pid| !before.contains(pid)),
        "{before:?} {after:?}"
    );
    let (code, _, stderr) = server.drain();
    assert_eq!(code, 0, "{stderr}");
    for name in ["persona", "filter"] {
        assert!(
            stderr.contains(&format!("{name}: its process ended with 137")),
            "{stderr}"
        );
        assert!(
            stderr.contains(&format!("{name}: its process runs again")),
            "{stderr}"
        );
    }
    waiting::wait_until("the jails to end with the server", || {
        after
            .iter()
            .all(|pid| !Path::new(&format!("/proc/{pid}/exe")).exists())
    });
}

#[test]
fn jails_end_with_a_server_that_is_killed() {
    let home = home();
    let server = Live::of(serving(home.path(), &["--isolate", "all"]));
    let inside = workers(&server);
    assert_eq!(inside.len(), 2);
    server.kill();
    waiting::wait_until("the jails to end with the server", || {
        inside
            .iter()
            .all(|pid| !Path::new(&format!("/proc/{pid}/cmdline")).exists())
    });
}

#[test]
fn a_limit_that_does_not_exist_cannot_be_waived() {
    let home = home();
    let run = serving(home.path(), &["--isolate", "all"])
        .env("OPENLORA_SERVE_WORKER_WAIVE", "gravity")
        .run();
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(
        run.stderr.contains("`serve.worker_waive` is wrong"),
        "{}",
        run.stderr
    );
    let project = home.path().join("openlora.toml");
    fs::write(&project, "[serve]\nworker_waive = [\"network\"]\n").unwrap();
    let run = serving(home.path(), &["--isolate", "all"]).run();
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("serve.worker_waive"), "{}", run.stderr);
}
