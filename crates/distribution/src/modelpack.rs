//! A package as an OCI artifact: one raw layer per file, after the ModelPack specification
//! (<https://github.com/modelpack/model-spec>). Identical packages give identical bytes.

use std::{collections::BTreeMap, fs};

use serde::{Deserialize, Serialize};

use openlora_core::{calendar::moment, error::describe_decoding};
use openlora_package::{
    ENVELOPE_FILE, MANIFEST_FILE, MODEL_SIGNATURE_FILE, Package, check_paths, hash,
    manifest::Digest,
};

use super::error::DistributionError;

/// Media type of OCI image manifests, which artifacts use too.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of OCI indexes.
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// The artifact type of ModelPack.
pub const ARTIFACT_TYPE: &str = "application/vnd.cncf.model.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.cncf.model.config.v1+json";
const WEIGHT_TYPE: &str = "application/vnd.cncf.model.weight.v1.raw";
const WEIGHT_CONFIG_TYPE: &str = "application/vnd.cncf.model.weight.config.v1.raw";
const DOC_TYPE: &str = "application/vnd.cncf.model.doc.v1.raw";
/// The artifact type of a signature that refers to a package.
pub const SIGNATURE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The empty configuration of artifacts.
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// The path of a layer, as ModelPack and as ORAS name it.
const FILE_PATH: &str = "org.cncf.model.filepath";
const TITLE: &str = "org.opencontainers.image.title";
/// The tag of an entry in the index of a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The location of content: its type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciDescriptor {
    pub media_type: String,
    /// `sha256:` and 64 digits.
    pub digest: String,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
    /// What others state, such as the platform of an image.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// An OCI manifest, as far as it is read here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciManifest {
    pub schema_version: u32,
    pub media_type: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
    pub config: OciDescriptor,
    pub layers: Vec<OciDescriptor>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<OciDescriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
}

/// An OCI index: of a layout, or of what refers to a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciIndex {
    pub schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    pub manifests: Vec<OciDescriptor>,
    /// What others state, such as annotations.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl Default for OciIndex {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(INDEX_TYPE.to_owned()),
            manifests: Vec::new(),
            other: BTreeMap::new(),
        }
    }
}

/// A file of a package in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageLayer {
    pub path: String,
    pub sha256: Digest,
    pub size: u64,
}

/// A package ready to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageArtifact {
    /// In the order of the manifest.
    pub layers: Vec<PackageLayer>,
    pub config: Vec<u8>,
    /// The bytes of the OCI manifest.
    pub manifest: Vec<u8>,
    /// The manifest that makes `model.sig` a referrer, if there is one.
    pub referrer: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct ModelConfigFile<'a> {
    descriptor: ModelDescriptor<'a>,
    config: ModelFormat<'a>,
    modelfs: ModelFs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelDescriptor<'a> {
    created_at: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authors: Vec<&'a str>,
    name: &'a str,
    version: &'a str,
    licenses: Vec<&'a str>,
}

#[derive(Serialize)]
struct ModelFormat<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<&'a str>,
    format: &'static str,
    precision: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelFs {
    r#type: &'static str,
    diff_ids: Vec<String>,
}

/// `sha256:` and the digits.
pub fn digest_name(digest: Digest) -> String {
    format!("sha256:{digest}")
}

/// The digest of a descriptor; only SHA-256 is used here.
pub fn digest_of_name(name: &str) -> Option<Digest> {
    name.strip_prefix("sha256:").and_then(Digest::of_hex)
}

fn layer_type(path: &str) -> &'static str {
    let is_doc = |path: &str| {
        path.ends_with(".md") || path == "LICENSE" || path == "bom.cdx.json" || path == "model.sig"
    };
    match path {
        path if path.ends_with(".safetensors") => WEIGHT_TYPE,
        path if is_doc(path) => DOC_TYPE,
        _ => WEIGHT_CONFIG_TYPE,
    }
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest_name(digest),
        size,
        artifact_type: None,
        annotations: BTreeMap::new(),
        other: BTreeMap::new(),
    }
}

fn layer_descriptor(layer: &PackageLayer) -> OciDescriptor {
    let annotation = |key: &str| (key.to_owned(), layer.path.clone());
    OciDescriptor {
        annotations: [FILE_PATH, TITLE].map(annotation).into(),
        ..descriptor(layer_type(&layer.path), layer.sha256, layer.size)
    }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, DistributionError> {
    serde_json::to_vec(value)
        .map_err(|error| DistributionError::malformed("the artifact", "its JSON", error))
}

/// The descriptor of a manifest in an index.
pub fn manifest_descriptor(manifest: &[u8], artifact_type: &str) -> OciDescriptor {
    OciDescriptor {
        artifact_type: Some(artifact_type.to_owned()),
        ..descriptor(
            MANIFEST_TYPE,
            Digest::hash_bytes(manifest),
            manifest.len() as u64,
        )
    }
}

impl PackageArtifact {
    /// The artifact of a package whose files were checked.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn of_package(package: &Package) -> Result<Self, DistributionError> {
        let layers = layers(package)?;
        let config = config(package, &layers)?;
        let manifest = &package.manifest;
        let annotations = [
            ("org.opencontainers.image.created", created(package)),
            (
                "org.opencontainers.image.licenses",
                manifest.license.clone(),
            ),
            (TITLE, manifest.name.clone()),
            ("org.opencontainers.image.version", manifest.version.clone()),
        ];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value));
        let oci = OciManifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE.to_owned(),
            artifact_type: Some(ARTIFACT_TYPE.to_owned()),
            config: descriptor(
                CONFIG_TYPE,
                Digest::hash_bytes(&config),
                config.len() as u64,
            ),
            layers: layers.iter().map(layer_descriptor).collect(),
            subject: None,
            annotations: annotations.into(),
        };
        let bytes = json(&oci)?;
        let signature = layers.iter().find(|it| it.path == MODEL_SIGNATURE_FILE);
        let referrer = signature.map(|layer| referrer(&bytes, layer)).transpose()?;
        Ok(Self {
            layers,
            config,
            manifest: bytes,
            referrer,
        })
    }

    /// Digest of the OCI manifest.
    pub fn digest(&self) -> Digest {
        Digest::hash_bytes(&self.manifest)
    }
}

fn layers(package: &Package) -> Result<Vec<PackageLayer>, DistributionError> {
    let mut layers = Vec::new();
    for path in [MANIFEST_FILE, ENVELOPE_FILE, MODEL_SIGNATURE_FILE] {
        let place = package.dir.join(path);
        if fs::symlink_metadata(&place).is_ok() {
            let (sha256, size) = hash(&place)?;
            let path = path.to_owned();
            layers.push(PackageLayer { path, sha256, size });
        }
    }
    layers.extend(package.manifest.files.iter().map(|file| PackageLayer {
        path: file.path.clone(),
        sha256: file.sha256,
        size: file.size.0,
    }));
    Ok(layers)
}

/// RFC 3339, from the manifest.
fn created(package: &Package) -> String {
    // `2026-11-30 12:00:00 UTC`
    let text = moment(package.manifest.created_at.0);
    let text = text.trim_end_matches("UTC").trim_end();
    format!("{}Z", text.replacen(' ', "T", 1))
}

fn config(package: &Package, layers: &[PackageLayer]) -> Result<Vec<u8>, DistributionError> {
    let manifest = &package.manifest;
    json(&ModelConfigFile {
        descriptor: ModelDescriptor {
            created_at: created(package),
            authors: manifest.trainer.name.as_deref().into_iter().collect(),
            name: &manifest.name,
            version: &manifest.version,
            licenses: vec![&manifest.license],
        },
        config: ModelFormat {
            architecture: manifest.base.architecture.as_deref(),
            format: "safetensors",
            precision: &manifest.adapter.dtype,
        },
        modelfs: ModelFs {
            r#type: "layers",
            diff_ids: layers.iter().map(|it| digest_name(it.sha256)).collect(),
        },
    })
}

/// The manifest by which `model.sig` refers to the package.
fn referrer(subject: &[u8], layer: &PackageLayer) -> Result<Vec<u8>, DistributionError> {
    let config = Digest::hash_bytes(EMPTY_CONFIG);
    let layer = OciDescriptor {
        media_type: SIGNATURE_TYPE.to_owned(),
        ..layer_descriptor(layer)
    };
    let subject_digest = Digest::hash_bytes(subject);
    json(&OciManifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE.to_owned(),
        artifact_type: Some(SIGNATURE_TYPE.to_owned()),
        config: descriptor(EMPTY_TYPE, config, EMPTY_CONFIG.len() as u64),
        layers: vec![layer],
        subject: Some(descriptor(
            MANIFEST_TYPE,
            subject_digest,
            subject.len() as u64,
        )),
        annotations: BTreeMap::new(),
    })
}

/// The tag that stands for a subject's referrers where nothing else lists them.
pub fn referrers_tag(subject: Digest) -> String {
    format!("sha256-{subject}")
}

/// The entry of a signature in an index of referrers.
pub fn referrer_entry(referrer: &[u8]) -> OciDescriptor {
    let mut entry = manifest_descriptor(referrer, SIGNATURE_TYPE);
    let title = (TITLE.to_owned(), MODEL_SIGNATURE_FILE.to_owned());
    entry.annotations.extend([title]);
    entry
}

/// The descriptor of an index of referrers in a layout.
pub fn index_descriptor(index: &[u8]) -> OciDescriptor {
    descriptor(INDEX_TYPE, Digest::hash_bytes(index), index.len() as u64)
}

/// The first signature among referrers.
pub fn signature_of(referrers: &OciIndex) -> Option<Digest> {
    let is_signature = |it: &&OciDescriptor| it.artifact_type.as_deref() == Some(SIGNATURE_TYPE);
    let found = referrers.manifests.iter().find(is_signature)?;
    digest_of_name(&found.digest)
}

/// The bundle that the manifest of a signature names: its digest and size.
pub fn signature_layer(place: &str, bytes: &[u8]) -> Result<PackageLayer, DistributionError> {
    let malformed = |reason: String| DistributionError::malformed(place, "the referrer", reason);
    let manifest: OciManifest =
        serde_json::from_slice(bytes).map_err(|error| malformed(describe_decoding(&error)))?;
    let layer = manifest.layers.first();
    let layer = layer.and_then(|it| {
        Some(PackageLayer {
            path: MODEL_SIGNATURE_FILE.to_owned(),
            sha256: digest_of_name(&it.digest)?,
            size: it.size,
        })
    });
    layer.ok_or_else(|| malformed("it has no layer".to_owned()))
}

/// The files that an OCI manifest names.
///
/// # Errors
///
/// It is no manifest of a package: another type, layers without paths, paths that lead elsewhere, or
/// digests of another kind.
pub fn package_layers(place: &str, bytes: &[u8]) -> Result<Vec<PackageLayer>, DistributionError> {
    let wrong = |reason: String| DistributionError::malformed(place, "the OCI manifest", reason);
    let manifest: OciManifest =
        serde_json::from_slice(bytes).map_err(|error| wrong(describe_decoding(&error)))?;
    let found = manifest.artifact_type.unwrap_or_default();
    if found != ARTIFACT_TYPE {
        return Err(wrong(format!(
            "expected the artifact type {ARTIFACT_TYPE}, found `{}`",
            found.escape_debug()
        )));
    }
    let mut layers = Vec::with_capacity(manifest.layers.len());
    for layer in &manifest.layers {
        let named = |key: &str| layer.annotations.get(key);
        let path = match (named(FILE_PATH), named(TITLE)) {
            (Some(one), Some(other)) if one != other => {
                return Err(wrong(format!(
                    "a layer has two paths, {one:?} and {other:?}"
                )));
            }
            (Some(path), _) | (None, Some(path)) => path.clone(),
            (None, None) => return Err(wrong(format!("the layer {} has no path", layer.digest))),
        };
        let sha256 = digest_of_name(&layer.digest).ok_or_else(|| {
            wrong(format!(
                "`{path}`: expected `sha256:` and 64 digits, found {:?}",
                layer.digest
            ))
        })?;
        let size = layer.size;
        layers.push(PackageLayer { path, sha256, size });
    }
    let paths = layers.iter().map(|layer| layer.path.as_str());
    check_paths(paths).map_err(|problem| DistributionError::Path {
        place: place.to_owned(),
        problem,
    })?;
    Ok(layers)
}
