//! The release parameters read from a package.

use alloy::primitives::B256;

use super::error::DeployError;
use openlora_core::Address;
use openlora_package::{
    Package,
    manifest::{ManifestContributor, SplitShare},
};

/// The file whose digest, together with the publisher, determines an adapter's id.
const WEIGHTS: &str = "adapter_model.safetensors";

/// A release to be registered.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseParams {
    pub name: String,
    /// Semantic version.
    pub release: String,
    pub publisher: Address,
    pub manifest_sha256: B256,
    pub weights_sha256: B256,
    pub base_root: B256,
    pub datasets_root: B256,
    pub split: Vec<SplitShare>,
    pub contributors: Vec<ManifestContributor>,
    /// What one unit of the registered price pays for.
    pub priced_work: &'static str,
}

/// What a registered price is for.
pub fn priced_work(makes_pictures: bool) -> &'static str {
    match makes_pictures {
        true => "a picture",
        false => "1000 generated tokens",
    }
}

impl ReleaseParams {
    pub fn from_package(package: &Package) -> Result<Self, DeployError> {
        let envelope = package.envelope.as_ref().ok_or(DeployError::Unsigned)?;
        let manifest = &package.manifest;
        let weights = manifest.files.iter().find(|file| file.path == WEIGHTS);
        let weights = weights.ok_or(DeployError::NoWeights(WEIGHTS))?;
        let release = manifest.release(package.manifest_sha256);
        Ok(Self {
            name: manifest.name.clone(),
            release: manifest.version.clone(),
            publisher: envelope.address,
            manifest_sha256: release.manifest_sha256.0.into(),
            weights_sha256: weights.sha256.0.into(),
            base_root: release.base_root.into(),
            datasets_root: release.datasets_root.into(),
            split: manifest.split.clone(),
            contributors: manifest.contributors.clone(),
            priced_work: priced_work(manifest.base.makes_pictures()),
        })
    }
}
