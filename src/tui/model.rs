//! The state of the screen: folded records, selections, and the displayed values.

use ratatui::layout::Rect;

use super::{
    filter::CallFilter,
    flow::MoneyFlow,
    key::KeyPress,
    layout::{PANES, Pane, ScreenLayout},
    money::{AmountUnits, ChainToken},
    shown::{DashView, DetailLine},
    sums::SumGroup,
    theme::{ColourDepth, Palette, Theme},
    training::TrainingProgress,
};
use openlora_ledger::{DayRange, state::board::Board};

/// The state of the record source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeedLink {
    /// The journal is being read; the sums are incomplete.
    Reading { done: u64, total: u64 },
    #[default]
    Live,
    /// No process writes the journal any more.
    Stale { since_ms: u64 },
    /// The server is unreachable; the connection is retried.
    Reconnecting { since_ms: u64 },
    /// A recording is being played.
    Replay,
    /// The recording was played to its end.
    Ended,
    /// The program behind the dashboard has ended; nothing more will happen.
    Finished,
    /// The source, or the program behind the dashboard, has failed.
    Failed,
}

impl FeedLink {
    /// Whether no other state follows.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Finished | Self::Failed)
    }
}

/// The range of days for sums.
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

/// The time window of the charts.
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

/// The sort order of rows: column and direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowSort {
    pub column: usize,
    pub reversed: bool,
}

/// Sortable columns of a pane; the first is the default.
pub fn sort_columns(pane: Pane) -> &'static [&'static str] {
    match pane {
        Pane::Calls => &["time", "amount", "ms", "tokens"],
        Pane::Attribution => &["time", "amount"],
        Pane::Sums => &["amount", "calls", "name"],
        Pane::Inflow | Pane::Pace | Pane::Flow => &[],
    }
}

/// The selected row: the first one until another is chosen, then the chosen one wherever it moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSelection {
    pub id: Option<String>,
    pub at: usize,
    /// First visible row.
    pub offset: usize,
}

/// The overlay above the panes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PaneOverlay {
    #[default]
    None,
    Help {
        query: String,
        scroll: usize,
    },
    /// Details of a call or of a row of the sums.
    Detail {
        pane: Pane,
        id: String,
        scroll: usize,
    },
}

/// The applied filter and the one being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterState {
    pub text: String,
    pub filter: CallFilter,
    pub error: Option<String>,
    pub typing: bool,
}

/// Options that are fixed at the start of the dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashOptions {
    pub tokens: Vec<ChainToken>,
    pub depth: ColourDepth,
    pub theme: Theme,
    pub animation: bool,
    pub mouse: bool,
    /// Displayed across the screen if the figures are not the user's own.
    pub watermark: Option<String>,
    /// The time window of the charts at the start.
    pub window: ChartWindow,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashModel {
    pub options: DashOptions,
    pub palette: Palette,
    pub size: (u16, u16),
    pub now_ms: u64,
    pub link: FeedLink,
    /// The current board.
    pub board: Board,
    /// The board at the time the screen was frozen.
    pub frozen: Option<Box<Board>>,
    pub focus: Pane,
    pub expanded: bool,
    pub range: SumRange,
    pub window: ChartWindow,
    pub group: SumGroup,
    pub money: usize,
    pub units: AmountUnits,
    pub sorts: [RowSort; PANES.len()],
    pub selections: [RowSelection; PANES.len()],
    pub filter: FilterState,
    pub overlay: PaneOverlay,
    pub flow: MoneyFlow,
    /// A notice, and when it expires; see [`DashMessage::Tick`](super::update::DashMessage::Tick).
    pub notice: Option<(String, u64)>,
    /// Progress of the program behind the dashboard.
    pub story: String,
    /// The training run behind the dashboard, while it lasts.
    pub training: Option<TrainingProgress>,
    /// The first keys of an incomplete sequence.
    pub begun: Vec<KeyPress>,
    pub shown: DashView,
    pub detail: Vec<DetailLine>,
}

impl DashModel {
    pub fn new(options: DashOptions, size: (u16, u16), now_ms: u64) -> Self {
        let palette = Palette::from_theme(options.theme, options.depth);
        let mut model = Self {
            window: options.window,
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

    /// The displayed board.
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

    /// Whether particles move, so that frames are needed without new records.
    pub fn is_moving(&self) -> bool {
        self.options.animation && self.frozen.is_none() && !self.flow.is_still()
    }

    /// The area of overlays.
    pub fn overlay_area(&self) -> Rect {
        let (width, height) = self.size;
        let (wide, high) = (width.min(110), height.saturating_sub(2).min(44));
        Rect::new((width - wide) / 2, (height - high) / 2, wide, high)
    }
}
