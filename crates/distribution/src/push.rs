//! Pushing: a package of this machine to a registry, a layout or a folder.

use openlora_package::{Package, manifest::Digest};

use super::{
    blocking::blocking,
    error::DistributionError,
    layout::{copy_package, write_layout},
    location::{PackageLocation, RegistryReference, RegistryVersion},
    modelpack::{EMPTY_CONFIG, MANIFEST_TYPE, PackageArtifact, digest_name, referrer_entry},
    pull::{PackageFetcher, ProgressFn, PullProgress},
    registry::RegistryClient,
    store::PackageStore,
};

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedPackage {
    /// The place, pinned to what was pushed where that is possible.
    pub location: PackageLocation,
    /// Digest of the OCI manifest; none for a folder.
    pub oci: Option<Digest>,
    /// Bytes that were sent or copied: what was there already is not.
    pub sent: u64,
}

impl PackageFetcher {
    /// Pushes a package that was verified. A place that others can read is remembered, so that a
    /// release can name it.
    ///
    /// # Errors
    ///
    /// The place cannot be written to.
    pub async fn push(
        &self,
        store: &PackageStore,
        package: &Package,
        location: &PackageLocation,
        progress: ProgressFn<'_>,
    ) -> Result<PushedPackage, DistributionError> {
        let place = location.to_string();
        let refuse = |reason| DistributionError::NoPush { place, reason };
        match location {
            PackageLocation::Folder(dir) => {
                let (copied, dir) = (package.clone(), dir.clone());
                blocking(move || copy_package(&copied, &dir)).await?;
                Ok(PushedPackage {
                    location: location.clone(),
                    oci: None,
                    sent: package.manifest.files.iter().map(|file| file.size.0).sum(),
                })
            }
            PackageLocation::Layout { dir, tag } => {
                let (package, dir, tag) = (package.clone(), dir.clone(), tag.clone());
                let written = move || {
                    let artifact = PackageArtifact::of_package(&package)?;
                    write_layout(&dir, &tag, &package, &artifact)?;
                    Ok::<_, DistributionError>(artifact)
                };
                let artifact = blocking(written).await?;
                Ok(PushedPackage {
                    location: location.clone(),
                    oci: Some(artifact.digest()),
                    sent: artifact.layers.iter().map(|layer| layer.size).sum(),
                })
            }
            PackageLocation::Registry(reference) => {
                let pushed = self.push_to_registry(package, reference, progress).await?;
                let text = pushed.location.to_string();
                store.remember_push(package.manifest_sha256, &text).await?;
                Ok(pushed)
            }
            PackageLocation::Hub { .. } => Err(refuse(
                "upload the folder with the Hub's own tools; it can be pulled from there",
            )),
            PackageLocation::Web(_) | PackageLocation::Archive(_) => Err(refuse(
                "copy the folder to the server; it can be pulled from there",
            )),
        }
    }

    async fn push_to_registry(
        &self,
        package: &Package,
        reference: &RegistryReference,
        progress: ProgressFn<'_>,
    ) -> Result<PushedPackage, DistributionError> {
        let hashed = package.clone();
        let artifact = blocking(move || PackageArtifact::of_package(&hashed)).await?;
        let digest = artifact.digest();
        let tag = match &reference.version {
            RegistryVersion::Tag(tag) => tag.clone(),
            RegistryVersion::Pinned(pinned) if *pinned == digest => digest_name(digest),
            RegistryVersion::Pinned(pinned) => {
                return Err(DistributionError::Content {
                    place: reference.to_string(),
                    what: "the OCI manifest of this package".to_owned(),
                    expected: *pinned,
                    found: digest,
                });
            }
        };
        let client = RegistryClient::new(&self.http, reference, &self.credentials, true)?;
        let total = artifact.layers.iter().map(|layer| layer.size).sum();
        let (mut done, mut sent) = (0, 0);
        for layer in &artifact.layers {
            let file = package.dir.join(&layer.path);
            if client.push_file(layer.sha256, layer.size, &file).await? {
                sent += layer.size;
            }
            done += layer.size;
            progress(PullProgress { done, total });
        }
        client.push_bytes(artifact.config.clone()).await?;
        client
            .push_manifest(&tag, MANIFEST_TYPE, &artifact.manifest)
            .await?;
        if let Some(referrer) = &artifact.referrer {
            push_referrer(&client, digest, referrer).await?;
        }
        let version = RegistryVersion::Pinned(digest);
        Ok(PushedPackage {
            location: PackageLocation::Registry(RegistryReference {
                version,
                ..reference.clone()
            }),
            oci: Some(digest),
            sent,
        })
    }
}

/// Lets `model.sig` refer to the package; its blob is there as a layer of the package.
async fn push_referrer(
    client: &RegistryClient,
    subject: Digest,
    referrer: &[u8],
) -> Result<(), DistributionError> {
    client.push_bytes(EMPTY_CONFIG.to_vec()).await?;
    let name = digest_name(Digest::hash_bytes(referrer));
    let is_registered = client.push_manifest(&name, MANIFEST_TYPE, referrer).await?;
    if is_registered {
        return Ok(());
    }
    client.tag_referrer(subject, referrer_entry(referrer)).await
}
