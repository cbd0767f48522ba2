//! Errors of starting, finding and stopping a chain.

use std::path::PathBuf;

use thiserror::Error;

use crate::{ChainError, ServerError};
use openlora_core::error::{ExitClass, Explain, describe_io};

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SupervisorError {
    #[error("cannot {deed} {path}: {detail}")]
    Io {
        deed: &'static str,
        path: PathBuf,
        detail: String,
    },
    #[error("the development chain {chain_id} is running already, as process {}", process(*pid))]
    AlreadyRunning { chain_id: u64, pid: Option<u32> },
    #[error("the development chain {chain_id} runs as process {} but does not answer", process(*pid))]
    Stuck { chain_id: u64, pid: Option<u32> },
    #[error("the development chain {chain_id} did not start: {reason}")]
    NotStarted {
        chain_id: u64,
        reason: String,
        hint: Option<String>,
    },
    #[error("cannot ask a process on this machine: {0}")]
    Client(String),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Server(#[from] ServerError),
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

impl SupervisorError {
    pub(super) fn io(
        deed: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io {
            deed,
            path,
            detail: describe_io(&error),
        }
    }
}

impl Explain for SupervisorError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Chain(error) => error.class(),
            Self::Server(error) => error.class(),
            _ => ExitClass::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Chain(error) => error.hint(),
            Self::Server(error) => error.hint(),
            Self::Stuck { pid: Some(pid), .. } => Some(format!(
                "end it with `kill {pid}`, then start the chain again: its state is on disk"
            )),
            Self::AlreadyRunning { .. } => Some("`openlora devnet status` shows where".to_owned()),
            Self::NotStarted { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}
