//! What can go wrong with a base model, with the place, what was expected and what was found.

use std::path::PathBuf;

use crate::error::{ExitClass, Explain, describe_io};

/// The model families that the decoder knows, as messages name them.
pub const SUPPORTED: &str = "llama, mistral, qwen2 and qwen3";

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("cannot {deed} {}: {}", path.display(), describe_io(source))]
    Io {
        deed: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: not valid JSON: {reason}", path.display())]
    Json { path: PathBuf, reason: String },
    #[error("{}: {key} is {found}; expected {expected}", path.display())]
    Config {
        path: PathBuf,
        key: String,
        expected: String,
        found: String,
    },
    #[error("{}: model type \"{found}\" is not supported; supported are {SUPPORTED}", path.display())]
    Family { path: PathBuf, found: String },
    #[error("{}: rope type \"{found}\" is not supported; supported are default, linear and llama3", path.display())]
    RopeType { path: PathBuf, found: String },
    #[error("{}: no weights; expected model.safetensors or model.safetensors.index.json", dir.display())]
    NoWeights { dir: PathBuf },
    #[error("{}: weights in pickle format are refused, because loading them can run code", path.display())]
    Pickle { path: PathBuf },
    #[error("{}: not a safetensors file: {reason}", path.display())]
    Safetensors { path: PathBuf, reason: String },
    #[error("{}: tensor {name} is missing", dir.display())]
    MissingTensor { dir: PathBuf, name: String },
    #[error("{}: tensor {name} has shape {found:?}; config.json asks for {expected:?}", path.display())]
    TensorShape {
        path: PathBuf,
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error("{}: tensor {name} is {found}; expected f32, f16 or bf16", path.display())]
    TensorType {
        path: PathBuf,
        name: String,
        found: String,
    },
    #[error("{}: tensor {name} holds {found} at element {index}; expected finite numbers", path.display())]
    NonFinite {
        path: PathBuf,
        name: String,
        index: usize,
        found: f32,
    },
    #[error("no module is called \"{target}\"; this model has {available}")]
    UnknownTarget { target: String, available: String },
    #[error("rank is {found}; expected at least 1")]
    Rank { found: usize },
    #[error("dropout is {found}; expected at least 0 and less than 1")]
    Dropout { found: f32 },
    #[error("row {row} of the batch has {found} tokens; the model reads at most {limit}")]
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
    #[error("no trainable tensor is called {name}")]
    UnknownTensor { name: String },
    #[error("tensor arithmetic failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    pub(crate) fn io(
        deed: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { deed, path, source }
    }
}

impl Explain for ModelError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Io { .. } => ExitClass::Environment,
            Self::Tensor(_) | Self::Batch { .. } | Self::UnknownTensor { .. } => {
                ExitClass::Internal
            }
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Family { .. } => "choose a base of a supported family, such as Qwen/Qwen3-0.6B",
            Self::Pickle { .. } => {
                "convert it with safetensors.torch.save_file, or choose a revision that has model.safetensors"
            }
            Self::NoWeights { .. } | Self::MissingTensor { .. } | Self::Safetensors { .. } => {
                "download the model again, or point base.id at a complete folder"
            }
            Self::UnknownTarget { .. } => "use --targets all-linear, or names from that list",
            Self::RowTooLong { .. } => "lower train.max_len",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
