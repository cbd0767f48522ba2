//! Where packages come from and go to: registries, the Hub, web folders, folders, and the store of a
//! home.
//!
//! What comes from elsewhere is bounded, compared with its manifest while it comes, and verified
//! before it is in the store. This crate does not know chains, accounts or the terminal: the caller
//! says which manifest it expects, and what a package must satisfy.
//!
//! ```
//! use openlora_distribution::PackageLocation;
//!
//! let location: PackageLocation = "oci://ghcr.io/ada/tone:1.0.0".parse()?;
//! assert!(location.is_remote() && location.is_movable());
//! assert_eq!(location.to_string(), "oci://ghcr.io/ada/tone:1.0.0");
//! assert!("http://example.org/tone".parse::<PackageLocation>().is_err());
//! # Ok::<(), openlora_distribution::LocationProblem>(())
//! ```

mod archive;
mod blocking;
mod credentials;
mod error;
mod http;
mod layout;
mod limits;
mod location;
mod modelpack;
mod origin;
mod partial_file;
mod pull;
mod push;
mod registry;
mod source;
mod store;
mod store_room;

pub use archive::unpack_archive;
pub use credentials::{CredentialSources, RegistryLogin};
pub use error::{DistributionError, failed_checks};
pub use http::{HttpFetcher, InternetResolver};
pub use layout::copy_package;
pub use limits::PullLimits;
pub use location::{LocationProblem, PackageLocation, RegistryReference, RegistryVersion};
pub use modelpack::{ARTIFACT_TYPE, PackageArtifact, PackageLayer, package_layers};
pub use pull::{
    FoundManifest, PackageCheckFn, PackageFetcher, ProgressFn, PullProgress, PullRequest,
    PulledPackage, SmallFile,
};
pub use push::PushedPackage;
pub use store::{LockedPlace, PackageStore};
pub use store_room::{PackageHold, StoredPackage};
