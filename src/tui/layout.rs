//! Positions of the panes for a screen size; used for drawing and for mouse clicks.

use ratatui::layout::{Rect, Size};

/// A part of the screen that can have the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pane {
    Inflow,
    Pace,
    #[default]
    Calls,
    Attribution,
    Flow,
    Sums,
}

/// Every pane, in the order of their numbers.
pub const PANES: [Pane; 6] = [
    Pane::Inflow,
    Pane::Pace,
    Pane::Calls,
    Pane::Attribution,
    Pane::Flow,
    Pane::Sums,
];

impl Pane {
    /// The digit key that focuses it.
    pub fn number(self) -> usize {
        PANES.iter().position(|pane| *pane == self).unwrap_or(0) + 1
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Inflow => "Inflow",
            Self::Pace => "Calls + latency",
            Self::Calls => "Live calls",
            Self::Attribution => "Attribution (who)",
            Self::Flow => "Flow",
            Self::Sums => "Sums",
        }
    }

    /// Label in the line of tabs.
    pub fn short(self) -> &'static str {
        match self {
            Self::Inflow => "Inflow",
            Self::Pace => "Latency",
            Self::Calls => "Calls",
            Self::Attribution => "Who",
            Self::Flow => "Flow",
            Self::Sums => "Sums",
        }
    }

    /// Whether it holds rows that can be selected.
    pub fn has_rows(self) -> bool {
        matches!(self, Self::Calls | Self::Attribution | Self::Sums)
    }
}

/// The form of the layout, by screen size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutForm {
    /// All panes are visible.
    Full,
    /// The focused pane below a line of tabs.
    Stacked,
    /// Only a message is visible.
    Small,
}

/// The layout of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScreenLayout {
    pub form: LayoutForm,
    pub header: Rect,
    /// The line of tabs, if not all panes are visible.
    pub tabs: Option<Rect>,
    pub panes: Vec<(Pane, Rect)>,
    pub footer: Rect,
}

const SMALLEST: (u16, u16) = (60, 15);
const FULL: (u16, u16) = (120, 30);
/// Lines of the header with all panes: title, money, periods, pace.
const HEADER: u16 = 4;
/// Lines of the header with a single pane: title, money, pace.
const SHORT_HEADER: u16 = 3;

impl ScreenLayout {
    pub fn divide(size: impl Into<Size>, focus: Pane, expanded: bool) -> Self {
        let Size { width, height } = size.into();
        let whole = Rect::new(0, 0, width, height);
        if width < SMALLEST.0 || height < SMALLEST.1 {
            return Self::with(LayoutForm::Small, whole, 0, None);
        }
        if width < FULL.0 || height < FULL.1 {
            let mut layout = Self::with(LayoutForm::Stacked, whole, SHORT_HEADER, Some(1));
            layout.stack(focus, expanded);
            return layout;
        }
        let mut layout = Self::with(LayoutForm::Full, whole, HEADER, None);
        match expanded {
            true => layout.panes = vec![(focus, layout.body())],
            false => layout.fill(),
        }
        layout
    }

    fn with(form: LayoutForm, whole: Rect, header: u16, tabs: Option<u16>) -> Self {
        let footer = u16::from(header > 0);
        Self {
            form,
            header: Rect::new(0, 0, whole.width, header),
            tabs: tabs.map(|height| Rect::new(0, header, whole.width, height)),
            panes: Vec::new(),
            footer: Rect::new(0, whole.height - footer, whole.width, footer),
        }
    }

    /// The area without header, tabs and footer.
    fn body(&self) -> Rect {
        let top = self.header.height + self.tabs.map_or(0, |tabs| tabs.height);
        let height = self.footer.y.saturating_sub(top);
        Rect::new(0, top, self.header.width, height)
    }

    /// The focused pane, and the live calls below it if there is room.
    fn stack(&mut self, focus: Pane, expanded: bool) {
        let body = self.body();
        let chart = !focus.has_rows();
        if expanded || !chart || body.height < 16 {
            self.panes = vec![(focus, body)];
            return;
        }
        let top = body.height / 2;
        let (first, rest) = cut_top(body, top);
        self.panes = vec![(focus, first), (Pane::Calls, rest)];
    }

    /// Charts above, lists in the middle, then the flow and the sums.
    fn fill(&mut self) {
        let body = self.body();
        let charts = (body.height / 4).clamp(7, 14);
        let flow = (body.height / 5).clamp(5, 10);
        let sums = (body.height / 5).clamp(5, 12);
        let (top, rest) = cut_top(body, charts);
        let (middle, rest) = cut_top(rest, rest.height - flow - sums);
        let (flow, sums) = cut_top(rest, flow);
        let (inflow, pace) = cut_left(top, top.width / 2);
        let (calls, attribution) = cut_left(middle, middle.width * 11 / 20);
        self.panes = vec![
            (Pane::Inflow, inflow),
            (Pane::Pace, pace),
            (Pane::Calls, calls),
            (Pane::Attribution, attribution),
            (Pane::Flow, flow),
            (Pane::Sums, sums),
        ];
    }

    /// The area of a pane, if it is visible.
    pub fn place(&self, pane: Pane) -> Option<Rect> {
        let found = self.panes.iter().find(|(it, _)| *it == pane);
        found.map(|(_, area)| *area)
    }

    /// The pane at a cell.
    pub fn pane_at(&self, x: u16, y: u16) -> Option<(Pane, Rect)> {
        let at = |(_, area): &&(Pane, Rect)| area.contains((x, y).into());
        self.panes.iter().find(at).copied()
    }

    /// How many columns the chart of a visible pane has, within its frame and margins.
    pub fn chart_columns(&self, pane: Pane) -> Option<u16> {
        self.place(pane).map(|area| area.width.saturating_sub(4))
    }

    /// How many rows a pane shows, without its frame and column names.
    pub fn rows(&self, pane: Pane) -> usize {
        let height = self.place(pane).map_or(0, |area| area.height);
        let head = 2 + u16::from(pane.has_rows());
        usize::from(height.saturating_sub(head))
    }
}

fn cut_top(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let first = Rect { height, ..area };
    let rest = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    (first, rest)
}

fn cut_left(area: Rect, width: u16) -> (Rect, Rect) {
    let width = width.min(area.width);
    let first = Rect { width, ..area };
    let rest = Rect {
        x: area.x + width,
        width: area.width - width,
        ..area
    };
    (first, rest)
}
