//! Writes a package atomically: an existing package stays in place until the new one is complete.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    ENVELOPE_FILE, MANIFEST_FILE, MODEL_SIGNATURE_FILE,
    build::PackageDraft,
    envelope::ReleaseEnvelope,
    error::PackageError,
    manifest::{Digest, Manifest},
    model_signature::{SignedFiles, sign_files},
    release::{ReleaseStatement, SigningDomain},
};
use crate::release::ReleaseSigner;
use openlora_core::atomic::{self, FolderDraft};

/// The result of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPackage {
    pub dir: PathBuf,
    pub manifest_sha256: Digest,
    /// `None` for an unsigned package.
    pub envelope: Option<ReleaseEnvelope>,
}

/// Writes `draft` to `dir`, signed for `domain` if there is a signer. If the manifest names a model
/// signing key, that key signs all files too.
///
/// # Errors
///
/// A folder with other content than a package, a signer that is not the publisher or has another
/// model signing key, or the disk.
pub fn write(
    dir: &Path,
    draft: &PackageDraft,
    signer: Option<(&SigningDomain, &dyn ReleaseSigner)>,
) -> Result<WrittenPackage, PackageError> {
    require_replaceable(dir)?;
    let manifest = manifest_bytes(&draft.manifest, dir)?;
    let manifest_sha256 = Digest::hash_bytes(&manifest);
    let mut files = draft.files.clone();
    let envelope = signer
        .map(|(domain, signer)| envelope(&draft.manifest, manifest_sha256, domain, signer))
        .transpose()?;
    if let Some(envelope) = &envelope {
        files.insert(ENVELOPE_FILE.to_owned(), envelope_bytes(envelope, dir)?);
    }
    files.insert(MANIFEST_FILE.to_owned(), manifest);
    if let Some(key) = draft.manifest.trainer.signing_key_sha256 {
        let signer = signer.map(|(_, signer)| signer);
        let bytes = model_signature(&draft.manifest.name, key, &files, signer, dir)?;
        files.insert(MODEL_SIGNATURE_FILE.to_owned(), bytes);
    }
    let parent = atomic::parent(dir);
    let staging = FolderDraft::in_folder(parent).map_err(PackageError::io("write in", parent))?;
    let put = |name: &str, bytes: &[u8]| {
        let written = staging.write(name, bytes);
        written.map_err(PackageError::io("write", &dir.join(name)))
    };
    for (path, bytes) in &files {
        put(path, bytes)?;
    }
    staging
        .open_to_everyone()
        .and_then(|()| staging.replace(dir))
        .map_err(PackageError::io("write", dir))?;
    Ok(WrittenPackage {
        dir: dir.to_owned(),
        manifest_sha256,
        envelope,
    })
}

fn envelope(
    manifest: &Manifest,
    manifest_sha256: Digest,
    domain: &SigningDomain,
    signer: &dyn ReleaseSigner,
) -> Result<ReleaseEnvelope, PackageError> {
    let found = signer.address();
    match manifest.trainer.evm_address {
        Some(expected) if expected == found => {}
        expected => {
            return Err(PackageError::OtherPublisher {
                expected: expected.unwrap_or_default(),
                found,
            });
        }
    }
    let statement = ReleaseStatement {
        domain: domain.clone(),
        release: manifest.release(manifest_sha256),
    };
    Ok(ReleaseEnvelope::sign(&statement, signer)?)
}

/// The bytes of `model.sig`, by the key with the digest `expected`.
fn model_signature(
    name: &str,
    expected: Digest,
    files: &BTreeMap<String, Vec<u8>>,
    signer: Option<&dyn ReleaseSigner>,
    dir: &Path,
) -> Result<Vec<u8>, PackageError> {
    let signer = signer.and_then(|signer| signer.model_signer());
    let found = signer.as_ref().map(|signer| signer.public_key().digest());
    let signer = signer
        .filter(|_| found == Some(expected))
        .ok_or(PackageError::OtherModelKey { expected, found })?;
    let digests = files
        .iter()
        .map(|(path, bytes)| (path.clone(), Digest::hash_bytes(bytes)));
    let digests: SignedFiles = digests.collect();
    sign_files(name, &digests, signer.as_ref()).map_err(|problem| PackageError::Manifest {
        path: dir.join(MODEL_SIGNATURE_FILE),
        problem,
    })
}

fn manifest_bytes(manifest: &Manifest, dir: &Path) -> Result<Vec<u8>, PackageError> {
    manifest
        .to_bytes()
        .map_err(|problem| PackageError::Manifest {
            path: dir.join(MANIFEST_FILE),
            problem,
        })
}

fn envelope_bytes(envelope: &ReleaseEnvelope, dir: &Path) -> Result<Vec<u8>, PackageError> {
    envelope
        .to_bytes()
        .map_err(|problem| PackageError::Manifest {
            path: dir.join(ENVELOPE_FILE),
            problem,
        })
}

/// Only a package, an empty folder or nothing is replaced.
fn require_replaceable(dir: &Path) -> Result<(), PackageError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(PackageError::io("read", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(PackageError::io("read", dir))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    let package = names.iter().any(|name| name == MANIFEST_FILE);
    let found = match names.into_iter().min() {
        None => return Ok(()),
        Some(found) if !package => found,
        // Reading checks every file, so any other content is an error.
        Some(_) => match super::read(dir) {
            Ok(_) => return Ok(()),
            Err(error) => error.to_string(),
        },
    };
    Err(PackageError::Occupied {
        dir: dir.to_owned(),
        found,
    })
}
