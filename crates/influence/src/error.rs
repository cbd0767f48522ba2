//! Errors of reading and building an index.

use std::path::{Path, PathBuf};

use openlora_core::error::{ExitClass, Explain, describe_io};
use openlora_decoder::DecoderError;
use openlora_diffusion::DiffusionError;
use openlora_model::{ModelError, adapter::AdapterError, dataset::DataError};
use openlora_train::TrainError;

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("cannot {deed} {}: {}", path.display(), describe_io(source))]
    Io {
        deed: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is no attribution index: it begins with {found}", path.display())]
    Foreign { path: PathBuf, found: String },
    #[error("{} is an attribution index of version {found}; this program reads {expected}", path.display())]
    Version {
        path: PathBuf,
        expected: u32,
        found: u32,
    },
    #[error("{} is cut short: {expected} bytes are expected, {found} are there", path.display())]
    Truncated {
        path: PathBuf,
        expected: u64,
        found: u64,
    },
    #[error("{}: the {section} section is not what was written: its SHA-256 is {found}, not {expected}", path.display())]
    Damaged {
        path: PathBuf,
        section: &'static str,
        expected: String,
        found: String,
    },
    #[error("{}: {detail}", path.display())]
    Malformed { path: PathBuf, detail: String },
    #[error(
        "the attribution index is of another {what}: it was built for {expected}, this is {found}"
    )]
    Stale {
        what: &'static str,
        expected: String,
        found: String,
    },
    #[error("a sketch has {found}, the index {expected}")]
    Sketch { expected: String, found: String },
}

impl IndexError {
    pub(super) fn io(deed: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            deed,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn malformed(path: &Path, detail: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            detail: detail.into(),
        }
    }
}

impl Explain for IndexError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                ExitClass::BadInput
            }
            Self::Io { .. } => ExitClass::Environment,
            Self::Damaged { .. } | Self::Stale { .. } => ExitClass::Verification,
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } if source.kind() != std::io::ErrorKind::NotFound => None,
            Self::Foreign { .. } => Some("name the index.bin of a run's attribution folder".into()),
            Self::Sketch { .. } => Some("the sketch was made for another index".into()),
            _ => Some("build it again with `openlora attribution build`".into()),
        }
    }
}

/// Why an index or a sketch cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AttributionError {
    #[error("{0}")]
    Index(#[from] IndexError),
    #[error("{0}")]
    Train(#[from] TrainError),
    #[error("{0}")]
    Model(#[from] ModelError),
    #[error("{0}")]
    Decoder(#[from] DecoderError),
    #[error("{0}")]
    Diffusion(#[from] DiffusionError),
    #[error("{0}")]
    Adapter(#[from] AdapterError),
    #[error("{0}")]
    Data(#[from] DataError),
    #[error("a tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    #[error("the gradient of {what} is not finite: it has a NaN or an infinity")]
    NotFinite { what: String },
    #[error("the answer has no tokens to learn from")]
    EmptyAnswer,
    #[error("run {run} has no checkpoint to take gradients at")]
    NoCheckpoint { run: String },
    #[error("the curvature of the gradients cannot be inverted at damping {damping}")]
    Singular { damping: f64 },
    #[error("{what} takes {found}, at most {limit} fit")]
    TooLarge {
        what: &'static str,
        found: u64,
        limit: u64,
    },
    #[error("{}: tensor {name} of the attribution index is missing or of another shape", path.display())]
    Tensors { path: PathBuf, name: String },
}

impl Explain for AttributionError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Index(error) => error.class(),
            Self::Train(error) => error.class(),
            Self::Model(error) => error.class(),
            Self::Decoder(error) => error.class(),
            Self::Diffusion(error) => error.class(),
            Self::Adapter(error) => error.class(),
            Self::Data(error) => error.class(),
            Self::Tensor(_) => ExitClass::Internal,
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Index(error) => error.hint(),
            Self::Train(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Decoder(error) => error.hint(),
            Self::Diffusion(error) => error.hint(),
            Self::Adapter(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::NoCheckpoint { .. } | Self::NotFinite { .. } => {
                Some("train again with `openlora train`".to_owned())
            }
            Self::TooLarge { .. } => Some("use the method `influence`".to_owned()),
            _ => None,
        }
    }
}
