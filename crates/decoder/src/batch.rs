//! A ragged batch: rows are concatenated without padding and do not attend to each other.

use std::sync::Arc;

use super::{error::DecoderError, kernels::cross_entropy::LossTargets};
use openlora_model::ModelConfig;

/// Token rows and their loss targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenBatch {
    pub ids: Vec<u32>,
    /// Token i is predicted and counts in the loss. The first token of a row has no predecessor, so
    /// its flag is ignored.
    pub targets: Vec<bool>,
    /// Row r is `ids[offsets[r]..offsets[r + 1]]`; starts with 0, ends with the number of ids.
    pub offsets: Vec<usize>,
}

impl TokenBatch {
    /// Concatenates rows of (ids, targets).
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = (&'a [u32], &'a [bool])>) -> Self {
        let mut batch = Self {
            offsets: vec![0],
            ..Self::default()
        };
        for (ids, targets) in rows {
            batch.ids.extend_from_slice(ids);
            batch.targets.extend_from_slice(targets);
            batch.offsets.push(batch.ids.len());
        }
        batch
    }

    /// Positions within their rows.
    pub(super) fn positions(&self) -> Vec<usize> {
        self.offsets
            .windows(2)
            .flat_map(|row| 0..row[1] - row[0])
            .collect()
    }

    pub(super) fn longest_row(&self) -> usize {
        self.offsets
            .windows(2)
            .map(|row| row[1] - row[0])
            .max()
            .unwrap_or(0)
    }

    /// The positions where the loss is computed, and the tokens to predict there.
    pub(super) fn learned(&self) -> LossTargets {
        let (positions, tokens) = self
            .offsets
            .windows(2)
            .flat_map(|row| row[0]..row[1].saturating_sub(1))
            .filter(|&position| self.targets[position + 1])
            .map(|position| (position, self.ids[position + 1]))
            .unzip();
        LossTargets {
            positions: Arc::new(positions),
            tokens: Arc::new(tokens),
        }
    }

    /// Number of tokens that count in the loss.
    pub fn target_count(&self) -> usize {
        self.learned().positions.len()
    }

    pub(super) fn check(&self, config: &ModelConfig) -> Result<(), DecoderError> {
        let malformed = |reason: &str| {
            Err(DecoderError::Batch {
                reason: reason.to_owned(),
            })
        };
        if self.targets.len() != self.ids.len() {
            return malformed("ids and targets differ in length");
        }
        let ends = (self.offsets.first(), self.offsets.last());
        if ends != (Some(&0), Some(&self.ids.len())) || !self.offsets.is_sorted() {
            return malformed("offsets must rise from 0 to the number of ids");
        }
        for (row, range) in self.offsets.windows(2).enumerate() {
            let (found, limit) = (range[1] - range[0], config.max_positions);
            if found > limit {
                return Err(DecoderError::RowTooLong { row, found, limit });
            }
        }
        let vocab = config.vocab_size;
        match self.ids.iter().position(|&id| id as usize >= vocab) {
            Some(position) => Err(DecoderError::TokenRange {
                position,
                found: self.ids[position],
                vocab,
            }),
            None => Ok(()),
        }
    }
}
