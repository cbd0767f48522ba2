//! Errors of a base's tokenizer and chat template.

use std::path::{Path, PathBuf};

use openlora_core::error::{ExitClass, Explain, describe_io};

#[derive(Debug, thiserror::Error)]
pub enum ModelTextError {
    #[error("{}: no such file; a base needs its tokenizer", path.display())]
    Missing { path: PathBuf },
    #[error("cannot {deed} {}: {reason}", path.display())]
    File {
        path: PathBuf,
        deed: &'static str,
        reason: String,
    },
    #[error("{}: broken JSON: {reason}", path.display())]
    BadJson { path: PathBuf, reason: String },
    #[error("{}: `{field}` must be {expected}, found {found}", path.display())]
    BadField {
        path: PathBuf,
        field: &'static str,
        expected: &'static str,
        found: String,
    },
    #[error("{}: not a tokenizer that can be read: {reason}", path.display())]
    NotTokenizer { path: PathBuf, reason: String },
    #[error("{}: the chat template is not valid: {reason}", path.display())]
    BadTemplate { path: PathBuf, reason: String },
    #[error("{}: this base has no chat template", dir.display())]
    NoTemplate { dir: PathBuf },
    #[error("the chat template of the base rejects the conversation: {reason}")]
    Refused { reason: String },
    #[error("the tokenizer in {} cannot {deed}: {reason}", dir.display())]
    Tokenizer {
        dir: PathBuf,
        deed: &'static str,
        reason: String,
    },
}

impl ModelTextError {
    pub(super) fn read(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::File {
                path,
                deed: "read",
                reason: describe_io(error),
            },
        }
    }
}

impl Explain for ModelTextError {
    fn class(&self) -> ExitClass {
        match self {
            Self::File { .. } => ExitClass::Environment,
            Self::Tokenizer { .. } => ExitClass::Internal,
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { .. } => {
                "point --base at a folder in the Hugging Face layout: config.json, \
                 model.safetensors, tokenizer.json, tokenizer_config.json"
            }
            Self::NoTemplate { .. } => {
                "take the instruct variant of this base, put a chat_template.jinja beside its \
                 tokenizer.json, or set project.task = \"text\""
            }
            Self::BadJson { .. } | Self::NotTokenizer { .. } => {
                "the file may be cut short: fetch the base again"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
