//! `verify`: runs every check of a package that this machine has data for.

use std::path::{Path, PathBuf};

use super::{CommandContext, named_paths, network, project};
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_model::dataset::{self, ColumnNames, DataSource};
use openlora_package::{
    BaseFacts, Manifest, ModelPublicKey, Package, PackageError,
    manifest::{Digest, ManifestDataset},
    release::SigningDomain,
    verify::{CheckStatus, KnownFact, LocalEvidence, PackageVerification, verify},
};
use openlora_release::eip712::SignerRecovery;

/// The package to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyRequest {
    pub package: PathBuf,
    /// Base to compare with, instead of the one that the package names.
    pub base: Option<String>,
    /// PEM files of the keys that may have made `model.sig`.
    pub keys: Vec<PathBuf>,
}

pub async fn run(context: &CommandContext, request: VerifyRequest) -> Result<ExitStatus, Failure> {
    let context = context.clone();
    let work = tokio::task::spawn_blocking(move || work(&context, &request));
    work.await
        .map_err(|error| Failure::new(ExitClass::Internal, format!("the check stopped: {error}")))?
}

fn work(context: &CommandContext, request: &VerifyRequest) -> Result<ExitStatus, Failure> {
    let dir = named_paths::folder(context, &request.package, "a package")?;
    let domain = expected_domain(context)?;
    let expected = ExpectedSigner {
        domain,
        model_keys: read_keys(context, &request.keys)?,
    };
    let (report, _) = checked(context, &dir, request.base.as_deref(), &expected)?;
    print_report(context, &report);
    Ok(if report.ok {
        ExitStatus::Success
    } else {
        ExitStatus::Verdict(ExitClass::Verification)
    })
}

/// Who must have signed a package.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpectedSigner {
    /// The chain and registry of the publisher's signature; `None` for any.
    pub domain: Option<SigningDomain>,
    /// Digests of the keys that may have made `model.sig`; empty for the manifest's.
    pub model_keys: Vec<Digest>,
}

/// The digests of the keys in PEM files.
fn read_keys(context: &CommandContext, files: &[PathBuf]) -> Result<Vec<Digest>, Failure> {
    let read = |file: &PathBuf| {
        let path = named_paths::file(context, file, "a public key in PEM")?;
        let bytes = std::fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
        let key = ModelPublicKey::from_pem(&String::from_utf8_lossy(&bytes));
        key.map(|key| key.digest()).map_err(|problem| {
            let message = format!("{}: {problem}", path.display());
            Failure::new(ExitClass::BadInput, message)
                .with_hint("`openlora wallet model-key` prints such a key")
        })
    };
    files.iter().map(read).collect()
}

/// Every check of the package in `dir`, and the package if its structure is valid.
pub(super) fn checked(
    context: &CommandContext,
    dir: &Path,
    wanted_base: Option<&str>,
    expected: &ExpectedSigner,
) -> Result<(PackageVerification, Option<Package>), PackageError> {
    let gather = |manifest: &Manifest| LocalEvidence {
        base: base(context, manifest, wanted_base),
        datasets: manifest
            .datasets
            .iter()
            .map(|data| rows(context, data, &columns(manifest)))
            .collect(),
        domain: expected.domain.clone(),
        model_keys: expected.model_keys.clone(),
    };
    verify(dir, &SignerRecovery, &gather)
}

/// The chain that the user named; by default a signature for any chain is accepted.
fn expected_domain(context: &CommandContext) -> Result<Option<SigningDomain>, Failure> {
    if context.settings.project.network.is_default() {
        return Ok(None);
    }
    let network = network::chosen(context)?;
    let registry = network.contracts.registry;
    Ok(Some(SigningDomain::for_registry(
        network.chain_id,
        registry,
    )))
}

/// The base named by a flag, or the package's own if it is on this machine: verifying downloads
/// nothing.
fn base(
    context: &CommandContext,
    manifest: &Manifest,
    wanted: Option<&str>,
) -> KnownFact<BaseFacts> {
    let id = wanted.unwrap_or(&manifest.base.id);
    let own = context.settings.base.located();
    let folder = PathBuf::from(&own);
    let same_folder = folder.file_name().is_some_and(|name| name == id);
    let id = if wanted.is_none() && same_folder {
        &own
    } else {
        id
    };
    let mut local = context.clone();
    local.offline |= wanted.is_none();
    let absent = |reason: String| format!("the base {id} is not here: {reason}");
    let base = project::base(&local, Some(id)).map_err(|failure| absent(failure.message))?;
    BaseFacts::from_base(&base).map_err(|error| absent(error.to_string()))
}

/// The names under which the run read the columns of its data.
fn columns(manifest: &Manifest) -> ColumnNames {
    let training = manifest.training.hyperparameters.as_ref();
    let pairs = training.and_then(|all| all.get("columns")?.as_array());
    let texts = pairs.into_iter().flatten().filter_map(|pair| pair.as_str());
    let pairs: Vec<String> = texts.map(str::to_owned).collect();
    // Names that no version knows cannot have been read by one.
    ColumnNames::parse(&pairs).unwrap_or_default().optional()
}

fn rows(
    context: &CommandContext,
    data: &ManifestDataset,
    columns: &ColumnNames,
) -> KnownFact<Digest> {
    let path = context.settings.project_dir().join(&data.id);
    if !path.is_file() {
        return Err(format!("{} is not here", data.id));
    }
    let file = DataSource {
        columns: columns.clone(),
        ..DataSource::of_file(path)
    };
    let read = dataset::load(&[file]).map_err(|error| error.to_string())?;
    Digest::of_hex(&read.digest).ok_or_else(|| format!("{} has no digest", data.id))
}

pub(super) fn print_report(context: &CommandContext, report: &PackageVerification) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(report);
    }
    for check in &report.checks {
        let status = match check.status {
            CheckStatus::Pass => "pass",
            CheckStatus::Fail => "FAIL",
            CheckStatus::Skipped => "skipped",
        };
        let reason = check.reason.as_deref().unwrap_or_default();
        printer.line(format!("{status:<8} {:<16} {reason}", check.name).trim_end());
    }
    printer.line(if report.ok {
        "nothing failed"
    } else {
        "do not use this package"
    });
}
