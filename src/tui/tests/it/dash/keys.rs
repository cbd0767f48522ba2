//! The state machine, key by key.

use openlora_tui::{
    action::DashAction,
    effect::DashEffect,
    key::KeyPress,
    keymap::{BINDINGS, KeyMatch, find},
    layout::{PANES, Pane},
    model::{ChartWindow, DashModel, PaneOverlay, SumRange},
    money::AmountUnits,
    sums::SumGroup,
    theme::Theme,
    update::{DashMessage, update},
};

use super::{model, press, scenario};

fn busy() -> DashModel {
    model("busy", (120, 40), Theme::Dark)
}

/// Presses keys, draws, and returns what is asked of the world.
fn pressed(model: &mut DashModel, keys: &[KeyPress]) -> Vec<DashEffect> {
    let mut effects = Vec::new();
    for key in keys {
        effects.extend(update(model, DashMessage::Key(*key)));
        let now_ms = model.now_ms;
        update(model, DashMessage::Frame(now_ms));
    }
    effects
}

/// `what` of a model before the keys and after each of `times` times that they are pressed.
fn through<T>(
    keys: &[KeyPress],
    times: usize,
    mut model: DashModel,
    what: impl Fn(&DashModel) -> T,
) -> Vec<T> {
    let mut seen = vec![what(&model)];
    for _ in 0..times {
        pressed(&mut model, keys);
        seen.push(what(&model));
    }
    seen
}

fn on_screen(model: &DashModel) -> String {
    super::screens::text(&super::screens::drawn(model))
}

/// The third of the calls is selected, and its list has the whole screen.
fn in_the_middle() -> DashModel {
    let mut model = busy();
    pressed(
        &mut model,
        &[KeyPress::Down, KeyPress::Down, KeyPress::Char('e')],
    );
    model
}

fn type_text(model: &mut DashModel, text: &str) {
    pressed(model, &text.chars().map(KeyPress::Char).collect::<Vec<_>>());
}

#[test]
fn every_key_of_the_help_does_what_its_line_says() {
    for binding in BINDINGS {
        assert!(!binding.keys.is_empty());
        for keys in binding.keys {
            assert_eq!(find(keys), KeyMatch::Action(binding.action), "{keys:?}");
            match binding.action {
                DashAction::Up
                | DashAction::Down
                | DashAction::PageUp
                | DashAction::PageDown
                | DashAction::Top
                | DashAction::Bottom => moves(binding.about, keys),
                DashAction::Focus(pane) => focuses(binding.about, keys, pane),
                DashAction::FocusNext | DashAction::FocusPrevious => turns(binding.about, keys),
                DashAction::Range
                | DashAction::Window
                | DashAction::Group
                | DashAction::Units
                | DashAction::Money
                | DashAction::Theme
                | DashAction::Animation
                | DashAction::Mouse => chooses(binding.about, keys),
                DashAction::ExportCsv
                | DashAction::ExportJson
                | DashAction::Copy
                | DashAction::Redraw
                | DashAction::Suspend
                | DashAction::Quit => asks(binding.about, keys),
                DashAction::Sort | DashAction::Reverse => sorts(binding.about, keys),
                DashAction::Help
                | DashAction::Filter
                | DashAction::Freeze
                | DashAction::Expand
                | DashAction::Open
                | DashAction::Back => looks(binding.about, keys),
            }
        }
    }
}

/// A line of the help that this file does not know.
fn unknown(about: &str) -> ! {
    panic!("the help says `{about}`, and no test here checks that it happens")
}

fn moves(about: &str, keys: &[KeyPress]) {
    let mut model = in_the_middle();
    let (rows, total) = (model.layout().rows(Pane::Calls), model.shown.calls.total);
    assert!(rows > 3 && total > 2 * rows, "{rows} {total}");
    let at = |model: &DashModel| model.selection(Pane::Calls).at;
    let from = match about {
        // From where there is a page above.
        "a page up" => {
            pressed(&mut model, &[KeyPress::PageDown]);
            2 + rows
        }
        _ => 2,
    };
    assert_eq!(at(&model), from);
    pressed(&mut model, keys);
    let to = match about {
        "next row" => from + 1,
        "previous row" => from - 1,
        "a page down" => from + rows,
        "a page up" => from - rows,
        "first row" => 0,
        "last row" => total - 1,
        _ => unknown(about),
    };
    assert_eq!(at(&model), to, "{about}");
}

fn focuses(about: &str, keys: &[KeyPress], pane: Pane) {
    for mut model in [busy(), in_the_middle()] {
        pressed(&mut model, keys);
        assert_eq!(model.focus, pane, "{about}");
    }
    // The words of the line are those on the pane's frame.
    let title = match about {
        "inflow" => "1 Inflow",
        "calls and latency" => "2 Calls + latency",
        "live calls" => "3 Live calls",
        "attribution" => "4 Attribution",
        "flow of payments" => "5 Flow",
        "sums by adapter, payer or contributor" => "6 Sums",
        _ => unknown(about),
    };
    assert_eq!(title[..1], pane.number().to_string());
    let screen = on_screen(&busy());
    assert!(screen.contains(title), "{title}\n{screen}");
}

fn turns(about: &str, keys: &[KeyPress]) {
    let mut order = through(keys, PANES.len(), busy(), |model| model.focus);
    assert_eq!(order.pop(), Some(Pane::Calls), "{about}");
    match about {
        "next pane" => {}
        "previous pane" => order[1..].reverse(),
        _ => unknown(about),
    }
    let from = PANES.iter().position(|it| *it == Pane::Calls).unwrap();
    let round = PANES.iter().cycle().skip(from).take(PANES.len());
    assert_eq!(order, round.copied().collect::<Vec<_>>(), "{about}");
}

fn chooses(about: &str, keys: &[KeyPress]) {
    match about {
        "sums over today, 7 days, 30 days or all time" => {
            let ranges = through(keys, 4, busy(), |model| {
                (model.shown.heading.range, model.shown.total.micro)
            });
            let names: Vec<&str> = ranges.iter().map(|it| it.0).collect();
            assert_eq!(names, ["today", "7 days", "30 days", "all", "today"]);
            assert!(ranges[0].1 > 0 && ranges[0].1 < ranges[1].1, "{ranges:?}");
            assert!(ranges[..4].is_sorted_by_key(|it| it.1), "{ranges:?}");
        }
        "charts over 1 minute, 1 hour, 24 hours or 30 days" => {
            let mut windows = through(keys, 4, busy(), |model| {
                (model.window.name(), model.shown.charts.clone())
            });
            assert!(windows.pop().unwrap() == windows[0]);
            let names: Vec<&str> = windows.iter().map(|it| it.0).collect();
            assert_eq!(names, ["1h", "24h", "30d", "1m"]);
            for pair in windows.windows(2) {
                assert!(pair[0].1 != pair[1].1, "the charts stay the same");
            }
        }
        "sums by adapter, payer or contributor" => {
            let mut groups = through(keys, 3, busy(), |model| {
                let rows = model.shown.sums.rows.iter();
                let ids: Vec<String> = rows.map(|row| row.id.clone()).collect();
                (model.group.name(), ids)
            });
            assert_eq!(groups.pop().as_ref(), groups.first());
            groups.sort();
            let names: Vec<&str> = groups.iter().map(|it| it.0).collect();
            assert_eq!(names, ["adapter", "contributor", "payer"]);
            assert!(groups[0].1.contains(&"sentiment".to_owned()));
            assert!(groups[0].1 != groups[1].1 && groups[1].1 != groups[2].1);
            let payers = &groups[2].1;
            assert!(payers.iter().all(|it| it.starts_with("0x")), "{payers:?}");
        }
        "amounts in units of the token or in base units" => {
            let symbols = through(keys, 2, busy(), |model| model.shown.heading.symbol.clone());
            assert_eq!(symbols, ["dUSD", "base units", "dUSD"]);
        }
        "show another money, where calls are paid in several" => {
            let symbols = through(keys, 2, in_two_moneys(), |model| {
                model.shown.heading.symbol.clone()
            });
            assert_eq!(symbols[0], symbols[2]);
            assert_ne!(symbols[0], symbols[1]);
            let mut one = busy();
            pressed(&mut one, keys);
            let told = one.notice.unwrap().0;
            assert_eq!(told, "calls are paid in one money only");
        }
        "next theme: dark, light, high-contrast, mono" => {
            let names = through(keys, 4, busy(), |model| model.options.theme.name());
            assert_eq!(names, ["dark", "light", "high-contrast", "mono", "dark"]);
            let mut palettes = through(keys, 3, busy(), |model| model.palette);
            let first = palettes.remove(0);
            assert!(palettes.iter().all(|palette| *palette != first));
        }
        "turn the animation of payments off or on" => {
            let last = scenario("busy").len() - 1;
            let moving = through(keys, 2, busy(), |model| {
                // Its payments are on their way unless the animation is off.
                let mut model = model.clone();
                model.board = super::fold(&scenario("busy")[..last / 2]);
                update(&mut model, DashMessage::Records(scenario("busy")));
                model.is_moving()
            });
            assert_eq!(moving, [true, false, true]);
        }
        "turn the mouse off or on" => {
            let mut model = busy();
            assert_eq!(pressed(&mut model, keys), [DashEffect::Mouse(false)]);
            assert_eq!(pressed(&mut model, keys), [DashEffect::Mouse(true)]);
        }
        _ => unknown(about),
    }
}

/// The scenario with its later half paid in another token.
fn in_two_moneys() -> DashModel {
    let records = scenario("busy");
    let later = serde_json::to_string(&records[records.len() / 2..]).unwrap();
    let other = format!("0x{}", "7".repeat(40));
    let later: Vec<_> = serde_json::from_str(&later.replace(super::TOKEN, &other)).unwrap();
    let mut model = busy();
    model.board = super::fold(&[&records[..records.len() / 2], &later].concat());
    let now_ms = model.now_ms;
    update(&mut model, DashMessage::Frame(now_ms));
    assert_eq!(model.shown.moneys.len(), 2);
    model
}

fn asks(about: &str, keys: &[KeyPress]) {
    let mut model = in_the_middle();
    let (total, id) = (
        model.shown.calls.total,
        model.selection(Pane::Calls).id.clone().unwrap(),
    );
    let effects = pressed(&mut model, keys);
    match (about, &effects[..]) {
        ("write the pane's rows to a CSV file", [DashEffect::Write { name, contents }]) => {
            assert!(name.ends_with(".csv"), "{name}");
            assert_eq!(contents.lines().count(), 1 + total);
        }
        ("write the pane's rows to a JSON file", [DashEffect::Write { name, contents }]) => {
            assert!(name.ends_with(".json"), "{name}");
            let rows: Vec<serde_json::Value> = serde_json::from_str(contents).unwrap();
            assert_eq!(rows.len(), total);
        }
        ("copy the selected row's id to the clipboard", [DashEffect::Copy(copied)]) => {
            assert_eq!(*copied, id);
        }
        ("draw the whole screen again", [DashEffect::Redraw])
        | ("suspend; `fg` comes back", [DashEffect::Suspend])
        | ("quit", [DashEffect::Quit]) => {}
        _ => panic!("{about}: {effects:?}"),
    }
}

fn sorts(about: &str, keys: &[KeyPress]) {
    let sorted = |model: &DashModel| -> Vec<String> {
        let rows = model.shown.calls.rows.iter();
        rows.map(|row| row.id.clone()).collect()
    };
    let call = |model: &DashModel, id: &String| model.board.calls.get(id).unwrap().clone();
    match about {
        "sort the pane by its next column" => {
            let columns = through(keys, 4, busy(), |model| {
                (model.sort(Pane::Calls).column, sorted(model))
            });
            let order: Vec<usize> = columns.iter().map(|it| it.0).collect();
            assert_eq!(order, [0, 1, 2, 3, 0]);
            assert_eq!(columns[0], columns[4]);
            let model = busy();
            let calls: Vec<Vec<_>> = columns
                .iter()
                .map(|(_, ids)| ids.iter().map(|id| call(&model, id)).collect())
                .collect();
            assert!(calls[0].is_sorted_by(|a, b| a.sequence > b.sequence));
            let amount = |it: &openlora_ledger::state::board::BoardCall| {
                it.charge.as_ref().map(|charge| charge.amount)
            };
            assert!(calls[1].is_sorted_by(|a, b| amount(a) >= amount(b)));
            assert!(calls[2].is_sorted_by(|a, b| a.milliseconds >= b.milliseconds));
            let tokens = |it: &openlora_ledger::state::board::BoardCall| {
                it.usage.prompt_tokens + it.usage.completion_tokens
            };
            assert!(calls[3].is_sorted_by(|a, b| tokens(a) >= tokens(b)));
        }
        "sort the other way round" => {
            let ways = through(keys, 2, busy(), sorted);
            assert_eq!(ways[0], ways[2]);
            let model = busy();
            let ages: Vec<u64> = ways[1].iter().map(|id| call(&model, id).sequence).collect();
            assert!(ages.is_sorted(), "{ages:?}");
            assert!(ages[0] < call(&model, &ways[0][0]).sequence);
        }
        _ => unknown(about),
    }
}

fn looks(about: &str, keys: &[KeyPress]) {
    match about {
        "show and search the keys" => {
            let mut model = in_the_middle();
            pressed(&mut model, keys);
            let shown = on_screen(&model);
            assert!(shown.contains("freeze the screen"), "{shown}");
            type_text(&mut model, "quit");
            let found = on_screen(&model);
            assert!(found.contains("q, Ctrl-C") && !found.contains("freeze the screen"));
        }
        "filter calls, such as payer:0xab status:failed >0.01" => {
            let example = about.split_once("such as ").unwrap().1;
            for filter in [example, "status:refunded"] {
                let mut model = busy();
                let all = model.shown.calls.total;
                pressed(&mut model, keys);
                type_text(&mut model, filter);
                pressed(&mut model, &[KeyPress::Enter]);
                assert_eq!(
                    (model.filter.error.clone(), model.filter.typing),
                    (None, false)
                );
                assert!(model.shown.calls.total < all, "{filter}");
                let rows = &model.shown.calls.rows;
                let standing = openlora_ledger::state::board::PaymentStanding::Refunded;
                assert!(filter == example || rows.iter().all(|it| it.standing == standing));
            }
        }
        "freeze the screen; records are counted on" => freezes(keys),
        "give the pane the whole screen, or take it back" => {
            let places = through(keys, 2, busy(), |model| {
                let layout = model.layout();
                PANES.map(|pane| layout.place(pane))
            });
            assert!(places[0].iter().all(Option::is_some));
            let seen: Vec<Pane> = PANES
                .into_iter()
                .zip(places[1])
                .filter_map(|(pane, place)| place.map(|_| pane))
                .collect();
            assert_eq!(seen, [Pane::Calls]);
            assert_eq!(places[0], places[2]);
        }
        "open the selected row: receipt, shares, transaction" => {
            let mut model = in_the_middle();
            let id = model.selection(Pane::Calls).id.clone().unwrap();
            pressed(&mut model, keys);
            assert!(on_screen(&model).contains("Receipt"));
            let opened = format!("{:?}", model.detail);
            for part in ["Receipt", &id, "Who shaped the answer", "On the chain"] {
                assert!(opened.contains(part), "{part}\n{opened}");
            }
        }
        "back: close, clear the filter, shrink" => {
            let mut model = in_the_middle();
            pressed(
                &mut model,
                &[
                    KeyPress::Char('/'),
                    KeyPress::Char('s'),
                    KeyPress::Enter,
                    KeyPress::Enter,
                ],
            );
            let state = |model: &DashModel| {
                let open = model.overlay != PaneOverlay::None;
                (open, model.filter.text.clone(), model.expanded)
            };
            let steps = through(keys, 3, model, state);
            let of = |open, filter: &str, expanded| (open, filter.to_owned(), expanded);
            assert_eq!(
                steps,
                [
                    of(true, "s", true),
                    of(false, "s", true),
                    of(false, "", true),
                    of(false, "", false)
                ]
            );
        }
        _ => unknown(about),
    }
}

fn freezes(keys: &[KeyPress]) {
    let records = scenario("busy");
    let cut = records.len() - 60;
    let mut model = busy();
    model.board = super::fold(&records[..cut]);
    pressed(&mut model, keys);
    let (shown, metered) = (model.shown.clone(), model.board.metered);
    update(&mut model, DashMessage::Records(records[cut..].to_vec()));
    let now_ms = model.now_ms;
    update(&mut model, DashMessage::Frame(now_ms));
    assert_eq!(model.shown.calls, shown.calls);
    assert_eq!(model.shown.missed, model.board.metered - metered);
    assert!(model.shown.missed > 3);
    pressed(&mut model, keys);
    assert_ne!(model.shown.calls, shown.calls);
}

#[test]
fn no_two_lines_of_the_help_share_a_key() {
    let mut all: Vec<_> = BINDINGS.iter().flat_map(|it| it.keys).collect();
    let count = all.len();
    all.sort_by_key(|keys| format!("{keys:?}"));
    all.dedup();
    assert_eq!(all.len(), count);
    assert_eq!(find(&[KeyPress::Char('g')]), KeyMatch::Begun);
    assert_eq!(find(&[KeyPress::Char('Z')]), KeyMatch::Nothing);
}

#[test]
fn digits_and_tab_move_the_focus() {
    let mut model = busy();
    for (pane, digit) in PANES.iter().zip('1'..) {
        press(&mut model, &[KeyPress::Char(digit)]);
        assert_eq!(model.focus, *pane);
    }
    press(&mut model, &[KeyPress::Tab]);
    assert_eq!(model.focus, Pane::Inflow);
    press(&mut model, &[KeyPress::BackTab, KeyPress::Char('h')]);
    assert_eq!(model.focus, Pane::Flow);
}

#[test]
fn choices_go_round() {
    let mut model = busy();
    let mut ranges = Vec::new();
    for _ in 0..4 {
        ranges.push(model.range);
        press(&mut model, &[KeyPress::Char('t')]);
    }
    assert_eq!(
        (ranges, model.range),
        (SumRange::ALL.to_vec(), SumRange::Today)
    );
    press(
        &mut model,
        &[
            KeyPress::Char('w'),
            KeyPress::Char('b'),
            KeyPress::Char('u'),
            KeyPress::Char('T'),
        ],
    );
    assert_eq!(
        (model.window, model.group),
        (ChartWindow::Day, SumGroup::Adapter)
    );
    assert_eq!(
        (model.units, model.options.theme),
        (AmountUnits::Base, Theme::Light)
    );
    assert_eq!(model.shown.heading.symbol, "base units");
    let effects = update(&mut model, DashMessage::Key(KeyPress::Char('m')));
    assert_eq!(effects, [DashEffect::Mouse(false)]);
}

#[test]
fn the_selection_stays_on_its_call_while_others_come_in() {
    let records = scenario("busy");
    let (before, after) = records.split_at(records.len() - 60);
    let mut model = busy();
    model.board = super::fold(before);
    press(
        &mut model,
        &[
            KeyPress::Char('g'),
            KeyPress::Char('g'),
            KeyPress::Down,
            KeyPress::Down,
        ],
    );
    let chosen = openlora_tui::detail::selected_id(&model, Pane::Calls).unwrap();
    update(&mut model, DashMessage::Records(after.to_vec()));
    press(&mut model, &[]);
    let now_ms = model.now_ms;
    update(&mut model, DashMessage::Frame(now_ms));
    assert_eq!(
        openlora_tui::detail::selected_id(&model, Pane::Calls),
        Some(chosen)
    );
    assert!(model.selection(Pane::Calls).at > 2);
    // The first row is whichever came last.
    press(&mut model, &[KeyPress::Home]);
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
    press(&mut model, &[KeyPress::Char('G')]);
    assert_eq!(model.selection(Pane::Calls).at, total - 1);
    assert!(model.shown.calls.selected.is_some());
    press(&mut model, &[KeyPress::PageUp]);
    let rows = model.layout().rows(Pane::Calls);
    assert_eq!(model.selection(Pane::Calls).at, total - 1 - rows);
    press(
        &mut model,
        &[KeyPress::Char('g'), KeyPress::Char('g'), KeyPress::Up],
    );
    assert_eq!(model.selection(Pane::Calls).at, 0);
    press(&mut model, &[KeyPress::PageDown, KeyPress::Char('k')]);
    assert_eq!(model.selection(Pane::Calls).at, rows - 1);
}

#[test]
fn freezing_keeps_the_screen_and_counts_what_is_missed() {
    let records = scenario("busy");
    let mut model = busy();
    let cut = records.len() - 60;
    model.board = super::fold(&records[..cut]);
    press(&mut model, &[KeyPress::Char('f')]);
    let (shown, metered) = (model.shown.clone(), model.board.metered);
    update(&mut model, DashMessage::Records(records[cut..].to_vec()));
    let now_ms = model.now_ms;
    update(&mut model, DashMessage::Frame(now_ms));
    let missed = model.board.metered - metered;
    assert!(missed > 3, "{missed}");
    assert_eq!(
        (model.shown.missed, &model.shown.calls),
        (missed, &shown.calls)
    );
    assert_eq!(model.shown.heading.gross, shown.heading.gross);
    press(&mut model, &[KeyPress::Char('f')]);
    assert_eq!(model.shown.missed, 0);
    assert_ne!(model.shown.heading.gross, shown.heading.gross);
}

#[test]
fn a_filter_is_typed_refused_corrected_and_taken_back() {
    let mut model = busy();
    let all = model.shown.calls.total;
    let typed: Vec<KeyPress> = "/status:settle".chars().map(KeyPress::Char).collect();
    press(&mut model, &typed);
    assert_eq!(
        model.filter.error.as_deref(),
        Some(
            "`status:settle`: expected one of free, pending, claimed, settled, refunded, failed, \
             found `settle`"
        )
    );
    // What is wrong is not taken, and the last right filter stands meanwhile.
    press(&mut model, &[KeyPress::Enter]);
    assert!(model.filter.typing);
    press(&mut model, &[KeyPress::Char('d'), KeyPress::Enter]);
    assert!(!model.filter.typing);
    let settled = model.shown.calls.total;
    assert!(settled > 0 && settled < all);
    press(&mut model, &[KeyPress::Esc]);
    assert_eq!(model.shown.calls.total, all);
    update(&mut model, DashMessage::Key(KeyPress::Char('/')));
    update(&mut model, DashMessage::Paste(">0.001\n".to_owned()));
    press(&mut model, &[KeyPress::Enter]);
    let large = model.shown.calls.total;
    assert!(large > 0 && large < settled, "{large}");
}

#[test]
fn enter_opens_a_receipt_and_escape_goes_back_step_by_step() {
    let mut model = busy();
    press(
        &mut model,
        &[
            KeyPress::Char('e'),
            KeyPress::Char('/'),
            KeyPress::Char('s'),
            KeyPress::Enter,
            KeyPress::Enter,
        ],
    );
    assert!(matches!(
        model.overlay,
        PaneOverlay::Detail {
            pane: Pane::Calls,
            ..
        }
    ));
    assert!(!model.detail.is_empty());
    press(&mut model, &[KeyPress::Esc]);
    assert_eq!(
        (&model.overlay, model.filter.text.as_str()),
        (&PaneOverlay::None, "s")
    );
    press(&mut model, &[KeyPress::Esc]);
    assert_eq!((model.filter.text.as_str(), model.expanded), ("", true));
    press(&mut model, &[KeyPress::Esc]);
    assert!(!model.expanded);
}

#[test]
fn help_is_searched_by_typing() {
    let mut model = busy();
    press(&mut model, &[KeyPress::Char('?')]);
    press(
        &mut model,
        &"quit".chars().map(KeyPress::Char).collect::<Vec<_>>(),
    );
    let PaneOverlay::Help { query, .. } = &model.overlay else {
        panic!("the help closed")
    };
    assert_eq!(query, "quit");
    let shown = super::screens::text(&super::screens::drawn(&model));
    assert!(
        shown.contains("q, Ctrl-C") && !shown.contains("freeze the screen"),
        "{shown}"
    );
    press(&mut model, &[KeyPress::Esc]);
    assert_eq!(model.overlay, PaneOverlay::None);
}

#[test]
fn sorting_goes_through_the_columns_and_round() {
    let mut model = busy();
    press(&mut model, &[KeyPress::Char('s')]);
    let amounts = |model: &DashModel| -> Vec<u128> {
        let rows = model.shown.calls.rows.iter();
        let of = rows.map(|row| model.board.calls.get(&row.id).unwrap());
        of.map(|call| call.charge.as_ref().unwrap().amount.0)
            .collect()
    };
    let found = amounts(&model);
    assert!(found.is_sorted_by(|a, b| a >= b), "{found:?}");
    press(&mut model, &[KeyPress::Char('S')]);
    let found = amounts(&model);
    assert!(found.is_sorted() && found[0] == 0, "{found:?}");
    press(
        &mut model,
        &[
            KeyPress::Char('s'),
            KeyPress::Char('s'),
            KeyPress::Char('s'),
        ],
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
            .map(KeyPress::Char)
            .collect::<Vec<_>>(),
    );
    press(&mut model, &[KeyPress::Enter]);
    let total = model.shown.calls.total;
    let effects = update(&mut model, DashMessage::Key(KeyPress::Char('x')));
    let [DashEffect::Write { name, contents }] = &effects[..] else {
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
            "sequence,time,request_id,adapter,kind,prompt_tokens,completion_tokens,pictures,\
             evaluations,milliseconds,finish,payer,amount,symbol,status"
        )
    );
    assert!(total > 0);
    assert_eq!(lines.clone().count(), total);
    assert!(
        lines.all(|line| line.ends_with(",0,dUSD,refunded")),
        "{contents}"
    );
    press(
        &mut model,
        &[KeyPress::Esc, KeyPress::Char('6'), KeyPress::Char('b')],
    );
    let effects = update(&mut model, DashMessage::Key(KeyPress::Char('X')));
    let [DashEffect::Write { contents, .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    let rows: serde_json::Value = serde_json::from_str(contents).unwrap();
    assert_eq!(rows[0]["key"], "sentiment");
    assert_eq!(
        rows[0]["amount"],
        (model.shown.total.micro / 1_000_000).to_string()
    );
    let effects = update(&mut model, DashMessage::Key(KeyPress::Char('y')));
    assert_eq!(effects, [DashEffect::Copy("sentiment".to_owned())]);
}

#[test]
fn the_mouse_focuses_selects_scrolls_and_opens() {
    let mut model = busy();
    let area = model.layout().place(Pane::Sums).unwrap();
    update(
        &mut model,
        DashMessage::Click {
            x: area.x + 5,
            y: area.y,
        },
    );
    assert_eq!(model.focus, Pane::Sums);
    let area = model.layout().place(Pane::Calls).unwrap();
    let at = (area.x + 5, area.y + 4);
    update(&mut model, DashMessage::Click { x: at.0, y: at.1 });
    assert_eq!(
        (model.focus, model.selection(Pane::Calls).at),
        (Pane::Calls, 2)
    );
    update(&mut model, DashMessage::Click { x: at.0, y: at.1 });
    assert!(matches!(model.overlay, PaneOverlay::Detail { .. }));
    update(&mut model, DashMessage::Click { x: 0, y: 0 });
    assert_eq!(model.overlay, PaneOverlay::None);
    let (x, y) = at;
    update(&mut model, DashMessage::Scroll { x, y, down: true });
    assert_eq!(model.selection(Pane::Calls).at, 5);
}

#[test]
fn records_that_come_twice_change_nothing() {
    let mut model = busy();
    let before = model.board.clone();
    update(&mut model, DashMessage::Records(scenario("busy")));
    assert_eq!(model.board, before);
    assert!(model.flow.is_still());
}

#[test]
fn a_payment_is_one_particle_each_way_and_arrives() {
    let records = scenario("busy");
    let attributed = records
        .iter()
        .rposition(|it| matches!(&it.event, openlora_ledger::event::Event::Attributed(_)));
    let cut = attributed.unwrap() - 3;
    let mut model = busy();
    model.board = super::fold(&records[..cut]);
    update(
        &mut model,
        DashMessage::Records(records[cut..=cut + 3].to_vec()),
    );
    let now_ms = model.now_ms;
    update(&mut model, DashMessage::Frame(now_ms));
    let dots = model.shown.lanes.dots.clone();
    // From one payer, and to the creator and three owners.
    assert_eq!(dots.iter().filter(|dot| !dot.out).count(), 1, "{dots:?}");
    assert_eq!(dots.iter().filter(|dot| dot.out).count(), 4, "{dots:?}");
    assert!(model.is_moving());
    update(&mut model, DashMessage::Frame(now_ms + 500));
    assert!(model.shown.lanes.dots.iter().all(|dot| dot.permille > 100));
    update(&mut model, DashMessage::Frame(now_ms + 3_000));
    assert!(!model.is_moving() && model.shown.lanes.dots.is_empty());
}

#[test]
fn without_animation_nothing_moves() {
    let mut model = busy();
    model.options.animation = false;
    model.board = Default::default();
    update(&mut model, DashMessage::Records(scenario("busy")));
    assert!(!model.is_moving());
}

#[test]
fn what_goes_on_stays_until_something_else_does() {
    let mut model = busy();
    let story = "2. A LoRA adapter is trained";
    let last_line = |model: &DashModel| {
        let text = super::screens::text(&super::screens::drawn(model));
        text.lines().last().unwrap().to_owned()
    };
    update(&mut model, DashMessage::Story(story.into()));
    // A remark passes over it, and the keys stay beside it.
    press(&mut model, &[KeyPress::Char('T')]);
    assert!(last_line(&model).contains("theme"));
    let later = model.now_ms + 600_000;
    update(&mut model, DashMessage::Tick(later));
    let line = last_line(&model);
    assert!(line.contains(story) && line.contains("? help"), "{line}");
    update(&mut model, DashMessage::Story("3. It is measured".into()));
    assert!(!last_line(&model).contains(story));
}
