//! Statistics of the rows of a dataset: sources, labels and lengths.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    DataError, Dataset, RowFault, Task,
    encode::{EncodeOptions, encode_row},
};
use crate::text::TextCodec;

/// Token counts of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct TokenLengths {
    pub min: usize,
    pub median: usize,
    pub p95: usize,
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

/// Lengths of all rows in tokens, including over-long ones, and the errors of rows that are too
/// long, for `options` or for the base, or cannot be encoded.
pub fn lengths(
    codec: &TextCodec,
    task: &Task,
    dataset: &Dataset,
    options: &EncodeOptions,
    base_limit: usize,
) -> (TokenLengths, Vec<DataError>) {
    let limit = options.max_len;
    let unlimited = EncodeOptions {
        max_len: usize::MAX,
        ..*options
    };
    let (mut counts, mut learned, mut faults) = (Vec::new(), 0, Vec::new());
    for row in &dataset.rows {
        match encode_row(codec, task, dataset, row, &unlimited) {
            Ok(encoded) => {
                let tokens = encoded.ids.len();
                counts.push(tokens);
                learned += encoded.targets.iter().filter(|target| **target).count();
                if let Some(limit) = (tokens > base_limit).then_some(base_limit) {
                    faults.push(dataset.row_error(row, RowFault::BeyondBase { tokens, limit }));
                } else if tokens > limit {
                    faults.push(dataset.row_error(row, RowFault::TooLong { tokens, limit }));
                }
            }
            Err(error) => faults.push(error),
        }
    }
    counts.sort_unstable();
    (
        TokenLengths {
            learned,
            ..summary(&counts)
        },
        faults,
    )
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
        max: rank(100),
        tokens: counts.iter().sum(),
        learned: 0,
    }
}
