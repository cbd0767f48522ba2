//! Killed processes, full disks, and the calls that they leave open.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use super::{checkpoint, metered, place, refused, reserved, reserved_by, said, stores};
#[cfg(target_os = "linux")]
use crate::small_disk::{on_small_disk, small_disk};
use crate::waiting;
use futures::future::join_all;
use openlora_journal::Journal;

use crate::memory_journal::MemoryStore;
use openlora_ledger::event::{CallKind, Event, EventRecord, FinishReason, TokenUsage};

const RECOVERABLE: &[(&str, &str, &[u64])] = &[
    ("dead", "a", &[4, 9]),
    ("dead", "b", &[]),
    ("older", "c", &[1]),
    ("live", "d", &[2]),
];

#[tokio::test]
async fn calls_of_dead_sessions_are_counted_once() {
    for (_dir, journal) in stores() {
        for (session, id, checkpoints) in RECOVERABLE {
            journal.append(reserved_by(session, id)).await.unwrap();
            for tokens in *checkpoints {
                journal.append(checkpoint(id, *tokens)).await.unwrap();
            }
        }
        journal.append(reserved_by("dead", "e")).await.unwrap();
        journal.append(metered("e")).await.unwrap();
        let found = journal.recover("live").await.unwrap();
        let counts: Vec<(String, TokenUsage, FinishReason)> = found
            .iter()
            .filter_map(|record| match &record.event {
                Event::CallMetered {
                    request_id,
                    usage,
                    finish,
                    ..
                } => Some((request_id.clone(), *usage, *finish)),
                _ => None,
            })
            .collect();
        let count = |id: &str, completion_tokens| {
            (
                id.to_owned(),
                TokenUsage {
                    prompt_tokens: 7,
                    completion_tokens,
                },
                FinishReason::Recovered,
            )
        };
        assert_eq!(counts, [count("a", 9), count("b", 0), count("c", 1)]);
        assert_eq!(journal.recover("live").await.unwrap(), []);
        let late = journal.append(metered("a")).await.unwrap_err();
        assert!(late.is_duplicate());
        assert_eq!(journal.recover("next").await.unwrap().len(), 1);
        journal.verify().await.unwrap();
    }
}

#[tokio::test]
async fn a_recovered_count_says_what_is_known() {
    let times = Mutex::new(vec![1000, 1250, 9000].into_iter());
    let clock = Box::new(move || times.lock().unwrap().next().unwrap());
    let journal = Journal::start(Box::new(MemoryStore::new()), clock).unwrap();
    journal.append(reserved("a")).await.unwrap();
    journal.append(checkpoint("a", 3)).await.unwrap();
    let records = journal.recover("two").await.unwrap();
    let expected = Event::CallMetered {
        request_id: "a".into(),
        adapter: "mood".into(),
        adapter_digest: "ad".into(),
        kind: CallKind::Chat,
        usage: TokenUsage {
            prompt_tokens: 7,
            completion_tokens: 3,
        },
        finish: FinishReason::Recovered,
        milliseconds: 250,
        first_token_milliseconds: None,
        request_hash: "rh".into(),
        response_hash: journal.salted_hash(b""),
        charge: None,
        computation: None,
    };
    assert_eq!(records[0].event, expected);
}

const CHILD_JOURNAL: &str = "OPENLORA_TEST_JOURNAL";
const CHILD_ROUND: &str = "OPENLORA_TEST_ROUND";

/// Runs one of this binary's ignored tests in a process of its own.
fn child(test: &str, path: &Path, round: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            test,
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD_JOURNAL, path)
        .env(CHILD_ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "the process that acknowledged_events_survive_a_kill kills"]
async fn child_appends_until_killed() {
    let path = std::env::var_os(CHILD_JOURNAL).expect("another test starts this one");
    let round = std::env::var(CHILD_ROUND).unwrap();
    let journal = Journal::open(Path::new(&path)).unwrap();
    let caller = async |caller: u32| {
        for index in 0.. {
            let id = format!("{round}-{caller}-{index}");
            journal.append(reserved_by(&round, &id)).await.unwrap();
            journal.note(checkpoint(&id, 2)).unwrap();
            let record = journal.append(checkpoint(&id, 5)).await.unwrap();
            // Bypasses the test harness, which keeps what tests print until they end.
            let mut out = std::io::stdout().lock();
            writeln!(out, "\nack {} {id}", record.sequence)
                .and_then(|()| out.flush())
                .unwrap();
        }
    };
    join_all((0..8).map(caller)).await;
}

/// The acknowledgements of a child: sequence and request id.
fn acknowledgement(line: &str) -> Option<(u64, String)> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
}

/// Kills the child after `count` acknowledgements and returns all that it gave.
fn kill_after(mut child: Child, count: usize) -> Vec<(u64, String)> {
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(acknowledgement(
            &lines.next().expect("the child ended early"),
        ));
    }
    child.kill().unwrap();
    waiting::ended("the killed child", &mut child);
    // A line cut by the kill is no acknowledgement, its event may still be there.
    let whole = |line: &String| line.matches(' ').count() == 2 && line.matches('-').count() == 2;
    seen.extend(
        lines
            .filter(whole)
            .filter_map(|line| acknowledgement(&line)),
    );
    seen
}

#[tokio::test]
async fn acknowledged_events_survive_a_kill() {
    let (_dir, path) = place();
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    let mut before = 0;
    for (round, count) in [1, 23, 7, 64, 40].into_iter().enumerate() {
        let child = child(
            "journal::crash::child_appends_until_killed",
            &path,
            round as u32,
        );
        let mut seen = kill_after(child, count);
        // The last line may have lost its end.
        seen.pop();
        acknowledged.extend(seen);
        // The lock of the killed process is taken over.
        let journal = Journal::open(&path).unwrap();
        let head = journal.verify().await.unwrap();
        assert!(head.sequence > before, "round {round} left nothing");
        let records = journal.read(1, usize::MAX).await.unwrap();
        assert_eq!(records.len() as u64, head.sequence);
        for (sequence, id) in &acknowledged {
            assert_eq!(records[*sequence as usize - 1].event, checkpoint(id, 5));
        }
        assert_recovers(&journal, &records).await;
        before = journal.head().sequence;
    }
}

/// Every open call is counted once, with the tokens of its last durable checkpoint.
async fn assert_recovers(journal: &Journal, records: &[EventRecord]) {
    let mut open: BTreeMap<String, u64> = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::CallReserved { request_id, .. } => {
                open.insert(request_id.clone(), 0);
            }
            Event::CallCheckpointed {
                request_id,
                completion_tokens,
            } => {
                *open.get_mut(request_id).unwrap() = *completion_tokens;
            }
            Event::CallMetered { request_id, .. } => {
                open.remove(request_id).unwrap();
            }
            other => panic!("nobody wrote {other:?}"),
        }
    }
    let mut counted = BTreeMap::new();
    for record in journal.recover("live").await.unwrap() {
        if let Event::CallMetered {
            request_id, usage, ..
        } = record.event
        {
            counted.insert(request_id, usage.completion_tokens);
        }
    }
    assert_eq!(counted, open);
    assert_eq!(journal.recover("live").await.unwrap(), []);
}

#[tokio::test]
#[ignore = "the process that a_writer_elsewhere_is_named starts"]
async fn child_holds_the_journal() {
    let path = std::env::var_os(CHILD_JOURNAL).expect("another test starts this one");
    let _journal = Journal::open(Path::new(&path)).unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nack 0 open")
        .and_then(|()| out.flush())
        .unwrap();
    std::future::pending::<()>().await;
}

#[test]
fn a_writer_elsewhere_is_named() {
    let (_dir, path) = place();
    let mut holder = child("journal::crash::child_holds_the_journal", &path, 0);
    let mut lines = BufReader::new(holder.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.any(|line| line == "ack 0 open"));
    let pid = holder.id();
    assert_eq!(
        refused(&path),
        format!(
            "the journal JOURNAL is in use by process {pid}\nhint: stop process {pid} first, or \
             give this one another home with OPENLORA_HOME"
        )
    );
    holder.kill().unwrap();
    waiting::ended("the killed holder", &mut holder);
    assert_eq!(Journal::open(&path).unwrap().head().sequence, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    on_small_disk("size=1m", "journal::crash::with_a_disk_that_fills_up");
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "a_full_disk_loses_nothing_that_was_acknowledged runs it"]
async fn with_a_disk_that_fills_up() {
    let disk = small_disk();
    let path = disk.join("journal.db");
    let journal = Journal::open(&path).unwrap();
    let filler = disk.join("filler");
    let mut written = 0u64;
    for round in 0..3 {
        let fill = std::fs::write(&filler, vec![1; 2 << 20]).unwrap_err();
        assert_eq!(fill.kind(), std::io::ErrorKind::StorageFull);
        let mut refusal = None;
        for index in 0..400 {
            match journal.append(metered(&format!("{round}-{index}"))).await {
                Ok(record) => written = record.sequence,
                Err(error) => refusal = Some(error),
            }
        }
        assert_eq!(
            said(&refusal.expect("the disk was never full"), &path),
            "the disk that holds the journal JOURNAL is full\nhint: free some space on that disk; \
             nothing was written by halves"
        );
        // Reading goes on meanwhile.
        assert_eq!(
            journal.read(1, 1).await.unwrap().len() as u64,
            written.min(1)
        );
        std::fs::remove_file(&filler).unwrap();
        let record = journal
            .append(metered(&format!("{round}-free")))
            .await
            .unwrap();
        assert_eq!(record.sequence, written + 1);
        written = record.sequence;
        assert_eq!(journal.verify().await.unwrap(), journal.head());
    }
    let head = journal.head();
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().verify().await.unwrap(), head);
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_folder_is_named() {
    on_small_disk("size=64k,ro", "journal::crash::with_a_read_only_disk");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "a_read_only_folder_is_named runs it"]
fn with_a_read_only_disk() {
    let path = small_disk().join("journal.db");
    assert_eq!(
        refused(&path),
        "the journal JOURNAL cannot be written: read-only file system\nhint: make that folder \
         writable, or set OPENLORA_HOME to one that is"
    );
}
