//! Adapters that are fetched when they are first called: once, in bounds, and with refusals that are
//! remembered.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use openlora_core::error::{ExitClass, Failure};
use openlora_ledger::event::Event;
use openlora_serve::on_demand::{AdapterFinder, OnDemandAdapters, OnDemandLimits};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    adapters::{loading_and_fetching, names, said},
    serve_support::{TestServer, chat, with},
};

const CHAT: &str = "/v1/chat/completions";

/// A registry that has whatever begins with `far-`, and lets as many fetches end as it is told.
struct Registry {
    asked: AtomicUsize,
    turns: Semaphore,
}

#[async_trait::async_trait]
impl AdapterFinder for Registry {
    async fn fetch(&self, name: &str) -> Result<Option<PathBuf>, Failure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let turn = self.turns.acquire().await.unwrap();
        turn.forget();
        match name {
            "far-forged" => {
                let message = "oci://a.example/b does not verify: eip712: no key fits it";
                Err(Failure::new(ExitClass::Verification, message))
            }
            "far-lost" => Err(Failure::new(
                ExitClass::Network,
                "https://a.example: no answer",
            )),
            "far-disk" => Err(Failure::new(
                ExitClass::Environment,
                "cannot write /home/x: full",
            )),
            name if name.starts_with("far-") => Ok(Some(PathBuf::from(format!("/store/{name}")))),
            _ => Ok(None),
        }
    }
}

async fn fetching(limits: OnDemandLimits, turns: usize) -> (TestServer, Arc<Registry>) {
    let registry = Arc::new(Registry {
        asked: AtomicUsize::new(0),
        turns: Semaphore::new(turns),
    });
    let on_demand = OnDemandAdapters::new(Arc::clone(&registry) as _, limits);
    let (server, _) = loading_and_fetching(Some(on_demand)).await;
    (server, registry)
}

const LIMITS: OnDemandLimits = OnDemandLimits {
    adapters: 2,
    parallel: 1,
    patience: Duration::from_secs(60),
};

/// Status, code and message of a call's refusal.
async fn refusal(server: &TestServer, name: &str) -> (u16, Value, Value) {
    let found = server.post(CHAT, &with(chat(name, "x"), json!({}))).await;
    let error = &found.json()["error"];
    (
        found.status,
        error["code"].clone(),
        error["message"].clone(),
    )
}

#[tokio::test]
async fn an_adapter_is_fetched_once_and_stays_loaded() {
    let (server, registry) = fetching(LIMITS, 100).await;
    let own = ["persona", "filter", "mood"];
    assert_eq!(names(&server).await, own);
    let both = tokio::join!(said(&server, "far-a"), said(&server, "far-a"));
    assert_eq!(both, (json!("far-a"), json!("far-a")));
    assert_eq!(said(&server, "far-a").await, "far-a");
    assert_eq!(registry.asked.load(Ordering::SeqCst), 1);
    // Only two stay: the one that was called least recently goes.
    assert_eq!(said(&server, "far-b").await, "far-b");
    assert_eq!(said(&server, "far-a").await, "far-a");
    assert_eq!(said(&server, "far-c").await, "far-c");
    assert_eq!(names(&server).await[3..], ["far-a", "far-c"]);
    assert_eq!(said(&server, "far-b").await, "far-b");
    assert_eq!(registry.asked.load(Ordering::SeqCst), 4);
    // Its own adapters stay, and whatever came and went is in the journal.
    assert_eq!(
        names(&server).await,
        ["persona", "filter", "mood", "far-c", "far-b"]
    );
    let records = server.records().await.into_iter();
    let unloaded = records.filter_map(|record| match record.event {
        Event::AdapterUnloaded { name, .. } => Some(name),
        _ => None,
    });
    assert_eq!(unloaded.collect::<Vec<_>>(), ["far-b", "far-a"]);
    server.drain().await;
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_and_not_asked_for_again() {
    let (server, registry) = fetching(LIMITS, 100).await;
    let lost = "The model 'far-lost' cannot be served: https://a.example: no answer.";
    let forged = "The model 'far-forged' cannot be served: oci://a.example/b does not verify: \
                  eip712: no key fits it.";
    let disk = "The model 'far-disk' cannot be fetched now; the server's log says why.";
    for (name, status, code, message) in [
        ("far-forged", 409, "model_refused", forged),
        ("far-lost", 503, "adapter_not_loaded", lost),
        ("far-disk", 503, "adapter_not_loaded", disk),
        (
            "near",
            404,
            "model_not_found",
            "The model 'near' does not exist. Served here: persona, filter, mood.",
        ),
    ] {
        let asked = registry.asked.load(Ordering::SeqCst);
        for _ in 0..3 {
            let found = refusal(&server, name).await;
            assert_eq!(found, (status, json!(code), json!(message)));
        }
        assert_eq!(registry.asked.load(Ordering::SeqCst), asked + 1);
    }
    // A name that no model can have is not looked for.
    let asked = registry.asked.load(Ordering::SeqCst);
    assert_eq!(refusal(&server, "../far-a").await.0, 404);
    assert_eq!(registry.asked.load(Ordering::SeqCst), asked);
}

#[tokio::test]
async fn many_names_do_not_make_many_fetches() {
    let impatient = OnDemandLimits {
        patience: Duration::ZERO,
        ..LIMITS
    };
    let (server, registry) = fetching(impatient, 0).await;
    let mut codes = Vec::new();
    for number in 0..12 {
        let (status, code, _) = refusal(&server, &format!("far-{number}")).await;
        assert_eq!(status, 503);
        codes.push(code);
    }
    let mut expected = vec![json!("adapter_loading"); 8];
    expected.extend(vec![json!("adapter_queue_full"); 4]);
    assert_eq!(codes, expected);
    assert!(registry.asked.load(Ordering::SeqCst) <= 1);
}
