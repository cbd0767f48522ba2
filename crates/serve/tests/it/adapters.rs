//! Adapters that are loaded and unloaded while the server runs.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use openlora_attribution::Provenance;
use openlora_core::error::{ExitClass, Failure};
use openlora_ledger::{PriceList, event::Event};
use openlora_model::dataset::Task;
use openlora_serve::{
    AdapterLoader, AdapterProfile, BoundSocket, ServeInputs, ServedAdapter, Server, StopHandle,
    attribution::AttributionConfig, on_demand::OnDemandAdapters,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    serve_support::{
        LIMITS, OPERATOR, TestServer, Words, access, adapters, chat, identity, operator_client,
        reply, start, test_journal, with,
    },
    waiting,
};

const LOAD: &str = "/v1/load_lora_adapter";
const UNLOAD: &str = "/v1/unload_lora_adapter";
const CHAT: &str = "/v1/chat/completions";

/// Loads an adapter that is called like the last part of its path, and refuses `broken` and `full`.
struct Shelf {
    steps: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
    /// Engines that were made.
    engines: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl AdapterLoader for Shelf {
    async fn load(
        &self,
        name: &str,
        path: &Path,
        served: &[Arc<ServedAdapter>],
    ) -> Result<ServedAdapter, Failure> {
        let kind = path.file_name().unwrap().to_str().unwrap().to_owned();
        match kind.as_str() {
            "broken" => {
                let message = format!("{}: no adapter_config.json", path.display());
                return Err(Failure::new(ExitClass::BadInput, message).with_hint("name its folder"));
            }
            "full" => return Err(Failure::new(ExitClass::Environment, "no memory is left")),
            _ => {}
        }
        let digest = format!("{kind}0digest");
        let engine = match served.iter().find(|it| it.digest == digest) {
            Some(other) => Arc::clone(&other.engine),
            None => {
                self.engines.fetch_add(1, Ordering::SeqCst);
                Arc::new(Words {
                    name: kind.clone(),
                    steps: Arc::clone(&self.steps),
                    begun: Arc::clone(&self.begun),
                })
            }
        };
        // The first one's instruction has two words.
        let instruction = (kind == "one").then(|| "Be kind.".to_owned());
        Ok(ServedAdapter {
            name: name.to_owned(),
            digest,
            version: "2".to_owned(),
            base_id: "nano".to_owned(),
            base_digest: "base0digest".to_owned(),
            task: Some(Task::Chat { instruction }),
            temperature: None,
            created: 1_700_000_000,
            prices: PriceList::default(),
            provenance: Provenance::default(),
            profile: AdapterProfile::default(),
            is_announced: false,
            kept: None,
            identity: identity(),
            engine,
        })
    }
}

/// A server that loads from a [`Shelf`], and the number of engines made by it.
async fn loading() -> (TestServer, Arc<AtomicUsize>) {
    loading_and_fetching(None).await
}

/// The same, which fetches what is not loaded.
pub async fn loading_and_fetching(
    on_demand: Option<OnDemandAdapters>,
) -> (TestServer, Arc<AtomicUsize>) {
    let (steps, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let engines = Arc::new(AtomicUsize::new(0));
    let shelf = Shelf {
        steps: Arc::clone(&steps),
        begun: Arc::clone(&begun),
        engines: Arc::clone(&engines),
    };
    let goods = ServeInputs {
        adapters: adapters(&steps, &begun),
        sales: None,
        attribution: AttributionConfig::default(),
        access: access(),
        transparency: None,
        loader: Some(Arc::new(shelf)),
        standings: None,
        on_demand,
        prompt_filter: None,
    };
    let bound = BoundSocket::new("127.0.0.1", 0).await.unwrap();
    let (stop, journal) = (StopHandle::default(), test_journal());
    let server = Server::new(bound, goods, journal.clone(), LIMITS, stop.clone());
    let server = server.await.unwrap();
    let server = TestServer {
        address: server.address(),
        journal,
        stop,
        steps,
        begun,
        running: tokio::spawn(server.run()),
        client: operator_client(),
    };
    (server, engines)
}

async fn load(server: &TestServer, name: &str, path: &str) -> (u16, Value) {
    let body = json!({ "lora_name": name, "lora_path": path });
    let found = server.post(LOAD, &body).await;
    (found.status, found.json())
}

fn loaded(name: &str, kind: &str, outcome: &str) -> (u16, Value) {
    let answer = json!({
        "lora_name": name, "digest": format!("{kind}0digest"), "version": "2", "outcome": outcome,
    });
    (200, answer)
}

pub async fn names(server: &TestServer) -> Vec<String> {
    let models = server.get("/v1/models").await.json();
    let models = models["data"].as_array().unwrap().iter();
    models
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

/// What an adapter answers with one word.
pub async fn said(server: &TestServer, name: &str) -> Value {
    let body = with(chat(name, "x"), json!({ "max_tokens": 1 }));
    let answer = server.post(CHAT, &body).await.json();
    answer["choices"][0]["message"]["content"].clone()
}

#[tokio::test]
async fn adapters_come_go_and_are_replaced() {
    let (server, engines) = loading().await;
    let all = ["persona", "filter", "mood", "guest"];
    assert_eq!(names(&server).await, all[..3]);
    let first = load(&server, "guest", "/adapters/one").await;
    assert_eq!(first, loaded("guest", "one", "loaded"));
    assert_eq!(names(&server).await, all);
    assert_eq!(said(&server, "guest").await, "one");
    // The same weights again, also under another name, need no other engine.
    let again = load(&server, "guest", "/elsewhere/one").await;
    assert_eq!(again, loaded("guest", "one", "unchanged"));
    let twin = load(&server, "twin", "/adapters/one").await;
    assert_eq!(twin, loaded("twin", "one", "loaded"));
    assert_eq!(engines.load(Ordering::SeqCst), 1);
    // A name is another digest afterwards, and the place of its list.
    let other = load(&server, "guest", "/adapters/two").await;
    assert_eq!(other, loaded("guest", "two", "replaced"));
    assert_eq!(engines.load(Ordering::SeqCst), 2);
    assert_eq!(
        (said(&server, "guest").await, said(&server, "twin").await),
        (json!("two"), json!("one"))
    );
    let model = server.get("/v1/models/guest").await.json();
    assert_eq!(model["digest"], "two0digest");
    let ready = server.get("/ready").await.json();
    assert_eq!(
        ready["adapters"],
        json!(["persona", "filter", "mood", "guest", "twin"])
    );
    let body = json!({ "lora_name": "guest" });
    let gone = server.post(UNLOAD, &body).await;
    assert_eq!(
        (gone.status, gone.json()),
        (
            200,
            json!({ "lora_name": "guest", "digest": "two0digest", "outcome": "unloaded" })
        )
    );
    let missing = json!({ "error": {
        "message": "The model 'guest' does not exist. Served here: persona, filter, mood, twin.",
        "type": "invalid_request_error", "param": "lora_name", "code": "model_not_found",
    }});
    let twice = server.post(UNLOAD, &body).await;
    assert_eq!((twice.status, twice.json()), (404, missing));
    assert_eq!(server.post(CHAT, &chat("guest", "x")).await.status, 404);
    let told: Vec<Value> = server
        .records()
        .await
        .iter()
        .map(|record| serde_json::to_value(&record.event).unwrap())
        .filter(|event| event["type"].as_str().unwrap().starts_with("adapter_"))
        .skip(3)
        .collect();
    let load = |name: &str, kind: &str| {
        json!({
            "type": "adapter_loaded", "name": name, "adapter_digest": format!("{kind}0digest"),
            "base_digest": "base0digest",
        })
    };
    let unload = json!({
        "type": "adapter_unloaded", "name": "guest", "adapter_digest": "two0digest",
    });
    let expected = [
        load("guest", "one"),
        load("twin", "one"),
        load("guest", "two"),
        unload,
    ];
    assert_eq!(told, expected);
    server.drain().await;
}

#[tokio::test]
async fn an_adapter_that_cannot_be_loaded_disturbs_nobody() {
    let (server, _) = loading().await;
    let before = server.records().await.len();
    let refused = json!({ "error": {
        "message": "/adapters/broken: no adapter_config.json",
        "type": "invalid_request_error", "param": "lora_path", "code": "adapter_refused",
        "hint": "name its folder",
    }});
    // Also not the one that has its name.
    for name in ["guest", "persona"] {
        let found = load(&server, name, "/adapters/broken").await;
        assert_eq!(found, (400, refused.clone()));
    }
    let full = json!({ "error": {
        "message": "no memory is left",
        "type": "server_error", "param": null, "code": "adapter_not_loaded",
    }});
    assert_eq!(load(&server, "guest", "full").await, (503, full));
    assert_eq!(names(&server).await, ["persona", "filter", "mood"]);
    assert_eq!(said(&server, "persona").await, "persona");
    let recorded = server.records().await;
    let adapters = recorded[before..]
        .iter()
        .filter(|it| matches!(it.event, Event::AdapterLoaded { .. }));
    assert_eq!(adapters.count(), 0);
    server.drain().await;
}

/// One that left memory and cannot come back is refused before anything is recorded, and stays listed.
#[tokio::test]
async fn an_adapter_that_cannot_come_back_is_refused_by_name() {
    let (server, _) = loading().await;
    load(&server, "guest", "/adapters/away").await;
    let before = server.records().await.len();
    let found = server.post(CHAT, &chat("guest", "x")).await;
    let error = json!({ "error": {
        "message": "The adapter away cannot be loaded now; the server's log says why.",
        "type": "server_error", "param": null, "code": "adapter_not_loaded",
    }});
    assert_eq!((found.status, found.json()), (503, error));
    assert_eq!(server.records().await.len(), before);
    assert_eq!(server.begun.load(Ordering::SeqCst), 0);
    assert_eq!(names(&server).await, ["persona", "filter", "mood", "guest"]);
    assert_eq!(said(&server, "persona").await, "persona");
    server.drain().await;
}

#[tokio::test]
async fn a_call_that_has_begun_keeps_its_adapter() {
    let (server, _) = loading().await;
    load(&server, "guest", "one").await;
    let slow = with(chat("guest", "!step a"), json!({ "max_tokens": 3 }));
    let request = server.client.post(server.url(CHAT)).json(&slow);
    let running = tokio::spawn(reply(request));
    let begun = async || server.begun.load(Ordering::SeqCst) == 1;
    waiting::until("the call to begin", begun).await;
    let gone = server.post(UNLOAD, &json!({ "lora_name": "guest" })).await;
    assert_eq!(gone.status, 200);
    // The name stands for another adapter before the first one has answered.
    load(&server, "guest", "two").await;
    assert_eq!(said(&server, "guest").await, "two");
    server.steps.add_permits(3);
    let answer = waiting::within("the answer", running).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    let content = &answer.json()["choices"][0]["message"]["content"];
    assert_eq!(*content, "one a one");
    let metered: Vec<String> = server
        .records()
        .await
        .into_iter()
        .filter_map(|record| match record.event {
            Event::CallMetered { adapter_digest, .. } => Some(adapter_digest),
            _ => None,
        })
        .collect();
    assert_eq!(metered, ["two0digest", "one0digest"]);
    server.drain().await;
}

/// The instruction of an adapter is part of what its callers' prompts take.
#[tokio::test]
async fn a_replaced_adapter_s_counts_are_not_remembered() {
    let (server, _) = loading().await;
    for kind in ["one", "two"] {
        load(&server, "guest", kind).await;
        said(&server, "guest").await;
    }
    let counted: Vec<u64> = server
        .records()
        .await
        .into_iter()
        .filter_map(|record| match record.event {
            Event::CallReserved { prompt_tokens, .. } => Some(prompt_tokens),
            _ => None,
        })
        .collect();
    assert_eq!(counted, [3, 1]);
    server.drain().await;
}

#[tokio::test]
async fn only_the_operator_changes_the_adapters() {
    let (server, engines) = loading().await;
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "lora_name": "guest", "lora_path": "one" });
    for path in [LOAD, UNLOAD] {
        let found = reply(stranger.post(server.url(path)).json(&body)).await;
        assert_eq!(found.status, 401, "{path}");
        let page = stranger.post(server.url(path)).json(&body);
        let page = page.bearer_auth(OPERATOR);
        let page = page.header("origin", "https://app.example");
        assert_eq!(reply(page).await.status, 403, "{path}");
    }
    assert_eq!(engines.load(Ordering::SeqCst), 0);
    assert_eq!(names(&server).await, ["persona", "filter", "mood"]);
    server.drain().await;
}

#[tokio::test]
async fn wrong_bodies_are_refused_by_name() {
    let (server, _) = loading().await;
    let error = |message: &str, param: &str, code: &str| {
        json!({ "error": {
            "message": message, "type": "invalid_request_error", "param": param, "code": code,
        }})
    };
    let cases = [
        (
            LOAD,
            json!({ "lora_nam": "guest" }),
            error(
                "Unknown parameter: 'lora_nam'. Did you mean 'lora_name'? Missing required \
                 parameter: 'lora_name'. Missing required parameter: 'lora_path'.",
                "lora_nam",
                "unknown_parameter",
            ),
        ),
        (
            LOAD,
            json!({ "lora_name": "a b", "lora_path": 7 }),
            error(
                "Invalid value for 'lora_name': expected 1 to 128 letters, digits and any of \
                 - _ ., found 'a b'. Invalid type for 'lora_path': expected a string, found a \
                 number.",
                "lora_name",
                "invalid_value",
            ),
        ),
        (
            UNLOAD,
            json!({ "lora_int_id": 1 }),
            error(
                "Missing required parameter: 'lora_name'.",
                "lora_name",
                "missing_required_parameter",
            ),
        ),
    ];
    for (path, body, expected) in cases {
        let found = server.post(path, &body).await;
        assert_eq!((found.status, found.json()), (400, expected), "{body}");
    }
    server.drain().await;
    // A server without a loader says so.
    let server = start().await;
    let found = load(&server, "guest", "one").await;
    let message = "This server keeps the adapters that it was started with.";
    let mut expected = error(message, "", "loading_off");
    expected["error"]["param"] = Value::Null;
    assert_eq!(found, (404, expected));
    server.drain().await;
}
