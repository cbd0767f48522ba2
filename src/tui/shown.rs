//! The displayed values: figures as texts, charts as values, and the visible rows.

use super::money::TokenMoney;
use openlora_ledger::state::board;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashView {
    pub heading: HeadingView,
    pub charts: ChartView,
    pub calls: ListPage<CallLine>,
    pub attribution: ListPage<AttributionLine>,
    pub sums: ListPage<SumLine>,
    pub total: TotalLine,
    pub lanes: FlowLanes,
    /// Calls since the screen was frozen.
    pub missed: u64,
    /// All tokens; the figures refer to the chosen one.
    pub moneys: Vec<TokenMoney>,
}

/// The text of a state, and its severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateTone {
    Good,
    #[default]
    Waiting,
    Bad,
}

/// The heading; each value is formatted text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadingView {
    pub adapter: String,
    pub network: String,
    pub link: (StateTone, String),
    pub clock: String,
    pub up: String,
    pub range: &'static str,
    pub symbol: String,
    pub net: Option<String>,
    pub gross: String,
    pub gas: String,
    pub settled: String,
    pub pending: String,
    pub withdrawable: String,
    /// Name and amount of what is rarely there: refund fees, and charges that were not claimed.
    pub rare: Vec<(&'static str, String)>,
    /// Name, gross and net of every range.
    pub ranges: Vec<(&'static str, String, Option<String>)>,
    pub calls: String,
    pub errors: String,
    /// Whether any call of the range failed.
    pub has_errors: bool,
    pub tokens_per_second: String,
    pub first_token: String,
    pub queue: String,
    pub per_thousand: String,
}

/// One value per time slot, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BarSeries {
    pub values: Vec<u128>,
    /// The highlighted part of the values: failed calls.
    pub marked: Vec<u128>,
    pub peak: String,
    pub total: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChartView {
    pub window: &'static str,
    /// The duration of one bar, such as `1 min`.
    pub step: String,
    pub money: BarSeries,
    pub calls: BarSeries,
    /// 95th percentile per slot, in milliseconds.
    pub latency: BarSeries,
    /// p50/p95 over the window.
    pub whole_call: String,
    pub first_token: String,
    /// Time or date at the left end.
    pub from: String,
}

/// A payer or contributor in the flow pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowLane {
    pub name: String,
    pub amount: String,
}

/// A particle: its lane, progress in thousandths, and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowDot {
    pub out: bool,
    pub lane: usize,
    pub permille: u64,
    pub width: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowLanes {
    pub payers: Vec<FlowLane>,
    pub model: String,
    pub contributors: Vec<FlowLane>,
    pub dots: Vec<FlowDot>,
    /// Whether anything moved within the last minute.
    pub flows: bool,
}

/// The visible rows, with counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage<T> {
    pub rows: Vec<T>,
    /// Before and after filtering.
    pub all: usize,
    pub total: usize,
    pub offset: usize,
    /// The selected row, counted from the first visible one.
    pub selected: Option<usize>,
}

impl<T> Default for ListPage<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            all: 0,
            total: 0,
            offset: 0,
            selected: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLine {
    pub id: String,
    pub time: String,
    pub payer: String,
    pub adapter: String,
    pub kind: &'static str,
    pub tokens: String,
    pub took: String,
    pub amount: String,
    pub standing: board::PaymentStanding,
}

/// One share of a call's reward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardPart {
    pub name: String,
    pub ppm: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributionLine {
    pub id: String,
    pub time: String,
    pub amount: String,
    /// False while only the provisional trace is known.
    pub settled: bool,
    pub parts: Vec<RewardPart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumLine {
    pub id: String,
    pub name: String,
    pub calls: String,
    pub amount: String,
    pub ppm: u64,
    pub paid: Option<String>,
    /// The row of unattributed amounts.
    pub rest: bool,
}

/// The total below the sums, which equals the headline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TotalLine {
    pub group: &'static str,
    pub range: &'static str,
    pub micro: u128,
    pub amount: String,
    pub rows: usize,
}

/// One line of the detail view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetailLine {
    Heading(String),
    Field(&'static str, String),
    Standing(board::PaymentStanding, String),
    /// Name, share in ppm, amount.
    Bar(String, u64, String),
    Text(String),
    Blank,
}
