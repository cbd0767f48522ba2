//! Beside a real server: what it writes is shown, its death is seen, and its restart neither repeats
//! nor loses anything.

use std::time::{Duration, Instant};

use openlora_journal::Journal;
use serde_json::Value;

use crate::{
    dash_terminal::{Screen, on_terminal},
    live::{Live, write_adapters},
    support::openlora,
};

fn call(home: &std::path::Path, url: &str, times: usize) {
    for _ in 0..times {
        let args = ["call", "hello", "--adapter", "filter", "--url", url];
        openlora(home).args(args).run().succeeds();
    }
}

/// The screen says so many calls within two seconds of when it should.
fn shows_calls(screen: &Screen, calls: usize) {
    screen.shows(&format!("calls {calls} "));
}

fn seen_stale_soon(screen: &Screen, killed: Instant) {
    screen.shows("stale");
    let after = killed.elapsed();
    assert!(after < Duration::from_secs(2), "it took {after:?}");
}

#[test]
fn a_killed_server_is_stale_within_two_seconds_and_its_restart_repeats_nothing() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    call(home.path(), &server.url, 2);
    let mut local = on_terminal(home.path(), (120, 40), &["dash"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let token = home.path().join("home/data/operator.token");
    let token = token.to_str().unwrap();
    let args = [
        "dash",
        "--attach",
        server.url.as_str(),
        "--token-file",
        token,
    ];
    let mut attached = on_terminal(elsewhere.path(), (120, 40), &args);
    for screen in [&local, &attached] {
        screen.shows("● live");
        shows_calls(screen, 2);
    }
    call(home.path(), &server.url, 1);
    for screen in [&local, &attached] {
        shows_calls(screen, 3);
    }
    let port = server.port;
    let killed = Instant::now();
    server.kill();
    seen_stale_soon(&local, killed);
    attached.shows("reconnecting");
    let server = Live::start(home.path(), port);
    for screen in [&local, &attached] {
        screen.shows("● live");
        shows_calls(screen, 3);
    }
    call(home.path(), &server.url, 2);
    for screen in [&local, &attached] {
        shows_calls(screen, 5);
    }
    for screen in [&mut local, &mut attached] {
        screen.press("q");
    }
    assert_eq!((local.end().0, attached.end().0), (0, 0));
    assert_eq!(server.drain().0, 0);
    // What the screen ended with was kept, and is taken up again.
    let journal = home.path().join("home/data/journal.sqlite");
    assert!(home.path().join("home/data/journal.sqlite.board").is_file());
    let shown = openlora(home.path())
        .args(["--json", "dash"])
        .run()
        .succeeds();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let head = Journal::open_read_only(&journal).unwrap().head().unwrap();
    assert_eq!(
        (&shown["calls"], &shown["sequence"]),
        (&5.into(), &head.sequence.into())
    );
}

#[test]
fn a_journal_that_is_being_created_is_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let journal = home.path().join("home/data/journal.sqlite");
    std::fs::create_dir_all(journal.parent().unwrap()).unwrap();
    let begun = rusqlite::Connection::open(&journal).unwrap();
    begun.pragma_update(None, "journal_mode", "WAL").unwrap();
    drop(begun);
    // Nothing was earned yet.
    for verb in ["dash", "earnings"] {
        let run = openlora(home.path()).args(["--json", verb]).run();
        let said: Value = serde_json::from_str(&run.succeeds().stdout).unwrap();
        assert_eq!(said["tokens"], Value::Array(Vec::new()), "{verb}");
    }
    let mut screen = on_terminal(home.path(), (80, 24), &["dash"]);
    screen.shows("◌ waiting ");
    let _created = Journal::open(&journal).unwrap();
    screen.shows("● live ");
    screen.press("q");
    assert_eq!(screen.end().0, 0);
}

#[test]
fn a_recording_of_a_server_is_its_journal() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    call(home.path(), &server.url, 1);
    let mut screen = on_terminal(home.path(), (80, 24), &["dash", "--record", "out.jsonl"]);
    shows_calls(&screen, 1);
    call(home.path(), &server.url, 1);
    shows_calls(&screen, 2);
    screen.press("q");
    assert_eq!(screen.end().0, 0);
    let text = std::fs::read_to_string(home.path().join("out.jsonl")).unwrap();
    let mut journal =
        Journal::open_read_only(&home.path().join("home/data/journal.sqlite")).unwrap();
    let records = journal.read(1, 1_000).unwrap();
    let lines: Vec<String> = records
        .iter()
        .map(|it| serde_json::to_string(it).unwrap())
        .collect();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        lines[..text.lines().count()]
    );
    assert!(text.lines().count() >= records.len() - 1);
    drop(server);
    let again = on_terminal(home.path(), (80, 24), &["dash", "--record", "out.jsonl"]);
    let (status, _, said) = again.end();
    assert_eq!(status, 4, "{said}");
}
