//! The state machine, key by key.

use openlora::tui::{
    action::Action,
    effect::Effect,
    key::Key,
    keymap::{BINDINGS, Found, find},
    layout::{PANES, Pane},
    model::{Model, Overlay, Range, Window},
    money::Units,
    sums::Group,
    theme::Theme,
    update::{Message, update},
};

use super::{model, press, scenario};

fn busy() -> Model {
    model("busy", (120, 40), Theme::Dark)
}

#[test]
fn every_key_of_the_help_does_what_its_line_says() {
    for binding in BINDINGS {
        assert!(!binding.about.is_empty() && !binding.keys.is_empty());
        for keys in binding.keys {
            assert_eq!(find(keys), Found::Action(binding.action), "{keys:?}");
            // From the middle of a list with something to go back from, each of them shows.
            let mut model = busy();
            press(&mut model, &[Key::Down, Key::Down, Key::Char('e')]);
            let before = model.clone();
            let mut effects = Vec::new();
            for key in *keys {
                effects.extend(update(&mut model, Message::Key(*key)));
            }
            let same_pane = binding.action == Action::Focus(Pane::Calls);
            assert!(
                !effects.is_empty() || model != before || same_pane,
                "{} does nothing",
                binding.keys_shown()
            );
        }
    }
}

#[test]
fn no_two_lines_of_the_help_share_a_key() {
    let mut all: Vec<_> = BINDINGS.iter().flat_map(|it| it.keys).collect();
    let count = all.len();
    all.sort_by_key(|keys| format!("{keys:?}"));
    all.dedup();
    assert_eq!(all.len(), count);
    assert_eq!(find(&[Key::Char('g')]), Found::Begun);
    assert_eq!(find(&[Key::Char('Z')]), Found::Nothing);
}

#[test]
fn digits_and_tab_move_the_focus() {
    let mut model = busy();
    for (pane, digit) in PANES.iter().zip('1'..) {
        press(&mut model, &[Key::Char(digit)]);
        assert_eq!(model.focus, *pane);
    }
    press(&mut model, &[Key::Tab]);
    assert_eq!(model.focus, Pane::Inflow);
    press(&mut model, &[Key::BackTab, Key::Char('h')]);
    assert_eq!(model.focus, Pane::Flow);
}

#[test]
fn choices_go_round() {
    let mut model = busy();
    let mut ranges = Vec::new();
    for _ in 0..4 {
        ranges.push(model.range);
        press(&mut model, &[Key::Char('t')]);
    }
    assert_eq!((ranges, model.range), (Range::ALL.to_vec(), Range::Today));
    press(
        &mut model,
        &[
            Key::Char('w'),
            Key::Char('b'),
            Key::Char('u'),
            Key::Char('T'),
        ],
    );
    assert_eq!((model.window, model.group), (Window::Day, Group::Adapter));
    assert_eq!(
        (model.units, model.options.theme),
        (Units::Base, Theme::Light)
    );
    assert_eq!(model.shown.heading.symbol, "base units");
    let effects = update(&mut model, Message::Key(Key::Char('m')));
    assert_eq!(effects, [Effect::Mouse(false)]);
}

#[test]
fn the_selection_stays_on_its_call_while_others_come_in() {
    let records = scenario("busy");
    let (before, after) = records.split_at(records.len() - 60);
    let mut model = busy();
    model.board = super::fold(before);
    press(
        &mut model,
        &[Key::Char('g'), Key::Char('g'), Key::Down, Key::Down],
    );
    let chosen = openlora::tui::detail::selected_id(&model, Pane::Calls).unwrap();
    update(&mut model, Message::Records(after.to_vec()));
    press(&mut model, &[]);
    let now_ms = model.now_ms;
    update(&mut model, Message::Frame(now_ms));
    assert_eq!(
        openlora::tui::detail::selected_id(&model, Pane::Calls),
        Some(chosen)
    );
    assert!(model.selection(Pane::Calls).at > 2);
    // The first row is whichever came last.
    press(&mut model, &[Key::Home]);
    assert_eq!(
        (
            model.selection(Pane::Calls).at,
            &model.selection(Pane::Calls).id
        ),
        (0, &None)
    );
}

#[test]
fn ends_and_pages_of_a_list() {
    let mut model = busy();
    let total = model.shown.calls.total;
    press(&mut model, &[Key::Char('G')]);
    assert_eq!(model.selection(Pane::Calls).at, total - 1);
    assert!(model.shown.calls.selected.is_some());
    press(&mut model, &[Key::PageUp]);
    let rows = model.layout().rows(Pane::Calls);
    assert_eq!(model.selection(Pane::Calls).at, total - 1 - rows);
    press(&mut model, &[Key::Char('g'), Key::Char('g'), Key::Up]);
    assert_eq!(model.selection(Pane::Calls).at, 0);
    press(&mut model, &[Key::PageDown, Key::Char('k')]);
    assert_eq!(model.selection(Pane::Calls).at, rows - 1);
}

#[test]
fn freezing_keeps_the_screen_and_counts_what_is_missed() {
    let records = scenario("busy");
    let mut model = busy();
    let cut = records.len() - 60;
    model.board = super::fold(&records[..cut]);
    press(&mut model, &[Key::Char('f')]);
    let (shown, metered) = (model.shown.clone(), model.board.metered);
    update(&mut model, Message::Records(records[cut..].to_vec()));
    let now_ms = model.now_ms;
    update(&mut model, Message::Frame(now_ms));
    let missed = model.board.metered - metered;
    assert!(missed > 3, "{missed}");
    assert_eq!(
        (model.shown.missed, &model.shown.calls),
        (missed, &shown.calls)
    );
    assert_eq!(model.shown.heading.gross, shown.heading.gross);
    press(&mut model, &[Key::Char('f')]);
    assert_eq!(model.shown.missed, 0);
    assert_ne!(model.shown.heading.gross, shown.heading.gross);
}

#[test]
fn a_filter_is_typed_refused_corrected_and_taken_back() {
    let mut model = busy();
    let all = model.shown.calls.total;
    let typed: Vec<Key> = "/status:settle".chars().map(Key::Char).collect();
    press(&mut model, &typed);
    assert_eq!(
        model.filter.error.as_deref(),
        Some(
            "`status:settle`: expected one of free, pending, claimed, settled, refunded, failed, \
             found `settle`"
        )
    );
    // What is wrong is not taken, and the last right filter stands meanwhile.
    press(&mut model, &[Key::Enter]);
    assert!(model.filter.typing);
    press(&mut model, &[Key::Char('d'), Key::Enter]);
    assert!(!model.filter.typing);
    let settled = model.shown.calls.total;
    assert!(settled > 0 && settled < all);
    press(&mut model, &[Key::Esc]);
    assert_eq!(model.shown.calls.total, all);
    update(&mut model, Message::Key(Key::Char('/')));
    update(&mut model, Message::Paste(">0.001\n".to_owned()));
    press(&mut model, &[Key::Enter]);
    let large = model.shown.calls.total;
    assert!(large > 0 && large < settled, "{large}");
}

#[test]
fn enter_opens_a_receipt_and_escape_goes_back_step_by_step() {
    let mut model = busy();
    press(
        &mut model,
        &[
            Key::Char('e'),
            Key::Char('/'),
            Key::Char('s'),
            Key::Enter,
            Key::Enter,
        ],
    );
    assert!(matches!(
        model.overlay,
        Overlay::Detail {
            pane: Pane::Calls,
            ..
        }
    ));
    assert!(!model.detail.is_empty());
    press(&mut model, &[Key::Esc]);
    assert_eq!(
        (&model.overlay, model.filter.text.as_str()),
        (&Overlay::None, "s")
    );
    press(&mut model, &[Key::Esc]);
    assert_eq!((model.filter.text.as_str(), model.expanded), ("", true));
    press(&mut model, &[Key::Esc]);
    assert!(!model.expanded);
}

#[test]
fn help_is_searched_by_typing() {
    let mut model = busy();
    press(&mut model, &[Key::Char('?')]);
    press(
        &mut model,
        &"quit".chars().map(Key::Char).collect::<Vec<_>>(),
    );
    let Overlay::Help { query, .. } = &model.overlay else {
        panic!("the help closed")
    };
    assert_eq!(query, "quit");
    let shown = super::screens::text(&super::screens::drawn(&model));
    assert!(
        shown.contains("q, Ctrl-C") && !shown.contains("freeze the screen"),
        "{shown}"
    );
    press(&mut model, &[Key::Esc]);
    assert_eq!(model.overlay, Overlay::None);
}

#[test]
fn sorting_goes_through_the_columns_and_round() {
    let mut model = busy();
    press(&mut model, &[Key::Char('s')]);
    let amounts = |model: &Model| -> Vec<u128> {
        let rows = model.shown.calls.rows.iter();
        let of = rows.map(|row| model.board.calls.get(&row.id).unwrap());
        of.map(|call| call.charge.as_ref().unwrap().amount.0)
            .collect()
    };
    let found = amounts(&model);
    assert!(found.is_sorted_by(|a, b| a >= b), "{found:?}");
    press(&mut model, &[Key::Char('S')]);
    let found = amounts(&model);
    assert!(found.is_sorted() && found[0] == 0, "{found:?}");
    press(
        &mut model,
        &[Key::Char('s'), Key::Char('s'), Key::Char('s')],
    );
    assert_eq!(model.sort(Pane::Calls).column, 0);
}

#[test]
fn what_is_written_is_every_row_that_passes_the_filter() {
    let mut model = busy();
    press(
        &mut model,
        &"/status:refunded"
            .chars()
            .map(Key::Char)
            .collect::<Vec<_>>(),
    );
    press(&mut model, &[Key::Enter]);
    let total = model.shown.calls.total;
    let effects = update(&mut model, Message::Key(Key::Char('x')));
    let [Effect::Write { name, contents }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert!(
        name.starts_with("openlora-calls-20260129-") && name.ends_with(".csv"),
        "{name}"
    );
    let mut lines = contents.lines();
    assert_eq!(
        lines.next(),
        Some(
            "sequence,time,request_id,adapter,kind,prompt_tokens,completion_tokens,milliseconds,\
             finish,payer,amount,symbol,status"
        )
    );
    assert!(total > 0);
    assert_eq!(lines.clone().count(), total);
    assert!(
        lines.all(|line| line.ends_with(",0,dUSD,refunded")),
        "{contents}"
    );
    press(&mut model, &[Key::Esc, Key::Char('6'), Key::Char('b')]);
    let effects = update(&mut model, Message::Key(Key::Char('X')));
    let [Effect::Write { contents, .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    let rows: serde_json::Value = serde_json::from_str(contents).unwrap();
    assert_eq!(rows[0]["key"], "sentiment");
    assert_eq!(
        rows[0]["amount"],
        (model.shown.total.micro / 1_000_000).to_string()
    );
    let effects = update(&mut model, Message::Key(Key::Char('y')));
    assert_eq!(effects, [Effect::Copy("sentiment".to_owned())]);
}

#[test]
fn the_mouse_focuses_selects_scrolls_and_opens() {
    let mut model = busy();
    let area = model.layout().place(Pane::Sums).unwrap();
    update(
        &mut model,
        Message::Click {
            x: area.x + 5,
            y: area.y,
        },
    );
    assert_eq!(model.focus, Pane::Sums);
    let area = model.layout().place(Pane::Calls).unwrap();
    let at = (area.x + 5, area.y + 4);
    update(&mut model, Message::Click { x: at.0, y: at.1 });
    assert_eq!(
        (model.focus, model.selection(Pane::Calls).at),
        (Pane::Calls, 2)
    );
    update(&mut model, Message::Click { x: at.0, y: at.1 });
    assert!(matches!(model.overlay, Overlay::Detail { .. }));
    update(&mut model, Message::Click { x: 0, y: 0 });
    assert_eq!(model.overlay, Overlay::None);
    let (x, y) = at;
    update(&mut model, Message::Scroll { x, y, down: true });
    assert_eq!(model.selection(Pane::Calls).at, 5);
}

#[test]
fn records_that_come_twice_change_nothing() {
    let mut model = busy();
    let before = model.board.clone();
    update(&mut model, Message::Records(scenario("busy")));
    assert_eq!(model.board, before);
    assert!(model.flow.is_still());
}

#[test]
fn a_payment_is_one_particle_each_way_and_arrives() {
    let records = scenario("busy");
    let attributed = records
        .iter()
        .rposition(|it| matches!(&it.event, openlora::runtime::event::Event::Attributed(_)));
    let cut = attributed.unwrap() - 3;
    let mut model = busy();
    model.board = super::fold(&records[..cut]);
    update(
        &mut model,
        Message::Records(records[cut..=cut + 3].to_vec()),
    );
    let now_ms = model.now_ms;
    update(&mut model, Message::Frame(now_ms));
    let dots = model.shown.lanes.dots.clone();
    // From one payer, and to the creator and three owners.
    assert_eq!(dots.iter().filter(|dot| !dot.out).count(), 1, "{dots:?}");
    assert_eq!(dots.iter().filter(|dot| dot.out).count(), 4, "{dots:?}");
    assert!(model.is_moving());
    update(&mut model, Message::Frame(now_ms + 500));
    assert!(model.shown.lanes.dots.iter().all(|dot| dot.permille > 100));
    update(&mut model, Message::Frame(now_ms + 3_000));
    assert!(!model.is_moving() && model.shown.lanes.dots.is_empty());
}

#[test]
fn without_animation_nothing_moves() {
    let mut model = busy();
    model.options.animation = false;
    model.board = Default::default();
    update(&mut model, Message::Records(scenario("busy")));
    assert!(!model.is_moving());
}

#[test]
fn what_goes_on_stays_until_something_else_does() {
    let mut model = busy();
    let story = "2. A LoRA adapter is trained";
    let last_line = |model: &Model| {
        let text = super::screens::text(&super::screens::drawn(model));
        text.lines().last().unwrap().to_owned()
    };
    update(&mut model, Message::Story(story.into()));
    // A remark passes over it, and the keys stay beside it.
    press(&mut model, &[Key::Char('T')]);
    assert!(last_line(&model).contains("theme"));
    let later = model.now_ms + 600_000;
    update(&mut model, Message::Tick(later));
    let line = last_line(&model);
    assert!(line.contains(story) && line.contains("? help"), "{line}");
    update(&mut model, Message::Story("3. It is measured".into()));
    assert!(!last_line(&model).contains(story));
}
