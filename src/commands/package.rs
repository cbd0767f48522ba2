//! `package`: builds a signed package from a finished run or an external adapter.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    CommandContext, money::percent, named_paths, network, project, run::server_arguments,
    serve::as_model_id, signer::LockedSigner, verify,
};
use crate::commands::{
    printer::Printer,
    settings::{Settings, StatedSetting},
};
use openlora_chain::{WalletError, development::check_payee, network::Network};
use openlora_container::image::{self, ImageParts, WrittenImage};
use openlora_core::{
    Address, AddressProblem, atomic,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_model::adapter::{self, CONFIG_FILE, LoraAdapter};
use openlora_package::{
    BaseFacts, WrittenPackage,
    build::{PackageDraft, PackageMetadata, PackageParts, RevenueSplitOptions, draft},
    manifest::{CONTRIBUTORS, Digest, Manifest, ManifestContributor, UsageLog},
    release::{ReleaseSigner, SigningDomain},
    write,
};
use openlora_release::eip712::{AccountSigner, FileModelSigner, TwoKeySigner};
use openlora_runtime::{finished::FinishedRun, transparency_log::existing_key};
use openlora_wallet::{ModelSigningKey, WalletAccount};
use zeroize::Zeroizing;

/// The command-line request besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageRequest {
    /// A run or an adapter folder; defaults to the latest run.
    pub run: Option<PathBuf>,
    /// The folder of an adapter of another program, instead of a run.
    pub adapter: Option<PathBuf>,
    pub out: Option<PathBuf>,
    pub unsigned: bool,
    /// PEM file of the key that signs the files, instead of the account's.
    pub signing_key: Option<PathBuf>,
    /// PEM file of that key's certificate and those of its authorities.
    pub certificates: Option<PathBuf>,
    /// Where a container image goes; an empty path for the folder beside the package.
    pub image: Option<PathBuf>,
    /// The program in the image, instead of this one.
    pub binary: Option<PathBuf>,
    pub password_file: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PackageReport {
    package: PathBuf,
    name: String,
    version: String,
    /// SHA-256 of `openlora.json`, hex.
    manifest_sha256: String,
    files: usize,
    /// The signer; absent in an unsigned package.
    publisher: Option<String>,
    /// SHA-256 of the PEM of the key that made `model.sig`, hex; absent in a package without it.
    model_key_sha256: Option<String>,
    /// Chain that the signature is for.
    chain_id: Option<u64>,
    /// The contributors of the training data.
    contributors: Vec<PackagedContributor>,
    /// The container image, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<ImageReport>,
}

/// A container image of the package.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ImageReport {
    /// Folder of the OCI image layout.
    image: PathBuf,
    /// Digest of the image's manifest.
    digest: String,
    /// Processor, as OCI names it.
    architecture: String,
    /// Bytes of all blobs.
    size: u64,
    layers: Vec<ImageLayerReport>,
    /// Libraries of this machine that the image carries; empty for a static program.
    libraries: Vec<PathBuf>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ImageLayerReport {
    content: String,
    digest: String,
    /// Bytes as stored.
    size: u64,
}

/// A contributor and the size of its static share.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PackagedContributor {
    name: String,
    #[schemars(with = "Option<String>")]
    address: Option<Address>,
    /// Share among the contributors if calls are not attributed.
    static_ppm: u64,
    records: u64,
    /// Of these, records without an exact or near duplicate in an earlier dataset; null for a run
    /// of an older version, whose shares count all records.
    distinct_records: Option<u64>,
}

/// The written package.
pub(super) struct BuiltPackage {
    draft: PackageDraft,
    pub written: WrittenPackage,
    image: Option<WrittenImage>,
    /// The signer, unlocked.
    pub account: Option<WalletAccount>,
}

pub async fn run(context: &CommandContext, request: PackageRequest) -> Result<ExitStatus, Failure> {
    let built = make(context, request).await?;
    report(context, &built);
    Ok(ExitStatus::Success)
}

/// Builds the package without printing.
pub(super) async fn make(
    context: &CommandContext,
    request: PackageRequest,
) -> Result<BuiltPackage, Failure> {
    let context = context.clone();
    let work = tokio::task::spawn_blocking(move || work(&context, &request));
    work.await
        .map_err(|error| Failure::new(ExitClass::Internal, format!("packaging stopped: {error}")))?
}

fn work(context: &CommandContext, request: &PackageRequest) -> Result<BuiltPackage, Failure> {
    let origin = match &request.adapter {
        Some(folder) => {
            let folder = named_paths::folder(context, folder, "an adapter")?;
            imported(&folder)?
        }
        None => origin(context, request.run.as_deref())?,
    };
    let account = match request.unsigned {
        true => None,
        false => Some(signer(context, request.password_file.as_deref())?),
    };
    let model_signer = match &request.signing_key {
        None => None,
        Some(file) => Some(model_signer(
            context,
            file,
            request.certificates.as_deref(),
        )?),
    };
    let named = PackageSigners {
        account: account.as_ref(),
        model: model_signer.as_ref(),
    };
    let draft = assemble(context, &origin, &named)?;
    let out = match &request.out {
        Some(out) => named_paths::new_folder(context, out, "a folder for the package")?,
        None => origin.default_out.clone(),
    };
    let network = network::chosen(context)?;
    check_payees(&network, &draft.manifest)?;
    let domain = SigningDomain::for_registry(network.chain_id, network.contracts.registry);
    advise_license(context);
    let written = {
        let signer = named.release_signer();
        let signer = signer.as_deref().map(|signer| (&domain, signer));
        write(&out, &draft, signer)?
    };
    let image = match &request.image {
        Some(image) => Some(write_image(context, request, image, &out)?),
        None => None,
    };
    Ok(BuiltPackage {
        draft,
        written,
        image,
        account,
    })
}

/// The container image of the package in `dir`.
fn write_image(
    context: &CommandContext,
    request: &PackageRequest,
    image: &Path,
    dir: &Path,
) -> Result<WrittenImage, Failure> {
    let image = match image.as_os_str().is_empty() {
        true => {
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            dir.with_file_name(format!("{name}-image"))
        }
        false => named_paths::new_folder(context, image, "a folder for the image")?,
    };
    let program = match &request.binary {
        Some(file) => named_paths::file(context, file, "a program for Linux")?,
        None => std::env::current_exe()
            .map_err(|error| Failure::io("find", Path::new("this program"), &error))?,
    };
    let package = openlora_package::read(dir)?;
    let manifest = &package.manifest;
    let label = |name: &str, value: &str| {
        let name = format!("org.opencontainers.image.{name}");
        (name, value.to_owned())
    };
    let parts = ImageParts {
        package: &package,
        program: &program,
        created: manifest.created_at.0,
        arguments: server_arguments(&as_model_id(&manifest.name)),
        labels: BTreeMap::from([
            label("title", &manifest.name),
            label("version", &manifest.version),
            label("licenses", &manifest.license),
            label("base.name", &manifest.base.id),
            (
                "org.openlora.manifest.sha256".to_owned(),
                package.manifest_sha256.to_string(),
            ),
        ]),
    };
    Ok(image::write_image(&image, &parts)?)
}

/// Before the package is written, and so before others get it.
fn advise_license(context: &CommandContext) {
    if context.settings.project.license.is_none() && !context.printer.is_json() {
        let set = match context.settings.project_file {
            Some(_) => "openlora config set project.license CC-BY-4.0",
            None => "openlora config set --user project.license CC-BY-4.0",
        };
        let hint = format!(
            "the package names no licence, because project.license is unset; set it and package \
             again: {set}"
        );
        context.printer.hint(hint);
    }
}

/// The origin of an adapter.
struct AdapterSource {
    adapter: LoraAdapter,
    run: Option<FinishedRun>,
    default_out: PathBuf,
}

fn origin(context: &CommandContext, wanted: Option<&Path>) -> Result<AdapterSource, Failure> {
    if let Some(folder) = wanted {
        let folder = context.settings.working_dir.join(folder);
        atomic::recover_folder(&folder).map_err(|error| Failure::io("recover", &folder, &error))?;
        if folder.join(CONFIG_FILE).exists() {
            return imported(&folder);
        }
    }
    let wanted = wanted.map(|run| run.to_string_lossy().into_owned());
    let run = project::finished_run(context, wanted.as_deref(), "the adapter's folder")?;
    let finished = FinishedRun::read(&run)?;
    Ok(AdapterSource {
        adapter: adapter::read(&run.adapter())?,
        run: Some(finished),
        default_out: run.path().join("package"),
    })
}

/// An adapter of another program.
fn imported(folder: &Path) -> Result<AdapterSource, Failure> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(AdapterSource {
        adapter: adapter::read(folder)?,
        default_out: folder.with_file_name(format!("{name}-package")),
        run: None,
    })
}

/// The signing account, unlocked.
fn signer(
    context: &CommandContext,
    password_file: Option<&Path>,
) -> Result<WalletAccount, Failure> {
    let network = network::chosen(context)?;
    let signer = LockedSigner::choose(context, &network).map_err(|failure| {
        let hint = failure.hint.clone().unwrap_or_default();
        failure.with_hint(format!(
            "{hint}, or leave the signature out with --unsigned"
        ))
    })?;
    signer.unlock(context, password_file)
}

/// The key of a PEM file, which signs the files.
fn model_signer(
    context: &CommandContext,
    file: &Path,
    certificates: Option<&Path>,
) -> Result<FileModelSigner, Failure> {
    let path = named_paths::file(context, file, "a private key in PEM")?;
    let text = std::fs::read_to_string(&path).map(Zeroizing::new);
    let text = text.map_err(|error| Failure::io("read", &path, &error))?;
    let wrong = |message: String| {
        let message = format!("{}: {message}", path.display());
        Failure::new(ExitClass::BadInput, message)
    };
    let key = ModelSigningKey::from_pem(&text).map_err(|problem| {
        wrong(problem.to_string()).with_hint(
            "`openssl pkcs8 -topk8 -nocrypt` writes such a key, and `openssl ecparam -name \
             prime256v1 -genkey` makes one",
        )
    })?;
    let certificates = match certificates {
        None => Vec::new(),
        Some(file) => verify::read_certificates(context, file)?,
    };
    FileModelSigner::new(key, certificates).map_err(|problem| wrong(problem.to_string()))
}

/// Who signs a package.
struct PackageSigners<'a> {
    account: Option<&'a WalletAccount>,
    /// The key that signs the files, instead of the account's.
    model: Option<&'a FileModelSigner>,
}

impl<'a> PackageSigners<'a> {
    fn release_signer(&self) -> Option<Box<dyn ReleaseSigner + 'a>> {
        let account = AccountSigner(self.account?);
        Some(match self.model {
            Some(model) => Box::new(TwoKeySigner { account, model }),
            None => Box::new(account),
        })
    }

    /// The digest of the key that signs the files.
    fn model_key(&self) -> Option<Digest> {
        let signer = self.release_signer()?;
        let model = signer.model_signer()?;
        Some(model.public_key().digest())
    }
}

fn assemble(
    context: &CommandContext,
    origin: &AdapterSource,
    signers: &PackageSigners<'_>,
) -> Result<PackageDraft, Failure> {
    let settings = &context.settings;
    let id = match &origin.run {
        Some(run) => Some(run.lock.base.id.clone()),
        None => origin.adapter.config.base_model_name_or_path.clone(),
    };
    let by_flag = project::flags(settings)
        .iter()
        .any(|flag| flag == "base.id");
    let base = project::any_base(context, id.as_deref().filter(|_| !by_flag))?;
    let about = PackageMetadata {
        usage_log: usage_log(context)?,
        ..about(settings, origin, signers)?
    };
    Ok(draft(&PackageParts {
        about: &about,
        adapter: &origin.adapter,
        base: &BaseFacts::from_selected(&base)?,
        run: origin.run.as_ref().map(|run| &run.facts),
    })?)
}

fn about(
    settings: &Settings,
    origin: &AdapterSource,
    signers: &PackageSigners<'_>,
) -> Result<PackageMetadata, Failure> {
    let project = &settings.project;
    let named = match &origin.run {
        Some(run) => run.lock.name.clone(),
        None => project.name.clone().unwrap_or_else(|| {
            let folder = origin.adapter.dir.file_name().unwrap_or_default();
            folder.to_string_lossy().into_owned()
        }),
    };
    let license_file = settings.project_dir().join("LICENSE");
    Ok(PackageMetadata {
        name: named,
        version: project.version.clone(),
        creator: project.creator.clone(),
        publisher: signers.account.map(WalletAccount::address),
        signing_key: signers.model_key(),
        license: project.license.clone(),
        license_text: std::fs::read(license_file).ok(),
        split: RevenueSplitOptions {
            creator: settings.split.creator,
            creator_address: creator_address(settings)?,
            contributors: settings.split.contributors,
        },
        created_at: created_at(origin)?,
        usage_log: None,
    })
}

/// The transparency log of this home, if it has one.
fn usage_log(context: &CommandContext) -> Result<Option<UsageLog>, Failure> {
    let key = existing_key(&context.dirs)?;
    Ok(key.map(|key| UsageLog {
        origin: key.origin().to_owned(),
        vkey: key.vkey().to_owned(),
    }))
}

fn creator_address(settings: &Settings) -> Result<Option<Address>, Failure> {
    let read = |stated: &StatedSetting<String>| {
        stated.value.parse().map_err(|problem: AddressProblem| {
            let message = format!("`{}` is wrong: {problem}", stated.key);
            Failure::new(ExitClass::BadInput, message)
        })
    };
    settings
        .split
        .creator_address
        .as_ref()
        .map(read)
        .transpose()
}

/// `SOURCE_DATE_EPOCH`, or else the end of the run, so that the same run gives the same bytes.
fn created_at(origin: &AdapterSource) -> Result<u64, Failure> {
    if let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) {
        let text = text.to_string_lossy();
        return text.parse().map_err(|_| {
            let message = format!("SOURCE_DATE_EPOCH is {text:?}, expected seconds since 1970");
            Failure::new(ExitClass::Usage, message)
        });
    }
    let ended = origin
        .run
        .as_ref()
        .and_then(|run| run.facts.training.ended_at);
    let ended = ended.map(|ended| ended.0);
    Ok(ended
        .or_else(|| openlora_package::written_at(&origin.adapter))
        .unwrap_or_default())
}

fn report(context: &CommandContext, built: &BuiltPackage) {
    let BuiltPackage {
        draft,
        written,
        image,
        ..
    } = built;
    let (printer, manifest) = (&context.printer, &draft.manifest);
    let shown = named_paths::shown(&context.settings, &written.dir);
    if printer.is_json() {
        return printer.json(&PackageReport {
            package: written.dir.clone(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            manifest_sha256: written.manifest_sha256.to_string(),
            files: manifest.files.len(),
            publisher: written.envelope.as_ref().map(|e| e.address.to_string()),
            model_key_sha256: manifest.trainer.signing_key_sha256.map(|it| it.to_string()),
            chain_id: written.envelope.as_ref().map(|e| e.domain.chain_id.0),
            contributors: packaged_contributors(manifest),
            image: image.as_ref().map(image_report),
        });
    }
    printer.line(format!("package       {}", shown.display()));
    printer.line(format!(
        "release       {} {}",
        manifest.name, manifest.version
    ));
    printer.line(format!("manifest      sha256 {}", written.manifest_sha256));
    match &written.envelope {
        Some(envelope) => printer.line(format!(
            "signed by     {} for chain {}",
            envelope.address, envelope.domain.chain_id.0
        )),
        None => printer.line("signed by     nobody"),
    }
    if let Some(key) = manifest.trainer.signing_key_sha256 {
        printer.line(format!("model key     sha256 {key}"));
    }
    for share in &manifest.split {
        let to = match share.address {
            Some(address) => address.to_string(),
            None if share.role == CONTRIBUTORS => "divided among them".to_owned(),
            None => "no address yet".to_owned(),
        };
        printer.line(format!("{:<13} {}, {to}", share.role, percent(share.ppm)));
    }
    tell_static_shares(printer, manifest);
    if let Some(image) = image {
        let shown = named_paths::shown(&context.settings, &image.dir);
        let size = megabytes(image.size);
        printer.line(format!("image         {}, {size}", shown.display()));
        for layer in &image.layers {
            let size = megabytes(layer.size);
            printer.line(format!("  {size:>9}   {}", layer.content));
        }
        if !image.libraries.is_empty() {
            printer.note(
                "the program is not static, so the image has this machine's C library; \
                 `scripts/release` builds a static one for --binary",
            );
        }
    }
    printer.hint(format!(
        "check it with `openlora verify {}`",
        shown.display()
    ));
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

fn image_report(image: &WrittenImage) -> ImageReport {
    let layers = image.layers.iter().map(|layer| ImageLayerReport {
        content: layer.content.to_owned(),
        digest: layer.digest.clone(),
        size: layer.size,
    });
    ImageReport {
        image: image.dir.clone(),
        digest: image.digest.clone(),
        architecture: image.architecture.clone(),
        size: image.size,
        layers: layers.collect(),
        libraries: image.libraries.clone(),
    }
}

/// Refuses a package for a network on which one of its payees cannot be paid.
pub(super) fn check_payees(network: &Network, manifest: &Manifest) -> Result<(), WalletError> {
    let publisher = manifest.trainer.evm_address;
    let publisher = publisher.map(|address| ("the publisher".to_owned(), address));
    let split = manifest.split.iter().filter_map(|share| {
        let who = format!("the split's {}", share.role);
        Some((who, share.address?))
    });
    let contributors = manifest.contributors.iter().filter_map(|it| {
        let who = format!("the contributor {}", it.name);
        Some((who, it.address?))
    });
    let owners = manifest.datasets.iter().filter_map(|data| {
        let who = format!("the owner of {}", data.id);
        Some((who, data.owner?))
    });
    let mut all = publisher
        .into_iter()
        .chain(split)
        .chain(contributors)
        .chain(owners);
    all.try_for_each(|(who, address)| check_payee(network, &who, address))
}

fn packaged_contributors(manifest: &Manifest) -> Vec<PackagedContributor> {
    let packaged = |contributor: &ManifestContributor| {
        let theirs = || {
            let datasets = manifest.datasets.iter();
            datasets.filter(|it| it.contributor == contributor.name)
        };
        let distinct = theirs().map(|it| it.distinct_records.map(|rows| rows.0));
        PackagedContributor {
            name: contributor.name.clone(),
            address: contributor.address,
            static_ppm: contributor.static_ppm,
            records: theirs().map(|it| it.records.0).sum(),
            distinct_records: distinct.sum(),
        }
    };
    manifest.contributors.iter().map(packaged).collect()
}

/// Names the contributors whose data earns nothing by itself, and where copies still count.
pub(super) fn tell_static_shares(printer: &Printer, manifest: &Manifest) {
    for copier in manifest.copiers() {
        printer.note(format!(
            "{} has no static share and is no recipient of the contributors' part: all of its \
             records repeat earlier ones",
            copier.name
        ));
    }
    if manifest.counts_copies() {
        printer.note(
            "the static shares count every record, copies too: the training was one of an older \
             version",
        );
    }
}
