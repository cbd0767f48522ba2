//! Errors of adapters. The messages name the file, the tensor or key, what was expected and what
//! was found.

use std::path::PathBuf;

use crate::FileError;
use openlora_core::error::{ExitClass, Explain};

/// Errors of reading, checking and writing an adapter.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{} is not an adapter directory: it has no {file}", dir.display())]
    Missing { dir: PathBuf, file: &'static str },
    #[error(
        "{} holds its weights as a Python pickle ({file}), which runs code when it is opened",
        dir.display()
    )]
    Pickle { dir: PathBuf, file: &'static str },
    #[error("{}: {problem}", path.display())]
    Config {
        path: PathBuf,
        problem: ConfigProblem,
    },
    #[error("{}: {problem}", path.display())]
    Weights {
        path: PathBuf,
        problem: WeightsProblem,
    },
    #[error("{}: {problem}", path.display())]
    Factors {
        path: PathBuf,
        problem: FactorProblem,
    },
    #[error("{}: {problem}", path.display())]
    Card { path: PathBuf, problem: String },
    #[error("adapter {}: {problem}", dir.display())]
    Base { dir: PathBuf, problem: BaseProblem },
    #[error(
        "adapter {}: DoRA rescales every row of the base; this engine adds scale * B * A to a base \
         and nothing else",
        dir.display()
    )]
    NotPlain { dir: PathBuf },
    #[error("{} already holds other files ({found}), so no adapter is written there", dir.display())]
    Occupied { dir: PathBuf, found: String },
}

/// What is wrong with `adapter_config.json`.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ConfigProblem {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("expected a JSON object, found {0}")]
    NotObject(&'static str),
    #[error("the key `{0}` appears twice")]
    DuplicateKey(String),
    #[error("the key `{0}` is missing")]
    MissingKey(&'static str),
    #[error("`{key}`: expected {expected}, found {found}")]
    WrongValue {
        key: String,
        expected: &'static str,
        found: String,
    },
    #[error("`{key}` is {found}: {reason}")]
    Unsupported {
        key: String,
        found: String,
        reason: &'static str,
    },
    #[error("`{key}`: {pattern:?} is no regular expression that openlora reads: {reason}")]
    Pattern {
        key: &'static str,
        pattern: String,
        reason: String,
    },
}

/// What is wrong with a safetensors file as a container.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum WeightsProblem {
    #[error("the file ends early: expected at least {expected} bytes, found {found}")]
    Truncated { expected: u64, found: u64 },
    #[error("a Git LFS pointer, not the weights themselves")]
    Pointer,
    #[error("the header claims {found} bytes; at most {limit} are read")]
    HeaderTooLarge { found: u64, limit: u64 },
    #[error("the header is not the JSON of a safetensors file: {0}")]
    Header(String),
    #[error("the name `{0}` appears twice in the header")]
    DuplicateName(String),
    #[error("the tensor name {0:?} is not made of dotted words of letters, digits, `_` and `-`")]
    OddName(String),
    #[error("tensor `{name}`: dtype {found}; expected F32, F16 or BF16")]
    Dtype { name: String, found: String },
    #[error("tensor `{name}`: shape {shape:?} takes {expected} bytes, its offsets span {found}")]
    Size {
        name: String,
        shape: Vec<usize>,
        expected: u64,
        found: u64,
    },
    #[error("tensor `{name}`: shape {shape:?} has more elements than memory can hold")]
    Overflow { name: String, shape: Vec<usize> },
    #[error("tensor `{name}`: its offsets run backwards, from {start} to {end}")]
    Backwards { name: String, start: u64, end: u64 },
    #[error("tensors `{first}` and `{second}` overlap at data byte {at}")]
    Overlap {
        first: String,
        second: String,
        at: u64,
    },
    #[error("data bytes {start} to {end} belong to no tensor")]
    Hole { start: u64, end: u64 },
    #[error("tensor `{name}`: {kind} at element {index}")]
    NotFinite {
        name: String,
        kind: &'static str,
        index: usize,
    },
}

/// What is wrong with the LoRA factors that a file holds.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum FactorProblem {
    #[error("the file holds no tensors")]
    Empty,
    #[error("tensor `{0}`: expected a name starting with `base_model.model.`")]
    WrongPrefix(String),
    #[error("tensor `{0}` is a DoRA magnitude vector, and `use_dora` is not true")]
    Dora(String),
    #[error("tensor `{name}`: expected shape [{expected}], found {found:?}")]
    Magnitudes {
        name: String,
        expected: usize,
        found: Vec<usize>,
    },
    #[error("tensor `{0}` adapts an embedding; openlora reads LoRA on linear layers only")]
    Embedding(String),
    #[error("tensor `{0}` is a bias of a LoRA factor; openlora reads plain LoRA only")]
    Bias(String),
    #[error(
        "tensor `{0}` is not a LoRA factor: expected a name ending in `.lora_A.weight` or `.lora_B.weight`"
    )]
    NotLora(String),
    #[error("module `{module}` has {found} twice, once under an older name")]
    Twice { module: String, found: &'static str },
    #[error("module `{module}` has {found} but no {missing}")]
    Unpaired {
        module: String,
        found: &'static str,
        missing: &'static str,
    },
    #[error("tensor `{name}`: expected two dimensions, found shape {found:?}")]
    Dimensions { name: String, found: Vec<usize> },
    #[error(
        "tensor `{name}`: expected rank {expected} as {origin} says, found {found} (shape {shape:?})"
    )]
    Rank {
        name: String,
        expected: usize,
        found: usize,
        origin: &'static str,
        shape: Vec<usize>,
    },
    #[error("module `{module}` has factors but `target_modules` ({targets}) does not name it")]
    Untargeted { module: String, targets: String },
    #[error("the adapter changes nothing: in every module one of the factors is all zero")]
    Dead,
}

/// Why an adapter does not belong to a base.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum BaseProblem {
    #[error(
        "none of its {count} modules exists in the base: it adapts `{found}`, the base has `{expected}`"
    )]
    NothingMatches {
        count: usize,
        found: String,
        expected: String,
    },
    #[error("the base has no module `{module}`")]
    UnknownModule {
        module: String,
        nearest: Option<String>,
    },
    #[error("`{module}` {factor}: expected shape {expected:?} for this base, found {found:?}")]
    Shape {
        module: String,
        factor: &'static str,
        expected: [usize; 2],
        found: [usize; 2],
    },
    #[error(
        "it was trained on base {expected_id} with digest {expected}, this base has digest {found}"
    )]
    OtherBase {
        expected_id: String,
        expected: String,
        found: String,
    },
}

impl Explain for AdapterError {
    fn class(&self) -> ExitClass {
        match self {
            Self::File(error) => error.class(),
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Missing { .. } => Some(
                "name the folder that holds adapter_config.json and adapter_model.safetensors, \
                 such as runs/<id>/adapter"
                    .into(),
            ),
            Self::Pickle { .. } => Some(
                "if you trust it, load it with PEFT and write it again with \
                 save_pretrained(dir, safe_serialization=True)"
                    .into(),
            ),
            Self::NotPlain { .. } => Some(
                "serve it with --engine native, or merge it into its base with `openlora export \
                 --format merged --out FOLDER` and serve the result as a base"
                    .into(),
            ),
            Self::Config { problem, .. } => problem.hint(),
            Self::Weights { problem, .. } => problem.hint(),
            Self::Factors { problem, .. } => problem.hint(),
            Self::Card { .. } => Some(
                "remove openlora_task.json to load the adapter as a plain PEFT one, \
                 or write it again with `openlora train`"
                    .into(),
            ),
            Self::Base { problem, .. } => problem.hint(),
            Self::Occupied { .. } => Some("choose another folder with --out".into()),
        }
    }
}

impl ConfigProblem {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { .. } => Some(
                "merge the adapter into its base with PEFT's merge_and_unload and serve the result \
                 as a base, or train it again as plain LoRA"
                    .into(),
            ),
            Self::Pattern { .. } => {
                Some("replace the pattern in adapter_config.json by a list of module names".into())
            }
            _ => Some("write the adapter again with PEFT's save_pretrained".into()),
        }
    }
}

impl WeightsProblem {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Truncated { .. } => {
                "copy or download the file again; its size differs from what it says".into()
            }
            Self::Dtype { .. } => {
                "convert the adapter to float32, float16 or bfloat16 before saving it".into()
            }
            Self::NotFinite { .. } => {
                "the training that made it diverged; use an earlier checkpoint".into()
            }
            Self::Pointer => "fetch the file itself with `git lfs pull`".into(),
            _ => "do not use this file; ask its author for one written by save_pretrained".into(),
        })
    }
}

impl FactorProblem {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Embedding(_) | Self::Bias(_) | Self::NotLora(_) => {
                "merge the adapter into its base with PEFT's merge_and_unload and serve the result \
                 as a base, or train it again as plain LoRA"
                    .into()
            }
            Self::WrongPrefix(_) => {
                "save the adapter with PEFT's save_pretrained, which writes that prefix".into()
            }
            Self::Dead => {
                "train it for at least one step, or load the checkpoint that was trained".into()
            }
            Self::Empty
            | Self::Twice { .. }
            | Self::Unpaired { .. }
            | Self::Dimensions { .. }
            | Self::Magnitudes { .. } => {
                "write the adapter again with PEFT's save_pretrained".into()
            }
            Self::Dora(_) | Self::Rank { .. } | Self::Untargeted { .. } => {
                "adapter_config.json and adapter_model.safetensors come from different adapters; \
                 copy both from the same one"
                    .into()
            }
        })
    }
}

impl BaseProblem {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownModule {
                nearest: Some(nearest),
                ..
            } => Some(format!("the nearest module of the base is `{nearest}`")),
            Self::OtherBase { expected_id, .. } => Some(format!(
                "choose the base it was trained on: --base {expected_id}"
            )),
            _ => Some(
                "choose the base that the adapter was trained on with --base; \
                 base_model_name_or_path in adapter_config.json names it"
                    .into(),
            ),
        }
    }
}
