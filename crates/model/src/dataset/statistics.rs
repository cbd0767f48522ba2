//! Statistics of the rows of a dataset: sources, labels and lengths.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    DataError, Dataset, RowFault, Task,
    encode::{EncodeOptions, encode_whole},
    long::{LongRowForecast, LongRows, OnLong, limited_length},
};
use crate::text::TextCodec;

/// Token counts of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct TokenLengths {
    pub min: usize,
    pub median: usize,
    pub p95: usize,
    pub p99: usize,
    pub max: usize,
    /// All tokens, and those that are targets.
    pub tokens: usize,
    pub learned: usize,
}

/// Statistics of one source.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SourceFigures {
    pub path: String,
    pub contributor: String,
    pub license: Option<String>,
    pub kind: Option<&'static str>,
    pub rows: usize,
    pub labels: BTreeMap<String, usize>,
    pub digest: String,
}

/// Statistics of each source, in order.
pub fn of_sources(dataset: &Dataset) -> Vec<SourceFigures> {
    let figures = dataset.sources.iter().zip(&dataset.source_digests);
    figures
        .enumerate()
        .map(|(index, (source, digest))| {
            let rows = || dataset.rows.iter().filter(move |row| row.source == index);
            SourceFigures {
                path: source.path.display().to_string(),
                contributor: source.contributor.clone(),
                license: source.license.clone(),
                kind: rows().next().map(|row| row.example.kind()),
                rows: rows().count(),
                labels: count(rows().filter_map(|row| row.example.label())),
                digest: digest.clone(),
            }
        })
        .collect()
}

pub(super) fn count<'a>(labels: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for label in labels {
        *counts.entry(label.to_owned()).or_default() += 1;
    }
    counts
}

/// The lengths of a dataset's rows.
#[derive(Debug)]
pub struct MeasuredRows {
    /// Of whole rows, those that are too long included.
    pub lengths: TokenLengths,
    /// What each choice about long rows makes of these.
    pub choices: Vec<LongRows>,
    /// Errors of rows that cannot be encoded or fitted, or that the base cannot read.
    pub errors: Vec<DataError>,
}

/// Measures all rows in tokens, for a base that reads `base_limit`.
pub fn lengths(
    codec: &TextCodec,
    task: &Task,
    dataset: &Dataset,
    options: &EncodeOptions,
    base_limit: usize,
) -> MeasuredRows {
    let (mut counts, mut learned, mut errors) = (Vec::new(), 0, Vec::new());
    let mut forecast = LongRowForecast::new(options);
    for row in &dataset.rows {
        let fault = match encode_whole(codec, task, &row.example, options.loss) {
            Ok(whole) => {
                let tokens = whole.ids.len();
                counts.push(tokens);
                learned += whole.targets.iter().filter(|target| **target).count();
                let fault = forecast.measure(codec, task, &row.example, &whole, options);
                let length = limited_length(codec, task, &row.example, tokens, options);
                let length = length.unwrap_or(tokens);
                beyond_base(tokens, length, options, base_limit).or(fault)
            }
            Err(fault) => Some(fault),
        };
        errors.extend(fault.map(|fault| dataset.row_error(row, fault)));
    }
    counts.sort_unstable();
    MeasuredRows {
        lengths: TokenLengths {
            learned,
            ..summary(&counts)
        },
        choices: forecast.into_choices(),
        errors,
    }
}

/// The fault of a row that is longer than the base reads, after it was cut if it was to be.
fn beyond_base(
    tokens: usize,
    length: usize,
    options: &EncodeOptions,
    limit: usize,
) -> Option<RowFault> {
    let tokens = match options.on_long {
        OnLong::Error => tokens,
        OnLong::Drop if length > options.max_len => return None,
        OnLong::Drop | OnLong::Truncate | OnLong::Split => tokens.min(options.max_len),
    };
    (tokens > limit).then_some(RowFault::BeyondBase { tokens, limit })
}

/// Nearest-rank quantiles of ascending counts.
fn summary(counts: &[usize]) -> TokenLengths {
    let rank = |percent: usize| {
        let rank = (counts.len() * percent).div_ceil(100).max(1) - 1;
        counts.get(rank).copied().unwrap_or_default()
    };
    TokenLengths {
        min: rank(0),
        median: rank(50),
        p95: rank(95),
        p99: rank(99),
        max: rank(100),
        tokens: counts.iter().sum(),
        learned: 0,
    }
}
