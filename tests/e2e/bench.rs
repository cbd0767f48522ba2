//! `bench serve`: its rows, its figures, and when the peer is measured.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use openlora_runtime::serving_bench::{BenchLoad, BenchRow, BenchTimes, PeerServer};
use serde_json::{Value, json};

use crate::{gguf_files, live::golden, live::write_adapters, support::openlora, tiny, waiting};

const LOAD: BenchLoad = BenchLoad {
    streams: 3,
    prompt_tokens: 16,
    answer_tokens: 4,
    series: 1,
};

#[test]
fn calls_at_the_same_time_double_up_to_the_most() {
    let steps = [
        (1, &[1][..]),
        (2, &[1, 2]),
        (8, &[1, 2, 4, 8]),
        (12, &[1, 2, 4, 8, 12]),
    ];
    for (most, expected) in steps {
        assert_eq!(BenchLoad::steps(most), expected);
    }
}

#[test]
fn a_row_states_rates_and_percentiles_of_its_calls() {
    let times = |first, last| BenchTimes {
        first_token: Duration::from_millis(first),
        last_token: Duration::from_millis(last),
        tokens: 50,
    };
    let row = LOAD.summarise(2, &[times(90, 400), times(10, 500), times(20, 250)], 7);
    let expected = BenchRow {
        streams: 3,
        adapters: 2,
        tokens_per_second: 300.0,
        first_token_p50_ms: 20.0,
        first_token_p95_ms: 90.0,
        memory_bytes: 7,
    };
    assert_eq!(row, expected);
}

/// Streams and adapters of the rows.
fn shape(report: &Value) -> Vec<(u64, u64)> {
    let rows = report["rows"].as_array().unwrap();
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
    let pair = |row| (number(row, "streams"), number(row, "adapters"));
    rows.iter().map(pair).collect()
}

fn bench(dir: &Path, args: &[&str]) -> Value {
    let fixed = [
        "--json",
        "bench",
        "serve",
        "--prompt-tokens",
        "8",
        "--answer-tokens",
        "3",
    ];
    let run = openlora(dir)
        .args(fixed)
        .args(args.iter().copied())
        .env("PATH", "")
        .run()
        .succeeds();
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn a_machine_is_measured_with_one_adapter_and_with_several() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = dir.path().join("shelf");
    write_adapters(&shelf);
    let base = golden("llama").display().to_string();
    let report = bench(
        dir.path(),
        &[
            "--base",
            &base,
            "--quant",
            "f32",
            "--adapters",
            "shelf",
            "--streams",
            "3",
        ],
    );
    assert_eq!(shape(&report), [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)]);
    for row in report["rows"].as_array().unwrap() {
        for figure in [
            "tokens_per_second",
            "first_token_p50_ms",
            "first_token_p95_ms",
        ] {
            assert!(row[figure].as_f64().unwrap() > 0.0, "{row}");
        }
        assert!(row["memory_bytes"].as_u64().unwrap() > 1 << 20, "{row}");
    }
    let mut stated = report.clone();
    for measured in ["rows", "cores"] {
        stated.as_object_mut().unwrap().remove(measured).unwrap();
    }
    let expected = json!({
        "base": base,
        "engine": "native/1",
        "weights": "f32",
        "adapters": ["filter", "persona"],
        "prompt_tokens": 8,
        "answer_tokens": 3,
        "peer": null,
        "peer_absent": "llama-server is not on the path",
    });
    assert_eq!(stated, expected);
}

/// Without an adapter the embedded base is measured, as lines of a table.
#[test]
fn the_plain_base_is_measured_where_there_is_no_adapter() {
    let dir = tempfile::tempdir().unwrap();
    let report = bench(dir.path(), &["--streams", "1"]);
    assert_eq!(shape(&report), [(1, 0)]);
    assert_eq!(
        (&report["base"], &report["engine"], &report["adapters"]),
        (&json!("nano"), &json!("mistralrs/0.8.1"), &json!([]))
    );
    // A peer is there, but the base is no file that it reads.
    let bin = dir.path().join("bin");
    let program = stand_in(&bin);
    let fixed = ["bench", "serve", "--streams", "1", "--prompt-tokens", "8"];
    let run = openlora(dir.path())
        .args(fixed)
        .args(["--answer-tokens", "2"])
        .env("PATH", bin.to_str().unwrap())
        .run()
        .succeeds();
    assert!(program.is_file());
    let lines: Vec<&str> = run.stdout.lines().collect();
    let heading = "streams  adapters    tokens/s  first token p50  first token p95      memory";
    assert_eq!((lines[0], lines.len()), (heading, 2));
    let units: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!((units[0], units[1]), ("1", "0"));
    assert_eq!(
        (units[4], units[6], units[8]),
        ("ms", "ms", "MB"),
        "{units:?}"
    );
    let said = run.stderr.lines().last().unwrap();
    assert_eq!(
        said,
        "llama.cpp was not measured: llama-server needs a base in one GGUF file, and nano is none"
    );
}

/// Where llama.cpp's server is on the path, it is given the file that the base was converted from,
/// whatever its name.
#[test]
fn the_peer_measures_the_file_of_the_base() {
    let dir = tempfile::tempdir().unwrap();
    let draft = gguf_files::nano(&tiny::base(dir.path()));
    fs::write(dir.path().join("sha256-of-a-store"), draft.bytes()).unwrap();
    let bin = dir.path().join("bin");
    stand_in(&bin);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let run = openlora(dir.path())
        .args(["--json", "bench", "serve", "--base", "./sha256-of-a-store"])
        .args(["--streams", "3", "--prompt-tokens", "8"])
        .args(["--answer-tokens", "2"])
        .env("PATH", &path)
        .run()
        .succeeds();
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["peer_absent"], Value::Null);
    let peer = report["peer"].as_array().unwrap();
    let streams: Vec<&Value> = peer.iter().map(|row| &row["streams"]).collect();
    assert_eq!(streams, [1, 2, 3]);
}

#[test]
fn calls_that_do_not_fit_the_base_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run = openlora(dir.path())
        .args([
            "bench",
            "serve",
            "--prompt-tokens",
            "1000",
            "--streams",
            "1",
        ])
        .run();
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    let told: Vec<&str> = run.stderr.lines().rev().take(2).collect();
    assert_eq!(
        told,
        [
            "hint: measure shorter ones: --prompt-tokens N --answer-tokens N",
            "error: prompts of 1000 tokens and answers of 64 do not fit nano, which takes 1024 \
             tokens together",
        ]
    );
}

/// A program with the routes of llama.cpp's server that are used, which answers any prompt with as
/// many tokens as it is asked for.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert options["-np"] == "3" and open(options["-m"], "rb").read(4) == b"GGUF", options

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = False

    def log_message(self, *_):
        pass

    # Promises to keep each connection, and closes it when it is used again.
    def parse_request(self):
        if self.asked:
            self.close_connection = True
            return False
        self.asked = True
        return super().parse_request()

    def do_GET(self):
        self.reply([b'{"status":"ok"}'])

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/tokenize":
            return self.reply([json.dumps({"tokens": body["content"].split(" ")}).encode()])
        assert body["stream"] and body["ignore_eos"] and not body["cache_prompt"], body
        count = body["n_predict"]
        events = [{"content": " x", "stop": False}] * count
        events.append({"content": "", "stop": True, "tokens_predicted": count})
        self.reply([f"data: {json.dumps(event)}\n\n".encode() for event in events])

    def reply(self, pieces):
        self.send_response(200)
        self.send_header("content-length", str(sum(map(len, pieces))))
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()

ThreadingHTTPServer(("127.0.0.1", int(options["--port"])), Handler).serve_forever()
"#;

fn stand_in(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let program = folder.join("llama-server");
    fs::write(&program, STAND_IN).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[tokio::test]
async fn the_peer_is_started_measured_and_ended() {
    let dir = tempfile::tempdir().unwrap();
    let program = stand_in(dir.path());
    let weights = dir.path().join("base.gguf");
    fs::write(&weights, b"GGUF").unwrap();
    let peer = PeerServer::start(&program, &weights, LOAD);
    let peer = waiting::within("the peer's start", peer).await.unwrap();
    let row = waiting::within("the peer's calls", peer.measure(LOAD))
        .await
        .unwrap();
    assert_eq!((row.streams, row.adapters), (3, 0));
    assert!(
        row.tokens_per_second > 0.0 && row.memory_bytes > 1 << 20,
        "{row:?}"
    );
    drop(peer);
    // One that ends at once is told of, and not waited for.
    let broken = dir.path().join("broken");
    fs::write(&broken, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = PeerServer::start(&broken, &weights, LOAD);
    let refused = waiting::within("the peer's end", refused)
        .await
        .err()
        .unwrap();
    assert_eq!(refused.message, "llama-server ended before it was ready");
}
