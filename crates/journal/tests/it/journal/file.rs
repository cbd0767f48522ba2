//! The file: what it refuses, what is refused about it, who may open it.

use std::path::Path;

use openlora_journal::Journal;
use openlora_ledger::{event::Event, state::LedgerState};
use rusqlite::Connection;

use super::{metered, place, refused, said};

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
    // Which events are known is serde's to list.
    let unknown = serde_json::from_str::<Event>(body).unwrap_err();
    assert_eq!(
        said(&error, &path),
        format!(
            "record 6 of the journal cannot be read: {unknown}\nhint: a later openlora may have \
             written it; use that one, or restore the last backup"
        )
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

/// The file is there before the tables are, and it is not of length 0 then.
#[test]
fn a_journal_that_is_being_created_is_empty() {
    let (_dir, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let begun = Connection::open(&path).unwrap();
    begun.pragma_update(None, "journal_mode", "WAL").unwrap();
    assert!(path.metadata().unwrap().len() > 0);
    let Err(error) = Journal::open_read_only(&path) else {
        panic!("a journal out of nothing");
    };
    assert_eq!(
        said(&error, &path),
        "the journal JOURNAL is empty\nhint: serve at least one call first: `openlora serve`"
    );
    assert!(Journal::open_existing(&path).unwrap().is_none());
    assert_eq!(Journal::state_at(&path).unwrap(), LedgerState::default());
    drop(begun);
    drop(Journal::open(&path).unwrap());
    assert!(Journal::open_existing(&path).unwrap().is_some());
    assert_eq!(
        Journal::open_read_only(&path)
            .unwrap()
            .head()
            .unwrap()
            .sequence,
        0
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
