//! What can go wrong with a journal.

use std::path::PathBuf;

use super::unique::UniqueKey;
use openlora_core::error::{ExitClass, Explain};

/// Cloneable, because every append that waited for a failed commit gets it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("request {} already has a {} event", .0.request_id, .0.kind)]
    Duplicate(UniqueKey),
    #[error("the journal {} is in use by {}", path.display(), holder(*pid))]
    InUse { path: PathBuf, pid: Option<u32> },
    #[error("there is no journal at {}", path.display())]
    Missing { path: PathBuf },
    /// Its file is there, and nothing is in it: it is being created, or its creation was interrupted.
    #[error("the journal {} is empty", path.display())]
    Empty { path: PathBuf },
    #[error("{} is not an openlora journal: {found}", path.display())]
    NotAJournal { path: PathBuf, found: String },
    #[error(
        "the journal {} has format {found}; this version of openlora knows formats up to {supported}",
        path.display()
    )]
    Newer {
        path: PathBuf,
        found: i64,
        supported: i64,
    },
    #[error("the journal {} is damaged: {detail}", path.display())]
    Damaged { path: PathBuf, detail: String },
    #[error("the disk that holds the journal {} is full", path.display())]
    Full { path: PathBuf },
    #[error("the journal {} cannot be written: {detail}", path.display())]
    ReadOnly { path: PathBuf, detail: String },
    #[error("the journal {} cannot be accessed: {detail}", path.display())]
    Io { path: PathBuf, detail: String },
    #[error("the journal breaks after record {}: expected record {expected}, found {found}", expected - 1)]
    Gap { expected: u64, found: u64 },
    #[error(
        "record {sequence} of the journal was changed: its hash does not follow from its content \
         and the record before it"
    )]
    Edited { sequence: u64 },
    #[error("record {sequence} of the journal cannot be read: {detail}")]
    Unreadable { sequence: u64, detail: String },
    #[error("an event cannot be written as JSON: {0}")]
    Unwritable(String),
    #[error("the journal's writer has stopped")]
    Closed,
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

impl JournalError {
    /// Whether the event was refused because its request already has one of that kind.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate(_))
    }
}

impl Explain for JournalError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Duplicate(_) | Self::Unwritable(_) | Self::Closed => ExitClass::Internal,
            Self::Gap { .. } | Self::Edited { .. } => ExitClass::Verification,
            _ => ExitClass::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::InUse { pid: Some(pid), .. } => {
                    return Some(format!(
                        "stop process {pid} first, or give this one another home with OPENLORA_HOME"
                    ));
                }
                Self::InUse { pid: None, .. } => {
                    "stop the other openlora first, or set OPENLORA_HOME to another folder"
                }
                Self::Missing { .. } | Self::Empty { .. } => {
                    "serve at least one call first: `openlora serve`"
                }
                Self::NotAJournal { .. } => {
                    "move that file away, or choose another home with OPENLORA_HOME"
                }
                Self::Newer { .. } => "use the openlora that wrote it, or a later one",
                Self::Damaged { .. } => {
                    "keep a copy of the file and its -wal file, then restore the last backup"
                }
                Self::Unreadable { .. } => {
                    "a later openlora may have written it; use that one, or restore the last backup"
                }
                Self::Full { .. } => "free some space on that disk; nothing was written by halves",
                Self::ReadOnly { .. } => {
                    "make that folder writable, or set OPENLORA_HOME to one that is"
                }
                Self::Gap { .. } | Self::Edited { .. } => {
                    "figures after that record cannot be trusted; restore the last backup"
                }
                _ => return None,
            }
            .to_owned(),
        )
    }
}
