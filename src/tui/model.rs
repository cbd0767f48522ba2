//! The state of the screen: what was folded, what is chosen, and what is shown of it.

use ratatui::layout::Rect;

use super::{
    filter::Filter,
    flow::Flow,
    key::Key,
    layout::{Layout, Pane},
    money::{Token, Units},
    shown::{DetailLine, Shown},
    sums::Group,
    theme::{Depth, Palette, Theme},
};
use crate::runtime::{ledger::Days, state::board::Board};

/// Whether records still come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// The journal is being read; the sums are not complete.
    Reading {
        done: u64,
        total: u64,
    },
    #[default]
    Live,
    /// Nobody writes any more.
    Stale {
        since_ms: u64,
    },
    /// The server went away; it is asked again and again.
    Reconnecting {
        since_ms: u64,
    },
    /// A recording is played.
    Replay,
    Ended,
}

/// Days that money is summed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    #[default]
    Today,
    SevenDays,
    ThirtyDays,
    All,
}

impl Range {
    pub const ALL: [Self; 4] = [Self::Today, Self::SevenDays, Self::ThirtyDays, Self::All];

    pub fn name(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::SevenDays => "7 days",
            Self::ThirtyDays => "30 days",
            Self::All => "all",
        }
    }

    pub fn next(self) -> Self {
        match self {
            Self::Today => Self::SevenDays,
            Self::SevenDays => Self::ThirtyDays,
            Self::ThirtyDays => Self::All,
            Self::All => Self::Today,
        }
    }

    pub fn days(self, now_ms: u64) -> Days {
        match self {
            Self::Today => Days::until(now_ms, 1),
            Self::SevenDays => Days::until(now_ms, 7),
            Self::ThirtyDays => Days::until(now_ms, 30),
            Self::All => Days::ALL,
        }
    }
}

/// Time that charts go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    Minute,
    #[default]
    Hour,
    Day,
    Month,
}

impl Window {
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Month => "30d",
        }
    }

    pub fn next(self) -> Self {
        match self {
            Self::Minute => Self::Hour,
            Self::Hour => Self::Day,
            Self::Day => Self::Month,
            Self::Month => Self::Minute,
        }
    }
}

/// How rows are ordered: by which column, and whether the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    pub column: usize,
    pub reversed: bool,
}

/// Columns that panes are sorted by; the first is the usual one.
pub fn sort_columns(pane: Pane) -> &'static [&'static str] {
    match pane {
        Pane::Calls => &["time", "amount", "ms", "tokens"],
        Pane::Attribution => &["time", "amount"],
        Pane::Sums => &["amount", "calls", "name"],
        _ => &[],
    }
}

/// The row that is selected: the first one until another was chosen, then that one wherever it
/// moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub id: Option<String>,
    pub at: usize,
    /// First row that shows.
    pub offset: usize,
}

/// What lies over the panes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Overlay {
    #[default]
    None,
    Help {
        query: String,
        scroll: usize,
    },
    /// Of a call, or of a row of the sums.
    Detail {
        pane: Pane,
        id: String,
        scroll: usize,
    },
}

/// The filter as it stands and as it is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterState {
    pub text: String,
    pub filter: Filter,
    pub error: Option<String>,
    pub typing: bool,
}

/// What is fixed when the dashboard starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub tokens: Vec<Token>,
    pub depth: Depth,
    pub theme: Theme,
    pub animation: bool,
    pub mouse: bool,
    /// Stands across the screen where figures are not the person's own.
    pub watermark: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub options: Options,
    pub palette: Palette,
    pub size: (u16, u16),
    pub now_ms: u64,
    pub link: Link,
    /// Everything up to now.
    pub board: Board,
    /// Everything up to when the screen was frozen.
    pub frozen: Option<Box<Board>>,
    pub focus: Pane,
    pub expanded: bool,
    pub range: Range,
    pub window: Window,
    pub group: Group,
    pub money: usize,
    pub units: Units,
    pub sorts: [Sort; 6],
    pub selections: [Selection; 6],
    pub filter: FilterState,
    pub overlay: Overlay,
    pub flow: Flow,
    /// A remark, and until when it stands.
    pub notice: Option<(String, u64)>,
    /// What goes on behind the dashboard.
    pub story: String,
    /// The beginning of a sequence of keys.
    pub begun: Vec<Key>,
    pub shown: Shown,
    pub detail: Vec<DetailLine>,
}

impl Model {
    pub fn new(options: Options, size: (u16, u16), now_ms: u64) -> Self {
        let palette = Palette::of(options.theme, options.depth);
        let mut model = Self {
            options,
            palette,
            size,
            now_ms,
            link: Link::Reading { done: 0, total: 0 },
            ..Self::default()
        };
        model.refresh();
        model
    }

    pub fn layout(&self) -> Layout {
        Layout::of(self.size, self.focus, self.expanded)
    }

    /// The board that is shown.
    pub fn seen(&self) -> &Board {
        self.frozen.as_deref().unwrap_or(&self.board)
    }

    pub fn sort(&self, pane: Pane) -> Sort {
        self.sorts[pane.number() - 1]
    }

    pub fn selection(&self, pane: Pane) -> &Selection {
        &self.selections[pane.number() - 1]
    }

    pub fn selection_mut(&mut self, pane: Pane) -> &mut Selection {
        &mut self.selections[pane.number() - 1]
    }

    pub fn notice(&mut self, text: impl Into<String>) {
        self.notice = Some((text.into(), self.now_ms + 5_000));
    }

    /// Whether particles move, so that frames are due though nothing was recorded.
    pub fn is_moving(&self) -> bool {
        self.options.animation && self.frozen.is_none() && !self.flow.is_still()
    }

    /// The part of the screen that overlays take.
    pub fn overlay_area(&self) -> Rect {
        let (width, height) = self.size;
        let (wide, high) = (width.min(110), height.saturating_sub(2).min(44));
        Rect::new((width - wide) / 2, (height - high) / 2, wide, high)
    }
}
