//! The board of a journal, brought up to date record by record.

use openlora_journal::{Journal, projection};
use openlora_ledger::{
    event::{Event, EventRecord},
    state::board::Board,
};
use openlora_runtime::board;

fn stopped(n: u64) -> Event {
    Event::ServerStopped {
        session: format!("s{n}"),
    }
}

#[tokio::test]
async fn a_board_takes_up_what_it_lacks_and_shows_each_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    let mut records: Vec<EventRecord> = Vec::new();
    let mut board = Board::default();
    let mut seen = Vec::new();
    for count in [3, 0, 4] {
        for _ in 0..count {
            let event = stopped(records.len() as u64);
            records.push(journal.append(event).await.unwrap());
        }
        let mut reader = Journal::open_read_only(&path).unwrap();
        let each = |record: &EventRecord| seen.push(record.clone());
        board::catch_up(&path, &mut reader, &mut board, each).unwrap();
        assert_eq!(seen, records);
        assert_eq!(board::opened(&path).unwrap(), board);
    }
    let mut folded = Board::default();
    for record in &records {
        let _ = folded.apply(record);
    }
    assert_eq!(board, folded);
    // So few records are read again as fast as a stored board.
    assert!(!projection::path_of(&path, "board").exists());
}
