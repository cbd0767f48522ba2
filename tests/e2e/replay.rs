//! `receipts replay`: a call computed again on this machine, and what cannot be.

use std::{path::Path, sync::Arc};

use openlora_engine::{EngineSpec, ModelLoader, Quant};
use openlora_model::{BaseModel, adapter};
use openlora_native::{CpuPath, NativeLoader, NativeSettings};
use openlora_serve::{
    BoundSocket, ServeInputs, ServedAdapter, Server, StopHandle, attribution::AttributionConfig,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    live::{Live, golden, serve_args, write_adapters},
    serve_support::{LIMITS, TestServer, access, adapters, operator_client, test_journal},
    support::{Invocation, Run, openlora},
};

/// A home with both adapters, and a server of them on the native engine.
fn served() -> (tempfile::TempDir, Live) {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    (home, server)
}

/// Makes a call and keeps its JSON in `file`.
fn called(dir: &Path, server: &Live, file: &str, args: &[&str]) -> Value {
    let answer = openlora(dir)
        .args(["--json", "call", "hello there", "--url", &server.url])
        .args(args.iter().copied())
        .run()
        .succeeds();
    std::fs::write(dir.join(file), &answer.stdout).unwrap();
    serde_json::from_str(&answer.stdout).unwrap()
}

fn replay(dir: &Path, receipt: &str, answer: &str) -> Invocation {
    let base = golden("llama").display().to_string();
    openlora(dir)
        .args(["receipts", "replay", receipt, "--answer", answer])
        .args(["--base", &base])
}

/// What a replay of a free call says if the answer is the same.
const EQUAL: &str = "ok      prompt\nok      answer\nok      tokens\nok      finish\n\
                     skipped receipt: it has no key for its hash: only payers get one\n";

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap().to_owned()
}

fn write(dir: &Path, file: &str, value: &Value) {
    std::fs::write(dir.join(file), value.to_string()).unwrap();
}

#[test]
fn an_answer_is_computed_again_from_its_receipt() {
    let (home, server) = served();
    let dir = home.path();
    let args = [
        "--adapter",
        "persona",
        "--max-tokens",
        "12",
        "--temperature",
        "0.9",
    ];
    let answer = called(dir, &server, "answer.json", &args);
    let id = text(&answer, "id");
    let sampling = &answer["receipt"]["computation"]["sampling"];
    assert_eq!(sampling["temperature"], "0.9");
    assert!(sampling["seed"].is_u64(), "{sampling}");
    let run = replay(dir, &id, "answer.json")
        .args(["--adapter", "persona"])
        .run()
        .succeeds();
    assert_eq!(run.stdout, EQUAL);
    assert_eq!(run.stderr, "persona: f32 weights (as asked for)\n");
    // The same from a text with a line end, a prompt in a file and the server's receipt.
    std::fs::write(dir.join("answer.txt"), text(&answer, "text") + "\n").unwrap();
    std::fs::write(dir.join("prompt.txt"), "hello there\n").unwrap();
    let run = replay(dir, &id, "answer.txt")
        .args([
            "--adapter",
            "persona",
            "--prompt",
            "prompt.txt",
            "--url",
            &server.url,
        ])
        .run()
        .succeeds();
    assert_eq!(run.stdout, EQUAL);
    assert_eq!(server.drain().0, 0);
    // The same from the whole request and the receipt as a file, as JSON.
    write(dir, "body.json", &answer["request"]["body"]);
    write(dir, "receipt.json", &answer["receipt"]);
    let run = replay(dir, "receipt.json", "answer.txt")
        .args(["--json", "--adapter", "persona", "--body", "body.json"])
        .run()
        .succeeds();
    let check = |name: &str| json!({ "name": name, "status": "pass", "reason": null });
    let expected = json!({
        "ok": true,
        "id": id,
        "engine": "native/1",
        "checks": [
            check("prompt"), check("answer"), check("tokens"), check("finish"),
            {
                "name": "receipt",
                "status": "skipped",
                "reason": "it has no key for its hash: only payers get one",
            },
        ],
        "difference": null,
    });
    assert_eq!(
        serde_json::from_str::<Value>(&run.stdout).unwrap(),
        expected
    );
}

/// The adapters of `dir` on kernels that another processor would run.
async fn served_by(dir: &Path, path: CpuPath, quant: Quant) -> TestServer {
    let base = BaseModel::open_dir("llama", &golden("llama")).unwrap();
    let loader = NativeLoader::new(NativeSettings {
        path: Some(path),
        ..NativeSettings::default()
    });
    let (steps, begun) = (Arc::new(Semaphore::new(0)), Arc::default());
    let mut served = Vec::new();
    for standing in adapters(&steps, &begun).into_iter().take(2) {
        let adapter = adapter::read(&dir.join(&standing.name)).unwrap();
        let spec = EngineSpec {
            name: standing.name.clone(),
            base: &base,
            adapter: Some(&adapter),
            quant,
        };
        let loaded = loader.load(spec).await.unwrap();
        served.push(ServedAdapter {
            digest: adapter.digest.clone(),
            base_id: base.id.clone(),
            base_digest: base.digest.clone(),
            task: adapter.task.map(|card| card.task),
            identity: loaded.identity(),
            engine: loaded.engine,
            ..standing
        });
    }
    let inputs = ServeInputs {
        adapters: served,
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
    let (stop, journal) = (StopHandle::default(), test_journal());
    let server = Server::new(bound, inputs, journal.clone(), LIMITS, stop.clone());
    let server = server.await.unwrap();
    TestServer {
        address: server.address(),
        journal,
        stop,
        steps,
        begun,
        running: tokio::spawn(server.run()),
        client: operator_client(),
    }
}

/// The program computes with the fastest kernels of this machine what other kernels have answered.
#[test]
fn an_answer_of_another_processor_is_computed_again() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    write_adapters(dir);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let paths = CpuPath::ALL.into_iter().filter(|path| path.is_supported());
    for (path, quant) in paths.flat_map(|path| [Quant::F32, Quant::Q8_0].map(|it| (path, it))) {
        let server = runtime.block_on(served_by(dir, path, quant));
        for (adapter, expected) in [
            ("persona", EQUAL.to_owned()),
            ("filter", EQUAL.replace("ok      finish\n", "")),
        ] {
            // A classification has no temperature.
            let sampled = (adapter == "persona").then_some(["--temperature", "0.9"]);
            let answer = openlora(dir)
                .args(["--json", "call", "hello there", "--url", &server.url("")])
                .args(["--adapter", adapter])
                .args(sampled.into_iter().flatten())
                .run()
                .succeeds();
            std::fs::write(dir.join("answer.json"), &answer.stdout).unwrap();
            let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
            let weights = &answer["receipt"]["computation"]["weights"];
            assert_eq!(*weights, quant.to_string());
            let run = replay(dir, &text(&answer, "id"), "answer.json");
            let run = run.args(["--adapter", adapter]).run().succeeds();
            assert_eq!(run.stdout, expected, "{path} {quant}");
        }
        runtime.block_on(server.drain());
    }
}

#[test]
fn a_classification_is_computed_again() {
    let (home, server) = served();
    let dir = home.path();
    let answer = called(dir, &server, "labels.json", &["--adapter", "filter"]);
    assert_eq!(server.drain().0, 0);
    let id = text(&answer, "id");
    let run = replay(dir, &id, "labels.json")
        .args(["--adapter", "filter"])
        .run()
        .succeeds();
    assert_eq!(run.stdout, EQUAL.replace("ok      finish\n", ""));
    // Another probability is found, and named.
    let mut changed = answer.clone();
    let spam = answer["labels"][1]["probability"].as_f64().unwrap();
    changed["labels"][1]["probability"] = json!(spam / 2.0);
    write(dir, "labels.json", &changed);
    let run = replay(dir, &id, "labels.json")
        .args(["--adapter", "filter"])
        .run();
    assert_eq!(run.code, 9, "{}", run.stderr);
    let told = format!(
        "ok      prompt\nFAILED  answer: it differs\nok      tokens\n\
         skipped receipt: it has no key for its hash: only payers get one\n\
         first difference: label spam: computed \"spam {spam}\", answered \"spam {}\"\n",
        spam / 2.0
    );
    assert_eq!(run.stdout, told);
}

#[test]
fn another_answer_is_exit_9_and_is_told_where_it_differs() {
    let (home, server) = served();
    let dir = home.path();
    let args = [
        "--adapter",
        "persona",
        "--max-tokens",
        "12",
        "--temperature",
        "0",
    ];
    let answer = called(dir, &server, "answer.json", &args);
    assert_eq!(server.drain().0, 0);
    let id = text(&answer, "id");
    let said = text(&answer, "text");
    let differs = |file: &str| -> Run {
        let run = replay(dir, &id, file).args(["--adapter", "persona"]).run();
        assert_eq!(run.code, 9, "{}", run.stderr);
        run
    };
    let mut longer = answer.clone();
    longer["text"] = json!(format!("{said}!"));
    write(dir, "longer.json", &longer);
    let failed = |difference: &str| {
        EQUAL.replace("ok      answer", "FAILED  answer: it differs") + difference
    };
    let tokens = answer["usage"]["completion_tokens"].as_u64().unwrap();
    let end = said.chars().count();
    let told = format!(
        "first difference: token {tokens}, character {end}: computed \"\", answered \"!\"\n"
    );
    assert_eq!(differs("longer.json").stdout, failed(&told));
    // The first character of the first token.
    let rest: String = said.chars().skip(1).collect();
    let mut other = answer.clone();
    other["text"] = json!(format!("\u{2603}{rest}"));
    write(dir, "other.json", &other);
    let shown = |text: &str| text.chars().take(40).collect::<String>();
    let told = format!(
        "first difference: token 0, character 0: computed {:?}, answered {:?}\n",
        shown(&said),
        shown(&format!("\u{2603}{rest}"))
    );
    assert_eq!(differs("other.json").stdout, failed(&told));
    // A receipt that states other counts.
    let mut counts = answer.clone();
    counts["receipt"]["usage"]["prompt_tokens"] = json!(1000);
    write(dir, "counts.json", &counts);
    let prompt = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    let run = differs("counts.json");
    let told = format!("FAILED  prompt: {prompt} tokens, the receipt states 1000");
    assert_eq!(run.stdout, EQUAL.replace("ok      prompt", &told));
}

/// One call is refused for each reason, by name.
#[test]
fn what_cannot_be_computed_again_is_refused_by_name() {
    let (home, server) = served();
    let dir = home.path();
    let args = ["--adapter", "persona", "--max-tokens", "4"];
    let answer = called(dir, &server, "answer.json", &args);
    assert_eq!(server.drain().0, 0);
    let id = text(&answer, "id");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut answer = answer.clone();
        change(&mut answer["receipt"]);
        write(dir, "changed.json", &answer);
        replay(dir, &id, "changed.json")
            .args(["--adapter", "persona"])
            .run()
    };
    let cannot = |change: &dyn Fn(&mut Value), reason: &str| {
        let told = format!("error: {id} cannot be computed again: {reason}\n");
        changed(change).fails(3, &told);
    };
    cannot(
        &|receipt| receipt["computation"] = Value::Null,
        "its receipt does not state how it was computed",
    );
    cannot(
        &|receipt| receipt["computation"]["engine"] = json!("mistralrs/0.8.1"),
        "mistralrs/0.8.1 answered it, and this program computes native/1",
    );
    cannot(
        &|receipt| receipt["computation"]["weights"] = json!("q3"),
        "this program knows no weights of the form q3",
    );
    cannot(
        &|receipt| {
            let sampling = receipt["computation"]["sampling"].as_object_mut().unwrap();
            sampling.remove("seed").unwrap();
        },
        "it was sampled without a seed",
    );
    cannot(
        &|receipt| receipt["finish"] = json!("recovered"),
        "the server cut it off",
    );
    cannot(
        &|receipt| receipt["kind"] = json!("moderation"),
        "only chats, completions, classifications and pictures are compared",
    );
    // Another adapter, and another base.
    let digest = |receipt: &Value| text(receipt, "adapter_digest");
    let (own, place) = (digest(&answer["receipt"]), dir.canonicalize().unwrap());
    let other = "0".repeat(64);
    changed(&|receipt| receipt["adapter_digest"] = json!(other)).fails(
        3,
        &format!(
            "error: the adapter {} has digest {own}, the receipt names {other}\n",
            place.join("persona").display()
        ),
    );
    let base = text(&answer["receipt"]["computation"], "base_digest");
    let llama = golden("llama").display().to_string();
    changed(&|receipt| receipt["computation"]["base_digest"] = json!(other)).fails(
        3,
        &format!(
            "error: the base {llama} has digest {base}, the receipt names {other}\n\
             hint: choose the base that the server runs: --base DIR|ID\n"
        ),
    );
    // No adapter, no prompt, no receipt.
    replay(dir, &id, "answer.json").run().fails(
        3,
        &format!(
            "error: no run here has the adapter persona with digest {own}\n\
             hint: name its folder, its package or its run: --adapter PATH\n"
        ),
    );
    write(dir, "receipt.json", &answer["receipt"]);
    std::fs::write(dir.join("answer.txt"), text(&answer, "text")).unwrap();
    replay(dir, "receipt.json", "answer.txt")
        .args(["--adapter", "persona"])
        .run()
        .fails(
            2,
            &format!(
                "error: the prompt of {id} is not known here\n\
             hint: name it: --prompt FILE, or --body FILE with the JSON that was sent; \
             `openlora --json call \"hello\"` prints it with the answer\n"
            ),
        );
    replay(dir, &id, "answer.txt")
        .args(["--adapter", "persona"])
        .run()
        .fails(
            2,
            &format!(
                "error: no receipt of {id} is known here\n\
             hint: give the answer as `openlora --json call \"hello\"` prints it, or name the server: \
             --url URL\n"
            ),
        );
}

/// A payer's receipt comes from its own store, and its hash is opened.
#[test]
fn a_paid_answer_is_shown_to_be_what_the_receipt_stands_for() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    write_adapters(dir);
    let base = golden("llama").display().to_string();
    let run = |args: &[&str]| {
        openlora(dir)
            .env("OPENLORA_DEVNET_PORT", "0")
            .args(args.iter().copied())
            .run()
    };
    run(&["package", "persona", "--out", "pkg", "--base", &base]).succeeds();
    run(&["deploy", "pkg"]).succeeds();
    let args = serve_args(0);
    let shared = args.iter().map(String::as_str);
    let shared: Vec<&str> = shared
        .filter(|arg| !["--free", "--adapter", "persona=persona", "filter=filter"].contains(arg))
        .collect();
    let server = Live::of(
        openlora(dir)
            .env("OPENLORA_DEVNET_PORT", "0")
            .args(shared)
            .args(["--engine", "native", "--adapter", "persona=pkg"]),
    );
    let url = server.url.clone();
    let call = [
        "--json",
        "call",
        "hello",
        "--url",
        &url,
        "--max-tokens",
        "6",
    ];
    let answer = run(&call).succeeds();
    std::fs::write(dir.join("answer.json"), &answer.stdout).unwrap();
    assert_eq!(server.drain().0, 0);
    run(&["devnet", "stop"]).succeeds();
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    let id = text(&answer, "id");
    let own = replay(dir, &id[..12], "answer.json")
        .args(["--adapter", "pkg"])
        .run()
        .succeeds();
    let equal = EQUAL.lines().take(4).map(|line| format!("{line}\n"));
    let expected = equal
        .chain(["ok      receipt\n".to_owned()])
        .collect::<String>();
    assert_eq!(own.stdout, expected);
    // A payer who claims to have got another answer is contradicted by the receipt itself.
    let mut claimed = answer.clone();
    claimed["text"] = json!("I was told this.");
    write(dir, "claimed.json", &claimed);
    let run = replay(dir, &id[..12], "claimed.json")
        .args(["--adapter", "pkg"])
        .run();
    assert_eq!(run.code, 9, "{}", run.stderr);
    let last = "FAILED  receipt: it stands for another answer";
    assert!(
        run.stdout.lines().any(|line| line == last),
        "{}",
        run.stdout
    );
}
