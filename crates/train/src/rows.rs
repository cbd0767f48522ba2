//! Encoded rows and their batches.

use std::ops::Range;

use super::{dataset_role::DatasetRole, error::TrainError};
use openlora_decoder::TokenBatch;
use openlora_model::{
    dataset::{
        Dataset, RowFault, Task,
        encode::{EncodeOptions, EncodedRow},
        long::{LongRows, fit_rows},
    },
    text::TextCodec,
};

/// Encoded training rows; `sources[i]` is the source of row `i`, `origins[i]` its position in the
/// dataset, which the parts of a divided row share.
#[derive(Debug, Default)]
pub struct TrainRows {
    pub encoded: Vec<EncodedRow>,
    pub sources: Vec<usize>,
    pub origins: Vec<usize>,
    /// The rows of the dataset that were longer than the limit.
    pub long: LongRows,
}

impl TrainRows {
    /// Encodes every row that is not left out; the first invalid one is an error naming its file and
    /// line.
    pub fn encode(
        codec: &TextCodec,
        task: &Task,
        dataset: &Dataset,
        options: &EncodeOptions,
        role: DatasetRole,
    ) -> Result<Self, TrainError> {
        task.check(dataset)?;
        let fitted = fit_rows(codec, task, dataset, options)?;
        if let (true, Some(long)) = (fitted.encoded.is_empty(), fitted.long.if_any()) {
            return Err(TrainError::AllLong { rows: role, long });
        }
        let source = |origin: &usize| dataset.rows[*origin].source;
        Ok(Self {
            sources: fitted.origins.iter().map(source).collect(),
            encoded: fitted.encoded,
            origins: fitted.origins,
            long: fitted.long,
        })
    }

    /// Refuses a row with more tokens than the base reads, by its file and line.
    pub fn check_lengths(&self, dataset: &Dataset, limit: usize) -> Result<(), TrainError> {
        let mut rows = self.origins.iter().zip(&self.encoded);
        let Some((origin, row)) = rows.find(|(_, row)| row.ids.len() > limit) else {
            return Ok(());
        };
        let tokens = row.ids.len();
        let fault = RowFault::BeyondBase { tokens, limit };
        Err(dataset.row_error(&dataset.rows[*origin], fault).into())
    }

    pub fn len(&self) -> usize {
        self.encoded.len()
    }

    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    pub fn tokens(&self) -> u64 {
        self.encoded.iter().map(|row| row.ids.len() as u64).sum()
    }

    /// The chosen rows, concatenated without padding.
    pub fn batch(&self, picks: &[usize]) -> TokenBatch {
        ragged(picks.iter().map(|pick| &self.encoded[*pick]))
    }

    /// All rows in order, in batches of about `tokens` tokens.
    pub fn batches(&self, tokens: usize) -> Vec<TokenBatch> {
        let (mut batches, mut start, mut held) = (Vec::new(), 0, 0);
        for (index, row) in self.encoded.iter().enumerate() {
            if held > 0 && held + row.ids.len() > tokens {
                batches.push(ragged(&self.encoded[start..index]));
                (start, held) = (index, 0);
            }
            held += row.ids.len();
        }
        if held > 0 {
            batches.push(ragged(&self.encoded[start..]));
        }
        batches
    }

    /// What was encoded of the dataset's rows at `picks`, in their order; not counted as long.
    pub fn select(&self, picks: &[usize]) -> Self {
        let rows: Vec<usize> = picks.iter().flat_map(|pick| self.parts_of(*pick)).collect();
        Self {
            encoded: rows.iter().map(|row| self.encoded[*row].clone()).collect(),
            sources: rows.iter().map(|row| self.sources[*row]).collect(),
            origins: rows.iter().map(|row| self.origins[*row]).collect(),
            long: LongRows::default(),
        }
    }

    /// The encoded rows of a row of the dataset.
    fn parts_of(&self, origin: usize) -> Range<usize> {
        let first = self.origins.partition_point(|other| *other < origin);
        first..self.origins.partition_point(|other| *other <= origin)
    }
}

/// Concatenates rows; they do not attend to each other.
pub fn ragged<'a>(rows: impl IntoIterator<Item = &'a EncodedRow>) -> TokenBatch {
    let (mut ids, mut targets, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
    for row in rows {
        ids.extend_from_slice(&row.ids);
        targets.extend_from_slice(&row.targets);
        offsets.push(ids.len());
    }
    TokenBatch {
        ids,
        targets,
        offsets,
    }
}
