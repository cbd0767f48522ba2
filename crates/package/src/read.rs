//! Opens a package: lists its files and checks that its manifest accounts for all of them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{
    ENVELOPE_FILE, MANIFEST_FILE, MODEL_SIGNATURE_FILE,
    envelope::ReleaseEnvelope,
    error::{ManifestProblem, PackageError, StructureProblem},
    facts::hash,
    manifest::{Digest, LARGEST, Manifest},
    model_signature::ModelSignature,
    paths::check_paths,
};
use openlora_core::atomic;

/// Maximum number of files in a package.
const MOST: usize = 10_000;

/// A package with a valid structure; the contents of its files are not checked yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    pub dir: PathBuf,
    pub manifest: Manifest,
    /// Digest of the bytes of `openlora.json`.
    pub manifest_sha256: Digest,
    /// `None` for an unsigned package.
    pub envelope: Option<ReleaseEnvelope>,
    /// The content of `model.sig`, if there is one.
    pub model_signature: Option<ModelSignature>,
}

/// Opens a package.
///
/// # Errors
///
/// Links and special files, a manifest that is not canonical or valid, and missing or additional
/// files.
pub fn read(dir: &Path) -> Result<Package, PackageError> {
    atomic::recover_folder(dir).map_err(PackageError::io("recover", dir))?;
    let found = list(dir)?;
    let broken = |problem| PackageError::Structure {
        dir: dir.to_owned(),
        problem,
    };
    if !found.contains(MANIFEST_FILE) {
        return Err(broken(StructureProblem::NotAPackage(MANIFEST_FILE)));
    }
    let (bytes, manifest) = parse(dir, MANIFEST_FILE, Manifest::parse)?;
    let named: BTreeSet<&str> = manifest.files.iter().map(|f| f.path.as_str()).collect();
    if let Some(missing) = named.iter().find(|path| !found.contains(**path)) {
        return Err(broken(StructureProblem::Missing((*missing).to_owned())));
    }
    let ours = [MANIFEST_FILE, ENVELOPE_FILE, MODEL_SIGNATURE_FILE];
    let extra = |path: &&String| !named.contains(path.as_str()) && !ours.contains(&path.as_str());
    if let Some(extra) = found.iter().find(extra) {
        return Err(broken(StructureProblem::Extra(extra.clone())));
    }
    if let Some(ours) = ours.iter().find(|ours| named.contains(*ours)) {
        let problem = ManifestProblem::Field {
            field: "files".to_owned(),
            expected: "other files than the manifest and its signatures",
            found: (*ours).to_owned(),
        };
        let path = dir.join(MANIFEST_FILE);
        return Err(PackageError::Manifest { path, problem });
    }
    let envelope = found
        .contains(ENVELOPE_FILE)
        .then(|| parse(dir, ENVELOPE_FILE, ReleaseEnvelope::parse))
        .transpose()?;
    let model_signature = found
        .contains(MODEL_SIGNATURE_FILE)
        .then(|| parse(dir, MODEL_SIGNATURE_FILE, ModelSignature::parse))
        .transpose()?;
    Ok(Package {
        dir: dir.to_owned(),
        manifest,
        manifest_sha256: Digest::hash_bytes(&bytes),
        envelope: envelope.map(|(_, envelope)| envelope),
        model_signature: model_signature.map(|(_, signature)| signature),
    })
}

impl Package {
    /// Compares the size and the content of every file with the manifest.
    ///
    /// # Errors
    ///
    /// The first file that differs, or that cannot be read.
    pub fn check_files(&self) -> Result<(), PackageError> {
        let broken = |problem| PackageError::Structure {
            dir: self.dir.clone(),
            problem,
        };
        for file in &self.manifest.files {
            let (found, size) = hash(&self.dir.join(&file.path))?;
            let path = file.path.clone();
            if size != file.size.0 {
                let expected = file.size.0;
                return Err(broken(StructureProblem::Size {
                    path,
                    expected,
                    found: size,
                }));
            }
            if found != file.sha256 {
                return Err(broken(StructureProblem::Content {
                    path,
                    expected: file.sha256.to_string(),
                    found: found.to_string(),
                }));
            }
        }
        Ok(())
    }
}

fn parse<T>(
    dir: &Path,
    name: &str,
    parser: impl Fn(&[u8]) -> Result<T, ManifestProblem>,
) -> Result<(Vec<u8>, T), PackageError> {
    let path = dir.join(name);
    let length = fs::metadata(&path).map_err(PackageError::io("read", &path))?;
    let found = length.len();
    let fail = |problem| PackageError::Manifest {
        path: path.clone(),
        problem,
    };
    if found > LARGEST {
        let limit = LARGEST;
        return Err(fail(ManifestProblem::TooLarge { found, limit }));
    }
    let bytes = fs::read(&path).map_err(PackageError::io("read", &path))?;
    let value = parser(&bytes).map_err(fail)?;
    Ok((bytes, value))
}

/// The paths of all files below `dir`, with `/` between parts.
fn list(dir: &Path) -> Result<BTreeSet<String>, PackageError> {
    let broken = |problem| PackageError::Structure {
        dir: dir.to_owned(),
        problem,
    };
    let mut found = BTreeSet::new();
    let mut pending = vec![String::new()];
    while let Some(folder) = pending.pop() {
        // Joining nothing would add a slash.
        let place = match folder.as_str() {
            "" => dir.to_owned(),
            folder => dir.join(folder),
        };
        let entries = fs::read_dir(&place).map_err(PackageError::io("read", &place))?;
        for entry in entries {
            let entry = entry.map_err(PackageError::io("read", &place))?;
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| broken(StructureProblem::Name))?;
            let path = if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            };
            let kind = entry
                .file_type()
                .map_err(PackageError::io("read", entry.path()))?;
            if kind.is_symlink() {
                return Err(broken(StructureProblem::Link(path)));
            } else if kind.is_dir() {
                pending.push(path);
            } else if kind.is_file() {
                found.insert(path);
            } else {
                return Err(broken(StructureProblem::Special(path)));
            }
            if found.len() + pending.len() > MOST {
                return Err(broken(StructureProblem::TooMany { limit: MOST }));
            }
        }
    }
    check_paths(found.iter().map(String::as_str)).map_err(|problem| PackageError::Manifest {
        path: dir.to_owned(),
        problem: ManifestProblem::Path(problem),
    })?;
    Ok(found)
}
