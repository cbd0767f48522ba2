//! Errors of image models: files that do not hold one, and requests that do not fit it.

use openlora_core::error::{ExitClass, Explain};

#[derive(Debug, thiserror::Error)]
pub enum DiffusionError {
    #[error("config.json of the image model: {key}: {reason}")]
    Config { key: String, reason: String },
    #[error("weights of the image model: {reason}")]
    Weights { reason: String },
    #[error("tensor {name} has shape {found:?}; expected {expected:?}")]
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error("no module is called \"{target}\"; this model has {available}")]
    UnknownTarget { target: String, available: String },
    #[error("rank is {found}; expected 1 to {most}")]
    Rank { found: usize, most: usize },
    #[error("alpha is {found}; expected a number above 0")]
    Alpha { found: f64 },
    #[error("the caption has {found} tokens; the model reads at most {most}")]
    CaptionTooLong { found: usize, most: usize },
    #[error("the caption has no tokens; expected at least one")]
    EmptyCaption,
    #[error("the caption's values are {found} per token; the model reads {expected}")]
    CaptionWidth { expected: usize, found: usize },
    #[error("the picture has {found} values; the model's have {expected}")]
    PictureSize { expected: usize, found: usize },
    #[error("steps is {found}; expected 1 to {most}")]
    Steps { found: usize, most: usize },
    #[error("guidance is {found}; expected a number from 0 to {most}")]
    Guidance { found: f64, most: f64 },
    #[error("a batch has no examples; expected at least one")]
    EmptyBatch,
    #[error("state of the training: {reason}")]
    State { reason: String },
    #[error("the loss is not a number after {steps} steps")]
    NotFinite { steps: u64 },
    #[error("the picture was cancelled")]
    Cancelled,
    #[error("text encoder: {reason}")]
    TextEncoder { reason: String },
}

impl Explain for DiffusionError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Cancelled => ExitClass::Interrupted,
            Self::NotFinite { .. } => ExitClass::Gate,
            Self::EmptyBatch => ExitClass::Internal,
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::UnknownTarget { .. } => "use all-linear, or names from that list",
            Self::CaptionTooLong { .. } => "shorten the caption",
            Self::EmptyCaption => "describe the picture in a few words",
            Self::NotFinite { .. } => "lower the learning rate",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
