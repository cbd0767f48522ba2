//! The fold behind the screen: sums that agree to the unit, and a stored board that is the same.

use openlora_core::Amount;
use openlora_journal::{Journal, projection};
use openlora_ledger::{
    CallComputation, ChannelView, DayRange, Earnings, PaymentScheme, PictureRecord,
    event::{
        CallKind, ChannelObserved, ClaimsDeferred, DeferredClaim, Event, EventRecord, RefundCharged,
    },
    state::{
        ApplyOutcome,
        board::{Board, DurationHistogram, KEPT_CALLS, MICRO, PaymentStanding},
    },
};
use openlora_tui::{
    key::KeyPress,
    layout::Pane,
    model::{DashModel, SumRange},
    money::token_moneys,
    plain,
    sums::{self, SumGroup},
    theme::Theme,
    update::{DashMessage, update},
};

use super::{
    fold, model, options, press, scenario,
    screens::{drawn, text},
    shown, token,
};

#[test]
fn rows_sum_to_the_headline_as_integers_whatever_they_are_about() {
    let records = scenario("busy");
    let (board, now_ms) = (fold(&records), records.last().unwrap().time_ms);
    let mut earnings = Earnings::default();
    records.iter().for_each(|record| earnings.apply(record));
    assert_eq!(board.earnings, earnings);
    let moneys = token_moneys(&board.earnings, &[token()]);
    assert_eq!(moneys.len(), 1);
    assert_eq!((moneys[0].symbol.as_str(), moneys[0].decimals), ("dUSD", 6));
    let mut charged = Vec::new();
    for range in SumRange::ALL {
        let days = range.days(now_ms);
        let headline = earnings.sums_of(&moneys[0].receivers, days).charged.0;
        for group in [SumGroup::Adapter, SumGroup::Payer, SumGroup::Contributor] {
            let rows = sums::rows(&board, &moneys[0], days, group);
            let sum: u128 = rows.iter().map(|row| row.micro).sum();
            assert_eq!(sum, headline * MICRO, "{range:?} {group:?}");
        }
        charged.push(headline);
    }
    // The ranges differ, or they would prove nothing.
    assert!(charged[0] > 0 && charged[0] < charged[1], "{charged:?}");
    let screen = model("busy", (120, 40), Theme::Dark);
    assert_eq!(screen.shown.total.micro, charged[0] * MICRO);
}

/// What the scenario's records themselves say was charged.
#[test]
fn the_headline_is_what_the_calls_were_charged() {
    let records = scenario("busy");
    let charges = records.iter().filter_map(|record| match &record.event {
        Event::CallMetered { charge, .. } => charge.as_ref().map(|it| it.amount.0),
        _ => None,
    });
    let board = fold(&records);
    let money = token_moneys(&board.earnings, &[token()]).remove(0);
    let all = board
        .earnings
        .sums_of(&money.receivers, SumRange::All.days(0));
    assert_eq!(all.charged.0, charges.sum::<u128>());
}

#[test]
fn a_stored_board_goes_on_as_if_it_had_never_been_stored() {
    let records = scenario("busy");
    let whole = fold(&records);
    for cut in [1, 100, 400, records.len() - 1] {
        let stored = serde_json::to_vec(&fold(&records[..cut])).unwrap();
        let mut board: Board = serde_json::from_slice(&stored).unwrap();
        for record in &records {
            let expected = match record.sequence as usize <= cut {
                true => ApplyOutcome::Known,
                false => ApplyOutcome::Folded,
            };
            assert_eq!(board.apply(record), expected);
        }
        assert_eq!(board, whole, "cut at {cut}");
    }
    let mut board = fold(&records[..10]);
    assert_eq!(
        board.apply(&records[11]),
        ApplyOutcome::Gap { expected: 11 }
    );
    assert_eq!(board, fold(&records[..10]));
}

/// A fee for a refund, and charges of one channel of which 30 are deferred, 50 are written off and 20
/// are lost.
fn rare_events(records: &[EventRecord]) -> Vec<Event> {
    let charges = records
        .iter()
        .rev()
        .filter_map(|record| match &record.event {
            Event::CallMetered { charge, .. } => charge.as_deref(),
            _ => None,
        });
    let mut charges = charges.filter(|it| it.scheme == PaymentScheme::BatchSettlement);
    let last = charges.find(|it| !it.amount.is_zero()).unwrap();
    let (key, total) = (last.channel_key(), last.cumulative.0 + 40);
    let fee = RefundCharged {
        key,
        receiver: last.receiver_key(),
        refund_nonce: 0,
        amount: Amount(40),
        cumulative: Amount(total),
        signature: "0x".to_owned(),
    };
    let deferred = DeferredClaim {
        channel: key.channel,
        amount: Amount(80),
        total: Amount(total - 20),
    };
    let view = ChannelView {
        balance: Amount(total - 70),
        claimed: Amount(total - 100),
        ..ChannelView::default()
    };
    vec![
        Event::RefundCharged(Box::new(fee)),
        Event::ClaimsDeferred(Box::new(ClaimsDeferred {
            chain_id: key.chain_id,
            channels: vec![deferred],
        })),
        Event::ChannelObserved(Box::new(ChannelObserved { key, view })),
    ]
}

#[test]
fn what_was_not_claimed_is_shown_with_the_sums() {
    let mut records = scenario("busy");
    let last = records.last().unwrap().clone();
    for event in rare_events(&records) {
        let sequence = records.len() as u64 + 1;
        records.push(EventRecord {
            sequence,
            event,
            ..last.clone()
        });
    }
    let mut model = DashModel::new(options(Theme::Dark), (80, 24), last.time_ms);
    update(&mut model, DashMessage::Records(records));
    let keys = ['6', 'e'].map(KeyPress::Char);
    press(&mut model, &keys);
    assert_eq!((model.focus, model.expanded), (Pane::Sums, true));
    let receivers = &model.shown.moneys[0].receivers;
    let all = model.board.earnings.sums_of(receivers, DayRange::ALL);
    let sums = [
        all.refund_fees,
        all.deferred,
        all.written_off,
        all.uncollectable,
    ];
    assert_eq!(sums, [40, 30, 50, 20].map(Amount));
    let screen = text(&drawn(&model));
    let said = "uncollectable 0.00002, written off 0.00005, deferred 0.00003, refund fees 0.00004";
    let frame = screen.lines().rev().nth(1).unwrap();
    assert_eq!(
        frame,
        "╰─ all time: uncollectable 0.00002, written off 0.00005, deferred 0.00003… ────╯"
    );
    let summary = plain::summary(&model);
    assert!(summary.contains(&format!(", {said}; 1")), "{summary}");
    // Rows still add up to the charges of calls alone.
    let today = SumRange::Today.days(model.now_ms);
    let charged = model.board.earnings.sums_of(receivers, today).charged;
    assert_eq!(model.shown.total.micro, charged.0 * MICRO);
}

fn note(n: u64) -> Event {
    Event::ServerStopped {
        session: format!("s{n}"),
    }
}

#[tokio::test]
async fn a_projection_counts_only_for_its_own_journal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    let mut records = Vec::new();
    for n in 0..5 {
        records.push(journal.append(note(n)).await.unwrap());
    }
    let kept = projection::path_of(&path, "board");
    assert_eq!(kept, dir.path().join("journal.sqlite.board"));
    let board = fold(&records[..3]);
    let load = |form: &str| {
        let mut reader = Journal::open_read_only(&path).unwrap();
        projection::load::<Board>(&kept, &mut reader, form).unwrap()
    };
    assert_eq!(load("a"), None);
    projection::store(&kept, 3, &board.hash, "a", &board).unwrap();
    assert_eq!(load("a"), Some((3, board.clone())));
    assert_eq!(load("b"), None);
    // Of a record that another journal has in that place.
    projection::store(&kept, 3, &records[3].hash, "a", &board).unwrap();
    assert_eq!(load("a"), None);
    // Of a record that is not there yet.
    projection::store(&kept, 6, &board.hash, "a", &board).unwrap();
    assert_eq!(load("a"), None);
    // Changed by somebody.
    projection::store(&kept, 3, &board.hash, "a", &board).unwrap();
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, text.replace("\"metered\":0", "\"metered\":7")).unwrap();
    assert_eq!(load("a"), None);
}

fn standing_of(board: &Board, record: &EventRecord) -> Option<PaymentStanding> {
    let Event::CallMetered { request_id, .. } = &record.event else {
        return None;
    };
    Some(board.payment_standing(board.calls.get(request_id)?).0)
}

#[test]
fn a_call_is_pending_then_settled_and_pending_again_after_a_reorganisation() {
    let records = scenario("busy");
    let at = |kind: fn(&Event) -> bool| records.iter().position(|it| kind(&it.event)).unwrap();
    let first = at(|event| matches!(event, Event::CallMetered { .. }));
    let claimed = at(|event| matches!(event, Event::Claimed(_)));
    let settled = at(|event| matches!(event, Event::Settled(_)));
    let call = &records[first];
    let after = |count: usize| standing_of(&fold(&records[..count]), call);
    assert_eq!(after(claimed), Some(PaymentStanding::Pending));
    assert_eq!(after(claimed + 1), Some(PaymentStanding::Claimed));
    assert_eq!(after(settled + 1), Some(PaymentStanding::Settled));
    let Event::Settled(it) = &records[settled].event else {
        unreachable!()
    };
    let mut board = fold(&records[..=settled]);
    let undone = EventRecord {
        sequence: board.sequence + 1,
        event: Event::Reorganised {
            chain_id: 31_337,
            txs: vec![it.tx.clone()],
        },
        ..records[settled].clone()
    };
    assert_eq!(board.apply(&undone), ApplyOutcome::Folded);
    assert_eq!(standing_of(&board, call), Some(PaymentStanding::Claimed));
}

#[test]
fn calls_for_pictures_show_pictures_and_evaluations() {
    let mut records = scenario("busy");
    let is_call = |it: &EventRecord| matches!(it.event, Event::CallMetered { .. });
    let last = records.iter().rposition(is_call).unwrap();
    records.truncate(last + 1);
    let Event::CallMetered {
        kind, computation, ..
    } = &mut records[last].event
    else {
        unreachable!()
    };
    *kind = CallKind::Image;
    let made = PictureRecord {
        width: 64,
        height: 64,
        steps: 20,
        guidance: "2.5".to_owned(),
        sampler: "euler".to_owned(),
        seed: 7,
        pictures: 2,
        evaluations: 80,
        digests: Vec::new(),
    };
    *computation = Some(Box::new(CallComputation {
        engine: "diffusion/1".to_owned(),
        weights: "f32".to_owned(),
        base_digest: "00".to_owned(),
        sampling: None,
        pictures: Some(Box::new(made)),
    }));
    let record = records[last].clone();
    let model = shown(records, (160, 50), Theme::Dark);
    let screen = text(&drawn(&model));
    assert!(
        screen.contains("image") && screen.contains("2p/80e"),
        "{screen}"
    );
    let line = plain::line(&model, &record).unwrap();
    assert!(line.contains(" image 2 pictures 80 evaluations "), "{line}");
}

#[test]
fn the_board_stays_small_however_many_calls_there_are() {
    let mut calls = scenario("busy");
    calls.retain(|it| {
        matches!(
            it.event,
            Event::CallMetered { .. } | Event::CallReserved { .. }
        )
    });
    let mut board = Board::default();
    let mut sequence = 0;
    for round in 0..20u64 {
        for record in &calls {
            sequence += 1;
            let mut record = record.clone();
            (record.sequence, record.time_ms) = (sequence, record.time_ms + round * 1_000);
            record.time_ms = record.time_ms.max(board.time_ms);
            if let Event::CallMetered { request_id, .. } | Event::CallReserved { request_id, .. } =
                &mut record.event
            {
                request_id.push_str(&round.to_string());
            }
            assert_eq!(board.apply(&record), ApplyOutcome::Folded);
        }
    }
    assert!(board.metered > 3_000, "{}", board.metered);
    assert_eq!(board.calls.iter().len(), KEPT_CALLS);
    let bytes = serde_json::to_vec(&board).unwrap().len();
    assert!(bytes < 3 << 20, "{bytes} bytes");
}

#[test]
fn quantiles_are_exact_below_sixteen_and_within_an_eighth_above() {
    let mut durations = DurationHistogram::default();
    assert_eq!(durations.quantile_ms(500), None);
    (1..=10).for_each(|ms| durations.add(ms));
    assert_eq!(
        (durations.quantile_ms(500), durations.quantile_ms(950)),
        (Some(5), Some(10))
    );
    for ms in [16, 100, 999, 5_000, 123_456] {
        let mut one = DurationHistogram::default();
        one.add(ms);
        let found = one.quantile_ms(500).unwrap();
        assert!(found >= ms && found <= ms + ms / 8, "{ms}: {found}");
    }
    let mut both = DurationHistogram::default();
    both.add(100);
    both.merge(&durations);
    assert_eq!(both.count(), 11);
}
