//! Reads an OCI image layout into a folder. Nothing in it is trusted: digests and sizes are
//! compared, only files and folders are unpacked, and nothing leaves the folder.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read},
    os::unix::{ffi::OsStringExt, fs::PermissionsExt},
    path::{Component, Path, PathBuf},
};

use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use openlora_core::error::describe_decoding;

use crate::{
    ContainerError,
    folders::open_folder,
    layout::{
        BlobDescriptor, CONFIG_TYPE, INDEX_TYPE, ImageConfig, ImageIndex, ImageManifest,
        LAYER_TYPE, LayoutVersion, MANIFEST_TYPE, REF_NAME, VERSION, blob_path, digest_of,
    },
};

/// Largest JSON document of a layout.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Most entries of a layer.
const MOST_ENTRIES: usize = 20_000;

/// Longest path in a layer, in bytes.
const LONGEST_PATH: u64 = 4096;

/// An image whose layers are in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackedImage {
    pub root: PathBuf,
    pub config: ImageConfig,
    /// Of the manifest.
    pub digest: String,
}

/// The processor of this machine as OCI names it.
pub fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Whether a folder is an image layout.
pub fn is_layout(dir: &Path) -> bool {
    dir.join("oci-layout").is_file()
}

/// Unpacks the image for this machine into `root`, which is empty. `most` bytes are unpacked at
/// most.
///
/// # Errors
///
/// What is damaged, what would lead outside, links and special files, and images for other
/// processors.
pub fn unpack(layout: &Path, root: &Path, most: u64) -> Result<UnpackedImage, ContainerError> {
    let reader = LayoutReader { dir: layout };
    let version: LayoutVersion = reader.document("oci-layout")?;
    if version.image_layout_version != VERSION {
        let found = &version.image_layout_version;
        return Err(reader.wrong(
            "oci-layout",
            format!("expected version {VERSION}, found {found}"),
        ));
    }
    let index: ImageIndex = reader.document("index.json")?;
    let manifest = reader.chosen(&index)?;
    let digest = manifest.digest.clone();
    let manifest: ImageManifest = reader.typed(manifest, MANIFEST_TYPE)?;
    let config: ImageConfig = reader.typed(&manifest.config, CONFIG_TYPE)?;
    let (layers, ids) = (&manifest.layers, &config.rootfs.diff_ids);
    if layers.len() != ids.len() {
        let reason = format!(
            "the manifest names {} layers, the configuration {}",
            layers.len(),
            ids.len()
        );
        return Err(reader.wrong("index.json", reason));
    }
    let mut left = most;
    for (layer, id) in layers.iter().zip(ids) {
        left = reader.layer(layer, id, root, left)?;
    }
    Ok(UnpackedImage {
        root: root.to_owned(),
        config,
        digest,
    })
}

struct LayoutReader<'a> {
    dir: &'a Path,
}

impl LayoutReader<'_> {
    fn wrong(&self, name: &str, reason: impl Into<String>) -> ContainerError {
        ContainerError::Layout {
            path: self.dir.join(name),
            reason: reason.into(),
        }
    }

    fn document<T: DeserializeOwned>(&self, name: &str) -> Result<T, ContainerError> {
        let path = self.dir.join(name);
        let file = open_plain(&path)?;
        let mut bytes = Vec::new();
        file.take(LARGEST_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(ContainerError::io("read", &path))?;
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(self.wrong(name, format!("longer than {LARGEST_DOCUMENT} bytes")));
        }
        serde_json::from_slice(&bytes).map_err(|error| self.wrong(name, describe_decoding(&error)))
    }

    /// The manifest for this machine.
    fn chosen<'i>(&self, index: &'i ImageIndex) -> Result<&'i BlobDescriptor, ContainerError> {
        let own = own_architecture();
        let fits = |it: &&BlobDescriptor| match &it.platform {
            None => true,
            Some(platform) => platform.os == "linux" && platform.architecture == own,
        };
        // A signature and the index that lists it are no images.
        let is_image = |it: &&BlobDescriptor| {
            let tag = it.annotations.get(REF_NAME);
            let is_index = tag.is_some_and(|tag| tag.starts_with("sha256-"));
            it.artifact_type.is_none() && !(it.media_type == INDEX_TYPE && is_index)
        };
        let mut fitting = index.manifests.iter().filter(is_image).filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(self.wrong("index.json", format!("no image for linux/{own}"))),
            (Some(_), Some(_)) => {
                Err(self.wrong("index.json", format!("several images for linux/{own}")))
            }
        }
    }

    fn blob(&self, blob: &BlobDescriptor) -> Result<PathBuf, ContainerError> {
        let digest = &blob.digest;
        let path = blob_path(self.dir, digest)
            .ok_or_else(|| self.wrong("index.json", format!("{digest:?} is no SHA-256")))?;
        let found = fs::symlink_metadata(&path).map_err(ContainerError::io("read", &path))?;
        match found.is_file() && found.len() == blob.size {
            true => Ok(path),
            false => Err(ContainerError::Layout {
                reason: format!(
                    "expected a file of {} bytes, found {}",
                    blob.size,
                    found.len()
                ),
                path,
            }),
        }
    }

    /// A JSON blob of a type.
    fn typed<T: DeserializeOwned>(
        &self,
        blob: &BlobDescriptor,
        media_type: &str,
    ) -> Result<T, ContainerError> {
        self.require_type(blob, media_type)?;
        let path = self.blob(blob)?;
        let wrong = |reason: String| ContainerError::Layout {
            path: path.clone(),
            reason,
        };
        if blob.size > LARGEST_DOCUMENT {
            return Err(wrong(format!("longer than {LARGEST_DOCUMENT} bytes")));
        }
        let bytes = fs::read(&path).map_err(ContainerError::io("read", &path))?;
        let found = digest_of(&bytes);
        if found != blob.digest {
            return Err(wrong(format!("expected {}, found {found}", blob.digest)));
        }
        serde_json::from_slice(&bytes).map_err(|error| wrong(describe_decoding(&error)))
    }

    fn require_type(&self, blob: &BlobDescriptor, expected: &str) -> Result<(), ContainerError> {
        let found = &blob.media_type;
        match found == expected {
            true => Ok(()),
            false => Err(self.wrong(
                "index.json",
                format!(
                    "{}: expected the type {expected}, found {found}",
                    blob.digest
                ),
            )),
        }
    }

    /// Unpacks one layer; returns how many bytes are left to unpack.
    fn layer(
        &self,
        blob: &BlobDescriptor,
        diff_id: &str,
        root: &Path,
        left: u64,
    ) -> Result<u64, ContainerError> {
        self.require_type(blob, LAYER_TYPE)?;
        let path = self.blob(blob)?;
        let wrong = |reason: String| ContainerError::Layout {
            path: path.clone(),
            reason,
        };
        let failed = |error: io::Error| wrong(error.to_string());
        let mut packed = HashedReader::new(open_plain(&path)?, u64::MAX);
        let mut archive = HashedReader::new(GzDecoder::new(&mut packed), left);
        unpack_entries(&mut archive, root).map_err(&wrong)?;
        // Padding after the last entry belongs to the digest.
        io::copy(&mut archive, &mut io::sink()).map_err(failed)?;
        let (read, found) = archive.finish();
        if found != diff_id {
            return Err(wrong(format!(
                "expected the content {diff_id}, found {found}"
            )));
        }
        io::copy(&mut packed, &mut io::sink()).map_err(failed)?;
        let (_, found) = packed.finish();
        match found == blob.digest {
            true => Ok(left.saturating_sub(read)),
            false => Err(wrong(format!("expected {}, found {found}", blob.digest))),
        }
    }
}

/// A file that is no link.
fn open_plain(path: &Path) -> Result<fs::File, ContainerError> {
    let found = fs::symlink_metadata(path).map_err(ContainerError::io("read", path))?;
    if !found.is_file() {
        return Err(ContainerError::Layout {
            path: path.to_owned(),
            reason: "expected a file".to_owned(),
        });
    }
    fs::File::open(path).map_err(ContainerError::io("read", path))
}

/// Hashes what is read, and stops after `left` bytes.
struct HashedReader<R> {
    inner: R,
    hash: Sha256,
    read: u64,
    left: u64,
}

impl<R: Read> HashedReader<R> {
    fn new(inner: R, left: u64) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            read: 0,
            left,
        }
    }

    fn finish(self) -> (u64, String) {
        let digest = format!("sha256:{}", hex::encode(self.hash.finalize()));
        (self.read, digest)
    }
}

impl<R: Read> Read for HashedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.read += count as u64;
        match self.read > self.left {
            true => Err(io::Error::other("it unpacks to more than is allowed")),
            false => Ok(count),
        }
    }
}

fn unpack_entries(archive: &mut impl Read, root: &Path) -> Result<(), String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().map_err(|error| error.to_string())?;
    let mut long_path = None;
    // Long paths are read here, because the archive's reader would read them without a bound.
    for (number, entry) in entries.raw(true).enumerate() {
        if number >= MOST_ENTRIES {
            return Err(format!("more than {MOST_ENTRIES} entries"));
        }
        let mut entry = entry.map_err(|error| error.to_string())?;
        if entry.header().entry_type().is_gnu_longname() {
            long_path = Some(path_of(&mut entry)?);
            continue;
        }
        let path = match long_path.take() {
            Some(path) => path,
            None => entry
                .path()
                .map_err(|error| error.to_string())?
                .into_owned(),
        };
        let shown = path.display().to_string();
        let target = inside(root, &path).ok_or_else(|| format!("{shown:?} leads outside"))?;
        let kind = entry.header().entry_type();
        let done = if kind.is_dir() {
            open_folder(root, &path).map(drop)
        } else if kind.is_file() {
            let mode = entry.header().mode().unwrap_or(0);
            let parent = path.parent().unwrap_or(Path::new(""));
            open_folder(root, parent).and_then(|_| write_entry(&mut entry, &target, mode))
        } else {
            return Err(format!("{shown:?} is neither a file nor a folder"));
        };
        done.map_err(|error| format!("{shown:?}: {error}"))?;
    }
    Ok(())
}

/// The path that an entry of its own holds for the next one (GNU tar), with or without a final NUL.
fn path_of(entry: &mut impl Read) -> Result<PathBuf, String> {
    let mut bytes = Vec::new();
    entry
        .take(LONGEST_PATH + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST_PATH {
        return Err(format!("a path is longer than {LONGEST_PATH} bytes"));
    }
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

/// A path below the root. There are no links there, because none is unpacked.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut target = root.to_owned();
    for part in path.components() {
        match part {
            Component::Normal(part) if !part.to_string_lossy().starts_with(".wh.") => {
                target.push(part);
            }
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(target)
}

/// A file that everyone may read, and run if its owner may.
fn write_entry(entry: &mut impl Read, target: &Path, mode: u32) -> io::Result<()> {
    // A second entry of that name is refused.
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(target)?;
    io::copy(entry, &mut file)?;
    let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
    file.set_permissions(fs::Permissions::from_mode(mode))
}
