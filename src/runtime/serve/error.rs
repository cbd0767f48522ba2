//! What can go wrong while serving, as a caller and an operator read it.

use crate::{
    error::{ExitClass, Explain, describe_io},
    runtime::journal::JournalError,
};

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The request can never succeed; answered with 400.
    #[error("{message}")]
    Invalid {
        message: String,
        parameter: Option<&'static str>,
    },
    /// A base, adapter or setting that this engine cannot run.
    #[error("cannot serve {name}: {reason}")]
    Unsupported {
        name: String,
        reason: String,
        hint: Option<String>,
    },
    /// An adapter that leaves the base as it is.
    #[error(
        "adapter {name} changes nothing: on {prompts} test prompts its logits differ from the \
         base's by at most {difference:e}"
    )]
    DeadAdapter {
        name: String,
        prompts: usize,
        difference: f32,
    },
    /// Loading broke off for a reason that lies in this machine or in the engine.
    #[error("cannot load {name}: {reason}")]
    Load { name: String, reason: String },
    /// The engine failed; answered with 500 without its text.
    #[error("the engine failed: {0}")]
    Engine(String),
    /// The server cannot listen where it was told to.
    #[error("cannot listen on {place}: {}", describe_io(source))]
    Bind {
        place: String,
        port: u16,
        source: std::io::Error,
    },
    #[error("two adapters are named `{name}`")]
    DuplicateAdapter { name: String },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Explain for ServeError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Invalid { .. } | Self::Unsupported { .. } | Self::DeadAdapter { .. } => {
                ExitClass::BadInput
            }
            Self::Load { .. } | Self::Bind { .. } => ExitClass::Environment,
            Self::Engine(_) => ExitClass::Internal,
            Self::DuplicateAdapter { .. } => ExitClass::Usage,
            Self::Journal(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { hint, .. } => hint.clone(),
            Self::DeadAdapter { .. } => Some(
                "check that the adapter was saved after training: its lora_B factors are zero \
                 or too small for the chosen weights"
                    .to_owned(),
            ),
            Self::Bind { source, port, .. } => Some(bind_hint(source.kind(), *port)),
            Self::DuplicateAdapter { .. } => {
                Some("give each adapter its own name: --adapter NAME=PATH".to_owned())
            }
            Self::Journal(error) => error.hint(),
            Self::Invalid { .. } | Self::Load { .. } | Self::Engine(_) => None,
        }
    }
}

fn bind_hint(kind: std::io::ErrorKind, port: u16) -> String {
    match kind {
        std::io::ErrorKind::AddrInUse => format!(
            "another program uses port {port}: stop it, or choose another port with --port N (0 takes a free one)"
        ),
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need privileges: choose a higher one with --port N".to_owned()
        }
        _ => "choose an address of this machine with --host".to_owned(),
    }
}
