//! A ragged batch: rows are concatenated without padding and do not attend to each other.

use std::{ops::Range, sync::Arc};

use super::{
    error::DecoderError,
    kernels::attention::{RaggedRow, RaggedRows},
};
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

    pub(super) fn longest_row(&self) -> usize {
        self.offsets
            .windows(2)
            .map(|row| row[1] - row[0])
            .max()
            .unwrap_or(0)
    }

    /// The positions where the loss is computed, row by row.
    pub(super) fn learned(&self) -> impl Iterator<Item = usize> {
        self.offsets
            .windows(2)
            .flat_map(|row| row[0]..row[1].saturating_sub(1))
            .filter(|&position| self.targets[position + 1])
    }

    /// Number of tokens that count in the loss.
    pub fn target_count(&self) -> usize {
        self.learned().count()
    }

    /// Row r's positions where the loss is computed are `offsets[r]..offsets[r + 1]` of all of them.
    pub fn target_offsets(&self) -> Vec<usize> {
        let learned: Vec<usize> = self.learned().collect();
        self.offsets
            .iter()
            .map(|&offset| learned.partition_point(|&position| position < offset))
            .collect()
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

/// Where the loss is computed.
pub(super) struct LossTargets {
    /// Places in the packed batch, in rising order.
    pub places: Vec<usize>,
    /// The token to predict at each.
    pub tokens: Arc<Vec<u32>>,
}

/// The tokens that a pass computes: those that all rows start with once, then the rest of each row.
///
/// With causal attention, equal tokens at the start of rows have equal hidden states, and their
/// gradient is the sum over the rows.
#[derive(Clone)]
pub(super) struct PackedBatch {
    pub ids: Vec<u32>,
    pub rows: Arc<RaggedRows>,
    /// Number of tokens that are computed once.
    shared: usize,
    /// As in the token batch.
    offsets: Vec<usize>,
}

/// Shorter common starts are computed for every row: sharing them costs more than it saves.
const SHORTEST_PREFIX: usize = 4;

impl PackedBatch {
    /// Packs a checked batch; `share` allows a common prefix.
    pub fn new(batch: &TokenBatch, share: bool) -> Self {
        let shared = if share { common_prefix(batch) } else { 0 };
        let (mut ids, mut positions) = (batch.ids[..shared].to_vec(), (0..shared).collect());
        let mut rows = Vec::with_capacity(batch.offsets.len());
        if shared > 0 {
            rows.push(RaggedRow {
                queries: 0..shared,
                keys: 0..shared,
                prefix: 0,
            });
        }
        for row in batch.offsets.windows(2) {
            let start = ids.len();
            ids.extend_from_slice(&batch.ids[row[0] + shared..row[1]]);
            Vec::extend(&mut positions, shared..row[1] - row[0]);
            rows.push(RaggedRow {
                queries: start..ids.len(),
                keys: start..ids.len(),
                prefix: shared,
            });
        }
        Self {
            ids,
            rows: Arc::new(RaggedRows {
                rows,
                positions: Arc::new(positions),
            }),
            shared,
            offsets: batch.offsets.clone(),
        }
    }

    /// Where the token at flat position `position` of the token batch is computed.
    pub fn place(&self, position: usize) -> usize {
        let row = self.offsets.partition_point(|&offset| offset <= position) - 1;
        match position - self.offsets[row] < self.shared {
            true => position - self.offsets[row],
            false => position - row * self.shared,
        }
    }

    /// The rows with queries only at `places`, which rise.
    pub fn at(&self, places: &[usize]) -> RaggedRows {
        let query = |place: usize| places.partition_point(|&chosen| chosen < place);
        let positions = places.iter().map(|&place| self.rows.positions[place]);
        RaggedRows {
            positions: Arc::new(positions.collect()),
            rows: self
                .rows
                .rows
                .iter()
                .map(|row| RaggedRow {
                    queries: query(row.keys.start)..query(row.keys.end),
                    ..row.clone()
                })
                .collect(),
        }
    }

    /// The targets of `batch`.
    pub fn targets(&self, batch: &TokenBatch) -> LossTargets {
        let (places, tokens): (_, Vec<u32>) = batch
            .learned()
            .map(|position| (self.place(position), batch.ids[position + 1]))
            .unzip();
        LossTargets {
            places,
            tokens: Arc::new(tokens),
        }
    }
}

/// Number of tokens with which all rows start, and after which no row has yet a target.
fn common_prefix(batch: &TokenBatch) -> usize {
    let rows: Vec<_> = batch.offsets.windows(2).map(|row| row[0]..row[1]).collect();
    let [first, _, ..] = rows.as_slice() else {
        return 0;
    };
    let first = &batch.ids[first.clone()];
    let shared = |row: &Range<usize>| {
        let (ids, targets) = (&batch.ids[row.clone()], &batch.targets[row.clone()]);
        let equal = ids.iter().zip(first).take_while(|(a, b)| a == b);
        // Token i predicts token i + 1.
        let unlearned = targets.iter().skip(1).take_while(|learned| !**learned);
        equal.zip(unlearned).count()
    };
    match rows.iter().map(shared).min() {
        Some(shared) if shared >= SHORTEST_PREFIX => shared,
        _ => 0,
    }
}
