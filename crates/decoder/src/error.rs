//! Errors of a decoder: weights that do not match its config, and batches or factors that do not
//! fit it.

use openlora_core::error::{ExitClass, Explain};
use openlora_kernels::KernelError;
use openlora_model::{ModelError, PatternError, WeightError};

#[derive(Debug, thiserror::Error)]
pub enum DecoderError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error("no module is called \"{target}\"; this model has {available}")]
    UnknownTarget { target: String, available: String },
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error("rank is {found}; expected at least 1")]
    Rank { found: usize },
    #[error("dropout is {found}; expected at least 0 and less than 1")]
    Dropout { found: f32 },
    #[error("dropout is {found}; DoRA is computed without, expected 0")]
    DoraDropout { found: f32 },
    #[error("row {row} of the batch has {found} tokens; the base reads at most {limit}")]
    RowTooLong {
        row: usize,
        found: usize,
        limit: usize,
    },
    #[error(
        "token {found} at position {position} of the batch is not in the vocabulary of {vocab}"
    )]
    TokenRange {
        position: usize,
        found: u32,
        vocab: usize,
    },
    #[error("the batch is malformed: {reason}")]
    Batch { reason: String },
    #[error("{name} was given with shape {found:?}; the decoder has {expected:?}")]
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error("tensor {name}: {source}")]
    Unpackable { name: String, source: KernelError },
    #[error(
        "base weights in 4 or 8 bits are computed with on the processor only; this build computes on \
         a GPU"
    )]
    PackedOnGpu,
    #[error("tensor arithmetic failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl Explain for DecoderError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Model(error) => error.class(),
            Self::Weights(error) => error.class(),
            Self::Pattern(error) => error.class(),
            Self::Tensor(_) | Self::Batch { .. } => ExitClass::Internal,
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Model(error) => return error.hint(),
            Self::Weights(error) => return error.hint(),
            Self::Pattern(error) => return error.hint(),
            Self::UnknownTarget { .. } => "use --targets all-linear, or names from that list",
            Self::RowTooLong { limit, .. } => {
                return Some(format!(
                    "`openlora config set train.max_len {limit}`, then `openlora data check FILE` \
                     names the rows that are longer; shorten or split them"
                ));
            }
            Self::Unpackable { .. } | Self::PackedOnGpu => {
                "set train.precision to bf16, or to f32 for the weights as they are"
            }
            Self::DoraDropout { .. } => "set train.dropout to 0, or leave out train.dora",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
