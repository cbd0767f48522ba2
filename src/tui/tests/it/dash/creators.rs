//! Sums of adapters that several accounts registered.

use std::collections::{BTreeMap, BTreeSet};

use openlora_core::Address;
use openlora_ledger::event::{Event, EventRecord};
use openlora_tui::{
    layout::Pane,
    model::{PaneOverlay, SumRange},
    money::token_moneys,
    shown::DetailLine,
    sums::{self, SumGroup, SumRow},
    text::short_id,
    theme::Theme,
    update::{DashMessage, update},
};

use super::{fold, scenario, shown, token};

/// The scenario as if two accounts had registered what was called: every other creator is another.
fn with_two_creators(other: Address) -> Vec<EventRecord> {
    let mut records = scenario("busy");
    let attributed = records.iter_mut().filter_map(|it| match &mut it.event {
        Event::Attributed(attributed) => Some(attributed),
        _ => None,
    });
    for attributed in attributed.step_by(2) {
        let parts = attributed.amounts.iter_mut().flatten();
        for part in parts.filter(|part| part.recipient == "creator") {
            part.address = Some(other);
        }
    }
    records
}

#[test]
fn two_creators_are_two_rows_whose_sums_are_their_own() {
    let other: Address = "0x00000000000000000000000000000000000000C2"
        .parse()
        .unwrap();
    let records = with_two_creators(other);
    let now_ms = records.last().unwrap().time_ms;
    let creators = |records: &[EventRecord]| {
        let board = fold(records);
        let money = token_moneys(&board.earnings, &[token()]).remove(0);
        let days = SumRange::All.days(now_ms);
        let mut rows = sums::rows(&board, &money, days, SumGroup::Contributor);
        rows.retain(|row| row.name == "creator");
        rows
    };
    let one = creators(&scenario("busy"));
    let two = creators(&records);
    assert_eq!((one.len(), two.len()), (1, 2));
    let first = one[0].address.unwrap();
    let mut expected: BTreeMap<Option<Address>, u128> = BTreeMap::new();
    for record in &records {
        if let Event::Attributed(attributed) = &record.event {
            let parts = attributed.amounts.iter().flatten();
            for part in parts.filter(|part| part.recipient == "creator") {
                *expected.entry(part.address).or_default() += part.micro.0;
            }
        }
    }
    let found: BTreeMap<_, _> = two.iter().map(|row| (row.address, row.micro)).collect();
    assert_eq!(found, expected);
    let sum = |rows: &[SumRow]| {
        let each = rows.iter().map(|row| (row.micro, row.calls));
        each.fold((0, 0), |(micro, calls), it| (micro + it.0, calls + it.1))
    };
    assert_eq!(sum(&two), sum(&one));

    // Both can be told apart, selected and opened.
    let mut screen = shown(records, (120, 40), Theme::Dark);
    let rows = &screen.shown.sums.rows;
    let ids: BTreeSet<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), rows.len());
    let lanes = screen.shown.lanes.contributors.iter();
    let lanes: Vec<String> = lanes.map(|lane| lane.name.clone()).collect();
    for account in [first, other] {
        let lane = format!("creator {}", short_id(&account.to_string()));
        assert!(lanes.contains(&lane), "{lanes:?}");
        screen.overlay = PaneOverlay::Detail {
            pane: Pane::Sums,
            id: format!("creator {account}"),
            scroll: 0,
        };
        update(&mut screen, DashMessage::Frame(now_ms));
        assert_eq!(
            screen.detail[0],
            DetailLine::Heading("contributor creator".to_owned())
        );
        let own = DetailLine::Field("account", account.to_string());
        assert!(screen.detail.contains(&own), "{:?}", screen.detail);
    }
}

/// A root says nothing of another adapter's calls.
#[test]
fn a_call_is_in_a_root_of_its_own_adapter() {
    let mut board = fold(&scenario("busy"));
    let call = board.calls.iter().find(|it| board.root_of(it).is_some());
    let call = call.unwrap().clone();
    let root = board.root_of(&call).unwrap().adapter_id.clone();
    let splitter = call.charge.as_ref().unwrap().receiver;
    for (adapter, is_in) in [("0x01".to_owned(), false), (root, true)] {
        board.adapter_ids.insert(splitter, adapter);
        assert_eq!(board.root_of(&call).is_some(), is_in);
    }
}
