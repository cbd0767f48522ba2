//! What serving costs beside the model: `cargo bench --bench serving [-- GROUP]`.

#![allow(clippy::expect_used, reason = "a bench stops at the first surprise")]

// The same base as the tests', whose answers have the length that is asked for.
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests use more of it, and a bench may stop at the first surprise"
)]
#[path = "../tests/support/scripted.rs"]
mod scripted;

// The tests' terminal emulator, around the real binary.
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the tests use more of it, and a bench may stop at the first surprise"
)]
#[path = "../tests/support/dash_terminal.rs"]
mod dash_terminal;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests use more of it, and a bench may stop at the first surprise"
)]
#[path = "../tests/support/support.rs"]
mod support;

#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the tests use more of it, and a bench may stop at the first surprise"
)]
#[path = "../tests/support/waiting.rs"]
mod waiting;

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests use more of it, and a bench may stop at the first surprise"
)]
#[path = "../tests/support/paths.rs"]
mod paths;

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests use more of it, and a bench may stop at the first surprise"
)]
#[path = "../tests/support/small_disk.rs"]
mod small_disk;

mod attributing;
mod dashboard;
mod metering;

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::{StreamExt, future::join_all};
use openlora_engine::{Engine, GenerationStep, ModelLoader, Prompt, SamplingParams};
use openlora_journal::Journal;
use openlora_ledger::{
    event::{CallKind, Event, FinishReason, TokenUsage},
    state::{ApplyOutcome, LedgerState},
};
use openlora_mistral::MistralLoader;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use xtask::bpe;

criterion_group!(
    benches,
    journal,
    engine,
    metering::metering,
    dashboard::frame,
    dashboard::opening,
    dashboard::following,
    dashboard::pixel,
    attributing::attributing
);
criterion_main!(benches);

/// Durable appends by one caller and by 64 at once; a replay folded into a snapshot, a walk along
/// the chain and a search for open calls over 100 000 records.
fn journal(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let mut group = criterion.benchmark_group("journal");
    for callers in [1u64, 64] {
        let (_dir, journal) = fresh();
        let mut next = 0..;
        group.throughput(Throughput::Elements(callers));
        group.bench_function(format!("durable_appends/{callers}"), |bencher| {
            bencher.iter(|| {
                let calls = next.by_ref().take(callers as usize);
                let records =
                    runtime.block_on(join_all(calls.map(|id| journal.append(metered(id)))));
                assert!(black_box(records).iter().all(Result::is_ok));
            });
        });
    }
    group
        .sample_size(10)
        .throughput(Throughput::Elements(REPLAYED));
    let (_dir, journal) = filled(&runtime);
    group.bench_function(format!("replay/{REPLAYED}"), |bencher| {
        bencher.iter(|| {
            let mut snapshot = LedgerState::default();
            let replayed = journal.replay(1, |record| {
                assert_eq!(snapshot.apply(record), ApplyOutcome::Folded);
            });
            assert!(replayed.is_ok());
            assert_eq!(black_box(snapshot).totals.calls, REPLAYED / 2);
        });
    });
    group.bench_function(format!("verify/{REPLAYED}"), |bencher| {
        bencher.iter(|| assert!(runtime.block_on(journal.verify()).is_ok()));
    });
    group.bench_function(format!("recover_nothing/{REPLAYED}"), |bencher| {
        bencher.iter(|| {
            let recovered = runtime
                .block_on(journal.recover("this"))
                .expect("the disk is read");
            assert!(recovered.is_empty());
        });
    });
    group.finish();
}

const REPLAYED: u64 = 100_000;

fn fresh() -> (TempDir, Journal) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = Journal::open(&dir.path().join("journal.db")).expect("a new journal");
    (dir, journal)
}

fn filled(runtime: &Runtime) -> (TempDir, Journal) {
    let (dir, journal) = fresh();
    for id in 0..REPLAYED / 2 {
        journal.note(reserved(id)).expect("the writer runs");
        journal.note(metered(id)).expect("the writer runs");
    }
    runtime
        .block_on(journal.flush())
        .expect("the disk takes it");
    (dir, journal)
}

fn reserved(id: u64) -> Event {
    let digest = "0123456789abcdef".repeat(4);
    Event::CallReserved {
        request_id: format!("chatcmpl-{id:032x}"),
        session: "an-earlier-one".into(),
        adapter: "sentiment".into(),
        adapter_digest: digest.clone(),
        kind: CallKind::Chat,
        prompt_tokens: 120,
        request_hash: digest,
        payment: None,
    }
}

/// A count as a server writes it: digests and hashes at their real lengths.
fn metered(id: u64) -> Event {
    let digest = "0123456789abcdef".repeat(4);
    Event::CallMetered {
        request_id: format!("chatcmpl-{id:032x}"),
        adapter: "sentiment".into(),
        adapter_digest: digest.clone(),
        kind: CallKind::Chat,
        usage: TokenUsage {
            prompt_tokens: 120,
            completion_tokens: 30,
        },
        finish: FinishReason::Stop,
        milliseconds: 900,
        first_token_milliseconds: Some(70),
        request_hash: digest.clone(),
        response_hash: digest,
        charge: None,
        computation: None,
    }
}

/// Tokens of the answers that the engine group compares.
const ANSWER: usize = 32;

/// An answer and a first token from mistral.rs itself and through the engine port.
fn engine(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let script = scripted::Script::new().choice("x", &[("x", 1.0)]);
    let engines: Arc<dyn ModelLoader> = Arc::new(MistralLoader::new());
    let port = runtime.block_on(script.load_with(&engines, 256));
    let bare = runtime.block_on(bare_model(script.folder()));
    let mut group = criterion.benchmark_group("engine");
    for tokens in [1, ANSWER] {
        group.throughput(Throughput::Elements(tokens as u64));
        group.bench_function(format!("bare/{tokens}"), |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(bare_answer(&bare, tokens)), tokens));
        });
        group.bench_function(format!("port/{tokens}"), |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(port_answer(&port, tokens)), tokens));
        });
    }
    group.finish();
}

async fn bare_model(folder: &std::path::Path) -> mistralrs::Model {
    mistralrs::TextModelBuilder::new(folder.display())
        .with_dtype(mistralrs::ModelDType::F32)
        .with_force_cpu()
        .with_prefix_cache_n(None)
        .build()
        .await
        .expect("mistral.rs loads the base")
}

/// Chunks of a streamed answer: one per token.
async fn bare_answer(model: &mistralrs::Model, tokens: usize) -> usize {
    let (sender, mut responses) = tokio::sync::mpsc::channel(tokens + 1);
    let mut request = mistralrs::NormalRequest::new_simple(
        mistralrs::RequestMessage::Completion {
            text: "x".to_owned(),
            echo_prompt: false,
            best_of: None,
        },
        mistralrs::SamplingParams {
            max_len: Some(tokens),
            ..mistralrs::SamplingParams::deterministic()
        },
        sender,
        0,
        None,
        None,
    );
    request.is_streaming = true;
    let engine = model.inner().get_sender(None).expect("it runs");
    let request = mistralrs::Request::Normal(Box::new(request));
    assert!(engine.send(request).await.is_ok());
    let mut chunks = 0;
    while chunks < tokens && responses.recv().await.is_some() {
        chunks += 1;
    }
    chunks
}

async fn port_answer(engine: &Arc<dyn Engine>, tokens: usize) -> usize {
    let sampling = SamplingParams {
        max_tokens: tokens,
        ..SamplingParams::default()
    };
    let prompt = Prompt::Text("x".to_owned());
    let mut stream = engine.generate(prompt, sampling).await.expect("it answers");
    let mut counted = 0;
    while let Some(Ok(GenerationStep::Delta { tokens, .. })) = stream.next().await {
        counted += tokens as usize;
    }
    counted
}
