//! `serve --from-registry`: fetches what the chain registers when it is first called, verifies it
//! against the chain, and remembers who is paid for it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::commands::{CommandContext, distribution, network, verify::ExpectedRelease};
use openlora_chain::provider::Chain;
use openlora_core::{
    Address, Amount,
    error::{ExitClass, Failure},
    private::foreign_text::clean_line,
};
use openlora_distribution::{PackageLocation, PullLimits, PullProgress};
use openlora_ledger::{PriceList, event::ReleaseDeployment};
use openlora_package::policy::VerificationPolicy;
use openlora_release::lookup::{RegisteredRelease, registered_release};
use openlora_runtime::registry_packages::{RegistryModel, RegistryPackageError, RegistryPackages};
use openlora_serve::on_demand::{AdapterFinder, OnDemandAdapters, OnDemandLimits};

/// The word for the network's own registry.
const NETWORK: &str = "network";

/// How long a call waits for its adapter before it is asked to come again.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a fetch may take until its first bytes are in place (an archive has arrived then), and how
/// often and by how much it goes on afterwards.
const BEGINNING: Duration = Duration::from_secs(600);
const WINDOW: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 1 << 20;

const DAY: u64 = 24 * 3600;

/// Decimals of the registry's prices.
const PRICE_DECIMALS: u32 = 6;

/// A fetched release: who is paid, and what its publisher asks.
#[derive(Clone, Debug)]
pub(super) struct FetchedRelease {
    pub deployment: ReleaseDeployment,
    /// Per 1 000 generated tokens, or per picture, in base units of a token with six decimals.
    pub price: u128,
}

/// The releases that were fetched, by the folders of their packages. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct FetchedReleases(Arc<Mutex<BTreeMap<PathBuf, FetchedRelease>>>);

impl FetchedReleases {
    pub fn get(&self, dir: &Path) -> Option<FetchedRelease> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(dir).cloned()
    }

    fn put(&self, dir: PathBuf, release: FetchedRelease) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(dir, release);
    }
}

impl FetchedRelease {
    /// The server's prices, of which generated tokens, or pictures, cost at least what the publisher
    /// asks.
    pub fn prices(&self, prices: PriceList, decimals: u8, makes_pictures: bool) -> PriceList {
        let decimals = u32::from(decimals);
        let scale = 10u128.saturating_pow(decimals.abs_diff(PRICE_DECIMALS));
        let asked = match decimals < PRICE_DECIMALS {
            true => self.price.div_ceil(scale),
            false => self.price.saturating_mul(scale),
        };
        match makes_pictures {
            true => PriceList {
                image: prices.image.max(Amount(asked)),
                ..prices
            },
            false => PriceList {
                completion: prices.completion.max(Amount(asked)),
                ..prices
            },
        }
    }
}

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
}

impl RegistryFinder {
    /// What fetches adapters of the registry, within the bounds of the settings.
    ///
    /// # Errors
    ///
    /// A setting is wrong, or no HTTP client can be made.
    pub fn open(
        context: &CommandContext,
        chain: Chain,
        fetched: FetchedReleases,
    ) -> Result<OnDemandAdapters, Failure> {
        let settings = &context.settings.serve;
        let publishers = settings.registry_publishers.iter().map(|text| {
            text.parse::<Address>().map_err(|problem| {
                let message = format!("`serve.registry_publishers` is wrong: {problem}");
                Failure::new(ExitClass::Usage, message)
            })
        });
        let packages = RegistryPackages::new(
            chain,
            distribution::fetcher(context)?,
            distribution::store(context),
            distribution::limits(context),
            publishers.collect::<Result<_, _>>()?,
        )?;
        let finder = Self {
            context: context.clone(),
            packages,
            fetched,
            budget: DailyBytes::new(settings.registry_daily),
        };
        let limits = OnDemandLimits {
            adapters: settings.registry_adapters,
            parallel: settings.registry_pulls,
            patience: PATIENCE,
        };
        Ok(OnDemandAdapters::new(Arc::new(finder), limits))
    }

    async fn bring(&self, release: &RegisteredRelease) -> Result<PathBuf, Failure> {
        let limits = self.packages.limits;
        let is_here = self.packages.store.contains(release.manifest_sha256);
        let left = match is_here {
            true => limits.total,
            false => self.budget.left(today())?,
        };
        let expected: ExpectedRelease =
            distribution::registered(&self.packages.chain, release).await?;
        let policy = VerificationPolicy::default();
        let (done, whole) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let limits = PullLimits {
            total: limits.total.min(left),
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
            () = stalled(&done, &whole) => Err(Failure::new(
                ExitClass::Network,
                "the place of its package sends too slowly",
            )),
        };
        // The files of an archive were counted when it arrived, which may not have ended well.
        let location = self.packages.location(release);
        let files = match location {
            Ok(PackageLocation::Archive(_)) => 0,
            _ => done.into_inner(),
        };
        let archived = self.packages.fetcher.http.take_archived();
        self.budget.spend(today(), archived.saturating_add(files));
        let dir = pulled?.dir;
        let package = tokio::task::block_in_place(|| openlora_package::read(&dir))?;
        let deployment = registered_release(&self.packages.chain, &package, release).await?;
        let price = release.price;
        self.fetched
            .put(dir.clone(), FetchedRelease { deployment, price });
        Ok(dir)
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
}

/// Ends when a fetch makes too little progress: it keeps others from being fetched.
async fn stalled(done: &AtomicU64, whole: &AtomicU64) {
    let mut before = 0;
    let mut window = BEGINNING;
    loop {
        tokio::time::sleep(window).await;
        let now = done.load(Ordering::Relaxed);
        let is_complete = now >= whole.load(Ordering::Relaxed);
        if !is_complete && now < before + SLOWEST {
            return;
        }
        (before, window) = (now, WINDOW);
    }
}

/// Bytes that calls may have fetched in a day (UTC).
struct DailyBytes {
    most: u64,
    spent: Mutex<SpentBytes>,
}

#[derive(Default)]
struct SpentBytes {
    day: u64,
    bytes: u64,
}

impl DailyBytes {
    fn new(most: u64) -> Self {
        Self {
            most,
            spent: Mutex::default(),
        }
    }

    fn left(&self, day: u64) -> Result<u64, Failure> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = if spent.day == day { spent.bytes } else { 0 };
        match self.most.saturating_sub(bytes) {
            0 => {
                let message = format!(
                    "{bytes} bytes were fetched for calls today, and `serve.registry_daily` allows \
                     {}",
                    self.most
                );
                Err(Failure::new(ExitClass::Network, message))
            }
            left => Ok(left),
        }
    }

    fn spend(&self, day: u64, bytes: u64) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.day != day {
            *spent = SpentBytes { day, bytes: 0 };
        }
        spent.bytes = spent.bytes.saturating_add(bytes);
    }
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
