//! What the screen shows, ready to be placed: figures as texts, charts as values, rows that fit.

use super::money::Money;
use crate::runtime::state::board;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub heading: Heading,
    pub charts: Charts,
    pub calls: Page<CallLine>,
    pub attribution: Page<AttributionLine>,
    pub sums: Page<SumLine>,
    pub total: Total,
    pub lanes: Lanes,
    /// Calls that came in since the screen was frozen.
    pub missed: u64,
    /// Every money there is; the chosen one is what all figures are about.
    pub moneys: Vec<Money>,
}

/// A state in words, and how good it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    Good,
    #[default]
    Waiting,
    Bad,
}

/// Each a text that is ready to be placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heading {
    pub adapter: String,
    pub network: String,
    pub link: (Standing, String),
    pub up: String,
    pub range: &'static str,
    pub symbol: String,
    pub net: Option<String>,
    pub gross: String,
    pub gas: String,
    pub settled: String,
    pub pending: String,
    pub withdrawable: String,
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

/// One value per slot of time, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bars {
    pub values: Vec<u128>,
    /// Of the values, those that are to stand out: failed calls.
    pub marked: Vec<u128>,
    pub peak: String,
    pub total: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charts {
    pub window: &'static str,
    /// What one bar is about, such as `1 min`.
    pub step: &'static str,
    pub money: Bars,
    pub calls: Bars,
    /// 95th percentile per slot, in milliseconds.
    pub latency: Bars,
    /// p50/p95 over the window.
    pub whole_call: String,
    pub first_token: String,
    /// Clock or date at the left end.
    pub from: String,
}

/// One end of the flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    pub name: String,
    pub amount: String,
}

/// A particle: which lane, how far in thousandths, how wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dot {
    pub out: bool,
    pub lane: usize,
    pub permille: u64,
    pub width: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    pub payers: Vec<Lane>,
    pub model: String,
    pub contributors: Vec<Lane>,
    pub dots: Vec<Dot>,
    /// Whether anything moved within the last minute.
    pub flows: bool,
}

/// The rows that fit, out of how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Before and after filtering.
    pub all: usize,
    pub total: usize,
    pub offset: usize,
    /// Of the selected row, among those that fit.
    pub selected: Option<usize>,
}

impl<T> Default for Page<T> {
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
    pub standing: board::Standing,
}

/// One part of a call's reward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub ppm: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributionLine {
    pub id: String,
    pub time: String,
    pub amount: String,
    /// False while only the traced text speaks.
    pub settled: bool,
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumLine {
    pub id: String,
    pub name: String,
    pub calls: String,
    pub amount: String,
    pub ppm: u64,
    pub paid: Option<String>,
    /// What nobody was credited with.
    pub rest: bool,
}

/// Below the sums: their total, which is the headline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub group: &'static str,
    pub range: &'static str,
    pub micro: u128,
    pub amount: String,
    pub rows: usize,
}

/// One line of an opened row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetailLine {
    Heading(String),
    Field(&'static str, String),
    Standing(board::Standing, String),
    /// Name, part in ppm, amount.
    Bar(String, u64, String),
    Text(String),
    Blank,
}
