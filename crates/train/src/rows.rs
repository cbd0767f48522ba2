//! Encoded rows and their batches.

use super::error::TrainError;
use openlora_decoder::TokenBatch;
use openlora_model::{
    dataset::{
        Dataset, RowFault, Task,
        encode::{EncodeOptions, EncodedRow, encode_all},
    },
    text::TextCodec,
};

/// Encoded training rows; `sources[i]` is the source of row `i`, `origins[i]` its position in the
/// dataset.
#[derive(Debug, Default)]
pub struct TrainRows {
    pub encoded: Vec<EncodedRow>,
    pub sources: Vec<usize>,
    pub origins: Vec<usize>,
}

impl TrainRows {
    /// Encodes every row; the first invalid one is an error naming its file and line.
    pub fn encode(
        codec: &TextCodec,
        task: &Task,
        dataset: &Dataset,
        options: &EncodeOptions,
    ) -> Result<Self, TrainError> {
        task.check(dataset)?;
        let encoded = encode_all(codec, task, dataset, options)?;
        Ok(Self {
            encoded,
            sources: dataset.rows.iter().map(|row| row.source).collect(),
            origins: (0..dataset.rows.len()).collect(),
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

    /// The rows at `picks`.
    pub fn select(&self, picks: &[usize]) -> Self {
        Self {
            encoded: picks
                .iter()
                .map(|pick| self.encoded[*pick].clone())
                .collect(),
            sources: picks.iter().map(|pick| self.sources[*pick]).collect(),
            origins: picks.iter().map(|pick| self.origins[*pick]).collect(),
        }
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
