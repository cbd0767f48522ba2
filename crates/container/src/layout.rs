//! An OCI image layout: a folder of blobs named by their digests.
//!
//! Formats: OCI image specification 1.1, `image-layout.md`, `manifest.md` and `config.md`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use openlora_core::atomic::FolderDraft;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ContainerError;

pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What a signature of Model Signing is, and its empty configuration.
pub const SIGNATURE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// The name of a file in a layer of its own.
pub const TITLE: &str = "org.opencontainers.image.title";

/// The name of the image in its index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A blob by its type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobDescriptor {
    pub media_type: String,
    /// `sha256:` and hex.
    pub digest: String,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<ImagePlatform>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePlatform {
    pub architecture: String,
    pub os: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    pub schema_version: u32,
    pub media_type: String,
    pub manifests: Vec<BlobDescriptor>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    pub schema_version: u32,
    pub media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    pub config: BlobDescriptor,
    pub layers: Vec<BlobDescriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<BlobDescriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    pub created: String,
    pub architecture: String,
    pub os: String,
    pub config: RunConfig,
    pub rootfs: RootFiles,
    #[serde(default)]
    pub history: Vec<ImageHistory>,
}

/// How the image starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    pub user: String,
    pub env: Vec<String>,
    pub entrypoint: Vec<String>,
    pub working_dir: String,
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFiles {
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the layers before compression.
    pub diff_ids: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageHistory {
    pub created: String,
    pub created_by: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LayoutVersion {
    pub image_layout_version: String,
}

pub(crate) const VERSION: &str = "1.0.0";

/// The digest of bytes as descriptors have it.
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The file of a blob below the layout; `None` if the digest is no SHA-256.
pub(crate) fn blob_path(layout: &Path, digest: &str) -> Option<PathBuf> {
    let hex = digest.strip_prefix("sha256:")?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (hex.len() == 64 && hex.bytes().all(is_hex)).then(|| layout.join("blobs/sha256").join(hex))
}

/// Writes a layout, which is in place once it is complete.
pub(crate) struct LayoutWriter {
    draft: FolderDraft,
}

impl LayoutWriter {
    /// Begins in a draft beside the place of the layout.
    pub fn new(parent: &Path) -> Result<Self, ContainerError> {
        let draft = FolderDraft::in_folder(parent);
        let draft = draft.map_err(ContainerError::io("write in", parent))?;
        Ok(Self { draft })
    }

    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<BlobDescriptor, ContainerError> {
        let digest = digest_of(bytes);
        // Equal layers are one blob.
        let path = blob_path(self.draft.path(), &digest).filter(|it| !it.exists());
        if let Some(path) = path {
            self.write(&path, bytes)?;
        }
        Ok(BlobDescriptor {
            media_type: media_type.to_owned(),
            digest,
            size: bytes.len() as u64,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        })
    }

    pub fn json_blob(
        &self,
        media_type: &str,
        value: &impl Serialize,
    ) -> Result<BlobDescriptor, ContainerError> {
        self.blob(media_type, &json(value)?)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ContainerError> {
        let written = self.draft.write(path, bytes);
        written.map_err(ContainerError::io("write", path))
    }

    /// Moves the layout to `dir`.
    pub fn finish(self, index: &ImageIndex, dir: &Path) -> Result<(), ContainerError> {
        self.write(Path::new("index.json"), &json(index)?)?;
        let version = LayoutVersion {
            image_layout_version: VERSION.to_owned(),
        };
        self.write(Path::new("oci-layout"), &json(&version)?)?;
        let moved = self.draft.open_to_everyone();
        moved
            .and_then(|()| self.draft.replace(dir))
            .map_err(ContainerError::io("write", dir))
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ContainerError> {
    let encoded = serde_json::to_vec(value);
    encoded.map_err(|error| ContainerError::io("encode", "the image")(error.into()))
}
