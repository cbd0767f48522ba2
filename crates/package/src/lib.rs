//! Packages: an adapter with a manifest of its content, its origin and the payees, signed by its
//! publisher.
//!
//! Everything in a manifest is a fact of the run or of the files; unknown facts are null. Reading
//! trusts nothing: names, digests, canonical form and signatures are checked before use. This crate
//! does not know chains, keys or the terminal; signing goes through [`release::ReleaseSigner`].
//!
//! ```no_run
//! # fn example() -> Result<(), openlora_package::PackageError> {
//! let package = openlora_package::read("adapter".as_ref())?;
//! let manifest = &package.manifest;
//! println!("{} {}: {} files", manifest.name, manifest.version, manifest.files.len());
//! match &package.envelope {
//!     Some(envelope) => println!("signed by {}", envelope.address),
//!     None => println!("not signed"),
//! }
//! # Ok(())
//! # }
//! ```

mod bom;
pub mod build;
mod card;
mod certificate;
mod compat;
mod derived;
mod digest;
mod envelope;
mod error;
mod facts;
pub mod manifest;
mod model_key;
mod model_signature;
mod paths;
pub mod policy;
mod provenance;
mod read;
pub mod release;
pub mod roots;
mod rules;
mod timestamp;
pub mod verify;
pub mod whole;
mod write;

pub use certificate::{Certificate, CertificateProblem, TrustedRoots, certificates_from_pem};
pub use derived::{BOM_FILE, PROVENANCE_FILE};
pub use envelope::ReleaseEnvelope;
pub use error::{ManifestProblem, PackageError, SignedFilesProblem, StructureProblem};
pub use facts::{BaseFacts, RunFacts, hash, written_at};
pub use manifest::Manifest;
pub use model_key::{ModelKeyProblem, ModelPublicKey};
pub use model_signature::{
    KeyEvidence, ModelSignature, SignedFiles, SignedStatement, compare_files, sign_files,
    sign_files_ignoring,
};
pub use paths::{PathProblem, check_path, check_paths};
pub use read::{Package, read};
pub use write::{WrittenPackage, write};

/// The manifest, byte for byte as signed.
pub const MANIFEST_FILE: &str = "openlora.json";
/// The publisher's signature over it as typed data.
pub const ENVELOPE_FILE: &str = "openlora.eip712.json";
/// The signature over every other file by OpenSSF Model Signing.
pub const MODEL_SIGNATURE_FILE: &str = "model.sig";
