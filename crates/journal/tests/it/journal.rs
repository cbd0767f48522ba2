//! The journal: order, uniqueness, the chain, group commit, over both stores.

pub mod crash;
mod file;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
};

use futures::{future::join_all, poll};
use openlora_core::error::Explain;
use openlora_journal::{
    AppendOutcome, CachedResponse, Journal, JournalEntry, JournalError, JournalHead, JournalStore,
    SqliteStore, StoreReader,
};
use openlora_ledger::event::{CallKind, Event, FinishReason, TokenUsage};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::memory_journal::{MemoryStore, memory_journal};

fn reserved(id: &str) -> Event {
    reserved_by("one", id)
}

fn reserved_by(session: &str, id: &str) -> Event {
    Event::CallReserved {
        request_id: id.into(),
        session: session.into(),
        adapter: "mood".into(),
        adapter_digest: "ad".into(),
        kind: CallKind::Chat,
        prompt_tokens: 7,
        request_hash: "rh".into(),
        payment: None,
    }
}

fn checkpoint(id: &str, completion_tokens: u64) -> Event {
    Event::CallCheckpointed {
        request_id: id.into(),
        completion_tokens,
    }
}

fn metered(id: &str) -> Event {
    Event::CallMetered {
        request_id: id.into(),
        adapter: "mood".into(),
        adapter_digest: "ad".into(),
        kind: CallKind::Chat,
        usage: TokenUsage {
            prompt_tokens: 7,
            completion_tokens: 3,
        },
        finish: FinishReason::Stop,
        milliseconds: 20,
        first_token_milliseconds: Some(4),
        request_hash: "rh".into(),
        response_hash: "sh".into(),
        charge: None,
        computation: None,
    }
}

fn started(session: &str) -> Event {
    Event::ServerStarted {
        session: session.into(),
        version: "1".into(),
    }
}

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home/journal.db");
    (dir, path)
}

fn said(error: &JournalError, path: &Path) -> String {
    let text = match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    };
    text.replace(&path.display().to_string(), "JOURNAL")
}

fn refused(path: &Path) -> String {
    match Journal::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => said(&error, path),
    }
}

/// Both stores, each with what keeps it alive.
fn stores() -> Vec<(Option<TempDir>, Journal)> {
    let (dir, path) = place();
    vec![
        (Some(dir), Journal::open(&path).unwrap()),
        (None, memory_journal()),
    ]
}

#[tokio::test]
async fn appended_events_are_read_back_in_order() {
    for (_dir, journal) in stores() {
        let first = journal.append(started("one")).await.unwrap();
        journal.note(reserved("a")).unwrap();
        journal.note(checkpoint("a", 2)).unwrap();
        let last = journal.append(metered("a")).await.unwrap();
        assert_eq!((first.sequence, last.sequence), (1, 4));
        let records = journal.read(1, 100).await.unwrap();
        let events: Vec<Event> = records.iter().map(|record| record.event.clone()).collect();
        assert_eq!(
            events,
            [
                started("one"),
                reserved("a"),
                checkpoint("a", 2),
                metered("a")
            ]
        );
        assert_eq!(records[3], last);
        assert_eq!(journal.read(2, 2).await.unwrap(), records[1..3]);
        assert_eq!(journal.read(5, 2).await.unwrap(), []);
        assert_eq!(journal.read(u64::MAX, usize::MAX).await.unwrap(), []);
        assert_eq!(hex::encode(journal.head().hash), last.hash);
        assert_eq!(journal.verify().await.unwrap(), journal.head());
        assert_eq!(journal.metered("a").await.unwrap(), Some(last));
        assert_eq!(journal.metered("b").await.unwrap(), None);
        let mut replayed = Vec::new();
        journal
            .replay(1, |record| replayed.push(record.clone()))
            .unwrap();
        assert_eq!(replayed, records);
    }
}

#[tokio::test]
async fn a_second_count_of_a_request_changes_nothing() {
    for (_dir, journal) in stores() {
        journal.append(reserved("a")).await.unwrap();
        journal.append(metered("a")).await.unwrap();
        let before = journal.head();
        let again = journal.append(metered("a")).await.unwrap_err();
        assert!(again.is_duplicate());
        assert_eq!(
            again.to_string(),
            "request a already has a call_metered event"
        );
        let again = journal.append(reserved("a")).await.unwrap_err();
        assert_eq!(
            again.to_string(),
            "request a already has a call_reserved event"
        );
        journal.note(metered("a")).unwrap();
        journal.flush().await.unwrap();
        assert_eq!(journal.head(), before);
        let next = journal.append(reserved("b")).await.unwrap();
        assert_eq!(next.sequence, 3);
        journal.verify().await.unwrap();
    }
}

#[tokio::test]
async fn a_duplicate_in_a_batch_leaves_the_others_alone() {
    for (_dir, journal) in stores() {
        let events = [
            metered("a"),
            metered("b"),
            metered("a"),
            checkpoint("a", 1),
            metered("c"),
        ];
        let outcomes = join_all(events.into_iter().map(|event| journal.append(event))).await;
        let sequences: Vec<Option<u64>> = outcomes
            .iter()
            .map(|outcome| outcome.as_ref().ok().map(|r| r.sequence))
            .collect();
        assert_eq!(sequences, [Some(1), Some(2), None, Some(3), Some(4)]);
        assert_eq!(journal.verify().await.unwrap().sequence, 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_get_different_places() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|index| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(metered(&index.to_string())).await })
        })
        .collect();
    let mut places = Vec::new();
    for task in tasks {
        places.push(task.await.unwrap().unwrap().sequence);
    }
    places.sort_unstable();
    assert_eq!(places, (1..=200).collect::<Vec<u64>>());
    assert_eq!(journal.verify().await.unwrap().sequence, 200);
}

/// The chain computed from the file alone, as the documentation describes it.
#[tokio::test]
async fn the_chain_is_what_is_documented() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    for event in [started("one"), reserved("a"), metered("a")] {
        journal.append(event).await.unwrap();
    }
    let file = Connection::open(&path).unwrap();
    let salt: Vec<u8> = file
        .query_row("SELECT value FROM meta WHERE key = 'salt'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(salt, journal.salt());
    let mut hash = Sha256::digest([b"openlora journal v1".as_slice(), &salt].concat()).to_vec();
    let mut statement = file
        .prepare("SELECT sequence, time_ms, body FROM events")
        .unwrap();
    let rows: Vec<(i64, i64, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let records = journal.read(1, 10).await.unwrap();
    assert_eq!(rows.len(), records.len());
    for ((sequence, time, body), record) in rows.into_iter().zip(records) {
        assert_eq!(body, serde_json::to_string(&record.event).unwrap());
        let parts = [
            &hash[..],
            &sequence.to_be_bytes(),
            &time.to_be_bytes(),
            body.as_bytes(),
        ]
        .concat();
        hash = Sha256::digest(parts).to_vec();
        assert_eq!(hex::encode(&hash), record.hash);
    }
}

#[tokio::test]
async fn hashes_are_salted_per_journal() {
    let journals = [memory_journal(), memory_journal()];
    let [one, two] = &journals;
    assert_eq!(one.salt().len(), 32);
    let expected = hex::encode(Sha256::digest([one.salt(), b"hello"].concat()));
    assert_eq!(one.salted_hash(b"hello"), expected);
    assert_ne!(one.salted_hash(b"hello"), two.salted_hash(b"hello"));
}

/// A store under control: batches are recorded, held back, or refused.
struct Controlled {
    inner: MemoryStore,
    batches: Arc<Mutex<Vec<usize>>>,
    gate: Option<mpsc::Receiver<()>>,
    refusals: Arc<Mutex<u32>>,
}

impl JournalStore for Controlled {
    fn append(
        &mut self,
        now_ms: u64,
        batch: &[JournalEntry],
    ) -> Result<Vec<AppendOutcome>, JournalError> {
        if let Some(gate) = self.gate.take() {
            gate.recv().unwrap();
        }
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(JournalError::Full {
                path: "full.db".into(),
            });
        }
        self.batches.lock().unwrap().push(batch.len());
        self.inner.append(now_ms, batch)
    }

    fn head(&self) -> JournalHead {
        self.inner.head()
    }

    fn reader(&self) -> Result<Box<dyn StoreReader>, JournalError> {
        self.inner.reader()
    }
}

#[tokio::test]
async fn what_waits_is_committed_together() {
    let (open, gate) = mpsc::channel();
    let batches = Arc::new(Mutex::new(Vec::new()));
    let store = Controlled {
        inner: MemoryStore::new(),
        batches: Arc::clone(&batches),
        gate: Some(gate),
        refusals: Arc::default(),
    };
    let journal = Journal::start(Box::new(store), Box::new(|| 1)).unwrap();
    // The first poll queues the event, so all of them wait before the store takes any.
    let mut first = Box::pin(journal.append(metered("first")));
    assert!(poll!(&mut first).is_pending());
    let mut rest: Vec<_> = (0..63)
        .map(|index| Box::pin(journal.append(metered(&index.to_string()))))
        .collect();
    for append in &mut rest {
        assert!(poll!(append).is_pending());
    }
    open.send(()).unwrap();
    first.await.unwrap();
    join_all(rest).await;
    let batches = batches.lock().unwrap();
    assert_eq!(batches.iter().sum::<usize>(), 64);
    assert!(batches.len() <= 2, "64 appends took {batches:?}");
}

#[tokio::test]
async fn a_refused_batch_leaves_no_trace() {
    let refusals = Arc::new(Mutex::new(1));
    let store = Controlled {
        inner: MemoryStore::new(),
        batches: Arc::default(),
        gate: None,
        refusals: Arc::clone(&refusals),
    };
    let journal = Journal::start(Box::new(store), Box::new(|| 1)).unwrap();
    let error = journal.append(metered("a")).await.unwrap_err();
    assert_eq!(
        said(&error, Path::new("full.db")),
        "the disk that holds the journal JOURNAL is full\nhint: free some space on that disk; \
         nothing was written by halves"
    );
    *refusals.lock().unwrap() = 1;
    journal.note(metered("b")).unwrap();
    assert_eq!(journal.flush().await.unwrap_err(), error);
    assert_eq!(journal.head().sequence, 0);
    assert_eq!(journal.append(metered("a")).await.unwrap().sequence, 1);
    assert_eq!(journal.verify().await.unwrap().sequence, 1);
}

#[tokio::test]
async fn time_never_runs_backwards() {
    let times = Mutex::new(vec![50, 70, 60, 80].into_iter());
    let clock = Box::new(move || times.lock().unwrap().next().unwrap());
    let journal = Journal::start(Box::new(MemoryStore::new()), clock).unwrap();
    let mut seen = Vec::new();
    for id in ["a", "b", "c", "d"] {
        seen.push(journal.append(metered(id)).await.unwrap().time_ms);
    }
    assert_eq!(seen, [50, 70, 70, 80]);
    journal.verify().await.unwrap();
}

#[tokio::test]
async fn subscribers_learn_of_every_commit() {
    let journal = memory_journal();
    let mut news = journal.subscribe();
    journal.append(reserved("a")).await.unwrap();
    journal.append(metered("a")).await.unwrap();
    assert_eq!(news.recv().await, Ok(1));
    assert_eq!(news.recv().await, Ok(2));
    journal.append(metered("a")).await.unwrap_err();
    assert!(news.try_recv().is_err());
}

#[tokio::test]
async fn what_was_queued_is_written_before_the_last_handle_is_gone() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    for index in 0..100 {
        journal.note(metered(&index.to_string())).unwrap();
    }
    drop(journal);
    let mut journal = Journal::open_read_only(&path).unwrap();
    assert_eq!(journal.verify().unwrap().sequence, 100);
}

#[test]
fn the_store_can_be_used_without_a_handle() {
    let (_dir, path) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    let outcomes = store
        .append(5, &[metered("a").into(), metered("a").into()])
        .unwrap();
    let places: Vec<Option<u64>> = outcomes
        .iter()
        .map(|outcome| match outcome {
            AppendOutcome::Stored(record) => Some(record.sequence),
            AppendOutcome::Duplicate(_) => None,
        })
        .collect();
    assert_eq!(places, [Some(1), None]);
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.head().unwrap().sequence, 1);
    assert_eq!(JournalHead::genesis(reader.salt()).sequence, 0);
}

/// What is enclosed stands beside the history: with its event or not at all, and not for ever.
#[tokio::test]
async fn enclosures_come_with_their_event_and_the_oldest_go() {
    let (_dir, path) = place();
    for journal in [Journal::open(&path).unwrap(), memory_journal()] {
        let enclosed = |id: &str, bytes: Vec<u8>| CachedResponse {
            request_id: id.to_owned(),
            bytes,
        };
        let first = enclosed("a", vec![1; 3]);
        journal
            .append_with(with(metered("a"), first), Vec::new())
            .await
            .unwrap();
        // The event is refused as a repetition, and so is what comes with it.
        let second = enclosed("a", vec![2; 3]);
        let again = journal
            .append_with(with(metered("a"), second), Vec::new())
            .await;
        assert!(matches!(again, Err(JournalError::Duplicate(_))));
        assert_eq!(
            journal.cached_response("a").await.unwrap(),
            Some(vec![1; 3])
        );
        assert_eq!(journal.cached_response("b").await.unwrap(), None);
        assert_eq!(journal.verify().await.unwrap().sequence, 1);
    }
    let journal = Journal::open(&path).unwrap();
    for index in 0..33 {
        let id = format!("large-{index}");
        let large = CachedResponse {
            request_id: id.clone(),
            bytes: vec![0; 1 << 20],
        };
        journal
            .append_with(with(metered(&id), large), Vec::new())
            .await
            .unwrap();
    }
    assert_eq!(journal.cached_response("a").await.unwrap(), None);
    assert_eq!(journal.cached_response("large-0").await.unwrap(), None);
    assert!(journal.cached_response("large-1").await.unwrap().is_some());
    drop(journal);
    // A journal of a version that knew none is read as it is, and gets them when it is written.
    let file = Connection::open(&path).unwrap();
    file.execute("DROP TABLE enclosures", []).unwrap();
    assert_eq!(
        Journal::open_read_only(&path)
            .unwrap()
            .verify()
            .unwrap()
            .sequence,
        34
    );
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.cached_response("large-1").await.unwrap(), None);
    let id = enclosure_of(&journal, "late").await;
    assert_eq!(journal.cached_response(&id).await.unwrap(), Some(vec![7]));
}

fn with(event: Event, enclosure: CachedResponse) -> JournalEntry {
    JournalEntry::from(event).with_response(Some(enclosure))
}

async fn enclosure_of(journal: &Journal, id: &str) -> String {
    let enclosure = CachedResponse {
        request_id: id.to_owned(),
        bytes: vec![7],
    };
    journal
        .append_with(with(metered(id), enclosure), Vec::new())
        .await
        .unwrap();
    id.to_owned()
}
