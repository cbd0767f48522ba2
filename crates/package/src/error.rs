//! Errors of packages. The messages name the file, field or path, what was expected and what was
//! found.

use std::path::PathBuf;

use super::{digest::Digest, paths::PathProblem, release::SignatureProblem};
use openlora_core::{
    Address, AddressProblem,
    error::{ExitClass, Explain},
    exact_percent,
};
use openlora_ledger::SplitProblem;
use openlora_model::{FileError, ModelError, adapter::AdapterError};

/// Errors of writing and reading a package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{}: {problem}", path.display())]
    Manifest {
        path: PathBuf,
        problem: ManifestProblem,
    },
    #[error("{}: {problem}", dir.display())]
    Structure {
        dir: PathBuf,
        problem: StructureProblem,
    },
    #[error("`[split]`: {0}")]
    Split(#[from] SplitProblem),
    #[error("`[[data]]`: {0}")]
    Contributors(SplitProblem),
    #[error("`[[data]]`: the address of {contributor} is wrong: {problem}")]
    ContributorAddress {
        contributor: String,
        problem: AddressProblem,
    },
    #[error("{contributor} has no address and would be owed {ppm} ppm")]
    Unpayable { contributor: String, ppm: u64 },
    #[error("the contributor {name} has two addresses, {first} and {second}")]
    TwoAddresses {
        name: String,
        first: String,
        second: String,
    },
    #[error(
        "`[split]` gives contributors {}, but the adapter has none that are known",
        exact_percent(*ppm)
    )]
    NoContributors { ppm: u64 },
    #[error("the run {run} was trained on base {expected}, found {found}")]
    OtherBase {
        run: String,
        expected: String,
        found: String,
    },
    #[error("{} holds other files ({found}), so no package is written there", dir.display())]
    Occupied { dir: PathBuf, found: String },
    #[error("the release cannot be signed: {0}")]
    Signature(#[from] SignatureProblem),
    #[error("the package names the model signing key {expected}, so {} cannot sign it", match found {
        Some(key) => format!("the key {key}"),
        None => "an account without one".to_owned(),
    })]
    OtherModelKey {
        expected: Digest,
        found: Option<Digest>,
    },
    #[error("the package was made by {expected}, so {found} cannot sign it")]
    OtherPublisher { expected: Address, found: Address },
}

/// Errors of `openlora.json`, `openlora.eip712.json` or `model.sig`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestProblem {
    #[error("not the expected JSON: {0}")]
    Json(String),
    #[error("byte {at} differs from the canonical spelling (RFC 8785)")]
    NotCanonical { at: usize },
    #[error("it has {found} bytes, expected at most {limit}")]
    TooLarge { found: u64, limit: u64 },
    #[error("`{field}`: expected {expected}, found {found}")]
    Field {
        field: String,
        expected: &'static str,
        found: String,
    },
    #[error("`files`: {0}")]
    Path(#[from] PathProblem),
    #[error("`{field}` is not sorted: `{second}` comes after `{first}`")]
    Order {
        field: &'static str,
        first: String,
        second: String,
    },
    #[error("`split`: {0}")]
    Split(#[from] SplitProblem),
    #[error("`contributors`: {0}")]
    Contributors(SplitProblem),
}

/// Errors of the folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StructureProblem {
    #[error("it has no {0}, so it is not a package")]
    NotAPackage(&'static str),
    #[error("the file `{0}` is not in the manifest")]
    Extra(String),
    #[error("the file `{0}` of the manifest is missing")]
    Missing(String),
    #[error("`{0}` is a link; a package holds plain files only")]
    Link(String),
    #[error("`{0}` is neither a file nor a folder")]
    Special(String),
    #[error("it has a file whose name is not text")]
    Name,
    #[error("it has more than {limit} files")]
    TooMany { limit: usize },
    #[error("{path} has {found} bytes, expected {expected}")]
    Size {
        path: String,
        expected: u64,
        found: u64,
    },
    #[error("{path} has sha256 {found}, expected {expected}")]
    Content {
        path: String,
        expected: String,
        found: String,
    },
}

/// How the files of a folder differ from those that `model.sig` signs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedFilesProblem {
    #[error("the file `{0}` is not signed")]
    Unsigned(String),
    #[error("the signed file `{0}` is missing")]
    Missing(String),
    #[error("{path} has sha256 {found}, signed was {expected}")]
    Content {
        path: String,
        expected: Digest,
        found: Digest,
    },
}

impl PackageError {
    pub(super) fn io(
        deed: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let file = FileError::at(deed, path);
        move |source| Self::File(file(source))
    }
}

impl Explain for PackageError {
    fn class(&self) -> ExitClass {
        match self {
            Self::File(error) => error.class(),
            Self::Adapter(error) => error.class(),
            Self::Model(error) => error.class(),
            Self::Signature(_) | Self::OtherPublisher { .. } | Self::OtherModelKey { .. } => {
                ExitClass::Wallet
            }
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Adapter(error) => return error.hint(),
            Self::Model(error) => return error.hint(),
            Self::Manifest { .. } | Self::Structure { .. } => {
                "do not use it; ask its publisher for the package again".to_owned()
            }
            Self::Split(_) => {
                "correct `[split]`, whose shares are parts per million: 600000 is 60 %".to_owned()
            }
            Self::Unpayable { contributor, .. } => format!(
                "add `address = \"0x…\"` to the `[[data]]` entry of {contributor}, or set \
                 `split.contributors = 0`"
            ),
            Self::TwoAddresses { .. } => "give each of them a name of its own".to_owned(),
            Self::NoContributors { .. } => "set `split.contributors = 0`".to_owned(),
            Self::OtherBase { .. } => "choose the base of the run with --base".to_owned(),
            Self::Occupied { .. } => "choose another folder with --out".to_owned(),
            _ => return None,
        };
        Some(hint)
    }
}
