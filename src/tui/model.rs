//! The state of the screen: what was folded, what is chosen, and what is shown of it.

use ratatui::layout::Rect;

use super::{
    filter::CallFilter,
    flow::MoneyFlow,
    key::KeyPress,
    layout::{Pane, ScreenLayout},
    money::{AmountUnits, ChainToken},
    shown::{DashView, DetailLine},
    sums::SumGroup,
    theme::{ColourDepth, Palette, Theme},
};
use crate::runtime::{ledger::DayRange, state::board::Board};

/// Whether records still come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeedLink {
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
pub enum SumRange {
    #[default]
    Today,
    SevenDays,
    ThirtyDays,
    All,
}

impl SumRange {
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

    pub fn days(self, now_ms: u64) -> DayRange {
        match self {
            Self::Today => DayRange::until(now_ms, 1),
            Self::SevenDays => DayRange::until(now_ms, 7),
            Self::ThirtyDays => DayRange::until(now_ms, 30),
            Self::All => DayRange::ALL,
        }
    }
}

/// Time that charts go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChartWindow {
    Minute,
    #[default]
    Hour,
    Day,
    Month,
}

impl ChartWindow {
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
pub struct RowSort {
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
pub struct RowSelection {
    pub id: Option<String>,
    pub at: usize,
    /// First row that shows.
    pub offset: usize,
}

/// What lies over the panes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PaneOverlay {
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
    pub filter: CallFilter,
    pub error: Option<String>,
    pub typing: bool,
}

/// What is fixed when the dashboard starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashOptions {
    pub tokens: Vec<ChainToken>,
    pub depth: ColourDepth,
    pub theme: Theme,
    pub animation: bool,
    pub mouse: bool,
    /// Stands across the screen where figures are not the person's own.
    pub watermark: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashModel {
    pub options: DashOptions,
    pub palette: Palette,
    pub size: (u16, u16),
    pub now_ms: u64,
    pub link: FeedLink,
    /// Everything up to now.
    pub board: Board,
    /// Everything up to when the screen was frozen.
    pub frozen: Option<Box<Board>>,
    pub focus: Pane,
    pub expanded: bool,
    pub range: SumRange,
    pub window: ChartWindow,
    pub group: SumGroup,
    pub money: usize,
    pub units: AmountUnits,
    pub sorts: [RowSort; 6],
    pub selections: [RowSelection; 6],
    pub filter: FilterState,
    pub overlay: PaneOverlay,
    pub flow: MoneyFlow,
    /// A remark, and until when it stands.
    pub notice: Option<(String, u64)>,
    /// What goes on behind the dashboard.
    pub story: String,
    /// The beginning of a sequence of keys.
    pub begun: Vec<KeyPress>,
    pub shown: DashView,
    pub detail: Vec<DetailLine>,
}

impl DashModel {
    pub fn new(options: DashOptions, size: (u16, u16), now_ms: u64) -> Self {
        let palette = Palette::from_theme(options.theme, options.depth);
        let mut model = Self {
            options,
            palette,
            size,
            now_ms,
            link: FeedLink::Reading { done: 0, total: 0 },
            ..Self::default()
        };
        model.refresh();
        model
    }

    pub fn layout(&self) -> ScreenLayout {
        ScreenLayout::divide(self.size, self.focus, self.expanded)
    }

    /// The board that is shown.
    pub fn shown_board(&self) -> &Board {
        self.frozen.as_deref().unwrap_or(&self.board)
    }

    pub fn sort(&self, pane: Pane) -> RowSort {
        self.sorts[pane.number() - 1]
    }

    pub fn selection(&self, pane: Pane) -> &RowSelection {
        &self.selections[pane.number() - 1]
    }

    pub fn selection_mut(&mut self, pane: Pane) -> &mut RowSelection {
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
