//! Where a package is, or is to be: a registry, a hub, a web folder, or a folder of this machine.
//!
//! Parsing decides the kind by the beginning of the text and checks its form. It reads nothing.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use openlora_package::manifest::Digest;

use super::origin::is_loopback_host;

/// The tag of a registry where none is named.
pub const DEFAULT_TAG: &str = "latest";

/// The revision of a hub where none is named.
pub const DEFAULT_REVISION: &str = "main";

/// Longest location in bytes.
const LONGEST: usize = 1024;

/// A place of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageLocation {
    /// `oci://HOST/REPOSITORY[:TAG|@sha256:HEX]`
    Registry(RegistryReference),
    /// `oci-layout:DIR[:TAG]`
    Layout { dir: PathBuf, tag: String },
    /// `hf://ORG/NAME[@REVISION]`
    Hub {
        repository: String,
        revision: String,
    },
    /// A URL of a folder that holds `openlora.json`.
    Web(String),
    /// A URL of a `.tar.gz` of such a folder.
    Archive(String),
    /// `dir:PATH`, or a path.
    Folder(PathBuf),
}

/// A repository of a registry, and what is meant in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryReference {
    /// The host, with its port if there is one.
    pub host: String,
    pub repository: String,
    pub version: RegistryVersion,
}

/// What a reference names in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryVersion {
    Tag(String),
    /// Digest of the OCI manifest.
    Pinned(Digest),
}

/// Why a text is no location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no place of a package: {reason}")]
pub struct LocationProblem {
    pub found: String,
    pub reason: String,
}

impl FromStr for PackageLocation {
    type Err = LocationProblem;

    fn from_str(text: &str) -> Result<Self, LocationProblem> {
        let refuse = |reason: String| LocationProblem {
            found: text.chars().take(200).collect(),
            reason,
        };
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            let reason = format!("expected 1 to {LONGEST} bytes without control characters");
            return Err(refuse(reason));
        }
        let parsed = if let Some(rest) = text.strip_prefix("oci://") {
            registry(rest).map(Self::Registry)
        } else if let Some(rest) = text.strip_prefix("oci-layout:") {
            layout(rest)
        } else if let Some(rest) = text.strip_prefix("hf://") {
            hub(rest)
        } else if text.starts_with("https://") || text.starts_with("http://") {
            web(text)
        } else if let Some(rest) = text.strip_prefix("dir:") {
            folder(rest)
        } else if let Some((scheme, _)) = text.split_once("://") {
            Err(format!(
                "unknown scheme `{scheme}`, expected oci://, hf://, https://, oci-layout:, dir: or a path"
            ))
        } else {
            folder(text)
        };
        parsed.map_err(refuse)
    }
}

fn registry(rest: &str) -> Result<RegistryReference, String> {
    let expected = "expected oci://HOST/REPOSITORY[:TAG|@sha256:HEX]";
    let (host, path) = rest.split_once('/').ok_or(expected)?;
    check_host(host)?;
    let (repository, version) = if let Some((repository, digest)) = path.split_once('@') {
        let hex = digest.strip_prefix("sha256:").and_then(Digest::of_hex);
        let digest = hex.ok_or("expected `@sha256:` and 64 lowercase hexadecimal digits")?;
        (repository, RegistryVersion::Pinned(digest))
    } else if let Some((repository, tag)) = path.rsplit_once(':') {
        check_tag(tag)?;
        (repository, RegistryVersion::Tag(tag.to_owned()))
    } else {
        (path, RegistryVersion::Tag(DEFAULT_TAG.to_owned()))
    };
    check_repository(repository)?;
    Ok(RegistryReference {
        host: host.to_ascii_lowercase(),
        repository: repository.to_owned(),
        version,
    })
}

fn check_host(host: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(&format!("https://{host}/"));
    let is_plain = url.is_ok_and(|url| {
        url.username().is_empty() && url.password().is_none() && url.path() == "/"
    });
    match is_plain && !host.is_empty() && !host.contains(['@', '?', '#', '\\']) {
        true => Ok(()),
        false => Err(format!(
            "expected a host, such as ghcr.io or localhost:5000, found `{host}`"
        )),
    }
}

/// The alphabet of repositories in the distribution specification.
fn check_repository(repository: &str) -> Result<(), String> {
    let is_part = |part: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        edge(part.bytes().next()) && edge(part.bytes().last()) && part.bytes().all(inner)
    };
    match repository.len() <= 255 && repository.split('/').all(is_part) {
        true => Ok(()),
        false => Err(format!(
            "expected a repository of lowercase letters, digits and any of . _ - /, found \
             `{repository}`"
        )),
    }
}

fn check_tag(tag: &str) -> Result<(), String> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let inner = |b: u8| letter(b) || b".-".contains(&b);
    let first = tag.bytes().next();
    match first.is_some_and(letter) && tag.len() <= 128 && tag.bytes().all(inner) {
        true => Ok(()),
        false => Err(format!(
            "expected a tag of at most 128 letters, digits and any of . _ -, found `{tag}`"
        )),
    }
}

fn layout(rest: &str) -> Result<PackageLocation, String> {
    // A colon in a folder's name is no tag.
    let (dir, tag) = match rest.rsplit_once(':') {
        Some((dir, tag)) if check_tag(tag).is_ok() => (dir, tag),
        _ => (rest, DEFAULT_TAG),
    };
    if dir.is_empty() {
        return Err("expected oci-layout:DIR[:TAG]".to_owned());
    }
    let (dir, tag) = (PathBuf::from(dir), tag.to_owned());
    Ok(PackageLocation::Layout { dir, tag })
}

fn hub(rest: &str) -> Result<PackageLocation, String> {
    let (repository, revision) = rest.split_once('@').unwrap_or((rest, DEFAULT_REVISION));
    let is_word = |word: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        !word.is_empty() && word.len() <= 96 && word.bytes().all(inner) && !word.starts_with('.')
    };
    let is_revision = !revision.is_empty() && revision.split('/').all(is_word);
    match repository.split_once('/') {
        Some((owner, name)) if is_word(owner) && is_word(name) && is_revision => {
            Ok(PackageLocation::Hub {
                repository: repository.to_owned(),
                revision: revision.to_owned(),
            })
        }
        _ => Err("expected hf://OWNER/NAME[@REVISION]".to_owned()),
    }
}

fn web(text: &str) -> Result<PackageLocation, String> {
    let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
    if url.host_str().is_none() {
        return Err("expected a URL with a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected a URL without a password in it".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected a URL without ? and #".to_owned());
    }
    if url.scheme() == "http" && !is_loopback_host(&url) {
        return Err("http:// is for this machine only, expected https://".to_owned());
    }
    let archive = [".tar.gz", ".tgz"];
    if archive.iter().any(|end| url.path().ends_with(end)) {
        return Ok(PackageLocation::Archive(url.to_string()));
    }
    let folder = url.as_str().trim_end_matches('/');
    let folder = folder.strip_suffix("/openlora.json").unwrap_or(folder);
    Ok(PackageLocation::Web(folder.to_owned()))
}

fn folder(path: &str) -> Result<PackageLocation, String> {
    match path.is_empty() {
        true => Err("expected dir:PATH".to_owned()),
        false => Ok(PackageLocation::Folder(PathBuf::from(path))),
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.host, self.repository)?;
        match &self.version {
            RegistryVersion::Tag(tag) => write!(f, ":{tag}"),
            RegistryVersion::Pinned(digest) => write!(f, "@sha256:{digest}"),
        }
    }
}

impl fmt::Display for PackageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::Layout { dir, tag } => write!(f, "oci-layout:{}:{tag}", dir.display()),
            Self::Hub {
                repository,
                revision,
            } => write!(f, "hf://{repository}@{revision}"),
            Self::Web(url) | Self::Archive(url) => f.write_str(url),
            Self::Folder(path) => write!(f, "dir:{}", path.display()),
        }
    }
}

impl PackageLocation {
    /// Whether other machines can read it.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Layout { .. } | Self::Folder(_))
    }

    /// Whether its host is this machine; folders are.
    pub fn is_on_this_machine(&self) -> bool {
        let local = |url: &str| reqwest::Url::parse(url).is_ok_and(|url| is_loopback_host(&url));
        match self {
            Self::Registry(it) => local(&format!("https://{}/", it.host)),
            Self::Web(url) | Self::Archive(url) => local(url),
            Self::Hub { .. } => false,
            Self::Layout { .. } | Self::Folder(_) => true,
        }
    }

    /// Whether the content behind it can change: a tag, a branch, a URL.
    pub fn is_movable(&self) -> bool {
        match self {
            Self::Registry(it) => matches!(it.version, RegistryVersion::Tag(_)),
            Self::Hub { revision, .. } => {
                revision.len() != 40 || !revision.bytes().all(|b| b.is_ascii_hexdigit())
            }
            Self::Web(_) | Self::Archive(_) | Self::Layout { .. } | Self::Folder(_) => true,
        }
    }

    /// The same, with folders below `dir` where they are relative.
    #[must_use]
    pub fn in_folder(self, dir: &Path) -> Self {
        match self {
            Self::Folder(path) => Self::Folder(without_parents(&dir.join(path))),
            Self::Layout { dir: path, tag } => Self::Layout {
                dir: without_parents(&dir.join(path)),
                tag,
            },
            remote => remote,
        }
    }
}

/// A path that does not lead up again: a place is known by its path, and is shown to people. One whose
/// parent does not exist stays as it is.
fn without_parents(path: &Path) -> PathBuf {
    if !path.components().any(|it| it == Component::ParentDir) {
        return path.to_owned();
    }
    let of_parent = || {
        let parent = path.parent()?.canonicalize().ok()?;
        Some(parent.join(path.file_name()?))
    };
    let found = path.canonicalize().ok().or_else(of_parent);
    found.unwrap_or_else(|| path.to_owned())
}
