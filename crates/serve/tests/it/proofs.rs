//! The attribution of counted calls: exactly one, by evidence where there is an index, across
//! restarts, and never more waiting than a server keeps.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use openlora_attribution::{
    AttributionIndex, Provenance, attribution_index,
    call_shares::{ShareInputs, by_sketch},
    queue::{CallPicture, CallTokens, PendingTokenStore, PendingTokens},
    shares::{ClusterExample, Contributor, ShareFallback, SharedSpan},
};
use openlora_core::{Address, Amount, Word};
use openlora_engine::{Engine, Prompt};
use openlora_journal::{Journal, UniqueKey};
use openlora_ledger::{
    CallCharge, PaymentScheme,
    event::{
        AttributionMethod, CallAttributed, CallKind, Event, EventRecord, FinishReason, TokenUsage,
    },
    publication::event_id,
};
use openlora_model::dataset::Task;
use openlora_serve::{
    BoundSocket, ServeInputs, ServedAdapter, Server, StopHandle, attribution::AttributionConfig,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::serve_support::{
    LIMITS, TestServer, access, adapters, chat, operator_client, test_journal, with,
};
use crate::{
    tiny_pictures::{SIDE, SteeredPictures},
    waiting::{self, PATIENCE},
    wrapped_engine::{EngineChange, wrapped},
};

/// A token per letter.
struct Spelling;

fn letters(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

impl EngineChange for Spelling {
    fn tokens(
        &self,
        _: &dyn Engine,
        prompt: &Prompt,
        answer: &str,
        ended: bool,
    ) -> Option<(Vec<u32>, Vec<u32>)> {
        let asked = match prompt {
            Prompt::Text(text) => letters(text),
            Prompt::Chat(messages) => letters(&messages.last()?.content),
        };
        let mut answer = letters(answer);
        answer.extend(ended.then_some(0));
        Some((asked, answer))
    }
}

/// Eight examples of two parties; the sketch is the answer's length, and the second party's first
/// example gains by it.
struct Stub {
    examples: Vec<ClusterExample>,
    /// A permit lets a sketch be made.
    gate: Arc<std::sync::Mutex<bool>>,
    opened: Arc<std::sync::Condvar>,
    sketched: AtomicUsize,
}

impl Stub {
    fn new(open: bool) -> Arc<Self> {
        let example = |at: u32| ClusterExample {
            contributor: at / 4,
            cluster: at,
        };
        Arc::new(Self {
            examples: (0..8).map(example).collect(),
            gate: Arc::new(std::sync::Mutex::new(open)),
            opened: Arc::default(),
            sketched: AtomicUsize::new(0),
        })
    }

    fn open(&self) {
        *self.gate.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl AttributionIndex for Stub {
    fn index(&self) -> &str {
        "1nde4"
    }

    fn method(&self) -> AttributionMethod {
        AttributionMethod::Influence
    }

    fn examples(&self) -> &[ClusterExample] {
        &self.examples
    }

    fn content(&self, example: usize) -> String {
        format!("{example:064x}")
    }

    fn example(&self, content: &str) -> Option<u32> {
        u32::from_str_radix(content, 16).ok().filter(|it| *it < 8)
    }

    fn trace(&self, exchange: &CallTokens) -> Vec<SharedSpan> {
        let tokens = exchange.answer.len() as u32;
        vec![SharedSpan {
            start: 0,
            tokens,
            documents: 1,
            examples: vec![4],
        }]
    }

    fn sketch(&self, exchange: &CallTokens) -> Result<String, ShareFallback> {
        let open = self.gate.lock().unwrap();
        let open = self
            .opened
            .wait_timeout_while(open, PATIENCE, |open| !*open);
        assert!(*open.unwrap().0, "nobody opened the gate");
        self.sketched.fetch_add(1, Ordering::SeqCst);
        match exchange.prompt.ends_with(&letters("nan")) {
            true => Err(ShareFallback::NotANumber),
            false => Ok(exchange.answer.len().to_string()),
        }
    }

    /// The length of the caption; the picture must be one of the test's base.
    fn sketch_picture(&self, made: &CallPicture) -> Result<String, ShareFallback> {
        assert_eq!((made.width, made.height, made.rgb.len()), (SIDE, SIDE, 768));
        self.sketched.fetch_add(1, Ordering::SeqCst);
        Ok(made.caption.len().to_string())
    }

    fn scores(&self, sketch: &str) -> Result<Vec<i128>, ShareFallback> {
        let gain: i128 = sketch.parse().map_err(|_| ShareFallback::Mismatch)?;
        let noise = [1, -2, 2, -1];
        let mut scores: Vec<i128> = (0..8).map(|at| noise[at % 4]).collect();
        scores[4] = gain * 100;
        Ok(scores)
    }
}

fn party(number: u8) -> Contributor {
    Contributor {
        name: format!("party {number}"),
        address: Some(Address([number; 20])),
        owner: None,
        static_ppm: 500_000,
    }
}

struct Setup<'a> {
    journal: Journal,
    vault: Option<&'a Path>,
    witness: Result<Arc<Stub>, ShareFallback>,
    most: usize,
}

async fn start(setup: Setup<'_>) -> TestServer {
    let (steps, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut adapters = adapters(&steps, &begun);
    for adapter in &mut adapters {
        adapter.engine = wrapped(Arc::clone(&adapter.engine), Arc::new(Spelling));
        adapter.provenance = Provenance {
            contributors: vec![party(1), party(2)],
            index: setup
                .witness
                .clone()
                .map(|it| it as Arc<dyn AttributionIndex>),
            texts: Arc::default(),
        };
    }
    let persona = &adapters[0];
    let provenance = persona.provenance.clone();
    let painter = ServedAdapter {
        name: "painter".to_owned(),
        digest: "painter0digest".to_owned(),
        task: Some(Task::Image),
        engine: Arc::new(SteeredPictures::new(&steps, &begun)),
        provenance,
        ..self::adapters(&steps, &begun).remove(0)
    };
    adapters.push(painter);
    let goods = ServeInputs {
        adapters,
        sales: None,
        attribution: AttributionConfig {
            token_store: setup.vault.map(|dir| PendingTokenStore::open(dir).unwrap()),
            log: None,
            most: setup.most,
        },
        access: access(),
        transparency: None,
        loader: None,
        standings: None,
        on_demand: None,
        prompt_filter: None,
    };
    let bound = BoundSocket::new("127.0.0.1", 0).await.unwrap();
    let stop = StopHandle::default();
    let journal = setup.journal;
    let server = Server::new(bound, goods, journal.clone(), LIMITS, stop.clone());
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

/// The final attribution of a call, once it is there.
async fn attributed(journal: &Journal, id: &str) -> CallAttributed {
    let what = format!("the attribution of {id}");
    let record = waiting::found(&what, async || {
        journal.unique(UniqueKey::ATTRIBUTED, id).await.unwrap()
    });
    let Event::Attributed(attributed) = record.await.event else {
        panic!()
    };
    *attributed
}

fn said(content: &str) -> Value {
    with(chat("persona", content), json!({ "max_tokens": 5 }))
}

const CHAT: &str = "/v1/chat/completions";

fn of_kind(records: &[EventRecord], kind: &str) -> usize {
    let is = |record: &&EventRecord| serde_json::to_value(&record.event).unwrap()["type"] == kind;
    records.iter().filter(is).count()
}

#[tokio::test]
async fn every_counted_call_has_one_attribution_without_an_index_too() {
    let server = start(Setup {
        journal: test_journal(),
        vault: None,
        witness: Err(ShareFallback::StaleIndex),
        most: 100,
    })
    .await;
    server.post_as("one", CHAT, &said("a b")).await;
    server.post_as("two", CHAT, &said("a !fail=2")).await;
    server.post_as("three", CHAT, &said("a !fail=0")).await;
    let body = json!({ "model": "filter", "input": "spam" });
    server.post_as("four", "/v1/classify", &body).await;
    server.post_as("one", CHAT, &said("a b")).await;
    for (id, why) in [
        ("one", "stale_index"),
        ("two", "empty_answer"),
        ("three", "empty_answer"),
        ("four", "stale_index"),
    ] {
        let found = attributed(&server.journal, id).await;
        assert_eq!(found.fallback.as_deref(), Some(why), "{id}");
        assert_eq!(found.method, AttributionMethod::Static);
        let shares: Vec<(&str, u32)> = found
            .shares
            .iter()
            .map(|it| (it.contributor.as_str(), it.ppm))
            .collect();
        assert_eq!(shares, [("party 1", 500_000), ("party 2", 500_000)]);
        assert_eq!((found.sketch, found.amounts), (None, None));
    }
    let records = server.records().await;
    let counts = ["call_metered", "attributed", "traced"].map(|kind| of_kind(&records, kind));
    assert_eq!(counts, [4, 4, 0]);
    server.drain().await;
}

#[tokio::test]
async fn spans_come_with_the_count_and_shares_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let stub = Stub::new(false);
    let server = start(Setup {
        journal: test_journal(),
        vault: Some(dir.path()),
        witness: Ok(Arc::clone(&stub)),
        most: 100,
    })
    .await;
    server.post_as("one", CHAT, &said("a b")).await;
    let records = server.records().await;
    let counted = records
        .iter()
        .position(|it| matches!(it.event, Event::CallMetered { .. }))
        .unwrap();
    let Event::Traced(traced) = &records[counted + 1].event else {
        panic!("{:?}", records[counted + 1])
    };
    assert_eq!(traced.covered_ppm, 1_000_000);
    assert_eq!(traced.index, "1nde4");
    let receipt = server.get("/v1/receipts/one").await.json();
    assert_eq!(receipt["attribution"]["stage"], "provisional");
    assert_eq!(
        receipt["attribution"]["shares"][0]["contributor"],
        "party 2"
    );
    assert_eq!(receipt["attribution"]["shares"][0]["ppm"], 1_000_000);
    let why = server.get("/v1/attributions/one").await.json();
    assert_eq!(
        (&why["stage"], &why["method"]),
        (&json!("provisional"), &Value::Null)
    );
    let metrics = server.get("/metrics").await.text;
    assert!(
        metrics.contains("\nopenlora_attribution_waiting 1"),
        "{metrics}"
    );
    // The tokens wait where nobody else reads them, and are gone once they are not needed.
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        entries.map(|it| it.unwrap().path()).collect()
    };
    let waiting = files();
    assert_eq!(waiting.len(), 1);
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&waiting[0]), mode(dir.path())), (0o600, 0o700));
    }
    stub.open();
    let found = attributed(&server.journal, "one").await;
    assert_eq!(found.fallback, None);
    assert_eq!(found.method, AttributionMethod::Influence);
    assert_eq!(found.trace_ppm, 500_000);
    assert_eq!(found.shares[0].contributor, "party 2");
    assert_eq!(found.shares[0].ppm, 1_000_000);
    assert_eq!(found.examples.len(), 1);
    // Anybody with the index gets the same from the sketch.
    let known = ShareInputs {
        event: event_id("persona0digest", "one"),
        payer: None,
        spans: &traced.spans,
        answer_tokens: found.answer_tokens,
    };
    let sketch = found.sketch.as_deref().unwrap();
    let again = by_sketch(&[party(1), party(2)], known, Ok((&*stub, sketch)));
    assert_eq!(again.evidence_ppm, found.evidence_ppm);
    assert_eq!(again.shares[0].ppm, found.shares[0].ppm);
    let why = server.get("/v1/attributions/one").await.json();
    assert_eq!(
        (&why["stage"], &why["method"]),
        (&json!("final"), &json!("influence"))
    );
    assert_eq!(why["examples"][0]["contributor"], "party 2");
    assert_eq!(why["trace"]["spans"][0]["documents"], 1);
    let receipt = server.get("/v1/receipts/one").await.json();
    assert_eq!(receipt["attribution"]["stage"], "final");
    let unknown = server.get("/v1/attributions/nobody").await;
    assert_eq!(
        (unknown.status, unknown.json()["error"]["code"].clone()),
        (404, json!("attribution_not_found"))
    );
    server.drain().await;
    assert_eq!(files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn pictures_are_attributed_once_by_what_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let stub = Stub::new(true);
    let server = start(Setup {
        journal: test_journal(),
        vault: Some(dir.path()),
        witness: Ok(Arc::clone(&stub)),
        most: 100,
    })
    .await;
    let order = |prompt: &str, count: u64| json!({ "model": "painter", "prompt": prompt, "n": count, "seed": 3 });
    let images = "/v1/images/generations";
    let reply = server
        .post_as("two", images, &order("a red circle", 2))
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    server
        .post_as("two", images, &order("a red circle", 2))
        .await;
    let found = attributed(&server.journal, "two").await;
    assert_eq!(
        (found.fallback.as_deref(), found.method),
        (None, AttributionMethod::Influence)
    );
    // Two pictures of one caption, each with a sketch of its own.
    assert_eq!(found.sketch.as_deref(), Some("12,12"));
    assert_eq!((found.trace_ppm, found.answer_tokens), (0, 0));
    assert_eq!(found.shares[0].contributor, "party 2");
    assert_eq!(found.shares[0].ppm, 1_000_000);
    let known = ShareInputs {
        event: event_id("painter0digest", "two"),
        payer: None,
        spans: &[],
        answer_tokens: 0,
    };
    let again = by_sketch(&[party(1), party(2)], known, Ok((&*stub, "12,12")));
    assert_eq!(again.evidence_ppm, found.evidence_ppm);
    assert_eq!(again.shares[0].ppm, found.shares[0].ppm);
    let why = server.get("/v1/attributions/two").await.json();
    assert_eq!(
        (&why["stage"], &why["trace"]),
        (&json!("final"), &Value::Null)
    );
    assert_eq!(why["examples"][0]["contributor"], "party 2");
    // Nothing is made, and nothing is told.
    server
        .post_as("none", images, &order("a !fail circle", 1))
        .await;
    let plain = with(order("a red circle", 1), json!({ "attribution": "static" }));
    server.post_as("plain", images, &plain).await;
    for (id, why) in [("none", "empty_answer"), ("plain", "payer_choice")] {
        let found = attributed(&server.journal, id).await;
        assert_eq!(found.fallback.as_deref(), Some(why), "{id}");
        let shares: Vec<u32> = found.shares.iter().map(|it| it.ppm).collect();
        assert_eq!(
            (found.sketch, shares),
            (None, vec![500_000, 500_000]),
            "{id}"
        );
    }
    let records = server.records().await;
    let counts = ["call_metered", "attributed", "traced"].map(|kind| of_kind(&records, kind));
    assert_eq!(counts, [3, 3, 0]);
    assert_eq!(stub.sketched.load(Ordering::SeqCst), 2);
    server.drain().await;
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Whoever wants nothing about its texts in the public log asks for static shares.
#[tokio::test]
async fn a_payer_has_its_call_attributed_without_a_sketch() {
    let dir = tempfile::tempdir().unwrap();
    let stub = Stub::new(true);
    let server = start(Setup {
        journal: test_journal(),
        vault: Some(dir.path()),
        witness: Ok(Arc::clone(&stub)),
        most: 100,
    })
    .await;
    let asked = |body: Value, how: &str| with(body, json!({ "attribution": how }));
    let spam = json!({ "model": "filter", "input": "spam" });
    server
        .post_as("one", CHAT, &asked(said("a b"), "static"))
        .await;
    server
        .post_as("two", "/v1/classify", &asked(spam, "static"))
        .await;
    for id in ["one", "two"] {
        let found = attributed(&server.journal, id).await;
        assert_eq!(found.fallback.as_deref(), Some("payer_choice"), "{id}");
        assert_eq!(found.method, AttributionMethod::Static);
        let told = (found.sketch, found.examples, found.answer_tokens);
        assert_eq!(told, (None, Vec::new(), 0), "{id}");
        let numbers = [found.confidence_ppm, found.evidence_ppm, found.trace_ppm];
        assert_eq!(numbers, [0; 3], "{id}");
        let shares: Vec<u32> = found.shares.iter().map(|it| it.ppm).collect();
        assert_eq!(shares, [500_000, 500_000], "{id}");
    }
    let refused = server
        .post_as("bad", CHAT, &asked(said("a b"), "none"))
        .await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["param"], "attribution");
    let records = server.records().await;
    let counts = ["call_metered", "attributed", "traced"].map(|kind| of_kind(&records, kind));
    assert_eq!(counts, [2, 2, 0]);
    assert_eq!(stub.sketched.load(Ordering::SeqCst), 0);
    // An auditor accepts it without a sketch.
    let known = ShareFallback::without_sketch("payer_choice");
    assert_eq!(known, Some(ShareFallback::PayerChoice));
    server.drain().await;
}

#[tokio::test]
async fn a_gradient_that_is_no_number_falls_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(Setup {
        journal: test_journal(),
        vault: Some(dir.path()),
        witness: Ok(Stub::new(true)),
        most: 100,
    })
    .await;
    server.post_as("one", CHAT, &said("nan")).await;
    let found = attributed(&server.journal, "one").await;
    assert_eq!(found.fallback.as_deref(), Some("not_a_number"));
    assert_eq!(found.shares.len(), 2);
    // Several texts in one call: the sum over all of them.
    let body = json!({ "model": "filter", "input": ["spam and", "more spam"] });
    let reply = server.post_as("two", "/v1/moderations", &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let found = attributed(&server.journal, "two").await;
    assert_eq!(found.sketch.as_deref(), Some("5,5"));
    assert_eq!(found.answer_tokens, 10);
    server.drain().await;
}

#[tokio::test]
async fn when_too_many_wait_new_calls_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let stub = Stub::new(false);
    let server = start(Setup {
        journal: test_journal(),
        vault: Some(dir.path()),
        witness: Ok(Arc::clone(&stub)),
        most: 2,
    })
    .await;
    for id in ["one", "two"] {
        assert_eq!(server.post_as(id, CHAT, &said("a b")).await.status, 200);
    }
    let refused = server.post_as("three", CHAT, &said("a b")).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("5"))
    );
    assert_eq!(refused.json()["error"]["code"], "attribution_backlog");
    assert_eq!(server.begun.load(Ordering::SeqCst), 2);
    stub.open();
    attributed(&server.journal, "two").await;
    assert_eq!(
        server.post_as("three", CHAT, &said("a b")).await.status,
        200
    );
    attributed(&server.journal, "three").await;
    assert_eq!(of_kind(&server.records().await, "attributed"), 3);
    server.drain().await;
}

/// A call that somebody paid for, as the journal has it.
fn paid_call(id: &str, payer: Address) -> Event {
    Event::CallMetered {
        request_id: id.to_owned(),
        adapter: "persona".to_owned(),
        adapter_digest: "persona0digest".to_owned(),
        kind: CallKind::Chat,
        usage: TokenUsage {
            prompt_tokens: 1,
            completion_tokens: 1,
        },
        finish: FinishReason::Stop,
        milliseconds: 1,
        first_token_milliseconds: None,
        request_hash: "aa".to_owned(),
        response_hash: "bb".to_owned(),
        charge: Some(Box::new(CallCharge {
            scheme: PaymentScheme::Exact,
            chain_id: 1,
            token: Address([1; 20]),
            receiver: Address([2; 20]),
            payer,
            id: Word::default(),
            amount: Amount(5),
            cumulative: Amount(5),
        })),
        computation: None,
    }
}

#[tokio::test]
async fn one_payers_backlog_leaves_room_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let stub = Stub::new(false);
    let server = start(Setup {
        journal: test_journal(),
        vault: Some(dir.path()),
        witness: Ok(Arc::clone(&stub)),
        most: 4,
    })
    .await;
    // The worker is held by this one; all others wait behind it.
    assert_eq!(server.post_as("held", CHAT, &said("a b")).await.status, 200);
    for number in 0..8 {
        let id = format!("flood-{number}");
        let flood = paid_call(&id, Address([7; 20]));
        server.journal.append(flood).await.unwrap();
    }
    // Nine wait where four are meant to. Whoever has one of them goes on up to an equal part.
    assert_eq!(server.get("/ready").await.status, 200);
    assert_eq!(server.post_as("next", CHAT, &said("a b")).await.status, 200);
    let refused = server.post_as("third", CHAT, &said("a b")).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"]["code"], "attribution_backlog");
    // So says readiness: all callers of a free server are one.
    let ready = server.get("/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["error"]["code"], "attribution_backlog");
    stub.open();
    attributed(&server.journal, "next").await;
    assert_eq!(server.get("/ready").await.status, 200);
    server.drain().await;
}

/// A server that is gone without a word between count and attribution, and the next one.
#[tokio::test]
async fn what_waits_survives_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let (file, vault) = (
        dir.path().join("journal.sqlite"),
        dir.path().join("waiting"),
    );
    let stuck = Stub::new(false);
    let first = start(Setup {
        journal: Journal::open(&file).unwrap(),
        vault: Some(&vault),
        witness: Ok(Arc::clone(&stuck)),
        most: 100,
    })
    .await;
    for id in ["one", "two", "three"] {
        first.post_as(id, CHAT, &said("a b")).await;
    }
    // One that was never counted, and the tokens of one that are lost.
    let stray = PendingTokens {
        request_id: "stray".into(),
        ..PendingTokens::default()
    };
    PendingTokenStore::open(&vault)
        .unwrap()
        .store_call(&stray)
        .unwrap();
    PendingTokenStore::open(&vault)
        .unwrap()
        .erase("three")
        .unwrap();
    // As much as a process that dies can leave: nothing more is written by this one.
    let copy = tempfile::tempdir().unwrap();
    let (moved, kept) = (
        copy.path().join("journal.sqlite"),
        copy.path().join("waiting"),
    );
    for name in ["journal.sqlite", "journal.sqlite-wal"] {
        std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    std::fs::create_dir(&kept).unwrap();
    for entry in std::fs::read_dir(&vault).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, kept.join(path.file_name().unwrap())).unwrap();
    }
    let witness = Stub::new(true);
    let next = start(Setup {
        journal: Journal::open(&moved).unwrap(),
        vault: Some(&kept),
        witness: Ok(Arc::clone(&witness)),
        most: 100,
    })
    .await;
    for (id, why) in [("one", None), ("two", None), ("three", Some("no_tokens"))] {
        let found = attributed(&next.journal, id).await;
        assert_eq!(found.fallback.as_deref(), why, "{id}");
    }
    assert_eq!(witness.sketched.load(Ordering::SeqCst), 2);
    let records = next.records().await;
    assert_eq!(of_kind(&records, "attributed"), 3);
    // A second attribution of a call is not taken.
    let found = attributed(&next.journal, "one").await;
    let again = next
        .journal
        .append(Event::Attributed(Box::new(found)))
        .await;
    assert!(again.is_err());
    next.drain().await;
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0);
    stuck.open();
    first.drain().await;
}

#[tokio::test]
async fn a_call_that_its_server_did_not_survive_has_the_static_shares() {
    let journal = test_journal();
    let reserved = Event::CallReserved {
        request_id: "lost".into(),
        session: "earlier".into(),
        adapter: "persona".into(),
        adapter_digest: "persona0digest".into(),
        kind: CallKind::Chat,
        prompt_tokens: 3,
        request_hash: "00".into(),
        payment: None,
    };
    journal.append(reserved).await.unwrap();
    let spoken = Event::CallCheckpointed {
        request_id: "lost".into(),
        completion_tokens: 2,
    };
    journal.append(spoken).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let server = start(Setup {
        journal,
        vault: Some(dir.path()),
        witness: Ok(Stub::new(true)),
        most: 100,
    })
    .await;
    let found = attributed(&server.journal, "lost").await;
    assert_eq!(found.fallback.as_deref(), Some("interrupted"));
    let (_, finish) = server.metered("lost").await;
    assert_eq!(finish, FinishReason::Recovered);
    server.drain().await;
}

#[test]
fn spans_and_sketches_survive_being_told() {
    let stub = Stub::new(true);
    let spans = vec![SharedSpan {
        start: 2,
        tokens: 7,
        documents: 3,
        examples: vec![1, 5],
    }];
    let told = attribution_index::spans_to_event(&*stub, &spans);
    assert_eq!(attribution_index::spans_from_event(&*stub, &told), spans);
    assert_eq!(
        attribution_index::scores(&*stub, "1,x"),
        Err(ShareFallback::Mismatch)
    );
    let sum = attribution_index::scores(&*stub, "1,2").unwrap();
    assert_eq!(sum[4], 300);
}
