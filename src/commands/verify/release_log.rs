//! The transparency log that a manifest names: whether it has the release.

use std::path::Path;

use crate::commands::{
    CommandContext,
    log::{proven, source},
    named_paths,
};
use openlora_core::error::{ExitClass, Failure};
use openlora_package::{Package, manifest::UsageLog};
use openlora_runtime::tile_source::TileSource;
use openlora_transparency::{
    CheckpointVerifier, PublicEntry, SeenCheckpoints, TlogError, TlogProof,
};

/// Looks a package's release up in a log at a server or in a folder, or in the proof in a file. The
/// inner result says why the log does not prove it. `None` if the package cannot be read or names no
/// log.
///
/// # Errors
///
/// The log or the file cannot be read.
pub(super) async fn look_up(
    context: &CommandContext,
    package: &Path,
    place: &str,
) -> Result<Option<Result<(), String>>, Failure> {
    let dir = named_paths::folder(context, package, "a package")?;
    let Ok(package) = openlora_package::read(&dir) else {
        return Ok(None);
    };
    let Some(named) = package.manifest.usage_log.clone() else {
        return Ok(None);
    };
    let verifier = match verifier(&named) {
        Ok(verifier) => verifier,
        Err(reason) => return Ok(Some(Err(reason))),
    };
    let path = context.settings.working_dir.join(place);
    if path.is_file() {
        let text = std::fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
        let checked = in_proof(&package, &verifier, &String::from_utf8_lossy(&text));
        return Ok(Some(checked.map_err(|error| error.to_string())));
    }
    let source = source(context, place)?;
    match in_log(context, &source, &package, &verifier).await {
        Ok(found) => Ok(Some(found)),
        // What the log says is wrong, so that it proves nothing.
        Err(failure) if is_finding(&failure) => Ok(Some(Err(failure.message))),
        Err(failure) => Err(failure),
    }
}

fn is_finding(failure: &Failure) -> bool {
    matches!(failure.class, ExitClass::Verification | ExitClass::BadInput)
}

fn verifier(named: &UsageLog) -> Result<CheckpointVerifier, String> {
    let verifier = CheckpointVerifier::parse(&named.vkey).map_err(|error| error.to_string())?;
    match verifier.origin() == named.origin {
        true => Ok(verifier),
        false => Err(format!(
            "the manifest names the log {}, and its key is that of {}",
            named.origin,
            verifier.origin()
        )),
    }
}

fn in_proof(package: &Package, verifier: &CheckpointVerifier, text: &str) -> Result<(), TlogError> {
    let proof = TlogProof::parse(text)?;
    let found = proven(&proof, verifier)?;
    match is_of(&found.entry.public, package) {
        true => Ok(()),
        false => Err(TlogError::Malformed {
            what: "the proof",
            detail: format!("entry {} is not of this release", proof.index),
        }),
    }
}

async fn in_log(
    context: &CommandContext,
    source: &TileSource,
    package: &Package,
    verifier: &CheckpointVerifier,
) -> Result<Result<(), String>, Failure> {
    let checkpoint = source.checkpoint(verifier).await?;
    let seen = SeenCheckpoints::at(&context.dirs.seen_checkpoints());
    source.accept(&seen, verifier, &checkpoint).await?;
    let manifest = package.manifest_sha256.to_string();
    let found = source.release_index(&checkpoint, &manifest).await?;
    Ok(match found {
        Some(_) => Ok(()),
        None => Err(format!(
            "the log {} has no entry of this release among {}",
            checkpoint.origin, checkpoint.size
        )),
    })
}

/// Whether an entry states that this manifest was registered.
fn is_of(entry: &PublicEntry, package: &Package) -> bool {
    let stated = entry.facts.get("manifest_sha256");
    let stated = stated.and_then(|it| it.as_str());
    stated == Some(&package.manifest_sha256.to_string())
}
