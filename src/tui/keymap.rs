//! The table of keys, used by the bindings, the help screen and the reference of the book.

use super::{action::DashAction, key::KeyPress, layout::Pane};

/// One line of the help.
#[derive(Clone, Copy, Debug)]
pub struct KeyBinding {
    /// Each alternative is a sequence of keys.
    pub keys: &'static [&'static [KeyPress]],
    pub action: DashAction,
    pub about: &'static str,
    /// Label in the bottom line; empty if not shown there.
    pub short: &'static str,
}

const fn bind(
    keys: &'static [&'static [KeyPress]],
    action: DashAction,
    about: &'static str,
    short: &'static str,
) -> KeyBinding {
    KeyBinding {
        keys,
        action,
        about,
        short,
    }
}

macro_rules! keys {
    ($([$($key:expr),+]),+) => { &[$(&[$($key),+]),+] };
}

use KeyPress::{Char, Ctrl};

/// Every key, in the order of the help.
pub const BINDINGS: &[KeyBinding] = &[
    bind(
        keys!([Char('?')]),
        DashAction::Help,
        "show and search the keys",
        "help",
    ),
    bind(
        keys!([Char('/')]),
        DashAction::Filter,
        "filter calls, such as payer:0xab status:failed >0.01",
        "filter",
    ),
    bind(
        keys!([Char('f')]),
        DashAction::Freeze,
        "freeze the screen; records are counted on",
        "freeze",
    ),
    bind(
        keys!([Char('e')]),
        DashAction::Expand,
        "give the pane the whole screen, or take it back",
        "expand",
    ),
    bind(
        keys!([Char('t')]),
        DashAction::Range,
        "sums over today, 7 days, 30 days or all time",
        "range",
    ),
    bind(
        keys!([Char('w')]),
        DashAction::Window,
        "charts over 1 minute, 1 hour, 24 hours or 30 days",
        "window",
    ),
    bind(
        keys!([Char('b')]),
        DashAction::Group,
        "sums by adapter, payer or contributor",
        "by",
    ),
    bind(
        keys!([Char('s')]),
        DashAction::Sort,
        "sort the pane by its next column",
        "sort",
    ),
    bind(
        keys!([Char('S')]),
        DashAction::Reverse,
        "sort the other way round",
        "",
    ),
    bind(
        keys!([Char('u')]),
        DashAction::Units,
        "amounts in units of the token or in base units",
        "units",
    ),
    bind(
        keys!([Char('$')]),
        DashAction::Money,
        "show another money, where calls are paid in several",
        "",
    ),
    bind(
        keys!([Char('T')]),
        DashAction::Theme,
        "next theme: dark, light, high-contrast, mono",
        "theme",
    ),
    bind(
        keys!([Char('a')]),
        DashAction::Animation,
        "turn the animation of payments off or on",
        "",
    ),
    bind(
        keys!([Char('m')]),
        DashAction::Mouse,
        "turn the mouse off or on",
        "",
    ),
    bind(
        keys!([Char('x')]),
        DashAction::ExportCsv,
        "write the pane's rows to a CSV file",
        "export",
    ),
    bind(
        keys!([Char('X')]),
        DashAction::ExportJson,
        "write the pane's rows to a JSON file",
        "",
    ),
    bind(
        keys!([Char('y')]),
        DashAction::Copy,
        "copy the selected row's id to the clipboard",
        "copy",
    ),
    bind(
        keys!([Char('1')]),
        DashAction::Focus(Pane::Inflow),
        "inflow",
        "",
    ),
    bind(
        keys!([Char('2')]),
        DashAction::Focus(Pane::Pace),
        "calls and latency",
        "",
    ),
    bind(
        keys!([Char('3')]),
        DashAction::Focus(Pane::Calls),
        "live calls",
        "",
    ),
    bind(
        keys!([Char('4')]),
        DashAction::Focus(Pane::Attribution),
        "attribution",
        "",
    ),
    bind(
        keys!([Char('5')]),
        DashAction::Focus(Pane::Flow),
        "flow of payments",
        "",
    ),
    bind(
        keys!([Char('6')]),
        DashAction::Focus(Pane::Sums),
        "sums by adapter, payer or contributor",
        "",
    ),
    bind(
        keys!([KeyPress::Tab], [Char('l')], [KeyPress::Right]),
        DashAction::FocusNext,
        "next pane",
        "",
    ),
    bind(
        keys!([KeyPress::BackTab], [Char('h')], [KeyPress::Left]),
        DashAction::FocusPrevious,
        "previous pane",
        "",
    ),
    bind(
        keys!([Char('j')], [KeyPress::Down]),
        DashAction::Down,
        "next row",
        "",
    ),
    bind(
        keys!([Char('k')], [KeyPress::Up]),
        DashAction::Up,
        "previous row",
        "",
    ),
    bind(
        keys!([KeyPress::PageDown], [Ctrl('d')]),
        DashAction::PageDown,
        "a page down",
        "",
    ),
    bind(
        keys!([KeyPress::PageUp], [Ctrl('u')]),
        DashAction::PageUp,
        "a page up",
        "",
    ),
    bind(
        keys!([Char('g'), Char('g')], [KeyPress::Home]),
        DashAction::Top,
        "first row",
        "",
    ),
    bind(
        keys!([Char('G')], [KeyPress::End]),
        DashAction::Bottom,
        "last row",
        "",
    ),
    bind(
        keys!([KeyPress::Enter]),
        DashAction::Open,
        "open the selected row: receipt, shares, transaction",
        "",
    ),
    bind(
        keys!([KeyPress::Esc]),
        DashAction::Back,
        "back: close, clear the filter, shrink",
        "",
    ),
    bind(
        keys!([Ctrl('l')]),
        DashAction::Redraw,
        "draw the whole screen again",
        "",
    ),
    bind(
        keys!([Ctrl('z')]),
        DashAction::Suspend,
        "suspend; `fg` comes back",
        "",
    ),
    bind(
        keys!([Char('q')], [Ctrl('c')]),
        DashAction::Quit,
        "quit",
        "quit",
    ),
];

/// The result of looking up a key sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMatch {
    Action(DashAction),
    /// The prefix of a longer sequence.
    Begun,
    Nothing,
}

/// Looks a sequence up.
pub fn find(sequence: &[KeyPress]) -> KeyMatch {
    let mut begun = false;
    for binding in BINDINGS {
        for keys in binding.keys {
            if *keys == sequence {
                return KeyMatch::Action(binding.action);
            }
            begun |= keys.starts_with(sequence);
        }
    }
    match begun {
        true => KeyMatch::Begun,
        false => KeyMatch::Nothing,
    }
}

impl KeyBinding {
    /// For example `gg, Home`.
    pub fn keys_shown(&self) -> String {
        let each = self.keys.iter().map(|sequence| {
            let each = sequence.iter().map(ToString::to_string);
            each.collect::<String>()
        });
        each.collect::<Vec<_>>().join(", ")
    }
}
