//! Why an adapter is not written in another form.

use std::path::{Path, PathBuf};

use crate::{FileError, ModelError, WeightError, adapter::AdapterError};
use openlora_core::error::{ExitClass, Explain};

/// Errors of writing an adapter in another form.
#[derive(Debug, thiserror::Error)]
pub enum AdapterExportError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error("{} exists, and an export replaces nothing", path.display())]
    Exists { path: PathBuf },
    #[error(
        "adapter {}: DoRA rescales every row of the base, and an adapter file of llama.cpp holds \
         low-rank factors only",
        dir.display()
    )]
    GgufDora { dir: PathBuf },
    #[error(
        "adapter {}: it is for a base that writes text, and {form} is a form for bases that make pictures",
        dir.display()
    )]
    TextOnly { dir: PathBuf, form: &'static str },
    #[error(
        "adapter {}: it is for a base that makes pictures, and {form} is a form for bases that write text",
        dir.display()
    )]
    PicturesOnly { dir: PathBuf, form: &'static str },
    #[error(
        "adapter {}: DoRA rescales every row of the base, and the file of diffusers holds low-rank \
         factors only",
        dir.display()
    )]
    DiffusersDora { dir: PathBuf },
    #[error("{}: merging overflows {dtype} in tensor {tensor}", path.display())]
    Overflow {
        path: PathBuf,
        tensor: String,
        dtype: &'static str,
    },
}

impl AdapterExportError {
    pub(super) fn io(deed: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let file = FileError::at(deed, path);
        move |source| Self::File(file(source))
    }
}

impl Explain for AdapterExportError {
    fn class(&self) -> ExitClass {
        match self {
            Self::File(error) => error.class(),
            Self::Adapter(error) => error.class(),
            Self::Model(error) => error.class(),
            Self::Weights(error) => error.class(),
            Self::Exists { .. }
            | Self::GgufDora { .. }
            | Self::DiffusersDora { .. }
            | Self::TextOnly { .. }
            | Self::PicturesOnly { .. }
            | Self::Overflow { .. } => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Adapter(error) => return error.hint(),
            Self::Model(error) => return error.hint(),
            Self::Weights(error) => return error.hint(),
            Self::Exists { .. } => "choose another path with --out",
            Self::GgufDora { .. } => {
                "export it with --format merged and convert the result, or train without train.dora"
            }
            Self::TextOnly { .. } => "use peft, merged or gguf for --format",
            Self::PicturesOnly { .. } => "use peft or diffusers for --format",
            Self::DiffusersDora { .. } => "export it with --format peft",
            Self::Overflow { .. } => "merge it into the same base in float32 or bfloat16",
        };
        Some(hint.to_owned())
    }
}
