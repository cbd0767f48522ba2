//! The state machine: a message in, a changed model and effects as data out. No clock, files or
//! terminal.

use super::{
    action::DashAction,
    detail,
    effect::DashEffect,
    export::{self, ExportFormat},
    filter::CallFilter,
    key::KeyPress,
    keymap::{self, KeyMatch},
    layout::{PANES, Pane},
    model::{DashModel, FeedLink, PaneOverlay, RowSelection, RowSort, sort_columns},
    money::AmountUnits,
    refresh,
    theme::Palette,
    training::TrainingProgress,
};
use openlora_ledger::{
    event::EventRecord,
    state::{ApplyOutcome, board::Board},
};

/// The messages of the state machine.
#[derive(Clone, Debug)]
pub enum DashMessage {
    Key(KeyPress),
    Paste(String),
    Click {
        x: u16,
        y: u16,
    },
    Scroll {
        x: u16,
        y: u16,
        down: bool,
    },
    Resize(u16, u16),
    /// A journal's board as read so far.
    Board(Box<Board>),
    /// New records.
    Records(Vec<EventRecord>),
    Link(FeedLink),
    /// A second has passed, though not on a clock that stands still.
    Tick(u64),
    /// A frame is about to be drawn.
    Frame(u64),
    /// The result of an effect.
    Told(String),
    /// Progress of the program behind the dashboard, until replaced by the next.
    Story(String),
    /// A training run progresses, or is over.
    Training(Option<TrainingProgress>),
    /// The source has failed, with the reason.
    Failed(String),
}

/// Lines per step of the mouse wheel.
const WHEEL: usize = 3;

pub fn update(model: &mut DashModel, message: DashMessage) -> Vec<DashEffect> {
    match message {
        DashMessage::Key(key) => return press(model, key),
        DashMessage::Paste(text) => {
            for letter in text.chars().filter(|letter| !letter.is_control()) {
                typed(model, letter);
            }
        }
        DashMessage::Click { x, y } => click(model, x, y),
        DashMessage::Scroll { x, y, down } => scroll(model, x, y, down),
        DashMessage::Resize(width, height) => model.size = (width, height),
        DashMessage::Board(board) => {
            model.board = *board;
            model.flow.clear();
        }
        DashMessage::Records(records) => absorb(model, &records),
        // A journal's writer may be missed after the program that wrote it has ended.
        DashMessage::Link(_) if model.link.is_over() => {}
        DashMessage::Link(link) => {
            // The clock stands still from here on, so particles cannot arrive.
            if link.is_over() {
                model.flow.clear();
            }
            model.link = link;
        }
        DashMessage::Tick(now_ms) => tick(model, now_ms),
        DashMessage::Frame(now_ms) => {
            advance(model, now_ms);
            model.refresh();
        }
        DashMessage::Told(text) => model.notice(text),
        DashMessage::Story(text) => model.story = text,
        DashMessage::Training(progress) => model.training = progress,
        DashMessage::Failed(text) => {
            model.flow.clear();
            model.link = FeedLink::Failed;
            model.notice = Some((text, u64::MAX));
        }
    }
    Vec::new()
}

/// Whether charts and clock stand still, because nothing more can happen. The clock of a recording
/// stops by itself, after its last record.
fn stands_still(model: &DashModel) -> bool {
    matches!(model.link, FeedLink::Finished | FeedLink::Failed)
}

fn advance(model: &mut DashModel, now_ms: u64) {
    if !stands_still(model) {
        model.now_ms = model.now_ms.max(now_ms);
    }
}

/// Notices expire while the clock stands still, too: a tick is a second.
fn tick(model: &mut DashModel, now_ms: u64) {
    let before_ms = model.now_ms;
    advance(model, now_ms);
    let now_ms = model.now_ms;
    if let Some((_, until_ms)) = model.notice.as_mut().filter(|_| now_ms == before_ms) {
        *until_ms = until_ms.saturating_sub(1_000);
    }
    model.notice.take_if(|(_, until_ms)| *until_ms <= now_ms);
}

/// Folds records in; known records change nothing, so nothing counts twice.
fn absorb(model: &mut DashModel, records: &[EventRecord]) {
    for record in records {
        match model.board.apply(record) {
            ApplyOutcome::Folded => {
                if model.options.animation && !stands_still(model) {
                    model.flow.note(record, model.now_ms);
                }
            }
            ApplyOutcome::Known => {}
            ApplyOutcome::Gap { expected } => {
                model.notice(format!("record {expected} is missing"));
            }
        }
    }
}

fn press(model: &mut DashModel, key: KeyPress) -> Vec<DashEffect> {
    if key == KeyPress::Ctrl('c') {
        return vec![DashEffect::Quit];
    }
    if model.filter.typing {
        type_filter(model, key);
        return Vec::new();
    }
    if let PaneOverlay::Help { .. } = model.overlay
        && type_help(model, key)
    {
        return Vec::new();
    }
    model.begun.push(key);
    match keymap::find(&model.begun) {
        KeyMatch::Begun => Vec::new(),
        KeyMatch::Action(action) => {
            model.begun.clear();
            apply_action(model, action)
        }
        KeyMatch::Nothing => {
            // A key that completes no sequence may start a new one.
            let alone = model.begun.len() == 1;
            model.begun.clear();
            match alone {
                true => Vec::new(),
                false => press(model, key),
            }
        }
    }
}

fn typed(model: &mut DashModel, letter: char) {
    if model.filter.typing {
        type_filter(model, KeyPress::Char(letter));
    } else if let PaneOverlay::Help { .. } = model.overlay {
        type_help(model, KeyPress::Char(letter));
    }
}

/// The filter is parsed after every character, so that errors are shown while typing.
fn type_filter(model: &mut DashModel, key: KeyPress) {
    let filter = &mut model.filter;
    match key {
        KeyPress::Char(letter) => filter.text.push(letter),
        KeyPress::Backspace => {
            filter.text.pop();
        }
        KeyPress::Ctrl('u') => filter.text.clear(),
        KeyPress::Enter => filter.typing = filter.error.is_some(),
        KeyPress::Esc => {
            filter.text.clear();
            filter.typing = false;
        }
        _ => return,
    }
    match CallFilter::parse(&filter.text) {
        Ok(parsed) => (filter.filter, filter.error) = (parsed, None),
        Err(error) => filter.error = Some(error),
    }
}

/// Handles a key in the help overlay; returns whether it was consumed.
fn type_help(model: &mut DashModel, key: KeyPress) -> bool {
    let PaneOverlay::Help { query, scroll } = &mut model.overlay else {
        return false;
    };
    match key {
        KeyPress::Char(letter) => query.push(letter),
        KeyPress::Backspace => {
            query.pop();
        }
        KeyPress::Down | KeyPress::PageDown => {
            *scroll += 1;
            return true;
        }
        KeyPress::Up | KeyPress::PageUp => {
            *scroll = scroll.saturating_sub(1);
            return true;
        }
        _ => return false,
    }
    *scroll = 0;
    true
}

/// Applies an action.
pub fn apply_action(model: &mut DashModel, action: DashAction) -> Vec<DashEffect> {
    match action {
        DashAction::Quit => return vec![DashEffect::Quit],
        DashAction::Redraw => return vec![DashEffect::Redraw],
        DashAction::Suspend => return vec![DashEffect::Suspend],
        DashAction::ExportCsv => return write(model, ExportFormat::Csv),
        DashAction::ExportJson => return write(model, ExportFormat::Json),
        DashAction::Copy => return copy(model),
        DashAction::Mouse => {
            model.options.mouse = !model.options.mouse;
            model.notice(format!("mouse {}", on_off(model.options.mouse)));
            return vec![DashEffect::Mouse(model.options.mouse)];
        }
        DashAction::Focus(pane) => focus(model, pane),
        DashAction::FocusNext => turn(model, 1),
        DashAction::FocusPrevious => turn(model, PANES.len() - 1),
        DashAction::Up => step(model, |at, _| at.saturating_sub(1)),
        DashAction::Down => step(model, |at, _| at + 1),
        DashAction::PageUp => step(model, |at, page| at.saturating_sub(page)),
        DashAction::PageDown => step(model, |at, page| at + page),
        DashAction::Top => step(model, |_, _| 0),
        DashAction::Bottom => step(model, |_, _| usize::MAX),
        DashAction::Open => open(model),
        DashAction::Back => back(model),
        DashAction::Filter => model.filter.typing = true,
        DashAction::Help => {
            model.overlay = PaneOverlay::Help {
                query: String::new(),
                scroll: 0,
            };
        }
        _ => choose(model, action),
    }
    Vec::new()
}

/// Applies actions that choose between a few values.
fn choose(model: &mut DashModel, action: DashAction) {
    match action {
        DashAction::Freeze => {
            model.frozen = match model.frozen.take() {
                Some(_) => None,
                None => Some(Box::new(model.board.clone())),
            };
        }
        DashAction::Expand => model.expanded = !model.expanded,
        DashAction::Range => model.range = model.range.next(),
        DashAction::Window => model.window = model.window.next(),
        DashAction::Group => {
            model.group = model.group.next();
            *model.selection_mut(Pane::Sums) = RowSelection::default();
        }
        DashAction::Money => match model.shown.moneys.len() {
            0 | 1 => model.notice("calls are paid in one money only"),
            moneys => model.money = (model.money + 1) % moneys,
        },
        DashAction::Units => {
            model.units = match model.units {
                AmountUnits::Token => AmountUnits::Base,
                AmountUnits::Base => AmountUnits::Token,
            };
        }
        DashAction::Theme => {
            model.options.theme = model.options.theme.next();
            model.palette = Palette::from_theme(model.options.theme, model.options.depth);
            model.notice(format!("theme {}", model.options.theme.name()));
        }
        DashAction::Animation => {
            model.options.animation = !model.options.animation;
            model.flow.clear();
            model.notice(format!("animation {}", on_off(model.options.animation)));
        }
        DashAction::Sort => sort(model, |sort, columns| {
            sort.column = (sort.column + 1) % columns;
            sort.reversed = false;
        }),
        DashAction::Reverse => sort(model, |sort, _| sort.reversed = !sort.reversed),
        _ => {}
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn focus(model: &mut DashModel, pane: Pane) {
    model.focus = pane;
    model.overlay = PaneOverlay::None;
}

fn turn(model: &mut DashModel, by: usize) {
    let at = model.focus.number() - 1;
    focus(model, PANES[(at + by) % PANES.len()]);
}

fn sort(model: &mut DashModel, change: impl Fn(&mut RowSort, usize)) {
    let pane = model.focus;
    let columns = sort_columns(pane);
    if columns.is_empty() {
        return;
    }
    let sort = &mut model.sorts[pane.number() - 1];
    change(sort, columns.len());
    let (name, way) = (
        columns[sort.column],
        if sort.reversed { ", reversed" } else { "" },
    );
    model.notice(format!("sorted by {name}{way}"));
}

/// Moves the selection, or scrolls the overlay.
fn step(model: &mut DashModel, to: impl Fn(usize, usize) -> usize) {
    let high = usize::from(model.overlay_area().height.saturating_sub(2));
    let lines = model.detail.len();
    if let PaneOverlay::Detail { scroll, .. } = &mut model.overlay {
        *scroll = to(*scroll, high).min(lines.saturating_sub(high));
        return;
    }
    let pane = model.focus;
    let page = model.layout().rows(pane).max(1);
    let ids = match model.chosen_money() {
        Some(money) => refresh::ids(model, money, pane),
        None => Vec::new(),
    };
    let at = to(model.selection(pane).at, page).min(ids.len().saturating_sub(1));
    let selection = model.selection_mut(pane);
    selection.at = at;
    // If the first row is selected, the selection stays on the first row.
    selection.id = if at == 0 { None } else { ids.get(at).cloned() };
}

fn open(model: &mut DashModel) {
    let pane = model.focus;
    match detail::selected_id(model, pane) {
        Some(id) => {
            model.overlay = PaneOverlay::Detail {
                pane,
                id,
                scroll: 0,
            };
            model.detail = detail::lines(model);
        }
        None if pane.has_rows() => model.notice("there is no row to open"),
        None => model.expanded = !model.expanded,
    }
}

/// Closes one thing at a time, the topmost first.
fn back(model: &mut DashModel) {
    if model.overlay != PaneOverlay::None {
        model.overlay = PaneOverlay::None;
    } else if !model.filter.text.is_empty() {
        model.filter = Default::default();
    } else if model.expanded {
        model.expanded = false;
    } else {
        let pane = model.focus;
        *model.selection_mut(pane) = RowSelection::default();
    }
}

fn write(model: &mut DashModel, format: ExportFormat) -> Vec<DashEffect> {
    match export::export(model, model.focus, format) {
        Some((name, contents)) => vec![DashEffect::Write { name, contents }],
        None => {
            model.notice("this pane has no rows to write");
            Vec::new()
        }
    }
}

fn copy(model: &mut DashModel) -> Vec<DashEffect> {
    let id = match &model.overlay {
        PaneOverlay::Detail { id, .. } => Some(id.clone()),
        _ => detail::selected_id(model, model.focus),
    };
    match id {
        Some(id) => vec![DashEffect::Copy(id)],
        None => {
            model.notice("there is nothing selected to copy");
            Vec::new()
        }
    }
}

fn click(model: &mut DashModel, x: u16, y: u16) {
    if model.overlay != PaneOverlay::None {
        if !model.overlay_area().contains((x, y).into()) {
            model.overlay = PaneOverlay::None;
        }
        return;
    }
    let layout = model.layout();
    if let Some(tabs) = layout.tabs.filter(|tabs| tabs.contains((x, y).into())) {
        let at = usize::from(x) * PANES.len() / usize::from(tabs.width.max(1));
        return focus(model, PANES[at.min(PANES.len() - 1)]);
    }
    let Some((pane, area)) = layout.pane_at(x, y) else {
        return;
    };
    let again = model.focus == pane;
    focus(model, pane);
    // Below the frame and the column names.
    let row = usize::from(y.saturating_sub(area.y + 2));
    if y < area.y + 2 || row >= layout.rows(pane) {
        return;
    }
    let before = detail::selected_id(model, pane);
    let offset = model.selection(pane).offset;
    step(model, |_, _| offset + row);
    model.refresh();
    if again && before.is_some() && before == detail::selected_id(model, pane) {
        open(model);
    }
}

fn scroll(model: &mut DashModel, x: u16, y: u16, down: bool) {
    let to = |at: usize, _| match down {
        true => at + WHEEL,
        false => at.saturating_sub(WHEEL),
    };
    if model.overlay == PaneOverlay::None {
        match model.layout().pane_at(x, y) {
            Some((pane, _)) if pane.has_rows() => model.focus = pane,
            _ => return,
        }
    }
    step(model, to);
}
