//! What serving costs beside the model: `cargo bench --bench serving [-- GROUP]`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use openlora::runtime::{
    event::{CallKind, Event, Finish, Usage},
    journal::Journal,
    state::{Applied, Snapshot},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

criterion_group!(benches, journal);
criterion_main!(benches);

/// Durable appends by one caller and by 64 at once, and a replay folded into a snapshot.
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
            let mut snapshot = Snapshot::default();
            let replayed = journal.replay(1, |record| {
                assert_eq!(snapshot.apply(record), Applied::Folded);
            });
            assert!(replayed.is_ok());
            assert_eq!(black_box(snapshot).totals.calls, REPLAYED);
        });
    });
    group.bench_function(format!("verify/{REPLAYED}"), |bencher| {
        bencher.iter(|| assert!(runtime.block_on(journal.verify()).is_ok()));
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
    for id in 0..REPLAYED {
        journal.note(metered(id)).expect("the writer runs");
    }
    runtime
        .block_on(journal.flush())
        .expect("the disk takes it");
    (dir, journal)
}

/// A count as a server writes it: digests and hashes at their real lengths.
fn metered(id: u64) -> Event {
    let digest = "0123456789abcdef".repeat(4);
    Event::CallMetered {
        request_id: format!("chatcmpl-{id:032x}"),
        adapter: "sentiment".into(),
        adapter_digest: digest.clone(),
        kind: CallKind::Chat,
        usage: Usage {
            prompt_tokens: 120,
            completion_tokens: 30,
        },
        finish: Finish::Stop,
        milliseconds: 900,
        first_token_milliseconds: Some(70),
        request_hash: digest.clone(),
        response_hash: digest,
    }
}
