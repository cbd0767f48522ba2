//! Errors of base models: the place, what was expected and what was found.

mod gguf;

use std::path::{Path, PathBuf};

pub use self::gguf::GgufProblem;
use super::file_error::FileError;
use openlora_core::error::{ExitClass, Explain};

/// The model families that the decoder supports, as listed in messages.
pub const SUPPORTED: &str = "llama, mistral, qwen2 and qwen3";

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    File(#[from] FileError),
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
    #[error("the base {id} makes pictures, expected one that writes text")]
    MakesPictures { id: String },
    #[error("the base {id} writes text, expected one that makes pictures")]
    MakesText { id: String },
    #[error("\"{found}\" is neither \"nano\", nor a folder, nor a Hub id")]
    BaseId { found: String },
    #[error("{} is neither a folder nor a GGUF file", path.display())]
    NotFolder { path: PathBuf },
    #[error("{}: no config.json, so it is no base model", dir.display())]
    NotBase { dir: PathBuf },
    #[error("{}: no such file", path.display())]
    NoFile { path: PathBuf },
    #[error("{}: {problem}", path.display())]
    Gguf { path: PathBuf, problem: GgufProblem },
    #[error("{} has no config.json; it is a folder of GGUF files", dir.display())]
    GgufFolder { dir: PathBuf, file: PathBuf },
    #[error("{} is a folder in which Ollama keeps its models", dir.display())]
    OllamaStore { dir: PathBuf },
    #[error("{id} at revision {revision} from {endpoint}: {problem}")]
    Hub {
        id: String,
        revision: String,
        endpoint: String,
        problem: HubProblem,
    },
}

/// Errors of communication with a Hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubProblem {
    #[error("there is no such model")]
    Missing,
    #[error("the model has no such revision")]
    Revision,
    #[error("the Hub refuses with status {status}; the model is gated, private or does not exist")]
    Refused { status: u16, token: bool },
    #[error("the repository has no {file}")]
    Lacks { file: String },
    #[error("the repository has its weights in GGUF only, such as {file}")]
    GgufOnly { file: String },
    #[error("not in the cache, and the network is not to be used")]
    Offline,
    #[error("{reason}")]
    Transport { reason: String },
    #[error("nothing arrived for {seconds} s")]
    Silent { seconds: u64 },
    #[error("{found} bytes arrived; expected {expected}")]
    Size { expected: u64, found: u64 },
    #[error("SHA-256 is {found}; expected {expected}")]
    Digest { expected: String, found: String },
    #[error("{file}: {problem}")]
    File {
        file: String,
        problem: Box<HubProblem>,
    },
}

impl HubProblem {
    fn class(&self) -> ExitClass {
        match self {
            Self::Missing | Self::Revision | Self::Lacks { .. } | Self::GgufOnly { .. } => {
                ExitClass::BadInput
            }
            Self::File { problem, .. } => problem.class(),
            _ => ExitClass::Network,
        }
    }

    fn hint(&self, id: &str, endpoint: &str) -> String {
        match self {
            Self::Missing => format!("look {id} up on {endpoint}, and correct base.id"),
            Self::Revision => format!("choose a branch, tag or commit of {endpoint}/{id}"),
            Self::Refused { token: false, .. } => {
                format!(
                    "ask for access on {endpoint}/{id}, then set HF_TOKEN to a token that may read it"
                )
            }
            Self::Refused { token: true, .. } => {
                format!("ask for access on {endpoint}/{id}; the token in HF_TOKEN may not read it")
            }
            Self::Lacks { .. } => {
                "choose a repository with safetensors weights and a tokenizer.json".to_owned()
            }
            Self::GgufOnly { .. } => {
                format!("download one of the files from {endpoint}/{id}, and name it with --base")
            }
            Self::Offline => "run it once without --offline, or use the base nano".to_owned(),
            Self::Transport { .. }
            | Self::Silent { .. }
            | Self::Size { .. }
            | Self::Digest { .. } => "run the same command again; what arrived is kept".to_owned(),
            Self::File { problem, .. } => problem.hint(id, endpoint),
        }
    }
}

impl ModelError {
    /// An I/O error at a path.
    pub fn io(deed: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let file = FileError::at(deed, path);
        move |source| Self::File(file(source))
    }

    /// A problem of the GGUF file at a path.
    pub(super) fn gguf(path: &Path) -> impl Fn(GgufProblem) -> Self {
        move |problem| Self::Gguf {
            path: path.to_owned(),
            problem,
        }
    }
}

impl Explain for ModelError {
    fn class(&self) -> ExitClass {
        match self {
            Self::File(error) => error.class(),
            Self::Hub { problem, .. } => problem.class(),
            Self::Gguf { problem, .. } => problem.class(),
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Hub {
                id,
                endpoint,
                problem,
                ..
            } => return Some(problem.hint(id, endpoint)),
            Self::Gguf { problem, .. } => problem.hint()?,
            Self::GgufFolder { file, .. } => {
                return Some(format!("name the file: {}", file.display()));
            }
            Self::OllamaStore { .. } => {
                "name the model's file: it is in the line FROM of the Modelfile that `ollama show` prints"
            }
            Self::BaseId { .. }
            | Self::NotFolder { .. }
            | Self::NotBase { .. }
            | Self::NoFile { .. } => {
                "use nano, the path of a GGUF file or of a folder with config.json, or an id such \
                 as Qwen/Qwen3-0.6B"
            }
            Self::MakesPictures { .. } => {
                "for pictures, set project.task to image; for text, choose another base, such as nano"
            }
            Self::MakesText { .. } => {
                "for pictures, set base.id to pico; for text, leave project.task = \"image\" out"
            }
            Self::Family { .. } => "choose a base of a supported family, such as Qwen/Qwen3-0.6B",
            Self::Pickle { .. } => {
                "convert it with safetensors.torch.save_file, or choose a revision that has model.safetensors"
            }
            Self::NoWeights { .. } | Self::Safetensors { .. } => {
                "download the model again, or point base.id at a complete folder"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
