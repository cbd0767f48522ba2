//! The title and the states of the source: whole at every width, and final at the end.

use openlora_ledger::event::{Event, EventRecord};
use openlora_tui::{
    key::KeyPress,
    model::{DashModel, FeedLink},
    shown::StateTone,
    theme::Theme,
    training::TrainingProgress,
    update::{DashMessage, update},
};

use super::{
    model, options, press, scenario,
    screens::{drawn, text},
};

const WIDTHS: [u16; 5] = [60, 80, 100, 120, 200];

/// The marks of `dash --demo` and of `demo --dash`.
const MARKS: [&str; 2] = [
    "DEMO: a recording, no money of yours",
    "DEMO: no real money",
];

fn title(model: &DashModel) -> String {
    let screen = text(&drawn(model));
    screen.lines().next().unwrap().to_owned()
}

fn with_mark(width: u16, link: FeedLink, mark: Option<&str>) -> DashModel {
    let mut model = model("busy", (width, 40), Theme::Dark);
    model.link = link;
    model.options.watermark = mark.map(str::to_owned);
    model.refresh();
    model
}

#[test]
fn the_state_is_whole_at_every_width() {
    let since_ms = scenario("busy").last().unwrap().time_ms - 12_000;
    for width in WIDTHS {
        for (link, state) in [
            (
                FeedLink::Reading { done: 1, total: 4 },
                "◌ reading the journal 25.0%",
            ),
            (FeedLink::Live, "● live"),
            (FeedLink::Stale { since_ms }, "○ stale 12 s"),
            (
                FeedLink::Reconnecting { since_ms },
                "◌ stale 12 s, reconnecting",
            ),
            (FeedLink::Replay, "▶ replay"),
            (FeedLink::Ended, "■ replay ended"),
            (FeedLink::Finished, "■ finished"),
            (FeedLink::Failed, "✗ failed"),
        ] {
            for mark in [None, Some(MARKS[0]), Some(MARKS[1])] {
                let mut model = with_mark(width, link, mark);
                let shown = title(&model);
                assert!(shown.contains(state), "{width}: {shown}");
                assert!(
                    mark.is_none() || shown.contains("  DEMO: "),
                    "{width}: {shown}"
                );
                press(&mut model, &[KeyPress::Char('f')]);
                let shown = title(&model);
                assert!(shown.contains(state), "{width}: {shown}");
                assert!(shown.ends_with("  FROZEN, 0 new"), "{width}: {shown}");
            }
        }
    }
}

#[test]
fn what_stands_around_the_state_gives_way() {
    let ended = |width| title(&with_mark(width, FeedLink::Ended, Some(MARKS[0])));
    let mark = MARKS[0];
    let gap = |cells| " ".repeat(cells);
    assert_eq!(ended(60), format!(" ■ replay ended{}{mark}", gap(8)));
    assert_eq!(
        ended(80),
        format!(" sentiment@ae1e · ■ replay ended 12:53:50  {mark}")
    );
    assert_eq!(
        ended(100),
        format!(
            " openlora · sentiment@ae1e · local 31337 · ■ replay ended{}{mark}",
            gap(6)
        )
    );
    assert_eq!(
        ended(120),
        format!(
            " openlora · sentiment@ae1e · local 31337 · ■ replay ended 12:53:50 · up 2d00h{}{mark}",
            gap(6)
        )
    );
    let finished = title(&with_mark(80, FeedLink::Finished, Some(MARKS[1])));
    let mark = MARKS[1];
    assert_eq!(
        finished,
        format!(
            " openlora · sentiment@ae1e · local 31337 · ■ finished{}{mark}",
            gap(7)
        )
    );
}

fn state(model: &mut DashModel) -> (StateTone, String, String) {
    let now_ms = model.now_ms;
    update(model, DashMessage::Frame(now_ms));
    let heading = &model.shown.heading;
    (heading.link.0, heading.link.1.clone(), heading.up.clone())
}

#[test]
fn nothing_is_stale_before_the_first_server() {
    let now_ms = 1_000_000;
    let mut model = DashModel::new(options(Theme::Dark), (80, 24), now_ms);
    let stale = FeedLink::Stale {
        since_ms: now_ms - 45_000,
    };
    let shown = |tone, link: &str, up: &str| (tone, link.to_owned(), up.to_owned());
    update(&mut model, DashMessage::Link(stale));
    let waiting = shown(StateTone::Waiting, "◌ waiting", "no server yet");
    assert_eq!(state(&mut model), waiting);
    let training = TrainingProgress::default();
    update(&mut model, DashMessage::Training(Some(training)));
    assert_eq!(
        state(&mut model),
        shown(StateTone::Waiting, "▶ training", "no server yet")
    );
    assert_eq!(
        title(&model),
        " openlora · local 31337 · ▶ training 00:16:40 · no server yet"
    );
    update(&mut model, DashMessage::Training(None));
    assert_eq!(state(&mut model), waiting);
    let event = Event::ServerStarted {
        session: "s1".to_owned(),
        version: "0.1.0".to_owned(),
    };
    let started = EventRecord {
        sequence: 1,
        time_ms: now_ms,
        event,
        hash: String::new(),
    };
    update(&mut model, DashMessage::Records(vec![started]));
    assert_eq!(
        state(&mut model),
        shown(StateTone::Bad, "○ stale 45 s", "up 0s")
    );
}

#[test]
fn the_end_is_final() {
    let records = scenario("busy");
    let (half, last) = (records.len() / 2, records.last().unwrap().time_ms);
    for over in [FeedLink::Finished, FeedLink::Failed, FeedLink::Ended] {
        let mut model = DashModel::new(options(Theme::Dark), (80, 24), last);
        update(&mut model, DashMessage::Records(records[..half].to_vec()));
        update(&mut model, DashMessage::Link(over));
        assert!(!model.is_moving());
        for later in [DashMessage::Tick, DashMessage::Frame] {
            update(&mut model, later(last + 10_000));
        }
        // A recording has a clock of its own, which stops at its end.
        let stands_still = over != FeedLink::Ended;
        assert_eq!(model.now_ms == last, stands_still, "{over:?}");
        // The writer of the journal is missed, though its end was expected.
        update(&mut model, DashMessage::Link(FeedLink::Live));
        update(
            &mut model,
            DashMessage::Link(FeedLink::Stale { since_ms: 1 }),
        );
        assert_eq!(model.link, over);
    }
}

/// The last records of a program may arrive after its end; nothing moves on a clock that stands
/// still.
#[test]
fn records_after_the_end_are_counted_and_do_not_move() {
    let records = scenario("busy");
    let last = records.last().unwrap();
    let mut model = DashModel::new(options(Theme::Dark), (80, 24), last.time_ms);
    update(&mut model, DashMessage::Link(FeedLink::Finished));
    update(&mut model, DashMessage::Records(records.clone()));
    assert_eq!(model.board.sequence, last.sequence);
    assert!(!model.is_moving());
}

#[test]
fn a_failed_source_stands_still_and_says_why() {
    let records = scenario("busy");
    let last_ms = records.last().unwrap().time_ms;
    let mut model = DashModel::new(options(Theme::Dark), (80, 24), last_ms);
    update(&mut model, DashMessage::Records(records));
    assert!(model.is_moving());
    let why = "the journal is damaged";
    update(&mut model, DashMessage::Failed(why.to_owned()));
    for second in 1..=10 {
        update(&mut model, DashMessage::Tick(last_ms + second * 1_000));
    }
    update(&mut model, DashMessage::Frame(last_ms + 10_500));
    assert!(!model.is_moving());
    assert_eq!(
        title(&model),
        " openlora · sentiment@ae1e · local 31337 · ✗ failed 12:53:50 · up 2d00h"
    );
    let screen = text(&drawn(&model));
    assert_eq!(screen.lines().last(), Some(" the journal is damaged"));
}

#[test]
fn a_notice_passes_while_the_clock_stands_still() {
    let mut model = model("busy", (80, 24), Theme::Dark);
    press(&mut model, &[KeyPress::Char('T')]);
    let now_ms = model.now_ms;
    let mut left = Vec::new();
    for _ in 0..6 {
        left.push(model.notice.as_ref().map(|it| it.0.clone()));
        update(&mut model, DashMessage::Tick(now_ms));
    }
    let mut expected = vec![Some("theme light".to_owned()); 5];
    expected.push(None);
    assert_eq!((left, model.now_ms), (expected, now_ms));
}
