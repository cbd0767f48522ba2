//! `serve --from-registry`: fetches what the chain registers when it is first called, verifies it
//! against the chain, and remembers who is paid for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    fetched::{FetchedRelease, FetchedReleases},
    hosting::{AdapterHost, AnnouncedAdapter},
};
use crate::commands::{CommandContext, distribution, network, verify::ExpectedRelease};
use openlora_chain::{provider::Chain, registry::shown_id};
use openlora_core::{
    Address,
    error::{ExitClass, Failure},
    private::foreign_text::clean_line,
};
use openlora_distribution::{PackageLocation, PullLimits, PullProgress};
use openlora_model::dataset::Task;
use openlora_package::{Manifest, policy::VerificationPolicy};
use openlora_release::lookup::{ChainRelease, registered_release};
use openlora_runtime::{
    daily_bytes::DailyBytes,
    registry_packages::{RegistryModel, RegistryPackageError, RegistryPackages, model_id},
};
use openlora_serve::{
    ServedAdapter,
    on_demand::{AdapterFinder, OnDemandAdapters, OnDemandLimits},
};

/// The word for the network's own registry.
const NETWORK: &str = "network";

/// How long a call waits for its adapter before it is asked to come again.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a fetch may take until its first bytes are in place (an archive has arrived then), and how
/// often and by how much it goes on afterwards.
const BEGINNING: Duration = Duration::from_secs(600);
const WINDOW: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 1 << 20;

/// How long a pull may take: less than the server waits for a fetch, so that its bytes are counted.
const LONGEST_PULL: Duration = Duration::from_secs(13 * 60);

const DAY: u64 = 24 * 3600;

/// How long what can be sold is taken for current.
const CURRENT: Duration = Duration::from_secs(10);

/// How long a call waits for that to be read.
const AWAITED: Duration = Duration::from_secs(2);

/// Bytes of a package besides the files that its manifest names: the manifest and both signatures.
const OWN_FILES: u64 = 3 << 20;

/// Whether the registry is served, and from where.
///
/// # Errors
///
/// A project file asks for it, or the address is not the network's registry.
pub(super) fn is_wanted(context: &CommandContext) -> Result<bool, Failure> {
    let settings = &context.settings;
    let Some(text) = &settings.serve.from_registry else {
        return Ok(false);
    };
    if !settings.is_own("serve.from_registry") {
        let file = settings.project_file.clone().unwrap_or_default();
        let message = format!(
            "{}: `serve.from_registry` of a project file lets callers have packages fetched",
            file.display()
        );
        return Err(Failure::new(ExitClass::BadInput, message)
            .with_hint("if you mean it, add --from-registry"));
    }
    if text == NETWORK {
        return Ok(true);
    }
    let network = network::chosen(context)?;
    let registry = network.contracts.registry;
    match text.parse::<Address>() {
        Ok(address) if Some(address) == registry => Ok(true),
        _ => {
            let known = registry.map_or_else(|| "none".to_owned(), |it| it.to_string());
            let message = format!(
                "`serve.from_registry` is wrong: expected `{NETWORK}` or the registry of `{}`, \
                 {known}, found `{text}`",
                network.name
            );
            Err(Failure::new(ExitClass::Usage, message).with_hint(format!(
                "another registry is another network: set `registry` in `[network.{}]`",
                network.name
            )))
        }
    }
}

/// Fetches adapters for calls.
pub(super) struct RegistryFinder {
    context: CommandContext,
    packages: RegistryPackages,
    fetched: FetchedReleases,
    budget: DailyBytes,
    host: Arc<AdapterHost>,
    announced: RwLock<Announcements>,
    /// When that was read.
    read_at: Arc<tokio::sync::Mutex<Option<Instant>>>,
    /// For reading in a task of its own.
    this: Weak<Self>,
}

/// What is sold and can be fetched, by the name that it is sold under.
#[derive(Default)]
struct Announcements {
    adapters: BTreeMap<String, Arc<ServedAdapter>>,
    /// Names that several adapters have.
    shared: BTreeSet<String>,
}

/// How the registry is served.
pub(super) struct RegistryServing {
    pub chain: Chain,
    pub fetched: FetchedReleases,
    pub host: Arc<AdapterHost>,
    /// The account that serves, if calls are paid.
    pub account: Option<Address>,
}

impl RegistryFinder {
    /// What fetches adapters of the registry, within the bounds of the settings.
    ///
    /// # Errors
    ///
    /// A setting is wrong, or no HTTP client can be made.
    pub fn open(
        context: &CommandContext,
        serving: RegistryServing,
    ) -> Result<OnDemandAdapters, Failure> {
        let settings = &context.settings.serve;
        let publishers = settings.registry_publishers.iter().map(|text| {
            text.parse::<Address>().map_err(|problem| {
                let message = format!("`serve.registry_publishers` is wrong: {problem}");
                Failure::new(ExitClass::Usage, message)
            })
        });
        let mut packages = RegistryPackages::new(
            serving.chain,
            distribution::fetcher(context)?,
            distribution::store(context)?,
            distribution::limits(context),
            publishers.collect::<Result<_, _>>()?,
        )?;
        packages.server = serving.account;
        let budget = DailyBytes::open(context.dirs.fetched_bytes(), settings.registry_daily);
        let finder = Arc::new_cyclic(|this| Self {
            context: context.clone(),
            packages,
            fetched: serving.fetched,
            budget,
            host: serving.host,
            announced: RwLock::default(),
            read_at: Arc::default(),
            this: this.clone(),
        });
        let limits = OnDemandLimits {
            adapters: settings.registry_adapters,
            parallel: settings.registry_pulls,
            patience: PATIENCE,
        };
        Ok(OnDemandAdapters::new(finder, limits))
    }

    /// Reads what can be sold, unless that was done a moment ago. A publisher whose place does not answer
    /// costs a bounded time, and not again for a while. Callers wait a moment, and get what was read last.
    async fn refresh(&self) {
        let turn = Arc::clone(&self.read_at).lock_owned();
        let Ok(mut read_at) = tokio::time::timeout(AWAITED, turn).await else {
            return;
        };
        if read_at.is_some_and(|at| at.elapsed() < CURRENT) {
            return;
        }
        let Some(finder) = self.this.upgrade() else {
            return;
        };
        // It goes on if the caller leaves.
        let reading = tokio::spawn(async move {
            finder.read_anew().await;
            *read_at = Some(Instant::now());
        });
        let _ = tokio::time::timeout(AWAITED, reading).await;
    }

    async fn read_anew(&self) {
        match self.read_announcements().await {
            Ok(read) => {
                *self
                    .announced
                    .write()
                    .unwrap_or_else(PoisonError::into_inner) = read;
            }
            Err(failure) => self.context.printer.warn(format!(
                "what the registry sells was not read: {}",
                failure.message
            )),
        }
    }

    async fn read_announcements(&self) -> Result<Announcements, Failure> {
        let mut read = Announcements::default();
        let available = self.packages.available().await?;
        // Nothing is known of a release whose manifest cannot be read, so it is not for sale. Neither is one
        // that makes pictures: what is fetched answers with text.
        let available: Vec<(ChainRelease, Manifest)> = available
            .into_iter()
            .filter_map(|(release, manifest)| Some((release, manifest?)))
            .filter(|(_, manifest)| !manifest.base.makes_pictures())
            .collect();
        let cards = self.packages.task_cards(&available).await;
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for (_, manifest) in &available {
            *names.entry(model_id(&manifest.name)).or_default() += 1;
        }
        for (release, manifest) in &available {
            let card = cards.get(&release.manifest_sha256).cloned();
            if card.as_ref().is_some_and(|card| card.task == Task::Image) {
                continue;
            }
            let id = shown_id(release.adapter_id);
            let name = Some(model_id(&manifest.name));
            let alone = name.filter(|name| names.get(name) == Some(&1));
            for name in alone.into_iter().chain([id]) {
                let one = AnnouncedAdapter {
                    name: name.clone(),
                    release,
                    card: card.clone(),
                };
                let adapter = Arc::new(self.host.announced(one)?);
                read.adapters.insert(name, adapter);
            }
        }
        let shared = names.into_iter().filter(|(_, count)| *count > 1);
        read.shared = shared.map(|(name, _)| name).collect();
        Ok(read)
    }

    fn announcement(&self, name: &str) -> Option<Arc<ServedAdapter>> {
        let announced = self
            .announced
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        announced.adapters.get(name).cloned()
    }

    async fn bring(&self, release: &ChainRelease) -> Result<PathBuf, Failure> {
        let limits = self.packages.limits;
        let is_here = self.packages.store.contains(release.manifest_sha256);
        let reserved = match is_here {
            true => None,
            false => Some(self.budget.reserve(today(), self.size_of(release))?),
        };
        let most = reserved.as_ref().map_or(limits.total, |it| it.bytes);
        let expected: ExpectedRelease =
            distribution::registered(&self.packages.chain, release).await?;
        let policy = VerificationPolicy::default();
        let (done, whole) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let limits = PullLimits {
            total: limits.total.min(most),
            ..limits
        };
        let check = |dir: &Path| distribution::check(&self.context, dir, &policy, &expected);
        let note = |progress: PullProgress| {
            done.fetch_max(progress.done, Ordering::Relaxed);
            whole.store(progress.total, Ordering::Relaxed);
        };
        let pulled = tokio::select! {
            biased;
            pulled = self.packages.pull(release, limits, &check, &note) => pulled.map_err(Failure::from),
            () = stalled(&done, &whole) => Err(too_slow()),
            () = tokio::time::sleep(LONGEST_PULL) => Err(too_slow()),
        };
        // The files of an archive were counted when it arrived, which may not have ended well.
        let location = self.packages.location(release);
        let files = match location {
            Ok(PackageLocation::Archive(_)) => 0,
            _ => done.into_inner(),
        };
        if let Some(reserved) = reserved {
            let archived = self.packages.fetcher.http.take_archived();
            self.budget
                .record(reserved, archived.saturating_add(files))?;
        }
        let dir = pulled?.dir;
        let package = tokio::task::block_in_place(|| openlora_package::read(&dir))?;
        let deployment = registered_release(&self.packages.chain, &package, release).await?;
        let price = release.price;
        self.fetched
            .put(dir.clone(), FetchedRelease { deployment, price });
        Ok(dir)
    }

    /// The most bytes that fetching a release takes: what its manifest says, if that is known.
    fn size_of(&self, release: &ChainRelease) -> u64 {
        let manifest = self.packages.store.manifest(release.manifest_sha256);
        let sizes = manifest.map(|it| it.files.iter().map(|file| file.size.0).sum::<u64>());
        let most = self.packages.limits.total;
        sizes.map_or(most, |sum| sum.saturating_add(OWN_FILES).min(most))
    }
}

#[async_trait::async_trait]
impl AdapterFinder for RegistryFinder {
    async fn fetch(&self, name: &str) -> Result<Option<PathBuf>, Failure> {
        let model = RegistryModel::from(name);
        let release = match self.packages.find(&model).await {
            Ok(release) => release,
            Err(RegistryPackageError::NotRegistered { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let dir = self.bring(&release).await?;
        self.context.printer.note(format!(
            "{name}: fetched from {}, as a call asked for",
            clean_line(&release.uri)
        ));
        Ok(Some(dir))
    }

    async fn announced(&self, name: &str) -> Result<Option<Arc<ServedAdapter>>, Failure> {
        if let Some(known) = self.announcement(name) {
            return Ok(Some(known));
        }
        self.refresh().await;
        if let Some(known) = self.announcement(name) {
            return Ok(Some(known));
        }
        let is_shared = {
            let announced = self
                .announced
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            announced.shared.contains(name)
        };
        // Says which ones have the name.
        match is_shared {
            true => match self.packages.find(&RegistryModel::from(name)).await {
                Ok(_) => Ok(None),
                Err(error) => Err(error.into()),
            },
            false => Ok(None),
        }
    }

    async fn listed(&self) -> Vec<Arc<ServedAdapter>> {
        self.refresh().await;
        let announced = self
            .announced
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let listed = announced.adapters.values();
        // An adapter that has a name of its own is listed by that.
        let named: BTreeSet<&str> = listed
            .clone()
            .filter(|it| !it.name.starts_with("0x"))
            .map(|it| it.digest.as_str())
            .collect();
        let is_shown = |it: &&Arc<ServedAdapter>| {
            !it.name.starts_with("0x") || !named.contains(it.digest.as_str())
        };
        listed.filter(is_shown).cloned().collect()
    }
}

/// Ends when a fetch makes too little progress: it keeps others from being fetched.
async fn stalled(done: &AtomicU64, whole: &AtomicU64) {
    let mut before = 0;
    let mut window = BEGINNING;
    loop {
        tokio::time::sleep(window).await;
        let now = done.load(Ordering::Relaxed);
        // The size of an archive is not known.
        let whole = whole.load(Ordering::Relaxed);
        let is_complete = whole > 0 && now >= whole;
        if !is_complete && now < before + SLOWEST {
            return;
        }
        (before, window) = (now, WINDOW);
    }
}

fn too_slow() -> Failure {
    Failure::new(
        ExitClass::Network,
        "the place of its package sends too slowly",
    )
}

fn today() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() / DAY)
}

/// The chain whose registry is served when calls are free.
///
/// # Errors
///
/// It cannot be reached.
pub(super) async fn free_chain(context: &CommandContext) -> Result<Chain, Failure> {
    let network = network::reached(context).await?;
    Ok(Chain::connect(&network).await?)
}
