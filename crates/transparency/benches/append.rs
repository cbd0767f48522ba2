//! Appends per second, beside what the parts of an append cost in the same run: entries that are made
//! from a journal of metered calls, and the tree over entries that are at hand.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::{hint::black_box, time::Instant};

use openlora_journal::Journal;
use openlora_ledger::event::{CallKind, Event, FinishReason, TokenUsage};
use openlora_transparency::{
    CheckpointKey, EntrySource, JournalEntries, NoEntries, TileLogWriter, catch_up,
};

/// Calls in the journal.
const CALLS: u64 = 100_000;

/// Entries per checkpoint, from one call each to what collects in a catch-up.
const GROUPS: &[usize] = &[1, 16, 256, 4096, 16_384];

fn metered(number: u64) -> Event {
    Event::CallMetered {
        request_id: format!("{number:032x}"),
        adapter: "sentiment".into(),
        adapter_digest: "ad".repeat(32),
        kind: CallKind::Chat,
        usage: TokenUsage {
            prompt_tokens: 70,
            completion_tokens: 30,
        },
        finish: FinishReason::Stop,
        milliseconds: 20,
        first_token_milliseconds: Some(4),
        request_hash: "12".repeat(32),
        response_hash: "34".repeat(32),
        charge: None,
        computation: None,
    }
}

fn report(what: &str, count: u64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{what:<44} {:>10.0} per second", count as f64 / seconds);
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let journal = Journal::open(&path).unwrap();
        let began = Instant::now();
        for number in 0..CALLS {
            journal.note(metered(number)).unwrap();
        }
        journal.flush().await.unwrap();
        report("records written to the journal", CALLS, began);
    });
    let mut source = JournalEntries::open(&path).unwrap();
    let began = Instant::now();
    let entries = source.entries(0, usize::MAX >> 1).unwrap();
    report("entries made from the journal", CALLS, began);
    let key = CheckpointKey::create(&dir.path().join("log.key"), None).unwrap();
    let mut log = TileLogWriter::open(&dir.path().join("log"), key, &mut source).unwrap();
    let began = Instant::now();
    catch_up(&mut log, &mut source).unwrap();
    report("appended from the journal, synced and signed", CALLS, began);
    for group in GROUPS {
        let name = format!("groups-{group}");
        let key = CheckpointKey::create(&dir.path().join(name.clone() + ".key"), None).unwrap();
        let mut log = TileLogWriter::open(&dir.path().join(name), key, &mut NoEntries).unwrap();
        // Small groups are one sync after another: a part of the calls says enough.
        let some = &entries[..entries.len().min(group * 200)];
        let began = Instant::now();
        for batch in some.chunks(*group) {
            black_box(log.append(batch).unwrap());
        }
        let what = format!("appended in groups of {group}");
        report(&what, some.len() as u64, began);
    }
}
