//! Why a GGUF file cannot be used as a base.

use openlora_core::error::ExitClass;

/// What is wrong with a GGUF file, or with converting it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GgufProblem {
    #[error("not a GGUF file: it begins with {found}")]
    Magic { found: String },
    #[error("a Git LFS pointer, not the model itself")]
    Pointer,
    #[error("a model in the format that preceded GGUF")]
    Predecessor,
    #[error("a big-endian GGUF file; only little-endian files are read")]
    BigEndian,
    #[error("GGUF version {found}; versions 2 and 3 are read")]
    Version { found: u32 },
    #[error("the file ends at byte {size}, within {what}")]
    Truncated { what: String, size: u64 },
    #[error("{what} is {found}, and the file has room for {room}")]
    Room { what: String, found: u64, room: u64 },
    #[error("{what} is {found}; expected at most {limit}")]
    Limit {
        what: String,
        found: u64,
        limit: u64,
    },
    #[error("{what} is not UTF-8")]
    Utf8 { what: String },
    #[error("the {what} \"{name}\" occurs twice")]
    Twice { what: &'static str, name: String },
    #[error("{key} is {found}; expected {expected}")]
    Key {
        key: String,
        expected: String,
        found: String,
    },
    #[error("metadata key \"{key}\" has type {found}, which GGUF does not define")]
    ValueType { key: String, found: u32 },
    #[error("it is part {part} of {parts} of a split model")]
    Split { part: u64, parts: u64 },
    #[error("it holds {what}, not a language model")]
    Content { what: String },
    #[error("architecture \"{found}\" is not supported; supported are {ARCHITECTURES}")]
    Architecture { found: String },
    #[error("tensor {tensor} has type {found}; supported are {supported}")]
    TensorType {
        tensor: String,
        found: String,
        supported: String,
    },
    #[error("tensor {tensor}: {reason}")]
    Tensor { tensor: String, reason: String },
    #[error("the tokenizer is not supported: {reason}")]
    Tokenizer { reason: String },
    #[error("another program changed it while it was read")]
    Changed,
    #[error("converting it takes {needed} MB in {folder}, where {free} MB are free")]
    Space {
        needed: u64,
        free: u64,
        folder: String,
    },
}

/// The architectures that are read, as listed in messages.
const ARCHITECTURES: &str = "llama (which includes mistral), qwen2 and qwen3";

impl GgufProblem {
    pub(super) fn class(&self) -> ExitClass {
        match self {
            Self::Space { .. } | Self::Changed => ExitClass::Environment,
            _ => ExitClass::BadInput,
        }
    }

    pub(super) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Magic { .. } => "name a .gguf file, or a folder with config.json",
            Self::Pointer => "fetch the file itself with `git lfs pull`",
            Self::Predecessor | Self::BigEndian | Self::Version { .. } => {
                "convert the model again with convert_hf_to_gguf.py of llama.cpp"
            }
            Self::Truncated { .. } | Self::Room { .. } => {
                "download or copy the file again; it is incomplete or damaged"
            }
            Self::Split { .. } => {
                "join the parts with llama-gguf-split of llama.cpp, which has an option for it"
            }
            Self::Content { .. } => "name the GGUF file of the language model itself",
            Self::Architecture { .. } => {
                "choose a model of a supported family, such as Qwen3 or SmolLM2"
            }
            Self::TensorType { .. } => {
                "choose a file of another quantisation of this model, such as Q8_0 or Q4_K_M"
            }
            Self::Space { .. } => "free some space, or set OPENLORA_HOME to another disk",
            Self::Changed => "run the command again when the file is complete",
            _ => return None,
        })
    }
}
