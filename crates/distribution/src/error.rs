//! Errors of pulling and pushing. They name the place, what was expected and what was found.

use std::path::PathBuf;

use openlora_core::error::{ExitClass, Explain, describe_io};
use openlora_package::{
    ManifestProblem, PackageError, PathProblem, manifest::Digest, verify::CheckStatus,
    verify::PackageVerification,
};

use super::location::LocationProblem;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum DistributionError {
    #[error(transparent)]
    Location(#[from] LocationProblem),
    #[error("cannot {deed} {}: {}", path.display(), describe_io(source))]
    Io {
        deed: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("{place}: {reason}")]
    Unreachable { place: String, reason: String },
    #[error("{place} answered {status}{reason}")]
    Status {
        place: String,
        status: u16,
        reason: String,
    },
    #[error("{place} is not on this machine")]
    Offline { place: String },
    #[error("{place} has no {what}")]
    Missing { place: String, what: String },
    #[error("{place}: {reason}")]
    Redirect { place: String, reason: String },
    #[error("{place}: {what} is not what it should be: {reason}")]
    Malformed {
        place: String,
        what: String,
        reason: String,
    },
    #[error("{place}: openlora.json: {problem}")]
    Manifest {
        place: String,
        problem: ManifestProblem,
    },
    #[error("{place}: {problem}")]
    Path { place: String, problem: PathProblem },
    #[error("{place}: {what} has sha256 {found}, expected {expected}")]
    Content {
        place: String,
        what: String,
        expected: Digest,
        found: Digest,
    },
    #[error("{place}: {what} has {found} bytes, expected {expected}")]
    Size {
        place: String,
        what: String,
        expected: u64,
        found: u64,
    },
    #[error("{what} has {found} bytes, expected at most {limit}")]
    TooLarge {
        what: String,
        found: u64,
        limit: u64,
    },
    #[error("{place} holds the manifest sha256 {found}, expected {expected}")]
    OtherManifest {
        place: String,
        expected: Digest,
        found: Digest,
    },
    #[error(
        "{place} has moved: it was the manifest sha256 {locked} when it was first pulled, and is {found}"
    )]
    Moved {
        place: String,
        locked: Digest,
        found: Digest,
    },
    #[error("{place} does not verify: {}", failed_checks(report))]
    Refused {
        place: String,
        report: PackageVerification,
    },
    #[error("{} is being written by another process", path.display())]
    Busy { path: PathBuf },
    #[error("{} is in use by a running process", path.display())]
    Held { path: PathBuf },
    #[error(
        "{} has no room for {needed} bytes: {used} are kept or in use, and at most {most} may be there",
        path.display()
    )]
    NoRoom {
        path: PathBuf,
        needed: u64,
        used: u64,
        most: u64,
    },
    #[error("{}: {reason}", path.display())]
    Occupied { path: PathBuf, reason: &'static str },
    #[error("nothing can be pushed to {place}: {reason}")]
    NoPush { place: String, reason: &'static str },
}

/// The failed checks of a report in one line.
pub fn failed_checks(report: &PackageVerification) -> String {
    let failed = report.checks.iter();
    let failed = failed.filter(|check| check.status == CheckStatus::Fail);
    let said = failed.map(|check| {
        let reason = check.reason.as_deref().unwrap_or_default();
        format!("{}: {reason}", check.name)
    });
    said.collect::<Vec<_>>().join("; ")
}

impl DistributionError {
    pub(crate) fn io(
        deed: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { deed, path, source }
    }

    pub(crate) fn malformed(
        place: impl ToString,
        what: impl ToString,
        reason: impl ToString,
    ) -> Self {
        Self::Malformed {
            place: place.to_string(),
            what: what.to_string(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn missing(place: impl ToString, what: impl ToString) -> Self {
        Self::Missing {
            place: place.to_string(),
            what: what.to_string(),
        }
    }

    /// Whether the same request may succeed: a connection that broke, or a server that is busy.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

impl Explain for DistributionError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Location(_) | Self::NoPush { .. } => ExitClass::Usage,
            Self::Io { .. } | Self::Busy { .. } | Self::Held { .. } | Self::NoRoom { .. } => {
                ExitClass::Environment
            }
            Self::Package(error) => error.class(),
            Self::Unreachable { .. } | Self::Status { .. } | Self::Offline { .. } => {
                ExitClass::Network
            }
            Self::Missing { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::Occupied { .. } => ExitClass::BadInput,
            Self::Redirect { .. }
            | Self::Manifest { .. }
            | Self::Path { .. }
            | Self::Content { .. }
            | Self::Size { .. }
            | Self::OtherManifest { .. }
            | Self::Moved { .. }
            | Self::Refused { .. } => ExitClass::Verification,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Package(error) => return error.hint(),
            Self::Offline { .. } => "leave --offline out",
            Self::Status {
                status: 401 | 403, ..
            } => {
                "log in: `docker login HOST` writes what is read here, or set OPENLORA_REGISTRY_AUTH \
                 to HOST=USER:PASSWORD; for the Hub, set HF_TOKEN"
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "free some space on that disk, then run the same command again"
            }
            Self::Unreachable { .. } => {
                "check the address, or run the same command again: what has arrived is not sent twice"
            }
            Self::Held { .. } => "stop the server or the command that uses it",
            Self::NoRoom { .. } => {
                "`openlora store list` shows what is there; remove some, or raise `store.max_bytes`"
            }
            Self::Moved { .. } => "if its publisher told you so, take the new one with --update",
            Self::TooLarge { .. } => "raise `pull.max_file` or `pull.max_package` if you trust it",
            Self::Content { .. }
            | Self::Size { .. }
            | Self::Manifest { .. }
            | Self::Path { .. }
            | Self::OtherManifest { .. }
            | Self::Refused { .. } => "do not use it; ask its publisher for the package again",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
