//! The fold: live equals replayed, from any stored point, and nothing counts twice.

use openlora_journal::{AppendOutcome, Journal, JournalEntry, JournalStore};

use crate::memory_journal::MemoryStore;
use openlora_ledger::{
    event::{CallKind, Event, EventRecord, FinishReason, TokenUsage},
    state::{ApplyOutcome, CallTotals, LedgerState},
};
use proptest::{prelude::*, sample::select};

fn metered(id: &str, adapter: &str, completion_tokens: u64, milliseconds: u64) -> Event {
    Event::CallMetered {
        request_id: id.into(),
        adapter: adapter.into(),
        adapter_digest: "ad".into(),
        kind: CallKind::Classify,
        usage: TokenUsage {
            prompt_tokens: 10,
            completion_tokens,
        },
        finish: FinishReason::Stop,
        milliseconds,
        first_token_milliseconds: (completion_tokens > 0).then_some(milliseconds / 2),
        request_hash: "rh".into(),
        response_hash: "sh".into(),
        charge: None,
        computation: None,
    }
}

fn reserved(id: &str) -> Event {
    Event::CallReserved {
        request_id: id.into(),
        session: "one".into(),
        adapter: "mood".into(),
        adapter_digest: "ad".into(),
        kind: CallKind::Chat,
        prompt_tokens: 10,
        request_hash: "rh".into(),
        payment: None,
    }
}

fn records(events: impl IntoIterator<Item = Event>) -> Vec<EventRecord> {
    let numbered = (1..).zip(events);
    numbered
        .map(|(sequence, event)| EventRecord {
            sequence,
            time_ms: 1000 + sequence,
            event,
            hash: String::new(),
        })
        .collect()
}

fn folded(records: &[EventRecord]) -> LedgerState {
    let mut snapshot = LedgerState::default();
    for record in records {
        assert_eq!(snapshot.apply(record), ApplyOutcome::Folded);
    }
    snapshot
}

#[test]
fn a_story_adds_up() {
    let checkpoint = |id: &str, completion_tokens| Event::CallCheckpointed {
        request_id: id.into(),
        completion_tokens,
    };
    let snapshot = folded(&records([
        Event::ServerStarted {
            session: "one".into(),
            version: "0.1".into(),
        },
        Event::AdapterLoaded {
            name: "mood".into(),
            adapter_digest: "ad".into(),
            base_digest: "bd".into(),
        },
        reserved("a"),
        reserved("b"),
        checkpoint("b", 4),
        metered("a", "mood", 3, 30),
        metered("unreserved", "filter", 0, 7),
        checkpoint("a", 9),
        Event::ServerStopped {
            session: "one".into(),
        },
    ]));
    let totals = |calls, prompt_tokens, completion_tokens| CallTotals {
        calls,
        prompt_tokens,
        completion_tokens,
    };
    assert_eq!((snapshot.sequence, snapshot.time_ms), (9, 1009));
    assert_eq!(snapshot.totals, totals(2, 20, 3));
    assert_eq!(snapshot.unsettled, []);
}

#[test]
fn memory_of_single_calls_is_bounded() {
    let calls = (0..200).map(|index| metered(&index.to_string(), "mood", 1, 1));
    let sessions = (0..40).map(|index| Event::ServerStarted {
        session: index.to_string(),
        version: "0.1".into(),
    });
    let snapshot = folded(&records(calls.chain(sessions)));
    let totals = CallTotals {
        calls: 200,
        prompt_tokens: 2_000,
        completion_tokens: 200,
    };
    let sums = LedgerState {
        sequence: snapshot.sequence,
        time_ms: snapshot.time_ms,
        totals,
        ..LedgerState::default()
    };
    assert_eq!(snapshot, sums);
}

#[test]
fn gaps_are_told_and_change_nothing() {
    let records = records([reserved("a"), metered("a", "mood", 1, 1), reserved("b")]);
    let mut snapshot = LedgerState::default();
    assert_eq!(
        snapshot.apply(&records[1]),
        ApplyOutcome::Gap { expected: 1 }
    );
    assert_eq!(snapshot, LedgerState::default());
    assert_eq!(snapshot.apply(&records[0]), ApplyOutcome::Folded);
    assert_eq!(
        snapshot.apply(&records[2]),
        ApplyOutcome::Gap { expected: 2 }
    );
    assert_eq!(snapshot, folded(&records[..1]));
}

/// Events over few ids, so that they meet.
fn event() -> impl Strategy<Value = Event> {
    let id = || (0u8..6).prop_map(|id| format!("r{id}"));
    let name = || select(vec!["mood", "filter"]);
    let finish = || {
        select(vec![
            FinishReason::Stop,
            FinishReason::Length,
            FinishReason::Disconnected,
            FinishReason::Failed,
        ])
    };
    prop_oneof![
        (0u8..4).prop_map(|id| Event::ServerStarted {
            session: format!("s{id}"),
            version: "0.1".into()
        }),
        (0u8..4).prop_map(|id| Event::ServerStopped {
            session: format!("s{id}")
        }),
        name().prop_map(|name| Event::AdapterLoaded {
            name: name.into(),
            adapter_digest: "ad".into(),
            base_digest: "bd".into()
        }),
        name().prop_map(|name| Event::AdapterUnloaded {
            name: name.into(),
            adapter_digest: "ad".into(),
        }),
        id().prop_map(|id| reserved(&id)),
        (id(), 0u64..50).prop_map(|(request_id, completion_tokens)| Event::CallCheckpointed {
            request_id,
            completion_tokens
        }),
        (id(), name(), 0u64..50, 0u64..400_000, finish()).prop_map(
            |(id, name, tokens, ms, how)| {
                let mut event = metered(&id, name, tokens, ms);
                if let Event::CallMetered { finish, .. } = &mut event {
                    *finish = how;
                }
                event
            }
        ),
    ]
}

/// What a store makes of the events: repetitions of unique ones are left out.
fn stored(events: &[Event]) -> (MemoryStore, Vec<EventRecord>) {
    let mut store = MemoryStore::new();
    let entries: Vec<JournalEntry> = events.iter().cloned().map(JournalEntry::from).collect();
    let outcomes = store.append(1, &entries).unwrap();
    let records = outcomes.into_iter().filter_map(|outcome| match outcome {
        AppendOutcome::Stored(record) => Some(record),
        AppendOutcome::Duplicate(_) => None,
    });
    (store, records.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn live_equals_replayed(events in prop::collection::vec(event(), 0..60)) {
        let (store, records) = stored(&events);
        let live = folded(&records);
        let journal = Journal::start(Box::new(store), Box::new(|| 2)).unwrap();
        let mut replayed = LedgerState::default();
        let mut outcomes = Vec::new();
        journal.replay(1, |record| outcomes.push(replayed.apply(record))).unwrap();
        prop_assert!(outcomes.iter().all(|outcome| *outcome == ApplyOutcome::Folded));
        prop_assert_eq!(live, replayed);
    }

    #[test]
    fn a_stored_snapshot_and_the_rest_give_the_whole(
        events in prop::collection::vec(event(), 1..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_, records) = stored(&events);
        let (early, late) = records.split_at(cut.index(records.len() + 1));
        let text = serde_json::to_string(&folded(early)).unwrap();
        let mut snapshot: LedgerState = serde_json::from_str(&text).unwrap();
        for record in late {
            prop_assert_eq!(snapshot.apply(record), ApplyOutcome::Folded);
        }
        prop_assert_eq!(snapshot, folded(&records));
    }

    #[test]
    fn records_seen_again_change_nothing(
        events in prop::collection::vec(event(), 1..40),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let (_, records) = stored(&events);
        let expected = folded(&records);
        let mut snapshot = expected.clone();
        for index in again {
            prop_assert_eq!(snapshot.apply(&records[index.index(records.len())]), ApplyOutcome::Known);
        }
        prop_assert_eq!(snapshot, expected);
    }

    /// The order in which different calls end changes nothing.
    #[test]
    fn the_order_of_counts_does_not_matter(
        calls in prop::collection::vec((0u64..50, 0u64..400_000), 1..40),
        seed in any::<u64>(),
    ) {
        let events: Vec<Event> = (0..).zip(&calls).map(|(id, (tokens, ms)): (u32, _)| {
            metered(&id.to_string(), if id % 3 == 0 { "mood" } else { "filter" }, *tokens, *ms)
        }).collect();
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|event| hash_of(event, seed));
        prop_assert_eq!(folded(&records(events)), folded(&records(shuffled)));
    }
}

fn hash_of(event: &Event, seed: u64) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (seed, serde_json::to_string(event).unwrap()).hash(&mut hasher);
    hasher.finish()
}

#[tokio::test]
async fn the_file_replays_to_what_was_seen_live() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    let mut live = LedgerState::default();
    for id in 0..50 {
        let id = id.to_string();
        for event in [
            reserved(&id),
            metered(&id, "mood", 2, 12),
            metered(&id, "mood", 9, 99),
        ] {
            match journal.append(event).await {
                Ok(record) => assert_eq!(live.apply(&record), ApplyOutcome::Folded),
                Err(error) => assert!(error.is_duplicate(), "{error}"),
            }
        }
    }
    drop(journal);
    let mut replayed = LedgerState::default();
    let mut reader = Journal::open_read_only(&path).unwrap();
    reader
        .replay(1, |record| {
            assert_eq!(replayed.apply(record), ApplyOutcome::Folded)
        })
        .unwrap();
    assert_eq!(live, replayed);
    assert_eq!(
        (live.totals.calls, live.totals.completion_tokens),
        (50, 100)
    );
}

#[tokio::test]
async fn the_state_includes_a_record_before_its_append_returns() {
    let journal = Journal::start(Box::new(MemoryStore::new()), Box::new(|| 2)).unwrap();
    journal.append(reserved("early")).await.unwrap();
    let state = journal.state().await.unwrap();
    assert_eq!(state.read().sequence, 1);
    for id in 0..20_u64 {
        let record = journal.append(metered(&id.to_string(), "mood", 2, 12));
        let record = record.await.unwrap();
        assert_eq!(state.read().sequence, record.sequence);
        assert_eq!(state.read().totals.calls, id + 1);
    }
    // Every reader has the same state.
    let again = journal.state().await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&state, &again));
    let mut replayed = LedgerState::default();
    journal
        .replay(1, |record| {
            assert_eq!(replayed.apply(record), ApplyOutcome::Folded)
        })
        .unwrap();
    assert_eq!(*state.read(), replayed);
}
