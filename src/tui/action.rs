//! The user actions of the dashboard.

use super::layout::Pane;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DashAction {
    Quit,
    Focus(Pane),
    FocusNext,
    FocusPrevious,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Open,
    Back,
    Filter,
    Freeze,
    Expand,
    Range,
    Window,
    Group,
    Money,
    Sort,
    Reverse,
    Units,
    Theme,
    Animation,
    Mouse,
    ExportCsv,
    ExportJson,
    Copy,
    Help,
    Redraw,
    Suspend,
}
