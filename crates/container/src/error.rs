//! Errors of images and containers: what failed, where, what was expected and what was found.

use std::path::{Path, PathBuf};

use openlora_core::error::{ExitClass, Explain, describe_io};
use openlora_package::PackageError;

use crate::{limits::LimitName, report::LimitReading};

#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    #[error("cannot {deed} {}: {}", path.display(), describe_io(source))]
    Io {
        deed: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The program for the image is none that runs on Linux.
    #[error("{}: {reason}", path.display())]
    Program { path: PathBuf, reason: String },
    #[error("{} holds {found}, so no image is written there", path.display())]
    Occupied { path: PathBuf, found: String },
    /// An image layout that is damaged or that leads outside of its folder.
    #[error("{}: {reason}", path.display())]
    Layout { path: PathBuf, reason: String },
    #[error("{} cannot run here: {reason}", runtime)]
    Runtime { runtime: String, reason: String },
    #[error("cannot start the jail: {step}: {reason}")]
    Jail {
        step: String,
        reason: String,
        limit: Option<LimitName>,
    },
    #[error(
        "{} cannot be enforced: {}",
        listed(names(missing)),
        listed(reasons(missing))
    )]
    Unenforceable { missing: Vec<LimitReading> },
    #[error("the program in the container was killed: it needs more than {memory} of memory")]
    OutOfMemory { memory: String },
}

fn names(missing: &[LimitReading]) -> impl Iterator<Item = String> {
    missing.iter().map(|it| format!("the limit `{}`", it.limit))
}

fn reasons(missing: &[LimitReading]) -> impl Iterator<Item = String> {
    missing
        .iter()
        .map(|it| format!("asked for {}, found {} ({})", it.asked, it.found, it.by))
}

fn listed(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join("; ")
}

impl ContainerError {
    pub(crate) fn io(
        deed: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { deed, path, source }
    }
}

impl Explain for ContainerError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Package(error) => error.class(),
            Self::Program { .. } | Self::Layout { .. } => ExitClass::BadInput,
            Self::Io { .. }
            | Self::Occupied { .. }
            | Self::Runtime { .. }
            | Self::Jail { .. }
            | Self::Unenforceable { .. }
            | Self::OutOfMemory { .. } => ExitClass::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Package(error) => return error.hint(),
            Self::Occupied { .. } => "name another folder after --image".to_owned(),
            Self::Program { .. } => {
                "name a binary for Linux with --binary FILE; `scripts/release` builds one"
                    .to_owned()
            }
            Self::Layout { .. } => "do not use it; make the image again".to_owned(),
            Self::Runtime { .. } => "leave the choice to openlora: --runtime auto".to_owned(),
            Self::Jail {
                limit: Some(limit), ..
            } => {
                format!("to run without that limit, add --waive {limit}")
            }
            Self::Jail { .. } => {
                "permit user namespaces: sysctl kernel.unprivileged_userns_clone=1, and \
                 kernel.apparmor_restrict_unprivileged_userns=0 where there is one"
                    .to_owned()
            }
            Self::Unenforceable { missing } => {
                let flags: Vec<String> = missing
                    .iter()
                    .map(|it| format!("--waive {}", it.limit))
                    .collect();
                format!("to run without that, add {}", flags.join(" "))
            }
            Self::OutOfMemory { .. } => "give it more with --memory".to_owned(),
            Self::Io { .. } => return None,
        })
    }
}
