//! Errors of the chain's file and process. Rejected calls and transactions are [`RpcError`]s, never
//! a [`ChainError`].
//!
//! [`RpcError`]: super::rpc_error::RpcError

use std::path::{Path, PathBuf};

use thiserror::Error;

use openlora_core::error::{ExitClass, Explain};

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChainError {
    #[error("the development chain's file {path}: {detail}")]
    Store { path: PathBuf, detail: String },
    #[error("the development chain's disk is full: {path}")]
    Full { path: PathBuf },
    #[error("{path} is not a development chain of this version: {detail}")]
    Foreign { path: PathBuf, detail: String },
    #[error("{path} holds chain {found}, expected chain {expected}")]
    OtherChain {
        path: PathBuf,
        expected: u64,
        found: u64,
    },
    #[error("{path} is damaged at {place}: expected {expected}, found {found}")]
    Damaged {
        path: PathBuf,
        place: String,
        expected: String,
        found: String,
    },
    #[error("a key of the development accounts cannot be derived: {0}")]
    Accounts(String),
    #[error("contract {index} of the genesis was not deployed: {detail}")]
    Deployment { index: usize, detail: String },
    #[error("the virtual machine stopped without a result: {0}")]
    Machine(String),
}

impl revm::database_interface::DBErrorMarker for ChainError {}

impl Explain for ChainError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Store { .. } | Self::Full { .. } => ExitClass::Environment,
            Self::Foreign { .. } | Self::OtherChain { .. } | Self::Damaged { .. } => {
                ExitClass::BadInput
            }
            Self::Accounts(_) | Self::Deployment { .. } | Self::Machine(_) => ExitClass::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Full { .. } => "free some space on that disk, then start it again",
            Self::Foreign { .. } | Self::OtherChain { .. } | Self::Damaged { .. } => {
                "`openlora devnet reset` starts the chain anew; keep a copy of the file if it matters"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Converts an SQLite error, with the path of the file.
pub(super) fn store_error(path: &Path, error: &rusqlite::Error) -> ChainError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => ChainError::Full { path },
        Some(rusqlite::ErrorCode::NotADatabase) => ChainError::Foreign {
            path,
            detail: "it is no SQLite file".to_owned(),
        },
        _ => ChainError::Store {
            path,
            detail: error.to_string(),
        },
    }
}
