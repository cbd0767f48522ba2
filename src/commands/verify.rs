//! `verify`: runs every check of a package that this machine has data for.

mod release_log;

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{CommandContext, named_paths, network, project};
use openlora_chain::provider::Chain;
use openlora_core::{
    Address,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_model::dataset::{self, ColumnNames, DataSource, encode::LossOn};
use openlora_package::{
    BaseFacts, Certificate, Manifest, ModelPublicKey, Package, PackageError, TrustedRoots,
    certificates_from_pem,
    manifest::{Digest, ManifestDataset},
    policy::VerificationPolicy,
    release::SigningDomain,
    verify::{CheckStatus, KnownFact, LocalEvidence, PackageVerification, verify},
};
use openlora_release::{
    eip712::SignerRecovery,
    explore::{ExploreQuery, RegistryReport, compare, explore},
};
use openlora_train::pictures::PictureDataset;

/// The package to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyRequest {
    pub package: PathBuf,
    /// Base to compare with, instead of the one that the package names.
    pub base: Option<String>,
    pub signers: SignerFiles,
    /// Where the transparency log is that proves the release: a server, a folder or a proof's file.
    pub log: Option<String>,
    /// Compare with the registration on the chosen network.
    pub chain: bool,
}

/// Files that say who may have signed a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignerFiles {
    /// PEM files of the keys that may have made `model.sig`.
    pub keys: Vec<PathBuf>,
    /// PEM files of authorities that may have certified such a key.
    pub roots: Vec<PathBuf>,
    /// TOML file of a [`VerificationPolicy`].
    pub policy: Option<PathBuf>,
}

pub async fn run(context: &CommandContext, request: VerifyRequest) -> Result<ExitStatus, Failure> {
    let context = context.clone();
    let registry = match request.chain {
        false => None,
        true => {
            let network = network::reached(&context).await?;
            let chain = Chain::connect(&network).await?;
            Some(explore(&chain, &ExploreQuery::default()).await?)
        }
    };
    let log = match &request.log {
        None => None,
        Some(place) => release_log::look_up(&context, &request.package, place).await?,
    };
    let looked_up = LookedUpRelease { registry, log };
    let work = tokio::task::spawn_blocking(move || work(&context, &request, looked_up));
    work.await
        .map_err(|error| Failure::new(ExitClass::Internal, format!("the check stopped: {error}")))?
}

/// What others say of the release.
struct LookedUpRelease {
    registry: Option<RegistryReport>,
    log: Option<Result<(), String>>,
}

fn work(
    context: &CommandContext,
    request: &VerifyRequest,
    LookedUpRelease { registry, log }: LookedUpRelease,
) -> Result<ExitStatus, Failure> {
    let dir = named_paths::folder(context, &request.package, "a package")?;
    let signers = accepted_signers(context, &request.signers)?;
    let expected = ExpectedRelease {
        domain: expected_domain(context)?,
        publishers: signers.policy.publishers.clone(),
        model_keys: signers.keys,
        model_roots: signers.roots,
        registry,
        log,
    };
    let (report, _) = checked(context, &dir, request.base.as_deref(), &expected)?;
    let report = signers.policy.apply(report);
    print_report(context, &report);
    Ok(if report.ok {
        ExitStatus::Success
    } else {
        ExitStatus::Verdict(ExitClass::Verification)
    })
}

/// Who must have signed a package, and where it must be registered.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpectedRelease {
    /// The chain and registry of the publisher's signature; `None` for any.
    pub domain: Option<SigningDomain>,
    /// Accounts that may have signed; empty for the one that the manifest names.
    pub publishers: Vec<Address>,
    /// Digests of the keys that may have made `model.sig`; empty for the manifest's.
    pub model_keys: Vec<Digest>,
    /// Authorities that may have certified such a key; none for keys that are named otherwise.
    pub model_roots: TrustedRoots,
    /// The registry's entries; `None` if they were not asked for.
    pub registry: Option<RegistryReport>,
    /// Why the transparency log does not prove the release; `None` if it was not asked for.
    pub log: Option<Result<(), String>>,
}

/// A policy, and who may have made `model.sig`: the keys and authorities in the files, or the
/// policy's.
#[derive(Clone, Debug, Default)]
pub(super) struct AcceptedSigners {
    pub policy: VerificationPolicy,
    pub keys: Vec<Digest>,
    pub roots: TrustedRoots,
}

pub(super) fn accepted_signers(
    context: &CommandContext,
    files: &SignerFiles,
) -> Result<AcceptedSigners, Failure> {
    let policy = match &files.policy {
        None => VerificationPolicy::default(),
        Some(file) => read_policy(context, file)?,
    };
    let keys = match files.keys.as_slice() {
        [] => policy.model_keys.clone(),
        files => read_keys(context, files)?,
    };
    let beside = files.policy.as_deref().and_then(Path::parent);
    let of_policy = policy.model_roots.iter();
    let of_policy = of_policy.map(|file| beside.unwrap_or(Path::new("")).join(file));
    let mut certificates = Vec::new();
    for file in files.roots.iter().cloned().chain(of_policy) {
        certificates.extend(read_certificates(context, &file)?);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    Ok(AcceptedSigners {
        policy,
        keys,
        roots: TrustedRoots { certificates, now },
    })
}

/// The certificates of a PEM file.
pub(super) fn read_certificates(
    context: &CommandContext,
    file: &Path,
) -> Result<Vec<Certificate>, Failure> {
    let path = named_paths::file(context, file, "certificates in PEM")?;
    let bytes = std::fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
    certificates_from_pem(&String::from_utf8_lossy(&bytes)).map_err(|problem| {
        let message = format!("{}: {problem}", path.display());
        Failure::new(ExitClass::BadInput, message)
    })
}

fn read_policy(context: &CommandContext, file: &Path) -> Result<VerificationPolicy, Failure> {
    let path = named_paths::file(context, file, "a policy in TOML")?;
    let text = std::fs::read_to_string(&path).map_err(|e| Failure::io("read", &path, &e))?;
    let wrong = |problem: String| {
        let message = format!("{}: {}", path.display(), problem.trim_end());
        Failure::new(ExitClass::BadInput, message)
    };
    let policy: VerificationPolicy =
        toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    policy.check().map_err(|error| wrong(error.to_string()))?;
    Ok(policy)
}

/// The registration of a package, check by check.
fn registered(registry: &RegistryReport, package: &Package) -> Result<(), String> {
    let failed = compare(registry, package).checks.into_iter();
    let mut failed = failed.filter(|check| check.status == CheckStatus::Fail);
    match failed.next() {
        None => Ok(()),
        Some(check) => Err(check.reason.unwrap_or_else(|| check.name.to_owned())),
    }
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
    expected: &ExpectedRelease,
) -> Result<(PackageVerification, Option<Package>), PackageError> {
    let gather = |package: &Package| LocalEvidence {
        base: base(context, &package.manifest, wanted_base),
        datasets: package
            .manifest
            .datasets
            .iter()
            .map(|data| rows(context, data, &package.manifest))
            .collect(),
        publishers: expected.publishers.clone(),
        chain: match &expected.registry {
            None => Err("the release was not looked up on a chain".to_owned()),
            Some(registry) => Ok(registered(registry, package)),
        },
        domain: expected.domain.clone(),
        model_keys: expected.model_keys.clone(),
        model_roots: expected.model_roots.clone(),
        log: match &expected.log {
            None => Err("the release was not looked up in its log: name it with --log".to_owned()),
            Some(found) => Ok(found.clone()),
        },
    };
    verify(dir, &SignerRecovery, &gather)
}

/// Checks a package before its adapter is loaded: everything but the base, which the engine compares
/// with the one that it loads, the data and the chain.
///
/// # Errors
///
/// A package with a check that fails.
pub(super) fn require_loadable(dir: &Path) -> Result<(), Failure> {
    require_usable(dir, &Err("the engine compares the base".to_owned()))
}

/// The same, with what is known of the base.
pub(super) fn require_usable(dir: &Path, base: &KnownFact<BaseFacts>) -> Result<(), Failure> {
    let package = openlora_package::read(dir)?;
    let gather = |_: &Package| LocalEvidence {
        base: base.clone(),
        datasets: Vec::new(),
        domain: None,
        publishers: Vec::new(),
        model_keys: Vec::new(),
        model_roots: TrustedRoots::default(),
        chain: Err("the release was not looked up on a chain".to_owned()),
        log: Err("the release was not looked up in its log".to_owned()),
    };
    let (report, _) = verify(dir, &SignerRecovery, &gather)?;
    if report.ok {
        return Ok(());
    }
    // A file that differs has an error of its own.
    package.check_files()?;
    Err(refused(dir, &report).with_hint("do not use it; ask its publisher for the package again"))
}

/// The failure of a package that must not be used.
pub(super) fn refused(dir: &Path, report: &PackageVerification) -> Failure {
    let failed = report
        .checks
        .iter()
        .filter(|it| it.status == CheckStatus::Fail);
    let said = failed.map(|check| {
        let reason = check.reason.as_deref().unwrap_or_default();
        format!("{}: {reason}", check.name)
    });
    let said = said.collect::<Vec<_>>().join("; ");
    let message = format!("{} does not verify: {said}", dir.display());
    Failure::new(ExitClass::Verification, message)
}

/// The chain that the user named; by default a signature for any chain is accepted.
pub(super) fn expected_domain(context: &CommandContext) -> Result<Option<SigningDomain>, Failure> {
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
    let base = project::any_base(&local, Some(id)).map_err(|failure| absent(failure.message))?;
    BaseFacts::from_selected(&base).map_err(|error| absent(error.to_string()))
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

/// The loss that the run computed; by default that on answers.
fn loss(manifest: &Manifest) -> LossOn {
    let training = manifest.training.hyperparameters.as_ref();
    let stated = training.and_then(|all| all.get("loss"));
    let loss = stated.map(|loss| serde_json::from_value(loss.clone()));
    loss.and_then(Result::ok).unwrap_or_default()
}

fn rows(
    context: &CommandContext,
    data: &ManifestDataset,
    manifest: &Manifest,
) -> KnownFact<Digest> {
    let path = context.settings.project_dir().join(&data.id);
    if manifest.base.makes_pictures() {
        return folder(data, path);
    }
    if !path.is_file() {
        return Err(format!("{} is not here", data.id));
    }
    let file = DataSource {
        columns: columns(manifest),
        ..DataSource::of_file(path)
    };
    let read = dataset::load(&[file]).map_err(|error| error.to_string())?;
    let read = read.for_loss(loss(manifest));
    Digest::of_hex(&read.digest).ok_or_else(|| format!("{} has no digest", data.id))
}

/// The digest of a folder of pictures. It does not depend on the size that a base scales them to.
fn folder(data: &ManifestDataset, path: PathBuf) -> KnownFact<Digest> {
    if !path.is_dir() {
        return Err(format!("{} is not here", data.id));
    }
    let read = PictureDataset::load(&[DataSource::of_file(path)], 1);
    let read = read.map_err(|error| error.to_string())?;
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
