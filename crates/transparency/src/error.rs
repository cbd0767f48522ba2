//! What can go wrong with a log, its proofs and its checkpoints.

use std::path::{Path, PathBuf};

use openlora_core::error::{ExitClass, Explain, describe_io};
use openlora_journal::JournalError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlogError {
    #[error("the transparency log {} is being written by {}", path.display(), writer(*pid))]
    InUse { path: PathBuf, pid: Option<u32> },
    #[error("there is no transparency log at {}", path.display())]
    Missing { path: PathBuf },
    #[error("there is no log key at {}", path.display())]
    NoKey { path: PathBuf },
    #[error("the transparency log {} has a checkpoint, and its key {} is gone", log.display(), path.display())]
    LostKey { log: PathBuf, path: PathBuf },
    #[error("the disk that holds {} is full", path.display())]
    Full { path: PathBuf },
    #[error("cannot {deed} {}: {detail}", path.display())]
    Io {
        deed: &'static str,
        path: PathBuf,
        detail: String,
    },
    #[error("{what} is malformed: {detail}")]
    Malformed { what: &'static str, detail: String },
    #[error("the checkpoint is of the log {found}, expected {expected}")]
    OtherLog { expected: String, found: String },
    #[error("the checkpoint's signature is not that of the key of {origin}")]
    BadSignature { origin: String },
    #[error("the log of {place} had the key {expected} when it was first seen, found {found}")]
    OtherKey {
        place: String,
        expected: String,
        found: String,
    },
    #[error("the log of {size} entries has no entry {index}")]
    OutOfRange { index: u64, size: u64 },
    #[error("entry {index} is not in the tree of {size} entries: the proof leads to another root")]
    NotIncluded { index: u64, size: u64 },
    #[error(
        "the tree of {to} entries does not contain the tree of {from} entries: what was logged was \
         changed"
    )]
    Inconsistent { from: u64, to: u64 },
    #[error(
        "the log has {found} entries and had {expected} when it was last seen: it was rolled back"
    )]
    RolledBack { expected: u64, found: u64 },
    #[error(
        "two checkpoints of {size} entries have the roots {found} and {expected}: the log forked"
    )]
    Forked {
        size: u64,
        expected: String,
        found: String,
    },
    #[error(
        "the journal has {found} records, but a signed checkpoint covers {expected}: it was replaced \
         or cut"
    )]
    JournalBehind { expected: u64, found: u64 },
    #[error(
        "record {sequence} of the journal is another than the one that a signed checkpoint covers"
    )]
    JournalDiffers { sequence: u64 },
    #[error("{name} of the log is damaged: {detail}")]
    DamagedTile { name: String, detail: String },
    #[error("entry {index} does not commit to the record that is shown for it")]
    WrongOpening { index: u64 },
    #[error("record {sequence} makes an entry of {found} bytes, expected at most {limit}")]
    EntryTooLarge {
        sequence: u64,
        found: usize,
        limit: usize,
    },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl TlogError {
    pub(crate) fn io(deed: &'static str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let path = path.to_owned();
        match error.kind() {
            StorageFull | QuotaExceeded => Self::Full { path },
            _ => Self::Io {
                deed,
                path,
                detail: describe_io(error),
            },
        }
    }

    pub(crate) fn malformed(what: &'static str, detail: impl Into<String>) -> Self {
        Self::Malformed {
            what,
            detail: detail.into(),
        }
    }

    /// Whether something that was checked proved wrong, and not merely unavailable.
    pub fn is_verdict(&self) -> bool {
        self.class() == ExitClass::Verification || matches!(self, Self::Malformed { .. })
    }
}

fn writer(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

impl Explain for TlogError {
    fn class(&self) -> ExitClass {
        match self {
            Self::InUse { .. }
            | Self::Missing { .. }
            | Self::NoKey { .. }
            | Self::LostKey { .. }
            | Self::Full { .. }
            | Self::Io { .. } => ExitClass::Environment,
            Self::Malformed { .. } => ExitClass::BadInput,
            Self::OutOfRange { .. } => ExitClass::Usage,
            Self::EntryTooLarge { .. } => ExitClass::Internal,
            Self::Journal(error) => error.class(),
            _ => ExitClass::Verification,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::InUse { .. } => "stop that process first; reading the log needs no writer",
            Self::Missing { .. } => {
                "`openlora serve` and `openlora log head` make it from the journal"
            }
            Self::LostKey { .. } => {
                "restore the key from a backup; a log that begins anew in place of this one has \
                 another key, which its readers refuse"
            }
            Self::NoKey { .. } => "`openlora serve` and `openlora log head` make one",
            Self::Full { .. } => {
                "free some space on that disk; the log goes on from its last checkpoint"
            }
            Self::BadSignature { .. } => {
                "if this is your own log, restore its checkpoint and its key from a backup"
            }
            Self::OutOfRange { .. } => "`openlora log head` says how many entries there are",
            Self::Inconsistent { .. } | Self::Forked { .. } | Self::RolledBack { .. } => {
                "keep both checkpoints: together they show that the log was changed"
            }
            Self::JournalBehind { .. } | Self::JournalDiffers { .. } => {
                "restore the journal that the log was made from; a log never contradicts its own \
                 checkpoints"
            }
            Self::DamagedTile { .. } => {
                "remove the `tile` folder of your own log: it is made again from the journal"
            }
            Self::Journal(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
