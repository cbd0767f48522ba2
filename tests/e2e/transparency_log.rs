//! The transparency log of a real server and of a publisher: proofs that others check without them.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use openlora_package::{build::PackageMetadata, manifest::UsageLog};
use openlora_runtime::tile_source::TileSource;
use openlora_transparency::{CheckpointKey, NoEntries, TileLogWriter};
use serde_json::{Value, json};

use crate::{
    deploy_support::{Desk, own_about, package},
    live::{Live, golden, write_adapters},
    paths::repository,
    support::{Run, openlora},
    waiting,
};

fn run(dir: &Path, args: &[&str]) -> Run {
    openlora(dir).args(args.iter().copied()).run()
}

#[track_caller]
fn json_of(dir: &Path, args: &[&str]) -> Value {
    let run = run(dir, &[&["--json", "-q"], args].concat()).succeeds();
    serde_json::from_str(&run.stdout).unwrap()
}

/// What tests/oracles/rfc6962.py says of a question.
fn oracle(question: &Value) -> String {
    let mut python = Command::new("python3")
        .arg("-B")
        .arg(repository().join("tests/oracles/rfc6962.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs: install Python 3.10 or later");
    let mut stdin = python.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("{question}\n").as_bytes()).unwrap();
    drop(stdin);
    let output = waiting::finished(python);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn call(dir: &Path, url: &str) -> Value {
    let args = ["call", "hello", "--adapter", "persona", "--max-tokens", "4"];
    json_of(dir, &[&args[..], &["--url", url]].concat())
}

/// The lines of a verification: name and status.
fn checks(report: &Value) -> Vec<[&str; 2]> {
    let all = report["checks"].as_array().unwrap().iter();
    all.map(|it| ["name", "status"].map(|field| it[field].as_str().unwrap()))
        .collect()
}

#[test]
fn a_call_is_proven_from_its_server_s_log() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    let url = server.url.as_str();
    let buyer = tempfile::tempdir().unwrap();
    let dir = buyer.path();
    let answer = call(dir, url);
    let id = answer["id"].as_str().unwrap();

    let verified = json_of(dir, &["receipts", "verify", id, "--url", url]);
    let expected = [
        ["charge", "pass"],
        ["usage", "pass"],
        ["log", "pass"],
        ["checkpoint", "pass"],
        ["payment", "skipped"],
    ];
    let mut found = checks(&verified);
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);

    let show = [
        "receipts",
        "show",
        id,
        "--url",
        url,
        "--proof",
        "kept.tlog-proof",
    ];
    let shown = json_of(dir, &show);
    let logged = &shown["receipt"]["log"];
    let vkey = logged["vkey"].as_str().unwrap();
    let there = ["--log", url, "--vkey", vkey];
    let prove = ["log", "prove", id, "--out", "call.tlog-proof"];
    let proof = json_of(dir, &[&prove[..], &there].concat());
    assert_eq!(proof["index"], logged["index"]);
    let text = fs::read_to_string(dir.join("call.tlog-proof")).unwrap();
    assert_eq!(proof["proof"], text);
    let question = json!({ "check": "proof", "vkey": vkey, "proof": text });
    assert_eq!(oracle(&question), "ok");

    let kept = json_of(
        dir,
        &[&["log", "head", "--out", "kept"][..], &there].concat(),
    );
    json_of(dir, &["log", "verify", "kept.tlog-proof", "--vkey", vkey]);
    let verify = ["log", "verify", "call.tlog-proof", "--vkey", vkey];
    let verified = json_of(dir, &verify);
    assert_eq!(verified["record"]["event"]["request_id"], id);
    assert_eq!(verified["entry"]["type"], "call_metered");
    others_are_refused(dir, &text, vkey);

    // The log goes on, also after a kill, and still contains what was kept.
    call(dir, url);
    server.kill();
    let server = Live::start(home.path(), 0);
    call(dir, &server.url);
    let there = ["--log", server.url.as_str(), "--vkey", vkey];
    let now = json_of(dir, &[&["log", "head"][..], &there].concat());
    assert!(now["size"].as_u64() > kept["size"].as_u64());
    let size = now["size"].to_string();
    let grown = json_of(
        dir,
        &[&["log", "consistency", "kept", &size][..], &there].concat(),
    );
    assert_eq!(
        (&grown["from"]["root"], &grown["to"]["root"]),
        (&kept["root"], &now["root"])
    );
    let question = json!({
        "check": "consistency",
        "from": grown["from"],
        "to": grown["to"],
        "proof": grown["proof"],
    });
    assert_eq!(oracle(&question), "ok");
    published_files(&server.url, &size);

    assert_eq!(server.drain().0, 0);
    let head = json_of(home.path(), &["log", "head"]);
    let count = json_of(home.path(), &["log", "count"]);
    assert_eq!(count["entries"], head["size"]);
    assert_eq!(count["kinds"]["call_metered"], 3);
    let tiles = home.path().join("home/data/transparency-log");
    let question = json!({ "check": "folder", "vkey": vkey, "dir": tiles });
    assert_eq!(oracle(&question), "ok");
    rolled_back_and_forked(dir, &tiles, vkey);
    names_its_log(home.path(), &head);
}

/// Another log's key and a changed proof are exit code 9.
fn others_are_refused(buyer: &Path, text: &str, vkey: &str) {
    let stranger = tempfile::tempdir().unwrap();
    let file = stranger.path().join("call.tlog-proof");
    let other = tempfile::tempdir().unwrap();
    write_adapters(other.path());
    let second = Live::start(other.path(), 0);
    call(buyer, &second.url);
    assert_eq!(second.drain().0, 0);
    let foreign = json_of(other.path(), &["log", "head"]);
    let foreign = foreign["vkey"].as_str().unwrap();
    let changed = text.replace("index ", "index 1");
    for (text, vkey) in [(text, foreign), (changed.as_str(), vkey)] {
        fs::write(&file, text).unwrap();
        let verify = ["log", "verify", "call.tlog-proof", "--vkey", vkey];
        let refused = run(stranger.path(), &verify);
        assert_eq!(refused.code, 9, "{}", refused.stderr);
    }
}

/// The routes of tlog-tiles, with headers for caches.
fn published_files(url: &str, size: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let get = |path: &str| {
        let asked = reqwest::get(format!("{url}/log/{path}"));
        let answer = runtime.block_on(asked).unwrap();
        let header = |name: &str| {
            let found = answer.headers().get(name);
            found.map(|it| it.to_str().unwrap().to_owned())
        };
        let (kind, caching) = (header("content-type"), header("cache-control"));
        (answer.status().as_u16(), kind, caching)
    };
    let some = |text: &str| Some(text.to_owned());
    let expected = (200, some("text/plain; charset=utf-8"), some("no-cache"));
    assert_eq!(get("checkpoint"), expected);
    let forever = some("public, max-age=31536000, immutable");
    let expected = (200, some("application/octet-stream"), forever);
    for kind in ["0", "entries"] {
        for width in ["1", size] {
            assert_eq!(get(&format!("tile/{kind}/000.p/{width}")), expected);
        }
    }
    for none in [
        "tile/0/001",
        "tile/0/000.p/255",
        "tile/0/0",
        "tile/x/000",
        "tile/entries/000.p/0",
        "tile/entries/..%2f..%2fcheckpoint",
        "tile/entries/../../../transparency-log.key",
    ] {
        assert_eq!(get(none).0, 404, "{none}");
    }
}

/// A reader that saw the log refuses one that is shorter or another.
fn rolled_back_and_forked(reader: &Path, tiles: &Path, vkey: &str) {
    let head = |dir: &str| {
        let args = ["log", "head", "--log", dir, "--vkey", vkey];
        run(reader, &args)
    };
    let folder = tiles.to_str().unwrap();
    head(folder).succeeds();
    let copy = reader.join("copy");
    fs::create_dir(&copy).unwrap();
    // The checkpoint that was kept above is an earlier one of this log.
    fs::copy(reader.join("kept"), copy.join("checkpoint")).unwrap();
    let refused = head("copy");
    assert_eq!(refused.code, 9, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("was rolled back"),
        "{}",
        refused.stderr
    );
    let note = fs::read_to_string(tiles.join("checkpoint")).unwrap();
    fs::write(copy.join("checkpoint"), note.replacen('\n', "\n1", 1)).unwrap();
    let refused = head("copy");
    assert_eq!(refused.code, 9, "{}", refused.stderr);
    assert!(refused.stderr.contains("signature"), "{}", refused.stderr);
}

/// A package of this home names its log.
fn names_its_log(home: &Path, head: &Value) {
    let base = golden("llama").display().to_string();
    let args = [
        "package",
        "persona",
        "--unsigned",
        "--out",
        "named",
        "--base",
    ];
    json_of(home, &[&args[..], &[&base]].concat());
    let manifest = fs::read(home.join("named/openlora.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let expected = json!({ "origin": head["origin"], "vkey": head["vkey"] });
    assert_eq!(manifest["usageLog"], expected);
}

/// The status and the reason of the check `log`.
fn log_check(report: &Value) -> (String, Option<String>) {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|it| it["name"] == "log").unwrap();
    let reason = check["reason"].as_str().map(str::to_owned);
    (check["status"].as_str().unwrap().to_owned(), reason)
}

#[test]
fn a_release_is_found_in_its_publisher_s_log() {
    let desk = Desk::new();
    desk.json(&["deploy", "first"]);
    let head = desk.json(&["log", "head"]);
    let text = |name: &str| head[name].as_str().unwrap().to_owned();
    let named = PackageMetadata {
        usage_log: Some(UsageLog {
            origin: text("origin"),
            vkey: text("vkey"),
        }),
        ..own_about("1.1.0")
    };
    package(desk.path(), "named", &named);
    let tiles = desk.path().join("home/data/transparency-log");
    let tiles = tiles.to_str().unwrap();
    let verify = |place: &str, code| {
        let args = ["--json", "-q", "verify", "named", "--log", place];
        let run = desk.run(&args);
        assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
        log_check(&serde_json::from_str(&run.stdout).unwrap())
    };
    let absent = format!(
        "the log {} has no entry of this release among {}",
        text("origin"),
        head["size"]
    );
    assert_eq!(verify(tiles, 9), ("fail".to_owned(), Some(absent)));
    let skipped = log_check(&desk.json(&["verify", "named"]));
    let reason = "the release was not looked up in its log: name it with --log";
    assert_eq!(skipped, ("skipped".to_owned(), Some(reason.to_owned())));

    let deployed = desk.json(&["deploy", "named"]);
    let manifest = deployed["manifest_sha256"].as_str().unwrap();
    desk.json(&["log", "head"]);
    assert_eq!(verify(tiles, 0), ("pass".to_owned(), None));
    let place = Path::new(tiles).join("release").join(manifest);
    let index: u64 = fs::read_to_string(place).unwrap().parse().unwrap();
    assert!(index > 0);
    desk.json(&["log", "prove", manifest, "--out", "named.tlog-proof"]);
    assert_eq!(verify("named.tlog-proof", 0), ("pass".to_owned(), None));
    desk.json(&["log", "prove", "1", "--out", "other.tlog-proof"]);
    let (status, reason) = verify("other.tlog-proof", 9);
    assert_eq!(status, "fail");
    assert!(reason.unwrap().contains("is not of this release"));
}

/// An entry that everyone may read.
fn public_entry(sequence: u64, facts: Value) -> Vec<u8> {
    let commitment = "0".repeat(64);
    let kind = if facts.is_null() {
        "undisclosed"
    } else {
        "deployed"
    };
    let mut entry = json!({ "commitment": commitment });
    if !facts.is_null() {
        entry["facts"] = facts;
    }
    entry["sequence"] = sequence.into();
    entry["type"] = kind.into();
    entry["v"] = 1.into();
    entry.to_string().into_bytes()
}

#[tokio::test]
async fn a_release_is_proven_without_the_other_entries() {
    let home = tempfile::tempdir().unwrap();
    let key = CheckpointKey::create(&home.path().join("log.key"), Some("example.com/log")).unwrap();
    let (verifier, dir) = (key.verifier().unwrap(), home.path().join("log"));
    let (manifest, twice, other) = ("ab".repeat(32), "cd".repeat(32), "ef".repeat(32));
    let entries = (1..=700_u64).map(|sequence| {
        let facts = match sequence {
            301 => json!({ "manifest_sha256": manifest }),
            302 | 650 => json!({ "manifest_sha256": twice }),
            _ => Value::Null,
        };
        public_entry(sequence, facts)
    });
    let mut log = TileLogWriter::open(&dir, key, &mut NoEntries).unwrap();
    for batch in entries.collect::<Vec<_>>().chunks(90) {
        log.append(batch).unwrap();
    }
    let source = TileSource::folder(&dir);
    let checkpoint = source.checkpoint(&verifier).await.unwrap();
    let index = async |digest: &str| source.release_index(&checkpoint, digest).await;
    assert_eq!(index(&other).await.unwrap(), None);
    // The bundles of the other entries are not read.
    for bundle in ["000", "002.p"] {
        let path = dir.join("tile/entries").join(bundle);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
    assert_eq!(index(&manifest).await.unwrap(), Some(300));
    assert_eq!(index(&twice).await.unwrap(), Some(301));
    let absent = index(&other).await.unwrap_err();
    assert!(
        absent.message.contains("has no tile/entries/000"),
        "{}",
        absent.message
    );
    // A hint is not believed.
    for wrong in ["299", "700", "x", ""] {
        fs::write(dir.join("release").join(&manifest), wrong).unwrap();
        assert!(index(&manifest).await.is_err(), "{wrong}");
    }
    // Nor is a proof from other tiles.
    fs::write(dir.join("release").join(&manifest), "300").unwrap();
    let tile = dir.join("tile/0/001");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[32] ^= 1;
    fs::write(&tile, bytes).unwrap();
    assert!(index(&manifest).await.is_err());
}
