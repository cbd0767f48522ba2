//! The one table of keys: the bindings, the help on the screen and the README read it.

use super::{action::Action, key::Key, layout::Pane};

/// One line of the help.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Each alternative is a sequence of keys.
    pub keys: &'static [&'static [Key]],
    pub action: Action,
    pub about: &'static str,
    /// A word for the line at the bottom of the screen; empty where it is left out there.
    pub short: &'static str,
}

const fn bind(
    keys: &'static [&'static [Key]],
    action: Action,
    about: &'static str,
    short: &'static str,
) -> Binding {
    Binding {
        keys,
        action,
        about,
        short,
    }
}

macro_rules! keys {
    ($([$($key:expr),+]),+) => { &[$(&[$($key),+]),+] };
}

use Key::{Char, Ctrl};

/// Every key, in the order of the help.
pub const BINDINGS: &[Binding] = &[
    bind(
        keys!([Char('?')]),
        Action::Help,
        "show and search the keys",
        "help",
    ),
    bind(
        keys!([Char('/')]),
        Action::Filter,
        "filter calls, such as payer:0xab status:failed >0.01",
        "filter",
    ),
    bind(
        keys!([Char('f')]),
        Action::Freeze,
        "freeze the screen; records are counted on",
        "freeze",
    ),
    bind(
        keys!([Char('e')]),
        Action::Expand,
        "give the pane the whole screen, or take it back",
        "expand",
    ),
    bind(
        keys!([Char('t')]),
        Action::Range,
        "sums over today, 7 days, 30 days or all time",
        "range",
    ),
    bind(
        keys!([Char('w')]),
        Action::Window,
        "charts over 1 minute, 1 hour, 24 hours or 30 days",
        "window",
    ),
    bind(
        keys!([Char('b')]),
        Action::Group,
        "sums by adapter, payer or contributor",
        "by",
    ),
    bind(
        keys!([Char('s')]),
        Action::Sort,
        "sort the pane by its next column",
        "sort",
    ),
    bind(
        keys!([Char('S')]),
        Action::Reverse,
        "sort the other way round",
        "",
    ),
    bind(
        keys!([Char('u')]),
        Action::Units,
        "amounts in units of the token or in base units",
        "units",
    ),
    bind(
        keys!([Char('$')]),
        Action::Money,
        "show another money, where calls are paid in several",
        "",
    ),
    bind(
        keys!([Char('T')]),
        Action::Theme,
        "next theme: dark, light, high-contrast, mono",
        "theme",
    ),
    bind(
        keys!([Char('a')]),
        Action::Animation,
        "turn the animation of payments off or on",
        "",
    ),
    bind(
        keys!([Char('m')]),
        Action::Mouse,
        "turn the mouse off or on",
        "",
    ),
    bind(
        keys!([Char('x')]),
        Action::ExportCsv,
        "write the pane's rows to a CSV file",
        "export",
    ),
    bind(
        keys!([Char('X')]),
        Action::ExportJson,
        "write the pane's rows to a JSON file",
        "",
    ),
    bind(
        keys!([Char('y')]),
        Action::Copy,
        "copy the selected row's id to the clipboard",
        "copy",
    ),
    bind(
        keys!([Char('1')]),
        Action::Focus(Pane::Inflow),
        "inflow",
        "",
    ),
    bind(
        keys!([Char('2')]),
        Action::Focus(Pane::Pace),
        "calls and latency",
        "",
    ),
    bind(
        keys!([Char('3')]),
        Action::Focus(Pane::Calls),
        "live calls",
        "",
    ),
    bind(
        keys!([Char('4')]),
        Action::Focus(Pane::Attribution),
        "attribution",
        "",
    ),
    bind(
        keys!([Char('5')]),
        Action::Focus(Pane::Flow),
        "flow of payments",
        "",
    ),
    bind(
        keys!([Char('6')]),
        Action::Focus(Pane::Sums),
        "sums by adapter, payer or contributor",
        "",
    ),
    bind(
        keys!([Key::Tab], [Char('l')], [Key::Right]),
        Action::FocusNext,
        "next pane",
        "",
    ),
    bind(
        keys!([Key::BackTab], [Char('h')], [Key::Left]),
        Action::FocusPrevious,
        "previous pane",
        "",
    ),
    bind(
        keys!([Char('j')], [Key::Down]),
        Action::Down,
        "next row",
        "",
    ),
    bind(
        keys!([Char('k')], [Key::Up]),
        Action::Up,
        "previous row",
        "",
    ),
    bind(
        keys!([Key::PageDown], [Ctrl('d')]),
        Action::PageDown,
        "a page down",
        "",
    ),
    bind(
        keys!([Key::PageUp], [Ctrl('u')]),
        Action::PageUp,
        "a page up",
        "",
    ),
    bind(
        keys!([Char('g'), Char('g')], [Key::Home]),
        Action::Top,
        "first row",
        "",
    ),
    bind(
        keys!([Char('G')], [Key::End]),
        Action::Bottom,
        "last row",
        "",
    ),
    bind(
        keys!([Key::Enter]),
        Action::Open,
        "open the selected row: receipt, shares, transaction",
        "",
    ),
    bind(
        keys!([Key::Esc]),
        Action::Back,
        "back: close, clear the filter, shrink",
        "",
    ),
    bind(
        keys!([Ctrl('l')]),
        Action::Redraw,
        "draw the whole screen again",
        "",
    ),
    bind(
        keys!([Ctrl('z')]),
        Action::Suspend,
        "suspend; `fg` comes back",
        "",
    ),
    bind(
        keys!([Char('q')], [Ctrl('c')]),
        Action::Quit,
        "quit",
        "quit",
    ),
];

/// What a sequence of keys means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Action(Action),
    /// The beginning of a longer sequence.
    Begun,
    Nothing,
}

/// Looks a sequence up.
pub fn find(sequence: &[Key]) -> Found {
    let mut begun = false;
    for binding in BINDINGS {
        for keys in binding.keys {
            if *keys == sequence {
                return Found::Action(binding.action);
            }
            begun |= keys.starts_with(sequence);
        }
    }
    match begun {
        true => Found::Begun,
        false => Found::Nothing,
    }
}

impl Binding {
    /// Such as `gg, Home`.
    pub fn keys_shown(&self) -> String {
        let each = self.keys.iter().map(|sequence| {
            let each = sequence.iter().map(ToString::to_string);
            each.collect::<String>()
        });
        each.collect::<Vec<_>>().join(", ")
    }
}
