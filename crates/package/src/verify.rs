//! The checks of `verify`, in order, each with its kind of evidence.
//!
//! A check that lacks data on this machine is skipped with a reason; it never passes.

use std::{fs, path::Path};

use serde::Serialize;

use super::{
    ENVELOPE_FILE, MANIFEST_FILE,
    certificate::TrustedRoots,
    derived::check_derived,
    error::PackageError,
    facts::{BaseFacts, adapter_facts},
    manifest::{Digest, Manifest},
    model_signature::{KeyEvidence, ModelSignature, SignedFiles, compare_files},
    read::{Package, read},
    release::SigningDomain,
};
use crate::release::ReleaseVerifier;
use openlora_core::Address;
use openlora_model::adapter::{self, WEIGHTS_FILE, parse_safetensors};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    Pass,
    Fail,
    Skipped,
}

/// The evidence of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrustLabel {
    /// Bytes that were read and checked here.
    VerifiedBytes,
    /// A statement of the signer.
    SignedClaim,
    Unverified,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PackageCheck {
    pub name: &'static str,
    pub status: CheckStatus,
    pub label: TrustLabel,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
}

/// All checks of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PackageVerification {
    /// No check failed.
    pub ok: bool,
    pub checks: Vec<PackageCheck>,
}

/// A fact to compare with, or the reason why it is unknown.
pub type KnownFact<T> = Result<T, String>;

/// The facts that this machine has about a package.
#[derive(Clone, Debug)]
pub struct LocalEvidence {
    pub base: KnownFact<BaseFacts>,
    /// In the order of the manifest: the digest of the normalised rows.
    pub datasets: Vec<KnownFact<Digest>>,
    /// The chain and registry that the signature must be for.
    pub domain: Option<SigningDomain>,
    /// Accounts that may have signed the manifest; empty for the one that it names.
    pub publishers: Vec<Address>,
    /// Digests of the keys that may have made `model.sig`; empty for any key that the manifest
    /// names.
    pub model_keys: Vec<Digest>,
    /// Authorities whose certificates may name the key that made `model.sig`; none for any key that
    /// is named otherwise.
    pub model_roots: TrustedRoots,
    /// How the release's registration differs from the package; `Ok(Ok(()))` if it does not.
    pub chain: KnownFact<Result<(), String>>,
    /// Why the transparency log that the manifest names does not prove the release; `Ok(Ok(()))` if
    /// it does.
    pub log: KnownFact<Result<(), String>>,
}

/// The checks, in order.
pub const CHECKS: &[&str] = &[
    "structure",
    "safetensors",
    "config",
    "files",
    "model-signature",
    "eip712",
    "base",
    "datasets",
    "log",
    "chain",
];

/// Checks the package in `dir` against the evidence that `gather` returns for it.
///
/// # Errors
///
/// The folder itself cannot be read.
pub fn verify(
    dir: &Path,
    verifier: &dyn ReleaseVerifier,
    gather: &dyn Fn(&Package) -> LocalEvidence,
) -> Result<(PackageVerification, Option<Package>), PackageError> {
    let package = match read(dir) {
        Ok(package) => package,
        Err(error @ PackageError::File(_)) => return Err(error),
        Err(error) => return Ok((report(broken(&error)), None)),
    };
    let evidence = gather(&package);
    let checks = vec![
        passed("structure", TrustLabel::VerifiedBytes),
        judged(
            "safetensors",
            TrustLabel::VerifiedBytes,
            safetensors(&package),
        ),
        judged("config", TrustLabel::VerifiedBytes, config(&package)),
        judged("files", TrustLabel::VerifiedBytes, files(&package)),
        model_signature(&package, &evidence),
        signature(&package, verifier, &evidence),
        base(&package, &evidence.base),
        datasets(&package.manifest, &evidence.datasets),
        log(&package.manifest, &evidence.log),
        chain(&evidence.chain),
    ];
    Ok((report(checks), Some(package)))
}

fn report(checks: Vec<PackageCheck>) -> PackageVerification {
    let ok = checks.iter().all(|check| check.status != CheckStatus::Fail);
    PackageVerification { ok, checks }
}

fn broken(error: &PackageError) -> Vec<PackageCheck> {
    let check = |(index, name): (usize, &&'static str)| match index {
        0 => failed(name, error.to_string()),
        _ => skipped(name, "the structure is broken"),
    };
    CHECKS.iter().enumerate().map(check).collect()
}

fn passed(name: &'static str, label: TrustLabel) -> PackageCheck {
    PackageCheck {
        name,
        status: CheckStatus::Pass,
        label,
        reason: None,
    }
}

fn failed(name: &'static str, reason: String) -> PackageCheck {
    PackageCheck {
        name,
        status: CheckStatus::Fail,
        label: TrustLabel::Unverified,
        reason: Some(reason),
    }
}

fn skipped(name: &'static str, reason: impl Into<String>) -> PackageCheck {
    PackageCheck {
        name,
        status: CheckStatus::Skipped,
        label: TrustLabel::Unverified,
        reason: Some(reason.into()),
    }
}

fn judged(name: &'static str, label: TrustLabel, found: Result<(), String>) -> PackageCheck {
    match found {
        Ok(()) => passed(name, label),
        Err(reason) => failed(name, reason),
    }
}

fn safetensors(package: &Package) -> Result<(), String> {
    let path = package.dir.join(WEIGHTS_FILE);
    let bytes = fs::read(&path).map_err(|e| format!("{WEIGHTS_FILE}: {e}"))?;
    parse_safetensors(&bytes)
        .map(drop)
        .map_err(|problem| format!("{WEIGHTS_FILE}: {problem}"))
}

/// The configuration fits the tensors, and the manifest says what both are.
fn config(package: &Package) -> Result<(), String> {
    let adapter = adapter::read(&package.dir).map_err(|error| error.to_string())?;
    if adapter_facts(&adapter) == package.manifest.adapter {
        Ok(())
    } else {
        Err("the manifest's `adapter` does not describe these tensors".to_owned())
    }
}

/// The bytes of every file, and that the documents which restate the manifest say the same.
fn files(package: &Package) -> Result<(), String> {
    package.check_files().map_err(|error| match error {
        PackageError::Structure { problem, .. } => problem.to_string(),
        error => error.to_string(),
    })?;
    check_derived(package)
}

fn model_signature(package: &Package, evidence: &LocalEvidence) -> PackageCheck {
    let name = "model-signature";
    let named = package.manifest.trainer.signing_key_sha256;
    let roots = &evidence.model_roots;
    let anyone = evidence.model_keys.is_empty() && roots.certificates.is_empty();
    match &package.model_signature {
        Some(signature) => match signed_files(package, signature, evidence) {
            Err(reason) => failed(name, reason),
            Ok(()) if named.is_none() && anyone => {
                let key = signature.key;
                let reason = match signature.evidence {
                    KeyEvidence::Chain(_) => format!(
                        "it was signed with a certificate for the key {key}, and you named no root \
                         of it"
                    ),
                    _ => format!("neither the manifest nor you named its key, which is {key}"),
                };
                skipped(name, reason)
            }
            Ok(()) => passed(name, TrustLabel::SignedClaim),
        },
        None => match named {
            None if anyone => skipped(name, "the package has no model.sig"),
            None => failed(
                name,
                "the package has no model.sig, expected one of a trusted key".to_owned(),
            ),
            Some(key) => failed(
                name,
                format!("the manifest names the key {key}, but the package has no model.sig"),
            ),
        },
    }
}

/// A key that is allowed signed exactly these files.
fn signed_files(
    package: &Package,
    signature: &ModelSignature,
    evidence: &LocalEvidence,
) -> Result<(), String> {
    let found = signature.key;
    if signature.evidence == KeyEvidence::Keyless {
        return Err(
            "it was signed without a key (Sigstore), and whether its certificate was valid then is \
             said by a log that is not read here: check it with `model_signing verify sigstore`, \
             or ask for a signature by key or certificate"
                .to_owned(),
        );
    }
    if let Some(expected) = package.manifest.trainer.signing_key_sha256
        && expected != found
    {
        return Err(format!(
            "it was signed with the key {found}, expected {expected}, which the manifest names"
        ));
    }
    let (trusted, roots) = (&evidence.model_keys, &evidence.model_roots);
    if !trusted.contains(&found) {
        match &signature.evidence {
            KeyEvidence::Chain(chain) if !roots.certificates.is_empty() => {
                roots.check(chain).map_err(|problem| {
                    format!("the certificate for the key {found} does not count: {problem}")
                })?;
            }
            _ if trusted.is_empty() && roots.certificates.is_empty() => {}
            _ => {
                return Err(format!(
                    "it was signed with the key {found}, which is not among the trusted ones"
                ));
            }
        }
    }
    if signature.recover_key().is_none() {
        return Err(format!("the key {found} did not make this signature"));
    }
    // The key is one that only `package` signs with.
    if package.manifest.trainer.signing_key_sha256.is_some() && !signature.canonical {
        return Err("its bytes are not those that `openlora package` writes".to_owned());
    }
    let signed = signature.files().map_err(|problem| problem.to_string())?;
    compare_files(&signed, &held_files(package)?).map_err(|problem| problem.to_string())
}

/// The digests of the files that `model.sig` covers. Those of the manifest's files are the
/// manifest's, which the check `files` compares with the bytes.
fn held_files(package: &Package) -> Result<SignedFiles, String> {
    let files = package.manifest.files.iter();
    let mut held: SignedFiles = files.map(|file| (file.path.clone(), file.sha256)).collect();
    held.insert(MANIFEST_FILE.to_owned(), package.manifest_sha256);
    if package.envelope.is_some() {
        let path = package.dir.join(ENVELOPE_FILE);
        let bytes = fs::read(path).map_err(|error| format!("{ENVELOPE_FILE}: {error}"))?;
        held.insert(ENVELOPE_FILE.to_owned(), Digest::hash_bytes(&bytes));
    }
    Ok(held)
}

fn signature(
    package: &Package,
    verifier: &dyn ReleaseVerifier,
    expected: &LocalEvidence,
) -> PackageCheck {
    let name = "eip712";
    let Some(envelope) = &package.envelope else {
        return match package.manifest.trainer.evm_address {
            None if expected.publishers.is_empty() => skipped(name, "the package is not signed"),
            None => failed(
                name,
                "the package is not signed, expected a trusted account's signature".to_owned(),
            ),
            Some(publisher) => failed(
                name,
                format!("{publisher} is named as the publisher and has not signed"),
            ),
        };
    };
    let release = package.manifest.release(package.manifest_sha256);
    let found = if envelope.message != release {
        Err("the signed message is about another manifest".to_owned())
    } else if package.manifest.trainer.evm_address != Some(envelope.address) {
        Err(format!(
            "the manifest does not name {} as its publisher",
            envelope.address
        ))
    } else if !expected.publishers.is_empty() && !expected.publishers.contains(&envelope.address) {
        Err(format!(
            "it was signed by {}, which is not among the trusted accounts",
            envelope.address
        ))
    } else {
        same_domain(&envelope.domain, expected.domain.as_ref())
            .and_then(|()| envelope.verify(verifier))
    };
    judged(name, TrustLabel::SignedClaim, found)
}

fn same_domain(found: &SigningDomain, expected: Option<&SigningDomain>) -> Result<(), String> {
    let Some(expected) = expected else {
        return Ok(());
    };
    if found.chain_id != expected.chain_id {
        return Err(format!(
            "the signature is for chain {}, expected {}",
            found.chain_id.0, expected.chain_id.0
        ));
    }
    let shown = |domain: &SigningDomain| {
        let contract = domain.verifying_contract;
        contract.map_or_else(|| "no registry".to_owned(), |address| address.to_string())
    };
    let other_contract = expected.verifying_contract.is_some()
        && found.verifying_contract != expected.verifying_contract;
    if other_contract || (&found.name, &found.version) != (&expected.name, &expected.version) {
        return Err(format!(
            "the signature is for {} {} at {}, expected {} {} at {}",
            found.name,
            found.version,
            shown(found),
            expected.name,
            expected.version,
            shown(expected)
        ));
    }
    Ok(())
}

fn log(manifest: &Manifest, known: &KnownFact<Result<(), String>>) -> PackageCheck {
    match known {
        _ if manifest.usage_log.is_none() => skipped("log", "the manifest names no usage log"),
        Err(reason) => skipped("log", reason),
        Ok(found) => judged("log", TrustLabel::SignedClaim, found.clone()),
    }
}

fn chain(known: &KnownFact<Result<(), String>>) -> PackageCheck {
    match known {
        Err(reason) => skipped("chain", reason),
        Ok(found) => judged("chain", TrustLabel::SignedClaim, found.clone()),
    }
}

fn base(package: &Package, known: &KnownFact<BaseFacts>) -> PackageCheck {
    let name = "base";
    let facts = match known {
        Ok(facts) => facts,
        Err(reason) => return skipped(name, reason),
    };
    let (found, expected) = (&facts.model, &package.manifest.base);
    let parts = [
        ("config", found.config_sha256, expected.config_sha256),
        (
            "tokenizer",
            found.tokenizer_sha256,
            expected.tokenizer_sha256,
        ),
    ];
    for (what, found, expected) in parts {
        if found != expected {
            return failed(
                name,
                format!("the base's {what} has sha256 {found}, expected {expected}"),
            );
        }
    }
    if found.weights != expected.weights {
        return failed(name, "the base's weights are others".to_owned());
    }
    let fits = adapter::read(&package.dir).and_then(|adapter| {
        adapter::verify_base(&adapter, &facts.digest)?;
        adapter::check_against(&adapter, &facts.modules)
    });
    judged(
        name,
        TrustLabel::VerifiedBytes,
        fits.map_err(|error| error.to_string()),
    )
}

fn datasets(manifest: &Manifest, known: &[KnownFact<Digest>]) -> PackageCheck {
    let name = "datasets";
    if manifest.datasets.is_empty() {
        return skipped(name, "the manifest names none");
    }
    let mut absent = Vec::new();
    for (data, known) in manifest.datasets.iter().zip(known) {
        match known {
            Ok(found) if *found != data.sha256 => {
                let expected = data.sha256;
                return failed(
                    name,
                    format!("{} has sha256 {found}, expected {expected}", data.id),
                );
            }
            Ok(_) => {}
            Err(reason) => absent.push(reason.as_str()),
        }
    }
    let all = manifest.datasets.len();
    match absent.first() {
        None => passed(name, TrustLabel::VerifiedBytes),
        Some(reason) => skipped(
            name,
            format!("{} of {all} cannot be compared: {reason}", absent.len()),
        ),
    }
}
