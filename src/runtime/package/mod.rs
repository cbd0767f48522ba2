//! Packages: an adapter with a manifest of what it is made of, where that came from and who is
//! owed what, signed by its publisher.
//!
//! Everything in a manifest is a fact of the run or of the files; what is not known is null.
//! Reading believes nothing: names, digests, spelling and signatures are checked before use.
//! Chains, keys and the terminal are unknown here; signing goes through [`release::ReleaseSigner`].

pub mod build;
mod card;
mod envelope;
mod error;
mod facts;
pub mod manifest;
mod paths;
mod read;
pub mod release;
pub mod roots;
mod rules;
pub mod verify;
pub mod whole;
mod write;

pub use envelope::ReleaseEnvelope;
pub use error::{ManifestProblem, PackageError, StructureProblem};
pub use facts::{BaseFacts, RunFacts, hash, written_at};
pub use manifest::Manifest;
pub use paths::{PathProblem, check_path, check_paths};
pub use read::{Package, read};
pub use write::{WrittenPackage, sign, write};

/// The manifest, exactly the bytes that are signed.
pub const MANIFEST_FILE: &str = "openlora.json";
/// The publisher's signature over it as typed data.
pub const ENVELOPE_FILE: &str = "openlora.eip712.json";
