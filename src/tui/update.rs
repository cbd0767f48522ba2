//! The state machine: a message in, a changed model and effects as data out. No clock, no files,
//! no terminal.

use super::{
    action::Action,
    detail,
    effect::Effect,
    export::{self, Format},
    filter::Filter,
    key::Key,
    keymap::{self, Found},
    layout::{PANES, Pane},
    model::{Link, Model, Overlay, Selection, Sort, sort_columns},
    money::Units,
    refresh,
    theme::Palette,
};
use crate::runtime::{
    event::Record,
    state::{Applied, board::Board},
};

/// Everything that can happen to the screen.
#[derive(Clone, Debug)]
pub enum Message {
    Key(Key),
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
    /// A journal as far as it was read at once.
    Board(Box<Board>),
    /// What was written since.
    Records(Vec<Record>),
    Link(Link),
    /// A second has passed.
    Tick(u64),
    /// A frame is about to be drawn.
    Frame(u64),
    /// What became of an effect.
    Told(String),
    /// What goes on behind the dashboard, until the next is told.
    Story(String),
    /// Nothing more comes, and why.
    Failed(String),
}

/// Lines that the wheel scrolls.
const WHEEL: usize = 3;

pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(key) => return press(model, key),
        Message::Paste(text) => {
            for letter in text.chars().filter(|letter| !letter.is_control()) {
                typed(model, letter);
            }
        }
        Message::Click { x, y } => click(model, x, y),
        Message::Scroll { x, y, down } => scroll(model, (x, y), down),
        Message::Resize(width, height) => model.size = (width, height),
        Message::Board(board) => {
            model.board = *board;
            model.flow.clear();
        }
        Message::Records(records) => absorb(model, &records),
        Message::Link(link) => {
            // A recording that is over has no time left for what is on its way.
            if link == Link::Ended {
                model.flow.clear();
            }
            model.link = link;
        }
        Message::Tick(now_ms) => tick(model, now_ms),
        Message::Frame(now_ms) => {
            model.now_ms = model.now_ms.max(now_ms);
            model.refresh();
        }
        Message::Told(text) => model.notice(text),
        Message::Story(text) => model.story = text,
        Message::Failed(text) => {
            let since_ms = model.now_ms;
            model.link = Link::Stale { since_ms };
            model.notice = Some((text, u64::MAX));
        }
    }
    Vec::new()
}

fn tick(model: &mut Model, now_ms: u64) {
    model.now_ms = model.now_ms.max(now_ms);
    model.notice.take_if(|(_, until_ms)| *until_ms <= now_ms);
}

/// Folds records in; one that is known changes nothing, so nothing counts twice.
fn absorb(model: &mut Model, records: &[Record]) {
    for record in records {
        match model.board.apply(record) {
            Applied::Folded => {
                if model.options.animation {
                    model.flow.note(record, model.now_ms);
                }
            }
            Applied::Known => {}
            Applied::Gap { expected } => {
                model.notice(format!("record {expected} is missing"));
            }
        }
    }
}

fn press(model: &mut Model, key: Key) -> Vec<Effect> {
    if key == Key::Ctrl('c') {
        return vec![Effect::Quit];
    }
    if model.filter.typing {
        type_filter(model, key);
        return Vec::new();
    }
    if let Overlay::Help { .. } = model.overlay
        && type_help(model, key)
    {
        return Vec::new();
    }
    model.begun.push(key);
    match keymap::find(&model.begun) {
        Found::Begun => Vec::new(),
        Found::Action(action) => {
            model.begun.clear();
            act(model, action)
        }
        Found::Nothing => {
            // A key that ends no sequence may still begin one.
            let alone = model.begun.len() == 1;
            model.begun.clear();
            match alone {
                true => Vec::new(),
                false => press(model, key),
            }
        }
    }
}

fn typed(model: &mut Model, letter: char) {
    if model.filter.typing {
        type_filter(model, Key::Char(letter));
    } else if let Overlay::Help { .. } = model.overlay {
        type_help(model, Key::Char(letter));
    }
}

/// The filter is tried with every letter, so what is wrong shows while it is typed.
fn type_filter(model: &mut Model, key: Key) {
    let filter = &mut model.filter;
    match key {
        Key::Char(letter) => filter.text.push(letter),
        Key::Backspace => {
            filter.text.pop();
        }
        Key::Ctrl('u') => filter.text.clear(),
        Key::Enter => filter.typing = filter.error.is_some(),
        Key::Esc => {
            filter.text.clear();
            filter.typing = false;
        }
        _ => return,
    }
    match Filter::parse(&filter.text) {
        Ok(parsed) => (filter.filter, filter.error) = (parsed, None),
        Err(error) => filter.error = Some(error),
    }
}

/// Whether the help took the key.
fn type_help(model: &mut Model, key: Key) -> bool {
    let Overlay::Help { query, scroll } = &mut model.overlay else {
        return false;
    };
    match key {
        Key::Char(letter) => query.push(letter),
        Key::Backspace => {
            query.pop();
        }
        Key::Down | Key::PageDown => {
            *scroll += 1;
            return true;
        }
        Key::Up | Key::PageUp => {
            *scroll = scroll.saturating_sub(1);
            return true;
        }
        _ => return false,
    }
    *scroll = 0;
    true
}

/// Does what was asked for.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Quit => return vec![Effect::Quit],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return vec![Effect::Suspend],
        Action::ExportCsv => return write(model, Format::Csv),
        Action::ExportJson => return write(model, Format::Json),
        Action::Copy => return copy(model),
        Action::Mouse => {
            model.options.mouse = !model.options.mouse;
            model.notice(format!("mouse {}", on_off(model.options.mouse)));
            return vec![Effect::Mouse(model.options.mouse)];
        }
        Action::Focus(pane) => focus(model, pane),
        Action::FocusNext => turn(model, 1),
        Action::FocusPrevious => turn(model, PANES.len() - 1),
        Action::Up => step(model, |at, _| at.saturating_sub(1)),
        Action::Down => step(model, |at, _| at + 1),
        Action::PageUp => step(model, |at, page| at.saturating_sub(page)),
        Action::PageDown => step(model, |at, page| at + page),
        Action::Top => step(model, |_, _| 0),
        Action::Bottom => step(model, |_, _| usize::MAX),
        Action::Open => open(model),
        Action::Back => back(model),
        Action::Filter => model.filter.typing = true,
        Action::Help => {
            model.overlay = Overlay::Help {
                query: String::new(),
                scroll: 0,
            };
        }
        _ => choose(model, action),
    }
    Vec::new()
}

/// What is chosen among a few.
fn choose(model: &mut Model, action: Action) {
    match action {
        Action::Freeze => {
            model.frozen = match model.frozen.take() {
                Some(_) => None,
                None => Some(Box::new(model.board.clone())),
            };
        }
        Action::Expand => model.expanded = !model.expanded,
        Action::Range => model.range = model.range.next(),
        Action::Window => model.window = model.window.next(),
        Action::Group => {
            model.group = model.group.next();
            *model.selection_mut(Pane::Sums) = Selection::default();
        }
        Action::Money => match model.shown.moneys.len() {
            0 | 1 => model.notice("calls are paid in one money only"),
            moneys => model.money = (model.money + 1) % moneys,
        },
        Action::Units => {
            model.units = match model.units {
                Units::Token => Units::Base,
                Units::Base => Units::Token,
            };
        }
        Action::Theme => {
            model.options.theme = model.options.theme.next();
            model.palette = Palette::of(model.options.theme, model.options.depth);
            model.notice(format!("theme {}", model.options.theme.name()));
        }
        Action::Animation => {
            model.options.animation = !model.options.animation;
            model.flow.clear();
            model.notice(format!("animation {}", on_off(model.options.animation)));
        }
        Action::Sort => sort(model, |sort, columns| {
            sort.column = (sort.column + 1) % columns;
            sort.reversed = false;
        }),
        Action::Reverse => sort(model, |sort, _| sort.reversed = !sort.reversed),
        _ => {}
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn focus(model: &mut Model, pane: Pane) {
    model.focus = pane;
    model.overlay = Overlay::None;
}

fn turn(model: &mut Model, by: usize) {
    let at = model.focus.number() - 1;
    focus(model, PANES[(at + by) % PANES.len()]);
}

fn sort(model: &mut Model, change: impl Fn(&mut Sort, usize)) {
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

/// Moves the selection, or scrolls what lies over the panes.
fn step(model: &mut Model, to: impl Fn(usize, usize) -> usize) {
    let high = usize::from(model.overlay_area().height.saturating_sub(2));
    let lines = model.detail.len();
    if let Overlay::Detail { scroll, .. } = &mut model.overlay {
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
    // The first row stays the first one, whichever that is.
    selection.id = if at == 0 { None } else { ids.get(at).cloned() };
}

fn open(model: &mut Model) {
    let pane = model.focus;
    match detail::selected_id(model, pane) {
        Some(id) => {
            model.overlay = Overlay::Detail {
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

/// One thing at a time, the topmost first.
fn back(model: &mut Model) {
    if model.overlay != Overlay::None {
        model.overlay = Overlay::None;
    } else if !model.filter.text.is_empty() {
        model.filter = Default::default();
    } else if model.expanded {
        model.expanded = false;
    } else {
        let pane = model.focus;
        *model.selection_mut(pane) = Selection::default();
    }
}

fn write(model: &mut Model, format: Format) -> Vec<Effect> {
    match export::export(model, model.focus, format) {
        Some((name, contents)) => vec![Effect::Write { name, contents }],
        None => {
            model.notice("this pane has no rows to write");
            Vec::new()
        }
    }
}

fn copy(model: &mut Model) -> Vec<Effect> {
    let id = match &model.overlay {
        Overlay::Detail { id, .. } => Some(id.clone()),
        _ => detail::selected_id(model, model.focus),
    };
    match id {
        Some(id) => vec![Effect::Copy(id)],
        None => {
            model.notice("there is nothing selected to copy");
            Vec::new()
        }
    }
}

fn click(model: &mut Model, x: u16, y: u16) {
    if model.overlay != Overlay::None {
        if !model.overlay_area().contains((x, y).into()) {
            model.overlay = Overlay::None;
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
    // Below the frame and the names of the columns.
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

fn scroll(model: &mut Model, (x, y): (u16, u16), down: bool) {
    let to = |at: usize, _| match down {
        true => at + WHEEL,
        false => at.saturating_sub(WHEEL),
    };
    if model.overlay == Overlay::None {
        match model.layout().pane_at(x, y) {
            Some((pane, _)) if pane.has_rows() => model.focus = pane,
            _ => return,
        }
    }
    step(model, to);
}
