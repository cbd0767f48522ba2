//! Errors that prevent a server from starting or from writing its journal, worded for the operator.

use openlora_core::error::{ExitClass, Explain, describe_io};
use openlora_journal::JournalError;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The server cannot listen on the configured address.
    #[error("cannot listen on {place}: {}", describe_io(source))]
    Bind {
        place: String,
        port: u16,
        source: std::io::Error,
    },
    /// The server cannot listen on the socket in the file system.
    #[error("cannot listen on {}: {}", path.display(), describe_io(source))]
    BindLocal {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("two adapters are named `{name}`")]
    DuplicateAdapter { name: String },
    /// The adapter that reads prompts for pictures cannot do so.
    #[error("`serve.prompt_filter` is wrong: expected {expected}, found `{name}`")]
    PromptFilter { name: String, expected: String },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Explain for ServeError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Bind { .. } | Self::BindLocal { .. } => ExitClass::Environment,
            Self::DuplicateAdapter { .. } | Self::PromptFilter { .. } => ExitClass::Usage,
            Self::Journal(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { source, port, .. } => Some(bind_hint(source.kind(), *port)),
            Self::BindLocal { source, .. } => Some(socket_hint(source.kind())),
            Self::DuplicateAdapter { .. } => {
                Some("give each adapter its own name: --adapter NAME=PATH".to_owned())
            }
            Self::PromptFilter { .. } => Some(
                "serve a content filter too, and name it: --adapter filter=PATH --prompt-filter filter"
                    .to_owned(),
            ),
            Self::Journal(error) => error.hint(),
        }
    }
}

fn socket_hint(kind: std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::AddrInUse => {
            "another server listens there, or it is another file: choose another path with --socket"
        }
        _ => "choose a path of at most 107 bytes in a folder that you may write, with --socket",
    }
    .to_owned()
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
