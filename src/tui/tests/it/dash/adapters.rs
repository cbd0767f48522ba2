//! Adapters that come and go while a server runs.

use openlora_ledger::{
    event::{Event, EventRecord},
    state::{ApplyOutcome, board::Board},
};

use super::scenario;

/// The names and digests of the board after these events.
fn adapters(events: &[Event]) -> Vec<(String, String)> {
    let form: EventRecord = scenario("busy").swap_remove(0);
    let mut board = Board::default();
    for (at, event) in events.iter().enumerate() {
        let record = EventRecord {
            sequence: at as u64 + 1,
            event: event.clone(),
            ..form.clone()
        };
        assert_eq!(board.apply(&record), ApplyOutcome::Folded);
    }
    let adapters = board.adapters.into_iter();
    adapters.map(|(name, it)| (name, it.digest)).collect()
}

#[test]
fn an_unloaded_adapter_leaves_the_board_unless_another_has_its_name() {
    let load = |digest: &str| Event::AdapterLoaded {
        name: "mood".into(),
        adapter_digest: digest.into(),
        base_digest: "base".into(),
    };
    let unload = |digest: &str| Event::AdapterUnloaded {
        name: "mood".into(),
        adapter_digest: digest.into(),
    };
    let mood = |digest: &str| vec![("mood".to_owned(), digest.to_owned())];
    assert_eq!(adapters(&[load("one")]), mood("one"));
    assert_eq!(adapters(&[load("one"), load("two")]), mood("two"));
    assert_eq!(adapters(&[load("one"), unload("one")]), []);
    let late = [load("one"), load("two"), unload("one")];
    assert_eq!(adapters(&late), mood("two"));
}
