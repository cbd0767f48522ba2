//! Which engine answers, and why; adapters from a folder.

use std::path::Path;

use openlora::commands::{
    serve::engine_choice::{EngineFacts, EngineKind, choose},
    settings::EnginePreference,
};
use openlora_engine::Quant;
use openlora_model::BaseModel;
use openlora_native::CpuPath;
use serde_json::{Value, json};

use crate::{
    live::{Live, golden, serve_on, write_adapters},
    serve_support::{chat, reply, with},
    support::{Invocation, openlora},
};

/// One adapter on this machine, a base that both engines run.
fn usual() -> EngineFacts {
    EngineFacts {
        adapters: 1,
        parallel: 1,
        quant: Quant::Auto,
        obstacle: None,
        gpu: false,
    }
}

#[test]
fn the_engine_follows_from_the_base_the_adapters_and_the_calls() {
    use EngineKind::{Mistralrs, Native};
    let gpu = EngineFacts {
        gpu: true,
        ..usual()
    };
    let several = EngineFacts {
        adapters: 3,
        ..usual()
    };
    let parallel = EngineFacts {
        parallel: 8,
        ..usual()
    };
    let odd = EngineFacts {
        obstacle: Some("its biases are odd".to_owned()),
        ..usual()
    };
    let quant = |quant| EngineFacts {
        quant,
        ..several.clone()
    };
    let expected = [
        (usual(), Mistralrs, "one adapter, one call at a time"),
        (
            several.clone(),
            Native,
            "3 adapters share one base in memory",
        ),
        (parallel, Native, "an adapter answers up to 8 calls at once"),
        (
            EngineFacts { adapters: 3, ..gpu },
            Mistralrs,
            "this binary computes on a GPU",
        ),
        (
            odd,
            Native,
            "mistral.rs cannot run this: its biases are odd",
        ),
        (
            quant(Quant::Q4K),
            Mistralrs,
            "the native engine cannot run this: it has no q4k weights",
        ),
        (
            EngineFacts {
                adapters: 1,
                ..quant(Quant::Q4_0)
            },
            Native,
            "mistral.rs cannot run this: it has no q4_0 weights",
        ),
    ];
    for (facts, kind, reason) in expected {
        let found = choose(EnginePreference::Auto, &facts);
        assert_eq!(found, Ok((kind, reason.to_owned())), "{facts:?}");
    }
    let asked = |kind| Ok((kind, "as asked for".to_owned()));
    assert_eq!(choose(EnginePreference::Native, &usual()), asked(Native));
    assert_eq!(
        choose(EnginePreference::Mistralrs, &several),
        asked(Mistralrs)
    );
    assert_eq!(
        choose(EnginePreference::Native, &quant(Quant::Q4K)),
        Err("the native engine cannot run this: it has no q4k weights".to_owned())
    );
    assert_eq!(
        choose(EnginePreference::Mistralrs, &quant(Quant::Q4_0)),
        Err("mistral.rs cannot run this: it has no q4_0 weights".to_owned())
    );
}

/// `serve` of the tiny llama without payment, with these further arguments.
fn serve(dir: &Path, more: &[&str]) -> Invocation {
    let base = golden("llama").display().to_string();
    let command = openlora(dir).args(serve_on(&base, "0")).args(["--free"]);
    command.args(more.iter().copied())
}

/// Makes a package of an adapter on the shelf, beside it.
fn package_persona(dir: &Path) {
    let base = golden("llama").display().to_string();
    let from = ["package", "shelf/persona", "--unsigned", "--base", &base];
    let command = openlora(dir).args(from).args(["--out", "shelf/packed"]);
    command.run().succeeds();
}

fn live(dir: &Path, more: &[&str]) -> Live {
    Live::of(serve(dir, more).args(["--json"]))
}

async fn models(server: &Live) -> Vec<Value> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = reply(client.get(format!("{}/v1/models", server.url))).await;
    answer.json()["data"].as_array().unwrap().clone()
}

async fn answer(server: &Live, model: &str, id: &str) -> (Value, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = with(
        chat(model, "hello there"),
        json!({ "max_tokens": 8, "temperature": 0 }),
    );
    let asked = client.post(format!("{}/v1/chat/completions", server.url));
    let answer = reply(asked.header("idempotency-key", id).json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let receipt = reply(client.get(format!("{}/v1/receipts/{id}", server.url))).await;
    (
        answer.json()["choices"][0]["message"]["content"].clone(),
        receipt.json()["computation"].clone(),
    )
}

/// The server says what it took and why; models and receipts name it; both engines answer alike.
#[tokio::test]
async fn the_server_says_which_engine_answers_and_both_say_the_same() {
    let dir = tempfile::tempdir().unwrap();
    write_adapters(&dir.path().join("shelf"));
    let mut said = Vec::new();
    for (args, engine, note) in [
        (
            &["--local", "--adapter", "persona=shelf/persona"][..],
            "mistralrs/0.8.1",
            "engine: mistralrs (one adapter, one call at a time)",
        ),
        (
            &["--adapter", "persona=shelf/persona"][..],
            "native/1",
            "engine: native (an adapter answers up to 8 calls at once)",
        ),
        (
            &[
                "--local",
                "--adapter",
                "persona=shelf/persona",
                "--engine",
                "native",
            ][..],
            "native/1",
            "engine: native (as asked for)",
        ),
        (
            &["--local", "--adapters", "shelf"][..],
            "native/1",
            "engine: native (2 adapters share one base in memory)",
        ),
    ] {
        let server = live(dir.path(), args);
        let models = models(&server).await;
        for model in &models {
            assert_eq!(
                (&model["engine"], &model["weights"]),
                (&json!(engine), &json!("f32"))
            );
        }
        let (text, computation) = answer(&server, "persona", "one").await;
        let expected = json!({
            "engine": engine,
            "weights": "f32",
            "base_digest": models[0]["base_digest"],
            "sampling": { "max_tokens": 8 },
        });
        assert_eq!(computation, expected);
        said.push(text);
        let (code, _, stderr) = server.drain();
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(stderr.lines().next(), Some(note));
        std::fs::remove_dir_all(dir.path().join("home")).unwrap();
    }
    assert!(said.iter().all(|text| *text == said[0]), "{said:?}");
}

/// The only engine that scales the rows is taken by itself; the other one is refused by name.
#[tokio::test]
async fn a_dora_adapter_is_served_by_the_native_engine() {
    let dir = tempfile::tempdir().unwrap();
    write_adapters(dir.path());
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(
            golden("llama.dora").join(file),
            dir.path().join("persona").join(file),
        )
        .unwrap();
    }
    let args = ["--local", "--adapter", "persona=persona"];
    let server = live(dir.path(), &args);
    let (text, computation) = answer(&server, "persona", "one").await;
    assert_eq!(computation["engine"], "native/1");
    assert!(!text.as_str().unwrap().is_empty());
    let (code, _, stderr) = server.drain();
    assert_eq!(code, 0, "{stderr}");
    let reason = "mistral.rs cannot run this: it has no DoRA, and persona is a DoRA adapter";
    let note = format!("engine: native ({reason})");
    assert_eq!(stderr.lines().next(), Some(&*note));
    let forced = serve(dir.path(), &args).args(["--engine", "mistralrs"]);
    forced.run().fails(
        3,
        &format!("error: {reason}\nhint: leave the choice to openlora: --engine auto\n"),
    );
}

#[test]
fn mistral_rs_answers_one_call_at_a_time_whatever_is_set() {
    let dir = tempfile::tempdir().unwrap();
    write_adapters(&dir.path().join("shelf"));
    let server = live(
        dir.path(),
        &[
            "--adapter",
            "persona=shelf/persona",
            "--engine",
            "mistralrs",
            "--parallel",
            "4",
        ],
    );
    let (code, _, stderr) = server.drain();
    assert_eq!(code, 0, "{stderr}");
    let told: Vec<&str> = stderr.lines().take(2).collect();
    assert_eq!(
        told,
        [
            "engine: mistralrs (as asked for)",
            "warning: `serve.parallel` is 4, but mistral.rs answers one call per adapter at a time",
        ]
    );
}

/// Folders of a folder are adapters, runs and packages under their own names.
#[tokio::test]
async fn a_folder_of_adapters_is_served_under_the_folders_names() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = dir.path().join("shelf");
    write_adapters(&shelf);
    package_persona(dir.path());
    // A run folder holds its adapter.
    let run = shelf.join("a-run");
    std::fs::create_dir(&run).unwrap();
    std::fs::rename(shelf.join("filter"), run.join("adapter")).unwrap();
    // What is no adapter: a file, and a folder that a tool hides.
    std::fs::write(shelf.join("README.md"), "mine").unwrap();
    std::fs::create_dir(shelf.join(".git")).unwrap();
    let server = live(
        dir.path(),
        &[
            "--local",
            "--adapters",
            "shelf",
            "--adapter",
            "one=shelf/persona",
        ],
    );
    assert_eq!(
        server.ready["adapters"],
        json!(["one", "a-run", "packed", "persona"])
    );
    let (first, _) = answer(&server, "one", "1").await;
    let (second, _) = answer(&server, "packed", "2").await;
    assert_eq!(first, second);
    let label = json!({ "model": "a-run", "input": "free money" });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let labelled = reply(
        client
            .post(format!("{}/v1/classify", server.url))
            .json(&label),
    )
    .await;
    assert_eq!(labelled.status, 200, "{labelled:?}");
    assert_eq!(server.drain().0, 0);
}

/// Adapters that do not fit into `serve.adapter_memory` together answer in turns as they do otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn adapters_take_turns_in_a_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    write_adapters(&dir.path().join("shelf"));
    let shelf = ["--local", "--adapters", "shelf"];
    let free = live(dir.path(), &shelf);
    let classified = async |server: &Live| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({ "model": "filter", "input": "free money" });
        let answer = reply(
            client
                .post(format!("{}/v1/classify", server.url))
                .json(&body),
        )
        .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut answer = answer.json();
        answer.as_object_mut().unwrap().remove("id");
        answer
    };
    let expected = (
        answer(&free, "persona", "1").await.0,
        classified(&free).await,
    );
    assert_eq!(free.drain().0, 0);
    // What fits none is said at the start.
    let tight = |bytes: &str| {
        let serve = serve(dir.path(), &shelf);
        serve.env("OPENLORA_SERVE_ADAPTER_MEMORY", bytes)
    };
    let refused = tight("1").run();
    let told = refused.stderr.lines().nth(1).unwrap();
    let bytes = told.strip_prefix("error: cannot load filter: its factors take ");
    let bytes = bytes
        .and_then(|rest| rest.strip_suffix(" of 1 bytes, which `serve.adapter_memory` allows"));
    let filter: u64 = bytes.unwrap_or_else(|| panic!("{told}")).parse().unwrap();
    assert_eq!(refused.code, 4);
    // Each fits alone, and not beside the other.
    let server = Live::of(tight(&filter.to_string()).args(["--json"]));
    for round in 0..3 {
        let said = answer(&server, "persona", &format!("round-{round}"))
            .await
            .0;
        assert_eq!((said, classified(&server).await), expected);
    }
    let listed: Vec<Value> = models(&server).await;
    let listed: Vec<&Value> = listed.iter().map(|model| &model["id"]).collect();
    assert_eq!(listed, ["filter", "persona"]);
    // Files that were changed while an adapter was away do not answer.
    let card = dir.path().join("shelf/persona/adapter_config.json");
    let text = std::fs::read_to_string(&card).unwrap();
    std::fs::write(&card, format!("{text}\n")).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/chat/completions", server.url);
    let gone = reply(client.post(url).json(&chat("persona", "hello there"))).await;
    let error = json!({ "error": {
        "message": "The adapter persona cannot be loaded now; the server's log says why.",
        "type": "server_error", "param": null, "code": "adapter_not_loaded",
    }});
    assert_eq!((gone.status, gone.json()), (503, error));
    assert_eq!(classified(&server).await, expected.1);
    assert_eq!(server.drain().0, 0);
}

#[test]
fn folders_that_cannot_be_served_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = dir.path().join("shelf");
    std::fs::create_dir(&shelf).unwrap();
    let place = shelf.canonicalize().unwrap();
    let place = place.display();
    let tried = |more: &[&str]| {
        serve(
            dir.path(),
            &[&["--local", "--adapters", "shelf"][..], more].concat(),
        )
        .run()
    };
    let fails = |code: i32, error: &str| tried(&[]).fails(code, error);
    fails(
        3,
        &format!(
            "error: {place} holds no adapters\n\
             hint: put each adapter, package or run into a folder of its own there; its name is \
             the model's\n"
        ),
    );
    write_adapters(&shelf);
    // A name that is no model's.
    std::fs::rename(shelf.join("filter"), shelf.join("my filter")).unwrap();
    fails(
        3,
        &format!(
            "error: {place}/my filter: expected a name of letters, digits and any of - _ .\n\
             hint: rename the folder, or name its adapter yourself: --adapter NAME=PATH\n"
        ),
    );
    std::fs::rename(shelf.join("my filter"), shelf.join("filter")).unwrap();
    // A name twice.
    tried(&["--adapter", "filter=shelf/persona"]).fails(
        2,
        "error: two adapters are named `filter`\n\
         hint: give each adapter its own name: --adapter NAME=PATH\n",
    );
    // A folder without an adapter.
    std::fs::create_dir(shelf.join("empty")).unwrap();
    let empty = tried(&[]);
    assert_eq!(empty.code, 3);
    let told =
        format!("error: {place}/empty is not an adapter directory: it has no adapter_config.json");
    assert_eq!(empty.stderr.lines().next(), Some(told.as_str()));
    std::fs::remove_dir(shelf.join("empty")).unwrap();
    // A broken one.
    let weights = shelf.join("filter/adapter_model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let broken = tried(&[]);
    assert_eq!(broken.code, 3);
    let told = format!("error: {place}/filter/adapter_model.safetensors: the file ends early");
    assert!(broken.stderr.starts_with(&told), "{}", broken.stderr);
    std::fs::write(&weights, &whole).unwrap();
    // A package that was changed.
    package_persona(dir.path());
    let config = shelf.join("packed/adapter_config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n")).unwrap();
    let size = text.len();
    fails(
        3,
        &format!(
            "error: {place}/packed: adapter_config.json has {} bytes, expected {size}\n\
             hint: do not use it; ask its publisher for the package again\n",
            size + 1
        ),
    );
}

/// An adapter of another base is refused, and nothing is served.
#[test]
fn an_adapter_of_another_base_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = dir.path().join("shelf");
    write_adapters(&shelf);
    let base = golden("qwen2").display().to_string();
    let digest = |name: &str| BaseModel::open_dir(name, &golden(name)).unwrap().digest;
    openlora(dir.path())
        .args([
            "serve", "--free", "--local", "--port", "0", "--quant", "f32",
        ])
        .args(["--base", &base, "--adapters", "shelf"])
        .run()
        .fails(
            3,
            &format!(
                "engine: native (2 adapters share one base in memory)\n\
                 error: adapter {}: it was trained on base llama with digest {}, this base has \
                 digest {}\nhint: choose the base it was trained on: --base llama\n",
                shelf.canonicalize().unwrap().join("filter").display(),
                digest("llama"),
                digest("qwen2"),
            ),
        );
}

#[test]
fn doctor_says_what_can_answer_here() {
    let dir = tempfile::tempdir().unwrap();
    let run = openlora(dir.path()).args(["--json", "doctor"]).run();
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let found = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        check["found"].as_str().unwrap().to_owned()
    };
    let paths = CpuPath::ALL.into_iter().filter(|path| path.is_supported());
    let paths: Vec<String> = paths.map(|path| path.to_string()).collect();
    let expected = format!(
        "mistralrs/0.8.1 on the processor; native/1 with {}, of {}",
        paths.last().unwrap(),
        paths.join(", ")
    );
    assert_eq!(found("engines"), expected);
    let gpu = match Path::new("/proc/driver/nvidia/version").exists() {
        true => "NVIDIA, which this build does not use",
        false => "none, and this build needs none",
    };
    assert_eq!(found("gpu"), gpu);
}
