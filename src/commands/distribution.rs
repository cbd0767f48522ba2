//! What `pull`, `push`, `deploy` and `serve` have in common: the store, the logins, and the checks that
//! a package must pass.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use super::{
    CommandContext, project,
    verify::{self, ExpectedRelease},
};
use crate::commands::printer::ProgressReport;
use openlora_chain::provider::Chain;
use openlora_core::error::{ExitClass, Failure};
use openlora_distribution::{
    CredentialSources, DistributionError, HttpFetcher, PackageFetcher, PackageLocation,
    PackageStore, PullLimits, PullProgress,
};
use openlora_package::{
    PackageError, policy::VerificationPolicy, release::SigningDomain, verify::PackageVerification,
};
use openlora_release::{
    explore::{ExploreQuery, explore},
    lookup::ChainRelease,
};

/// Progress is shown in units of this many bytes.
const KILOBYTE: u64 = 1000;

/// The store of this home, within the bound of the settings.
///
/// # Errors
///
/// A project file bounds it: it would have packages of its reader removed.
pub fn store(context: &CommandContext) -> Result<PackageStore, Failure> {
    let settings = &context.settings;
    if !settings.is_own("store.max_bytes") {
        let file = settings.project_file.clone().unwrap_or_default();
        let message = format!(
            "{}: `store.max_bytes` of a project file decides which of your packages are removed",
            file.display()
        );
        return Err(Failure::new(ExitClass::BadInput, message)
            .with_hint("if you mean it: openlora config set --user store.max_bytes BYTES"));
    }
    Ok(PackageStore::at(&context.dirs.packages()).bounded(settings.store.max_bytes))
}

/// How packages are reached, with the logins of this machine. None comes from a project file.
///
/// # Errors
///
/// No HTTP client can be made.
pub fn fetcher(context: &CommandContext) -> Result<PackageFetcher, Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let folder = variable("DOCKER_CONFIG").map(std::path::PathBuf::from);
    let home = || variable("HOME").map(|home| Path::new(&home).join(".docker"));
    Ok(PackageFetcher {
        http: HttpFetcher::new(context.offline)?,
        credentials: CredentialSources {
            stated: variable("OPENLORA_REGISTRY_AUTH"),
            docker: folder.or_else(home).map(|dir| dir.join("config.json")),
            hub_token: project::hub_token(context).map(|token| token.0),
        },
        hub: context.settings.base.endpoint.clone(),
    })
}

pub fn limits(context: &CommandContext) -> PullLimits {
    let settings = &context.settings.pull;
    PullLimits {
        file: settings.max_file,
        total: settings.max_package,
    }
}

/// A place as typed, with folders relative to the working directory.
///
/// # Errors
///
/// It is none.
pub fn location(context: &CommandContext, text: &str) -> Result<PackageLocation, Failure> {
    let location: PackageLocation = text.parse().map_err(DistributionError::from)?;
    Ok(location.in_folder(&context.settings.working_dir))
}

/// The checks of a package under a policy.
pub fn check(
    context: &CommandContext,
    dir: &Path,
    policy: &VerificationPolicy,
    expected: &ExpectedRelease,
) -> Result<PackageVerification, PackageError> {
    let work = || verify::checked(context, dir, None, expected);
    let (report, _) = tokio::task::block_in_place(work)?;
    Ok(policy.apply(report))
}

/// What a package of a registered release must be: signed for this registry, and what the chain says.
///
/// # Errors
///
/// The registry cannot be read.
pub async fn registered(chain: &Chain, release: &ChainRelease) -> Result<ExpectedRelease, Failure> {
    let query = ExploreQuery {
        adapter: Some(release.adapter_id),
        from_block: 0,
    };
    let network = &chain.network;
    let domain = SigningDomain::for_registry(network.chain_id, network.contracts.registry);
    Ok(ExpectedRelease {
        domain: Some(domain),
        registry: Some(explore(chain, &query).await?),
        ..ExpectedRelease::default()
    })
}

/// Shows how much is here.
pub struct TransferReport {
    printer: super::printer::Printer,
    what: &'static str,
    report: Mutex<Option<ProgressReport>>,
}

impl TransferReport {
    pub fn new(context: &CommandContext, what: &'static str) -> Self {
        Self {
            printer: context.printer.clone(),
            what,
            report: Mutex::new(None),
        }
    }

    pub fn update(&self, progress: PullProgress) {
        if progress.total == 0 {
            return;
        }
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let total = progress.total.div_ceil(KILOBYTE);
        let report = report.get_or_insert_with(|| self.printer.progress(self.what, total));
        report.update(progress.done.div_ceil(KILOBYTE), "");
    }

    pub fn finish(self) {
        drop(self.report);
    }
}
