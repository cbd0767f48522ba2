//! Splits rows into training, validation and test rows.
//!
//! The part of a row is determined by a hash of its text and the seed, not by its position:
//! reordering the files changes nothing, adding rows moves few, and rows with the same text stay
//! together. Every label is split in the same proportions.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{DataError, Dataset, duplicates::normal_text};

/// The fractions of the parts; the rest is for training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataSplitOptions {
    /// Fraction of the rows for validation.
    pub valid: f64,
    /// Fraction of the rows for the test.
    pub test: f64,
    pub seed: u64,
}

/// Indices into [`Dataset::rows`], each ascending; together every row exactly once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataSplit {
    pub train: Vec<usize>,
    pub valid: Vec<usize>,
    pub test: Vec<usize>,
}

/// Rows with the same text, by the hash that orders them.
type TextGroups = BTreeMap<[u8; 32], Vec<usize>>;

/// Splits a dataset.
///
/// # Errors
///
/// A fraction is not between 0 and 1, or no row is left for training.
pub fn split(dataset: &Dataset, options: &DataSplitOptions) -> Result<DataSplit, DataError> {
    let DataSplitOptions { valid, test, .. } = *options;
    let bad = || DataError::BadSplit {
        rows: dataset.rows.len(),
        valid,
        test,
    };
    let sound = |fraction: f64| (0.0..1.0).contains(&fraction);
    if !sound(valid) || !sound(test) || valid + test >= 1.0 {
        return Err(bad());
    }
    let mut split = DataSplit::default();
    for groups in strata(dataset, options.seed).into_values() {
        deal(groups, options, &mut split);
    }
    if split.train.is_empty() {
        return Err(bad());
    }
    for part in [&mut split.train, &mut split.valid, &mut split.test] {
        part.sort_unstable();
    }
    Ok(split)
}

/// Groups of rows by label; a text that occurs under several labels counts under the first.
fn strata(dataset: &Dataset, seed: u64) -> BTreeMap<&str, TextGroups> {
    let mut groups: TextGroups = BTreeMap::new();
    for (index, row) in dataset.rows.iter().enumerate() {
        groups
            .entry(key(&normal_text(&row.example), seed))
            .or_default()
            .push(index);
    }
    let label = |index: &usize| dataset.rows[*index].example.label().unwrap_or_default();
    let mut strata: BTreeMap<&str, TextGroups> = BTreeMap::new();
    for (key, rows) in groups {
        let stratum = rows.iter().map(label).min().unwrap_or_default();
        strata.entry(stratum).or_default().insert(key, rows);
    }
    strata
}

fn key(text: &str, seed: u64) -> [u8; 32] {
    Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(text)
        .finalize()
        .into()
}

/// Assigns the groups of one stratum, in the order of their hashes, until each quota is met.
fn deal(groups: TextGroups, options: &DataSplitOptions, split: &mut DataSplit) {
    let rows = groups.values().map(Vec::len).sum::<usize>() as f64;
    let quota = |fraction: f64| (rows * fraction).round() as usize;
    let (mut valid, mut test) = (quota(options.valid), quota(options.test));
    for group in groups.into_values() {
        let count = group.len();
        let part = if count <= valid {
            valid -= count;
            &mut split.valid
        } else if count <= test {
            test -= count;
            &mut split.test
        } else {
            &mut split.train
        };
        part.extend(group);
    }
}
