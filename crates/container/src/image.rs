//! Writes a container image of the program and a package: an OCI image layout, without a daemon.
//!
//! The same program, package and time give the same bytes: entries are sorted, owners are numbers,
//! compression records no time.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::{Compression, GzBuilder};
use openlora_core::atomic;
use openlora_package::{ENVELOPE_FILE, MANIFEST_FILE, MODEL_SIGNATURE_FILE, Package};

use crate::{
    ContainerError, HOME, PACKAGE, PROGRAM, SOCKET_DIR,
    elf::{self, ElfProgram},
    layout::{
        BlobDescriptor, CONFIG_TYPE, EMPTY_TYPE, INDEX_TYPE, ImageConfig, ImageHistory, ImageIndex,
        ImageManifest, ImagePlatform, LAYER_TYPE, LayoutWriter, MANIFEST_TYPE, REF_NAME, RootFiles,
        RunConfig, SIGNATURE_TYPE, TITLE, digest_of,
    },
    limits::CONTAINER_USER,
};

/// What an image is made of.
pub struct ImageParts<'a> {
    pub package: &'a Package,
    /// The program for Linux.
    pub program: &'a Path,
    /// Seconds since 1970 for every time in the image.
    pub created: u64,
    /// The arguments of the program.
    pub arguments: Vec<String>,
    pub labels: BTreeMap<String, String>,
}

/// A written image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenImage {
    pub dir: PathBuf,
    /// Of the manifest.
    pub digest: String,
    pub architecture: String,
    pub layers: Vec<WrittenLayer>,
    /// Bytes of all blobs.
    pub size: u64,
    /// The machine's libraries that the image has, because the program is not static.
    pub libraries: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenLayer {
    pub content: &'static str,
    pub digest: String,
    /// Bytes as stored.
    pub size: u64,
}

/// The content of one layer.
struct LayerFiles {
    content: &'static str,
    created_by: String,
    files: BTreeMap<String, LayerFile>,
    /// Folders with their modes and owners, besides those that files are in.
    folders: Vec<LayerFolder>,
}

struct LayerFile {
    bytes: Vec<u8>,
    mode: u32,
}

struct LayerFolder {
    path: &'static str,
    mode: u32,
    owner: u32,
}

/// Writes the image into `dir`, which it replaces if it is an image layout.
///
/// # Errors
///
/// A program that is none for Linux, or whose libraries are not here; a changed package; a folder
/// with other content.
pub fn write_image(dir: &Path, parts: &ImageParts<'_>) -> Result<WrittenImage, ContainerError> {
    require_replaceable(dir)?;
    parts.package.check_files()?;
    let read = |path: &Path| fs::read(path).map_err(ContainerError::io("read", path));
    let bytes = read(parts.program)?;
    let program = elf::read(parts.program, &bytes)?;
    let libraries = libraries(parts.program, &program)?;
    let mut layers = vec![system_layer(&libraries, parts)?];
    layers.push(LayerFiles {
        content: "program",
        created_by: format!("openlora {}", env!("CARGO_PKG_VERSION")),
        files: BTreeMap::from([(
            relative(PROGRAM),
            LayerFile {
                bytes: elf::loaded_part(&program, &bytes),
                mode: 0o755,
            },
        )]),
        folders: Vec::new(),
    });
    layers.push(package_layer(parts.package)?);
    let parent = atomic::parent(dir);
    fs::create_dir_all(parent).map_err(ContainerError::io("create", parent))?;
    let mut written = write_layout(dir, parts, &program, &layers)?;
    written.libraries = libraries.into_iter().map(|(_, source)| source).collect();
    Ok(written)
}

fn relative(path: &str) -> String {
    path.trim_start_matches('/').to_owned()
}

/// Only an image layout, an empty folder or nothing is replaced.
fn require_replaceable(dir: &Path) -> Result<(), ContainerError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ContainerError::io("read", dir)(error)),
    };
    let known = ["blobs", "index.json", "oci-layout"];
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let names = names.map(|name| name.to_string_lossy().into_owned());
    match names.filter(|name| !known.contains(&name.as_str())).min() {
        None => Ok(()),
        Some(found) => Err(ContainerError::Occupied {
            path: dir.to_owned(),
            found,
        }),
    }
}

/// The libraries of a program that is not static, as its loader finds them on this machine: where
/// the program expects each, and where it is. None for a static program.
///
/// # Errors
///
/// The loader or a library is not on this machine.
pub fn libraries(
    path: &Path,
    program: &ElfProgram,
) -> Result<Vec<(PathBuf, PathBuf)>, ContainerError> {
    let Some(loader) = &program.loader else {
        return Ok(Vec::new());
    };
    let missing = |what: String| ContainerError::Program {
        path: path.to_owned(),
        reason: format!(
            "it is not static, it needs {}: {what}",
            program.needed.join(", ")
        ),
    };
    // It is run here, and a file from elsewhere could name any program as its loader.
    let name = loader.file_name().unwrap_or_default().to_string_lossy();
    if !loader.is_absolute() || !name.starts_with("ld") {
        return Err(missing(format!("{} is no loader", loader.display())));
    }
    let listed = Command::new(loader)
        .arg("--list")
        .arg(path)
        .output()
        .map_err(|error| missing(format!("{}: {error}", loader.display())))?;
    let text = String::from_utf8_lossy(&listed.stdout);
    if !listed.status.success() {
        return Err(missing(
            String::from_utf8_lossy(&listed.stderr).trim().to_owned(),
        ));
    }
    let mut found = BTreeMap::from([(loader.clone(), loader.clone())]);
    for line in text.lines() {
        let line = line.trim();
        let (name, place) = line.split_once(" => ").unwrap_or(("", line));
        let place = place.split(" (0x").next().unwrap_or_default();
        if place.starts_with('/') {
            found.insert(PathBuf::from(place), PathBuf::from(place));
        } else if !name.is_empty() {
            return Err(missing(format!("{name} is not on this machine")));
        }
    }
    Ok(found.into_iter().collect())
}

/// Folders to mount on, names of users, and the libraries if there are any.
fn system_layer(
    libraries: &[(PathBuf, PathBuf)],
    parts: &ImageParts<'_>,
) -> Result<LayerFiles, ContainerError> {
    let mut files = BTreeMap::new();
    let mut add = |path: String, bytes: Vec<u8>, mode| {
        files.insert(path, LayerFile { bytes, mode });
    };
    let user = CONTAINER_USER;
    let passwd = format!("openlora:x:{user}:{user}::{HOME}:{PROGRAM}\n");
    add("etc/passwd".to_owned(), passwd.into_bytes(), 0o644);
    let group = format!("openlora:x:{user}:\n");
    add("etc/group".to_owned(), group.into_bytes(), 0o644);
    for (target, source) in libraries {
        let bytes = fs::read(source).map_err(ContainerError::io("read", source))?;
        add(relative(&target.to_string_lossy()), bytes, 0o755);
    }
    if !libraries.is_empty() {
        for package in ["libc6", "libgcc-s1"] {
            let path = format!("/usr/share/doc/{package}/copyright");
            if let Ok(text) = fs::read(&path) {
                add(relative(&path), text, 0o644);
            }
        }
    }
    let folder = |path, mode, owner| LayerFolder { path, mode, owner };
    Ok(LayerFiles {
        content: match libraries.is_empty() {
            true => "folders",
            false => "folders and libraries of this machine",
        },
        created_by: format!("openlora package --image, at {}", parts.created),
        files,
        folders: vec![
            folder("base", 0o755, 0),
            folder("dev", 0o755, 0),
            folder(&HOME[1..], 0o700, user),
            folder("proc", 0o755, 0),
            folder(&SOCKET_DIR[1..], 0o755, user),
            folder("sys", 0o755, 0),
            folder("tmp", 0o1777, 0),
        ],
    })
}

/// The manifest, its signatures and the files that it names.
fn package_layer(package: &Package) -> Result<LayerFiles, ContainerError> {
    let signatures = [ENVELOPE_FILE, MODEL_SIGNATURE_FILE];
    let present = signatures
        .into_iter()
        .filter(|name| package.dir.join(name).is_file());
    let named = package.manifest.files.iter().map(|it| it.path.as_str());
    let mut files = BTreeMap::new();
    for name in named.chain([MANIFEST_FILE]).chain(present) {
        let path = package.dir.join(name);
        let bytes = fs::read(&path).map_err(ContainerError::io("read", &path))?;
        let place = format!("{}/{name}", relative(PACKAGE));
        files.insert(place, LayerFile { bytes, mode: 0o644 });
    }
    let manifest = &package.manifest;
    Ok(LayerFiles {
        content: "package",
        created_by: format!("{} {}", manifest.name, manifest.version),
        files,
        folders: Vec::new(),
    })
}

fn write_layout(
    dir: &Path,
    parts: &ImageParts<'_>,
    program: &ElfProgram,
    layers: &[LayerFiles],
) -> Result<WrittenImage, ContainerError> {
    let writer = LayoutWriter::new(atomic::parent(dir))?;
    let created = timestamp(parts.created);
    let mut blobs: Vec<BlobDescriptor> = Vec::new();
    let mut diff_ids = Vec::new();
    for layer in layers {
        let archive = archive(layer, parts.created)?;
        diff_ids.push(digest_of(&archive));
        blobs.push(writer.blob(LAYER_TYPE, &compressed(&archive)?)?);
    }
    let platform = ImagePlatform {
        architecture: program.architecture.to_owned(),
        os: "linux".to_owned(),
    };
    let mut entrypoint = vec![PROGRAM.to_owned()];
    entrypoint.extend(parts.arguments.iter().cloned());
    let history = layers.iter().map(|layer| ImageHistory {
        created: created.clone(),
        created_by: layer.created_by.clone(),
    });
    let config = ImageConfig {
        created: created.clone(),
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        config: RunConfig {
            user: format!("{CONTAINER_USER}:{CONTAINER_USER}"),
            env: environment(),
            entrypoint,
            working_dir: "/".to_owned(),
            labels: parts.labels.clone(),
        },
        rootfs: RootFiles {
            kind: "layers".to_owned(),
            diff_ids,
        },
        history: history.collect(),
    };
    let config = writer.json_blob(CONFIG_TYPE, &config)?;
    let mut size = config.size + blobs.iter().map(|blob| blob.size).sum::<u64>();
    let layers = layers.iter().zip(&blobs).map(|(layer, blob)| WrittenLayer {
        content: layer.content,
        digest: blob.digest.clone(),
        size: blob.size,
    });
    let layers = layers.collect();
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE.to_owned(),
        artifact_type: None,
        config,
        layers: blobs,
        subject: None,
        annotations: parts.labels.clone(),
    };
    let mut named = writer.json_blob(MANIFEST_TYPE, &manifest)?;
    size += named.size;
    let digest = named.digest.clone();
    named.platform = Some(platform);
    let version = parts.package.manifest.version.clone();
    named.annotations.insert(REF_NAME.to_owned(), version);
    let mut manifests = vec![named.clone()];
    let signature = parts.package.dir.join(MODEL_SIGNATURE_FILE);
    if parts.package.model_signature.is_some() {
        let bytes = fs::read(&signature).map_err(ContainerError::io("read", &signature))?;
        manifests.extend(signature_entries(&writer, &named, &bytes)?);
    }
    let index = index_of(manifests);
    writer.finish(&index, dir)?;
    Ok(WrittenImage {
        dir: dir.to_owned(),
        digest,
        architecture: program.architecture.to_owned(),
        layers,
        size,
        libraries: Vec::new(),
    })
}

fn index_of(manifests: Vec<BlobDescriptor>) -> ImageIndex {
    ImageIndex {
        schema_version: 2,
        media_type: INDEX_TYPE.to_owned(),
        manifests,
    }
}

/// The entries by which the package's signature is found from the image: its manifest, which refers
/// to the image, and the index under the tag that stands for the image.
fn signature_entries(
    writer: &LayoutWriter,
    image: &BlobDescriptor,
    bundle: &[u8],
) -> Result<[BlobDescriptor; 2], ContainerError> {
    let title = BTreeMap::from([(TITLE.to_owned(), MODEL_SIGNATURE_FILE.to_owned())]);
    let layer = BlobDescriptor {
        annotations: title.clone(),
        ..writer.blob(SIGNATURE_TYPE, bundle)?
    };
    let subject = BlobDescriptor {
        platform: None,
        annotations: BTreeMap::new(),
        ..image.clone()
    };
    let tag = subject.digest.replacen(':', "-", 1);
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE.to_owned(),
        artifact_type: Some(SIGNATURE_TYPE.to_owned()),
        config: writer.blob(EMPTY_TYPE, b"{}")?,
        layers: vec![layer],
        subject: Some(subject),
        annotations: BTreeMap::new(),
    };
    let referrer = BlobDescriptor {
        artifact_type: Some(SIGNATURE_TYPE.to_owned()),
        annotations: title,
        ..writer.json_blob(MANIFEST_TYPE, &manifest)?
    };
    let listed = index_of(vec![referrer.clone()]);
    let tagged = BlobDescriptor {
        annotations: BTreeMap::from([(REF_NAME.to_owned(), tag)]),
        ..writer.json_blob(INDEX_TYPE, &listed)?
    };
    Ok([referrer, tagged])
}

/// The environment of the program inside.
pub fn environment() -> Vec<String> {
    vec![
        format!("HOME={HOME}"),
        format!("OPENLORA_HOME={HOME}"),
        "PATH=/usr/bin".to_owned(),
    ]
}

/// A layer as a tar archive, not compressed.
fn archive(layer: &LayerFiles, created: u64) -> Result<Vec<u8>, ContainerError> {
    let mut folders: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let paths = layer.files.keys().map(String::as_str);
    for path in paths.chain(layer.folders.iter().map(|it| it.path)) {
        for parent in Path::new(path).ancestors().skip(1) {
            let parent = parent.to_string_lossy().into_owned();
            if !parent.is_empty() {
                folders.insert(parent, (0o755, 0));
            }
        }
    }
    for folder in &layer.folders {
        folders.insert(folder.path.to_owned(), (folder.mode, folder.owner));
    }
    let mut out = tar::Builder::new(Vec::new());
    let failed = |error| ContainerError::io("pack", "a layer")(error);
    let entry = |kind, mode, owner: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.into());
        header.set_gid(owner.into());
        header.set_mtime(created);
        header
    };
    for (path, (mode, owner)) in &folders {
        let mut header = entry(tar::EntryType::Directory, *mode, *owner);
        header.set_size(0);
        let path = format!("{path}/");
        out.append_data(&mut header, path, std::io::empty())
            .map_err(failed)?;
    }
    for (path, file) in &layer.files {
        let mut header = entry(tar::EntryType::Regular, file.mode, 0);
        header.set_size(file.bytes.len() as u64);
        out.append_data(&mut header, path, file.bytes.as_slice())
            .map_err(failed)?;
    }
    out.into_inner().map_err(failed)
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>, ContainerError> {
    // 255: the system is unknown, so that every system writes the same.
    let header = GzBuilder::new().mtime(0).operating_system(255);
    let mut encoder = header.write(Vec::new(), Compression::new(6));
    let done = encoder.write_all(bytes).and_then(|()| encoder.finish());
    done.map_err(ContainerError::io("compress", "a layer"))
}

/// Seconds since 1970 in the form of RFC 3339, in UTC.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days from 1 March of year 0, in eras of 400 years (the proleptic Gregorian calendar).
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
