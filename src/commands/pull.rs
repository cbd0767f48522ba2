//! `pull`: brings a package into the store, from a place or from where a chain says that it is.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    CommandContext,
    distribution::{self, TransferReport},
    market, named_paths, network,
    verify::{self, ExpectedRelease, SignerFiles},
};
use openlora_chain::{
    provider::Chain,
    registry::{parse_id, shown_id},
};
use openlora_core::{
    Address,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_distribution::{PullRequest, PulledPackage, copy_package};
use openlora_runtime::registry_packages::{RegistryModel, RegistryPackages};

/// The request of `pull`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullCommandRequest {
    /// A place, `NAME@0xREGISTRY`, or an adapter's id.
    pub what: String,
    /// Copy the package there, too.
    pub out: Option<PathBuf>,
    /// Accept that a place holds something else than before.
    pub update: bool,
    pub signers: SignerFiles,
}

/// What `pull --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PullReport {
    /// Where it came from.
    location: String,
    name: String,
    /// Semantic version.
    version: String,
    /// SHA-256 of `openlora.json`, hex.
    manifest_sha256: String,
    /// Digest of the OCI manifest, hex; null where there is none.
    oci_sha256: Option<String>,
    /// The package's folder in the store.
    dir: String,
    /// The copy that was asked for.
    out: Option<String>,
    /// Bytes that came; 0 if it was here.
    fetched: u64,
    /// The adapter on the chain; null if it was pulled from a place.
    adapter_id: Option<String>,
}

pub async fn run(
    context: &CommandContext,
    request: PullCommandRequest,
) -> Result<ExitStatus, Failure> {
    let out = request.out.as_ref().map(|dir| {
        let expected = "a folder for the package";
        named_paths::new_folder(context, dir, expected)
    });
    let out = out.transpose()?;
    market::check_registry(&request.what)?;
    let (package, location, adapter_id) = match registered_model(&request.what) {
        Some((model, registry)) => pull_registered(context, &request, &model, registry).await?,
        None => pull_from_place(context, &request).await?,
    };
    if let Some(out) = &out {
        let work = || copy_package(&openlora_package::read(&package.dir)?, out);
        tokio::task::block_in_place(work)?;
    }
    print_report(
        context,
        &PullReport {
            location,
            name: package.manifest.name.clone(),
            version: package.manifest.version.clone(),
            manifest_sha256: package.manifest_sha256.to_string(),
            oci_sha256: package.oci.map(|digest| digest.to_string()),
            dir: package.dir.display().to_string(),
            out: out.map(|dir| dir.display().to_string()),
            fetched: package.fetched,
            adapter_id,
        },
    );
    Ok(ExitStatus::Success)
}

/// A model of a registry: an id alone, or a name, a publisher's name or an id, `@` and the registry's
/// address.
fn registered_model(text: &str) -> Option<(RegistryModel, Option<Address>)> {
    if parse_id(text).is_some() {
        return Some((text.into(), None));
    }
    let (model, registry) = text.rsplit_once('@')?;
    let registry = registry.parse().ok().filter(|_| !model.is_empty())?;
    let model = RegistryModel::from(model);
    let is_plain = |name: &str| !name.contains('/');
    let fits = match &model {
        RegistryModel::Id(_) => true,
        RegistryModel::Name(name) | RegistryModel::Published { name, .. } => is_plain(name),
    };
    fits.then_some((model, Some(registry)))
}

async fn pull_from_place(
    context: &CommandContext,
    request: &PullCommandRequest,
) -> Result<(PulledPackage, String, Option<String>), Failure> {
    let location = distribution::location(context, &request.what)?;
    let signers = verify::accepted_signers(context, &request.signers)?;
    let expected = ExpectedRelease {
        domain: verify::expected_domain(context)?,
        publishers: signers.policy.publishers.clone(),
        model_keys: signers.keys,
        model_roots: signers.roots,
        registry: None,
        log: None,
    };
    let store = distribution::store(context)?;
    let fetcher = distribution::fetcher(context)?;
    let report = TransferReport::new(context, "pulled kB");
    let pulled = fetcher
        .pull(
            &store,
            &PullRequest {
                location: &location,
                expected: None,
                limits: distribution::limits(context),
                update: request.update,
            },
            &|dir| distribution::check(context, dir, &signers.policy, &expected),
            &|progress| report.update(progress),
        )
        .await;
    report.finish();
    Ok((pulled?, location.to_string(), None))
}

async fn pull_registered(
    context: &CommandContext,
    request: &PullCommandRequest,
    model: &RegistryModel,
    registry: Option<Address>,
) -> Result<(PulledPackage, String, Option<String>), Failure> {
    if request.update {
        let message = "--update is for places: the chain says which package is the newest";
        return Err(Failure::new(ExitClass::Usage, message));
    }
    let signers = verify::accepted_signers(context, &request.signers)?;
    let mut network = network::reached(context).await?;
    network.contracts.registry = registry.or(network.contracts.registry);
    let packages = RegistryPackages::new(
        Chain::connect(&network).await?,
        distribution::fetcher(context)?,
        distribution::store(context)?,
        distribution::limits(context),
        Vec::new(),
    )?;
    let release = packages.find(model).await?;
    let expected = ExpectedRelease {
        publishers: signers.policy.publishers.clone(),
        model_keys: signers.keys,
        model_roots: signers.roots,
        ..distribution::registered(&packages.chain, &release).await?
    };
    let location = packages.location(&release)?.to_string();
    let report = TransferReport::new(context, "pulled kB");
    let pulled = packages
        .pull(
            &release,
            packages.limits,
            &|dir| distribution::check(context, dir, &signers.policy, &expected),
            &|progress| report.update(progress),
        )
        .await;
    report.finish();
    Ok((pulled?, location, Some(shown_id(release.adapter_id))))
}

fn print_report(context: &CommandContext, report: &PullReport) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(report);
    }
    if report.fetched == 0 {
        printer.note("it was here already");
    }
    printer.line(format!("package       {} {}", report.name, report.version));
    printer.line(format!("from          {}", report.location));
    if let Some(id) = &report.adapter_id {
        printer.line(format!("adapter       {id}"));
    }
    printer.line(format!("manifest      sha256 {}", report.manifest_sha256));
    let dir = report.out.as_ref().unwrap_or(&report.dir);
    printer.line(format!("folder        {dir}"));
    printer.hint(format!(
        "serve it with `openlora serve --adapter {}={dir}`",
        super::serve::as_model_id(&report.name)
    ));
}
