//! The journal: durability, order, uniqueness, the chain, crashes, full disks, two stores.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
};

use futures::{future::join_all, poll};
use openlora::{
    error::Explain,
    runtime::{
        event::{CallKind, Event, Finish, Record, Usage},
        journal::{
            Head, Journal, JournalError, MemoryStore, Outcome, SqliteStore, Store, StoreReader,
        },
    },
};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

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
        usage: Usage {
            prompt_tokens: 7,
            completion_tokens: 3,
        },
        finish: Finish::Stop,
        milliseconds: 20,
        first_token_milliseconds: Some(4),
        request_hash: "rh".into(),
        response_hash: "sh".into(),
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
        (None, Journal::in_memory().unwrap()),
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
    let journals = [Journal::in_memory().unwrap(), Journal::in_memory().unwrap()];
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

impl Store for Controlled {
    fn append(&mut self, now_ms: u64, batch: &[Event]) -> Result<Vec<Outcome>, JournalError> {
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

    fn head(&self) -> Head {
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
    let journal = Journal::in_memory().unwrap();
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

async fn filled(path: &Path) -> Journal {
    let journal = Journal::open(path).unwrap();
    for index in 0..5 {
        journal.append(metered(&index.to_string())).await.unwrap();
    }
    journal
}

#[tokio::test]
async fn the_file_refuses_edits() {
    let (_dir, path) = place();
    drop(filled(&path).await);
    let file = Connection::open(&path).unwrap();
    let cases = [
        (
            "UPDATE events SET time_ms = 1 WHERE sequence = 2",
            "the journal is append-only",
        ),
        (
            "DELETE FROM events WHERE sequence = 5",
            "the journal is append-only",
        ),
        (
            "UPDATE meta SET value = x'00'",
            "the journal is append-only",
        ),
        ("DELETE FROM meta", "the journal is append-only"),
        (
            "INSERT INTO events VALUES (7, 1, '{}', zeroblob(32))",
            "the journal has no gaps and no repetitions",
        ),
        (
            "INSERT OR REPLACE INTO events VALUES (2, 1, '{}', zeroblob(32))",
            "the journal has no gaps and no repetitions",
        ),
        (
            "INSERT INTO events VALUES (6, 1, '{}', zeroblob(31))",
            "CHECK constraint failed: length(hash) = 32",
        ),
    ];
    for (sql, message) in cases {
        assert_eq!(
            file.execute(sql, []).unwrap_err().to_string(),
            message,
            "{sql}"
        );
    }
}

#[tokio::test]
async fn verification_names_the_first_break() {
    let untrusted = "\nhint: figures after that record cannot be trusted; restore the last backup";
    let changed = |sequence: u64| {
        format!(
            "record {sequence} of the journal was changed: its hash does not follow from its \
             content and the record before it{untrusted}"
        )
    };
    let cases = [
        (
            "UPDATE events SET body = replace(body, ':3}', ':9}') WHERE sequence IN (3, 5)",
            changed(3),
        ),
        (
            "UPDATE events SET time_ms = time_ms + 1 WHERE sequence = 2",
            changed(2),
        ),
        (
            "UPDATE events SET time_ms = -1 WHERE sequence = 5",
            changed(5),
        ),
        (
            "UPDATE events SET hash = zeroblob(32) WHERE sequence = 4",
            changed(4),
        ),
        ("UPDATE meta SET value = zeroblob(32)", changed(1)),
        (
            "DELETE FROM events WHERE sequence = 3",
            format!("the journal breaks after record 2: expected record 3, found 4{untrusted}"),
        ),
        (
            "DELETE FROM events WHERE sequence = 1",
            format!("the journal breaks after record 0: expected record 1, found 2{untrusted}"),
        ),
    ];
    for (sql, message) in cases {
        let (_dir, path) = place();
        drop(filled(&path).await);
        let file = Connection::open(&path).unwrap();
        let triggers = ["events_stay", "events_unchanged", "meta_unchanged"];
        triggers.iter().for_each(|trigger| {
            file.execute(&format!("DROP TRIGGER {trigger}"), [])
                .unwrap();
        });
        assert_ne!(file.execute(sql, []).unwrap(), 0, "{sql}");
        let error = Journal::open_read_only(&path)
            .unwrap()
            .verify()
            .unwrap_err();
        assert_eq!(said(&error, &path), message, "{sql}");
    }
}

#[tokio::test]
async fn an_event_of_a_later_version_is_named() {
    let (_dir, path) = place();
    let journal = filled(&path).await;
    let body = r#"{"type":"moon_landed"}"#;
    let head = journal.head();
    drop(journal);
    let next = head.next(head.time_ms, body.as_bytes());
    let file = Connection::open(&path).unwrap();
    let values = rusqlite::params![next.sequence as i64, next.time_ms as i64, body, next.hash];
    file.execute("INSERT INTO events VALUES (?1, ?2, ?3, ?4)", values)
        .unwrap();
    let error = Journal::open_read_only(&path)
        .unwrap()
        .verify()
        .unwrap_err();
    assert_eq!(
        said(&error, &path),
        "record 6 of the journal cannot be read: unknown variant `moon_landed`, expected one of \
         `server_started`, `server_stopped`, `adapter_loaded`, `call_reserved`, \
         `call_checkpointed`, `call_metered` at line 1 column 21\nhint: keep \
         a copy of the file and its -wal file, then restore the last backup"
    );
}

#[tokio::test]
async fn readers_work_beside_the_writer() {
    let (_dir, path) = place();
    let journal = filled(&path).await;
    let mut reader = Journal::open_read_only(&path).unwrap();
    assert!(reader.changed().unwrap());
    assert!(!reader.changed().unwrap());
    assert_eq!(reader.head().unwrap(), journal.head());
    journal.append(metered("later")).await.unwrap();
    assert!(reader.changed().unwrap());
    assert_eq!(
        reader.read(6, 10).unwrap(),
        journal.read(6, 10).await.unwrap()
    );
    assert_eq!(reader.head().unwrap().sequence, 6);
    assert_eq!(reader.salt(), journal.salt());
}

#[test]
fn files_that_are_no_journal_are_refused() {
    let (_dir, path) = place();
    let move_it = "\nhint: move that file away, or choose another home with OPENLORA_HOME";
    match Journal::open_read_only(&path) {
        Ok(_) => panic!("a journal out of nothing"),
        Err(error) => assert_eq!(
            said(&error, &path),
            "there is no journal at JOURNAL\nhint: serve at least one call first: `openlora serve`"
        ),
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "Dear diary, ".repeat(100)).unwrap();
    assert_eq!(
        refused(&path),
        format!("JOURNAL is not an openlora journal: it is no SQLite file{move_it}")
    );
    std::fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other
        .execute("CREATE TABLE recipes (name TEXT)", [])
        .unwrap();
    assert_eq!(
        refused(&path),
        format!("JOURNAL is not an openlora journal: it is a database of another program{move_it}")
    );
}

#[tokio::test]
async fn a_later_format_is_refused() {
    let (_dir, path) = place();
    drop(filled(&path).await);
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 9)
        .unwrap();
    assert_eq!(
        refused(&path),
        "the journal JOURNAL has format 9; this version of openlora knows formats up to 1\
         \nhint: use the openlora that wrote it, or a later one"
    );
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let (_dir, path) = place();
    drop(filled(&path).await);
    let mut bytes = std::fs::read(&path).unwrap();
    // Everything but the file header: the pages are garbage, the identity is not.
    bytes[100..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(
        refused(&path),
        "the journal JOURNAL is damaged: database disk image is malformed\nhint: keep a copy of the \
         file and its -wal file, then restore the last backup"
    );
}

#[test]
fn a_folder_that_is_a_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("home"), "").unwrap();
    let path = dir.path().join("home/journal.db");
    assert_eq!(
        refused(&path),
        "the journal JOURNAL cannot be accessed: file exists"
    );
}

#[tokio::test]
async fn there_is_one_writer() {
    let (_dir, path) = place();
    let journal = filled(&path).await;
    let pid = std::process::id();
    assert_eq!(
        refused(&path),
        format!(
            "the journal JOURNAL is in use by process {pid}\nhint: stop process {pid} first, or \
             give this one another home with OPENLORA_HOME"
        )
    );
    let clone = journal.clone();
    drop(journal);
    assert!(Journal::open(&path).is_err());
    drop(clone);
    assert_eq!(Journal::open(&path).unwrap().head().sequence, 5);
}

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
        let counts: Vec<(String, Usage, Finish)> = found
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
                Usage {
                    prompt_tokens: 7,
                    completion_tokens,
                },
                Finish::Recovered,
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
        usage: Usage {
            prompt_tokens: 7,
            completion_tokens: 3,
        },
        finish: Finish::Recovered,
        milliseconds: 250,
        first_token_milliseconds: None,
        request_hash: "rh".into(),
        response_hash: journal.salted_hash(b""),
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
    let Some(path) = std::env::var_os(CHILD_JOURNAL) else {
        return;
    };
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
    child.wait().unwrap();
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
        let child = child("journal::child_appends_until_killed", &path, round as u32);
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
async fn assert_recovers(journal: &Journal, records: &[Record]) {
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
    let Some(path) = std::env::var_os(CHILD_JOURNAL) else {
        return;
    };
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
    let mut holder = child("journal::child_holds_the_journal", &path, 0);
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
    holder.wait().unwrap();
    assert_eq!(Journal::open(&path).unwrap().head().sequence, 0);
}

/// A small file system, unmounted when dropped; `None` where mounting is not permitted.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(dir))
    }
}

#[expect(clippy::print_stderr, reason = "a test that could not run says so")]
fn skip(what: &str) {
    eprintln!("skipped: {what} is not permitted here");
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let Some(disk) = SmallDisk::mount("size=1m") else {
        return skip("mounting a small disk");
    };
    let path = disk.0.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    let filler = disk.0.path().join("filler");
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

#[test]
fn a_read_only_folder_is_named() {
    let Some(disk) = SmallDisk::mount("size=64k,ro") else {
        return skip("mounting a read-only disk");
    };
    let path = disk.0.path().join("journal.db");
    assert_eq!(
        refused(&path),
        "the journal JOURNAL cannot be written: read-only file system\nhint: make that folder \
         writable, or set OPENLORA_HOME to one that is"
    );
}

#[test]
fn the_store_can_be_used_without_a_handle() {
    let (_dir, path) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    let outcomes = store.append(5, &[metered("a"), metered("a")]).unwrap();
    let places: Vec<Option<u64>> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Stored(record) => Some(record.sequence),
            Outcome::Duplicate(_) => None,
        })
        .collect();
    assert_eq!(places, [Some(1), None]);
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.head().unwrap().sequence, 1);
    assert_eq!(Head::genesis(reader.salt()).sequence, 0);
}
