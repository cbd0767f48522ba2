//! A data file as locked by a run; packages and static shares are made from it.

use serde::{Deserialize, Serialize};

/// One `[[data]]` entry with the digest of its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LockedSource {
    pub path: String,
    pub contributor: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub license: Option<String>,
    pub weight: f64,
    pub rows: usize,
    /// Of these, rows without an exact or near duplicate in an earlier row; static shares count
    /// these. Runs of older versions do not state it, and count all rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub distinct: Option<usize>,
    /// Over the file's normalised examples, hex.
    pub sha256: String,
    /// Bytes of the normalised examples; runs of older versions do not state it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
}

impl LockedSource {
    /// The rows that its contributor's static share counts.
    pub fn counted(&self) -> usize {
        self.distinct.unwrap_or(self.rows)
    }
}
