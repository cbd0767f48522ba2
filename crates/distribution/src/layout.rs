//! An OCI image layout: a folder of blobs with an index, as skopeo and other tools read and write it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use openlora_core::atomic::{self, FileAccess, replace_file};
use openlora_package::{Package, manifest::Digest};

use super::{
    error::DistributionError,
    limits::LARGEST_OCI,
    modelpack::{
        ARTIFACT_TYPE, EMPTY_CONFIG, INDEX_TYPE, MANIFEST_TYPE, OciDescriptor, OciIndex,
        OciManifest, PackageArtifact, REF_NAME, SIGNATURE_TYPE, digest_of_name, index_descriptor,
        manifest_descriptor, referrer_entry, referrers_tag,
    },
};

const LAYOUT_FILE: &str = "oci-layout";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX_FILE: &str = "index.json";
/// Manifests without a tag that are read to find what refers to a package.
const MOST_REFERRERS: usize = 256;

/// A layout that is read.
#[derive(Clone, Debug)]
pub(crate) struct LayoutReader {
    dir: PathBuf,
}

impl LayoutReader {
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    pub fn blob(&self, digest: Digest) -> PathBuf {
        blob(&self.dir, digest)
    }

    /// The bytes of the manifest under a tag; of a layout with one manifest without a tag, of that.
    pub fn manifest(&self, tag: &str) -> Result<Vec<u8>, DistributionError> {
        let place = format!("oci-layout:{}", self.dir.display());
        if !self.dir.join(LAYOUT_FILE).is_file() {
            return Err(DistributionError::missing(place, LAYOUT_FILE));
        }
        let index = read_index(&self.dir)?;
        let tagged =
            |it: &&OciDescriptor| it.annotations.get(REF_NAME).is_some_and(|name| name == tag);
        let found = index.manifests.iter().find(tagged);
        let mut packages = index.manifests.iter().filter(|it| !is_of_referrers(it));
        let found = match (found, packages.next(), packages.next()) {
            (Some(found), ..) => found,
            (None, Some(one), None) if !one.annotations.contains_key(REF_NAME) => one,
            _ => return Err(DistributionError::missing(place, format!("tag `{tag}`"))),
        };
        self.document(found)
    }

    /// What refers to a manifest: the index under the tag that stands for it, and what the layout's own
    /// index lists without a tag, as other tools write it.
    pub fn referrers(&self, subject: Digest) -> Result<OciIndex, DistributionError> {
        let index = read_index(&self.dir)?;
        let tag = referrers_tag(subject);
        let name = |it: &OciDescriptor| it.annotations.get(REF_NAME).cloned();
        let mut found = OciIndex::default();
        let tagged = index.manifests.iter();
        let tagged =
            tagged.filter(|it| it.media_type == INDEX_TYPE && name(it).as_ref() == Some(&tag));
        for entry in tagged {
            let bytes = self.document(entry)?;
            let listed: OciIndex = serde_json::from_slice(&bytes).map_err(|error| {
                DistributionError::malformed(self.place(), "the index of referrers", error)
            })?;
            found.manifests.extend(listed.manifests);
        }
        let others = index.manifests.iter();
        let others = others.filter(|it| name(it).is_none() && it.media_type == MANIFEST_TYPE);
        for entry in others.take(MOST_REFERRERS) {
            let bytes = self.document(entry)?;
            let Ok(manifest) = serde_json::from_slice::<OciManifest>(&bytes) else {
                continue;
            };
            let about = manifest.subject.and_then(|it| digest_of_name(&it.digest));
            if about == Some(subject) {
                found.manifests.push(OciDescriptor {
                    artifact_type: manifest.artifact_type,
                    ..entry.clone()
                });
            }
        }
        Ok(found)
    }

    /// The bytes of a manifest by its digest.
    pub fn manifest_by_digest(&self, digest: Digest) -> Result<Vec<u8>, DistributionError> {
        self.checked(digest)
    }

    fn place(&self) -> String {
        format!("oci-layout:{}", self.dir.display())
    }

    fn document(&self, entry: &OciDescriptor) -> Result<Vec<u8>, DistributionError> {
        let expected = digest_of_name(&entry.digest).ok_or_else(|| {
            let reason = format!("expected `sha256:` and 64 digits, found {:?}", entry.digest);
            DistributionError::malformed(self.place(), INDEX_FILE, reason)
        })?;
        self.checked(expected)
    }

    fn checked(&self, expected: Digest) -> Result<Vec<u8>, DistributionError> {
        let place = self.place();
        let bytes = read_small(&self.blob(expected))?;
        let found = Digest::hash_bytes(&bytes);
        match found == expected {
            true => Ok(bytes),
            false => Err(DistributionError::Content {
                place,
                what: "the OCI manifest".to_owned(),
                expected,
                found,
            }),
        }
    }
}

/// Whether an entry is there for what refers to a package, and is none itself.
fn is_of_referrers(entry: &OciDescriptor) -> bool {
    let is_signature = entry.artifact_type.as_deref() == Some(SIGNATURE_TYPE);
    let tag = entry.annotations.get(REF_NAME);
    let is_index = tag.is_some_and(|tag| tag.starts_with("sha256-"));
    is_signature || (entry.media_type == INDEX_TYPE && is_index)
}

fn blob(dir: &Path, digest: Digest) -> PathBuf {
    dir.join("blobs").join("sha256").join(digest.to_string())
}

fn read_small(path: &Path) -> Result<Vec<u8>, DistributionError> {
    let meta = fs::symlink_metadata(path).map_err(DistributionError::io("read", path))?;
    if !meta.is_file() {
        let reason = "expected a plain file, no link";
        return Err(DistributionError::malformed(
            path.display(),
            "the file",
            reason,
        ));
    }
    let found = meta.len();
    if found > LARGEST_OCI {
        return Err(DistributionError::TooLarge {
            what: path.display().to_string(),
            found,
            limit: LARGEST_OCI,
        });
    }
    fs::read(path).map_err(DistributionError::io("read", path))
}

fn read_index(dir: &Path) -> Result<OciIndex, DistributionError> {
    let path = dir.join(INDEX_FILE);
    let bytes = read_small(&path)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| DistributionError::malformed(path.display(), "the index", error))
}

/// Adds a package to a layout, which is made when it is not there.
///
/// # Errors
///
/// The folder holds something else, or cannot be written.
pub(crate) fn write_layout(
    dir: &Path,
    tag: &str,
    package: &Package,
    artifact: &PackageArtifact,
) -> Result<(), DistributionError> {
    let is_layout = dir.join(LAYOUT_FILE).is_file();
    let is_empty = |dir: &Path| fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if dir.exists() && !is_layout && !is_empty(dir) {
        return Err(DistributionError::Occupied {
            path: dir.to_owned(),
            reason: "it holds other files, so no layout is written there",
        });
    }
    let blobs = dir.join("blobs").join("sha256");
    fs::create_dir_all(&blobs).map_err(DistributionError::io("make", &blobs))?;
    let put = |path: &Path, bytes: &[u8]| {
        let written = replace_file(path, bytes, FileAccess::Everyone);
        written.map_err(DistributionError::io("write", path))
    };
    for layer in &artifact.layers {
        let target = blob(dir, layer.sha256);
        if !target.is_file() {
            let source = package.dir.join(&layer.path);
            let bytes = fs::read(&source).map_err(DistributionError::io("read", &source))?;
            put(&target, &bytes)?;
        }
    }
    for bytes in [&artifact.config, &artifact.manifest] {
        put(&blob(dir, Digest::hash_bytes(bytes)), bytes)?;
    }
    let mut index = match is_layout {
        true => read_index(dir)?,
        false => OciIndex::default(),
    };
    let name = |it: &OciDescriptor| it.annotations.get(REF_NAME).cloned();
    index
        .manifests
        .retain(|it| name(it).as_deref() != Some(tag));
    let mut entry = manifest_descriptor(&artifact.manifest, ARTIFACT_TYPE);
    entry
        .annotations
        .insert(REF_NAME.to_owned(), tag.to_owned());
    index.manifests.push(entry);
    if let Some(referrer) = &artifact.referrer {
        put(&blob(dir, Digest::hash_bytes(EMPTY_CONFIG)), EMPTY_CONFIG)?;
        put(&blob(dir, Digest::hash_bytes(referrer)), referrer)?;
        let reader = LayoutReader::new(dir);
        add_referrer(&mut index, &reader, artifact.digest(), referrer, &put)?;
    }
    let bytes = serde_json::to_vec(&index)
        .map_err(|error| DistributionError::malformed(dir.display(), "the index", error))?;
    put(&dir.join(INDEX_FILE), &bytes)?;
    put(&dir.join(LAYOUT_FILE), LAYOUT)
}

/// Writes a file of a layout.
type PutFn<'a> = &'a dyn Fn(&Path, &[u8]) -> Result<(), DistributionError>;

/// Lists a signature in the index of a layout, and in the index under the tag that stands for its
/// subject.
fn add_referrer(
    index: &mut OciIndex,
    reader: &LayoutReader,
    subject: Digest,
    referrer: &[u8],
    put: PutFn<'_>,
) -> Result<(), DistributionError> {
    let entry = referrer_entry(referrer);
    if !index.manifests.iter().any(|it| it.digest == entry.digest) {
        index.manifests.push(entry.clone());
    }
    let tag = referrers_tag(subject);
    let is_tagged = |it: &OciDescriptor| it.annotations.get(REF_NAME) == Some(&tag);
    let mut listed = OciIndex::default();
    // What others refer to stays.
    if let Some(known) = index.manifests.iter().find(|it| is_tagged(it)) {
        let bytes = reader.document(known)?;
        listed = serde_json::from_slice(&bytes).map_err(|error| {
            DistributionError::malformed(reader.place(), "the index of referrers", error)
        })?;
    }
    if !listed.manifests.iter().any(|it| it.digest == entry.digest) {
        listed.manifests.push(entry);
    }
    let bytes = serde_json::to_vec(&listed).map_err(|error| {
        DistributionError::malformed(reader.place(), "the index of referrers", error)
    })?;
    put(&reader.blob(Digest::hash_bytes(&bytes)), &bytes)?;
    let mut tagged = index_descriptor(&bytes);
    tagged.annotations.insert(REF_NAME.to_owned(), tag.clone());
    index.manifests.retain(|it| !is_tagged(it));
    index.manifests.push(tagged);
    Ok(())
}

/// Copies the files of a package to a folder, which is replaced if it is the same package.
pub fn copy_package(package: &Package, dir: &Path) -> Result<(), DistributionError> {
    let is_same = openlora_package::read(dir)
        .is_ok_and(|there| there.manifest_sha256 == package.manifest_sha256);
    if dir.exists() && !is_same {
        return Err(DistributionError::Occupied {
            path: dir.to_owned(),
            reason: "it is there already, and is not this package",
        });
    }
    let parent = atomic::parent(dir);
    let draft = atomic::FolderDraft::in_folder(parent);
    let draft = draft.map_err(DistributionError::io("write in", parent))?;
    let ours = [
        openlora_package::MANIFEST_FILE,
        openlora_package::ENVELOPE_FILE,
        openlora_package::MODEL_SIGNATURE_FILE,
    ];
    let files = package.manifest.files.iter().map(|file| file.path.as_str());
    for path in ours.into_iter().chain(files) {
        let source = package.dir.join(path);
        if fs::symlink_metadata(&source).is_err() && ours.contains(&path) {
            continue;
        }
        let target = draft.path().join(path);
        let folder = atomic::parent(&target);
        fs::create_dir_all(folder).map_err(DistributionError::io("make", folder))?;
        fs::copy(&source, &target).map_err(DistributionError::io("copy", &source))?;
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(&target, readable)
            .and_then(|()| fs::File::open(&target)?.sync_all())
            .map_err(DistributionError::io("write", &target))?;
    }
    draft
        .open_to_everyone()
        .and_then(|()| draft.replace(dir))
        .map_err(DistributionError::io("write", dir))
}
