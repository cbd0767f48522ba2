//! Logs of journals: what everyone reads of a record, and what its parties can prove.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::{folder, key, oracle, verifier, waiting};
use openlora_journal::{Journal, SqliteReader, StoreReader};
use openlora_ledger::event::{
    CallKind, Event, FinishReason, ReleaseDeployment, TokenUsage, TxIntent,
};
use openlora_transparency::{
    JournalEntries, OpenedEntry, PublicEntry, SealedEntry, TileLogWriter, TlogError, TlogProof,
    TransparencyView, catch_up,
};

/// What nobody else may learn of the records.
const SECRETS: &[&str] = &[
    "request-of-a-payer",
    "secret-adapter",
    "request-digest",
    "answer-digest",
    "a-session",
    "0xdeadbeefcafe",
    "buying secretly",
];

fn reserved() -> Event {
    Event::CallReserved {
        request_id: "request-of-a-payer".into(),
        session: "a-session".into(),
        adapter: "secret-adapter".into(),
        adapter_digest: "ad".into(),
        kind: CallKind::Chat,
        prompt_tokens: 7,
        request_hash: "request-digest".into(),
        payment: None,
    }
}

fn metered() -> Event {
    Event::CallMetered {
        request_id: "request-of-a-payer".into(),
        adapter: "secret-adapter".into(),
        adapter_digest: "ad".into(),
        kind: CallKind::Chat,
        usage: TokenUsage {
            prompt_tokens: 7,
            completion_tokens: 3,
        },
        finish: FinishReason::Stop,
        milliseconds: 20,
        first_token_milliseconds: Some(4),
        request_hash: "request-digest".into(),
        response_hash: "answer-digest".into(),
        charge: None,
        computation: None,
    }
}

fn intended() -> Event {
    Event::TransactionIntended(Box::new(TxIntent {
        tx: "0xdeadbeefcafe".into(),
        chain_id: u64::MAX,
        genesis: None,
        from: "0x01".into(),
        to: "0x02".into(),
        nonce: 3,
        purpose: "buying secretly".into(),
        key: None,
        raw: "0xdeadbeefcafe".into(),
        replaces: None,
        sponsored: None,
    }))
}

fn deployed() -> Event {
    Event::Deployed(Box::new(ReleaseDeployment {
        name: "secret-adapter".into(),
        release: "1.0.0".into(),
        network: "local".into(),
        chain_id: 31_337,
        registry: "0x03".into(),
        adapter_id: "0x04".into(),
        version: 2,
        publisher: "0x05".into(),
        manifest_sha256: "06".into(),
        weights_sha256: "07".into(),
        splitter: "0x08".into(),
        tx: "0xdeadbeefcafe".into(),
        gas_used: 9,
        block: 10,
    }))
}

/// A home with a journal of these events.
async fn home(events: Vec<Event>) -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    for event in events {
        journal.append(event).await.unwrap();
    }
    drop(journal);
    (dir, path)
}

fn log(dir: &Path, journal: &Path) -> Result<TileLogWriter, TlogError> {
    let mut source = JournalEntries::open(journal)?;
    let mut log = TileLogWriter::open(&dir.join("log"), key(dir), &mut source)?;
    catch_up(&mut log, &mut source)?;
    Ok(log)
}

/// The published form of entries, without their commitments.
fn published(dir: &Path) -> Vec<Value> {
    let (tiles, verifier) = (folder(dir, "log"), verifier(dir));
    let checkpoint = tiles.checkpoint(&verifier).unwrap();
    let entry = |index| {
        let bytes = tiles.entry(&checkpoint, index).unwrap();
        let public = PublicEntry::parse(&bytes).unwrap();
        assert_eq!(public.commitment.len(), 64);
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            SECRETS.iter().all(|secret| !text.contains(secret)),
            "{text}"
        );
        let mut value = serde_json::to_value(public).unwrap();
        value.as_object_mut().unwrap().remove("commitment");
        value
    };
    (0..checkpoint.size).map(entry).collect()
}

#[tokio::test]
async fn entries_show_only_what_is_public_anyway() {
    let (dir, journal) = home(vec![reserved(), metered(), intended(), deployed()]).await;
    drop(log(dir.path(), &journal).unwrap());
    let release = json!({
        "adapter_id": "0x04",
        "chain_id": 31_337,
        "manifest_sha256": "06",
        "registry": "0x03",
        "version": 2,
    });
    let expected = [
        json!({ "v": 1, "sequence": 1, "type": "undisclosed" }),
        json!({ "v": 1, "sequence": 2, "type": "call_metered" }),
        json!({ "v": 1, "sequence": 3, "type": "undisclosed" }),
        json!({ "v": 1, "sequence": 4, "type": "deployed", "facts": release }),
    ];
    assert_eq!(published(dir.path()), expected);
    let verifier = verifier(dir.path());
    oracle::accepts(&[oracle::folder_question(
        verifier.vkey(),
        &dir.path().join("log"),
    )]);
}

#[tokio::test]
async fn who_holds_a_proof_reads_its_record_and_no_other() {
    let (dir, journal) = home(vec![reserved(), metered(), intended()]).await;
    drop(log(dir.path(), &journal).unwrap());
    let verifier = verifier(dir.path());
    let view = TransparencyView::new(&dir.path().join("log"), verifier.clone());
    let mut reader = SqliteReader::open(&journal).unwrap();
    let (rows, salt) = (reader.read(1, 10).unwrap(), reader.salt().to_vec());
    let mut proofs = Vec::new();
    for row in &rows {
        let proof = view.prove_row(row, &salt).unwrap().unwrap();
        let opened = OpenedEntry::from_extra(proof.extra.as_ref().unwrap(), proof.index).unwrap();
        proof.verify(&verifier, &opened.bytes).unwrap();
        let record = opened.record.unwrap();
        assert_eq!(record.sequence, row.sequence);
        match row.sequence {
            1 => assert_eq!(record.event, reserved()),
            2 => assert_eq!(record.event, metered()),
            _ => {
                // Whoever has the signed bytes could submit them.
                let mut withheld = intended();
                if let Event::TransactionIntended(intent) = &mut withheld {
                    intent.raw = "0x000000000000".into();
                }
                assert_eq!(record.event, withheld);
            }
        }
        proofs.push(proof);
    }
    let asked = proofs.iter().map(
        |proof| json!({ "check": "proof", "vkey": verifier.vkey(), "proof": proof.to_text() }),
    );
    oracle::accepts(&asked.collect::<Vec<_>>());
    // The opening of one record does not open another.
    let sealed = |at: usize| SealedEntry::from_row(&rows[at], &salt).unwrap();
    let extra = json!({
        "entry": String::from_utf8(sealed(1).entry).unwrap(),
        "opening": {
            "blinding": sealed(0).opening.blinding,
            "record": sealed(1).opening.record,
        },
    });
    let extra = extra.to_string().into_bytes();
    assert_eq!(
        OpenedEntry::from_extra(&extra, 1),
        Err(TlogError::WrongOpening { index: 1 })
    );
    let forged = TlogProof {
        extra: Some(extra),
        ..proofs[1].clone()
    };
    let question = json!({ "check": "proof", "vkey": verifier.vkey(), "proof": forged.to_text() });
    let answers = oracle::ask(&[question]);
    assert_eq!(answers, ["refused: the entry commits to another record"]);
    let later = TransparencyView::new(&dir.path().join("none"), verifier);
    assert_eq!(later.prove_row(&rows[0], &salt), Ok(None));
}

#[tokio::test]
async fn another_journal_does_not_continue_a_log() {
    let (dir, journal) = home(vec![reserved(), metered()]).await;
    drop(log(dir.path(), &journal).unwrap());
    let (_other, foreign) = home(vec![reserved(), metered(), intended()]).await;
    assert_eq!(
        log(dir.path(), &foreign).unwrap_err(),
        TlogError::JournalDiffers { sequence: 2 }
    );
    let (_empty, emptied) = home(Vec::new()).await;
    assert_eq!(
        log(dir.path(), &emptied).unwrap_err(),
        TlogError::JournalBehind {
            expected: 2,
            found: 0
        }
    );
}

/// Unpacks the homes that an earlier version made, and returns their journals.
fn earlier(archive: &str, into: &Path) -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/earlier");
    let mut tar = Command::new("tar");
    tar.arg("-xJf").arg(data.join(archive)).arg("-C").arg(into);
    let output = waiting::output(&mut tar);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "install tar and xz-utils: {complaint}"
    );
    let (mut found, mut pending) = (Vec::new(), vec![into.to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => pending.push(path),
                false if path.ends_with("journal.sqlite") => found.push(path),
                false => {}
            }
        }
    }
    found
}

#[test]
fn journals_of_earlier_versions_make_a_log_and_stay_as_they_are() {
    let mut journals = 0;
    for archive in ["2026-11-29.tar.xz", "2026-11-30.tar.xz"] {
        let dir = tempdir().unwrap();
        for journal in earlier(archive, dir.path()) {
            let home = journal.parent().unwrap();
            let mut records = Journal::open_read_only(&journal).unwrap();
            let head = records.verify().unwrap();
            drop(records);
            let before = fs::read(&journal).unwrap();
            let made = log(home, &journal).unwrap();
            assert_eq!(made.size(), head.sequence);
            let verifier = verifier(home);
            oracle::accepts(&[oracle::folder_question(verifier.vkey(), &home.join("log"))]);
            let checkpoint = made.checkpoint().clone();
            drop(made);
            // The same journal always makes the same log.
            fs::remove_dir_all(home.join("log")).unwrap();
            let again = log(home, &journal).unwrap();
            assert_eq!(again.checkpoint().head(), checkpoint.head());
            assert_eq!(fs::read(&journal).unwrap(), before);
            journals += 1;
        }
    }
    assert!(journals >= 2, "the archives have {journals} journals");
}
