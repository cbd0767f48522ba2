//! Packages that a chain registers: finds one by its name or id, fetches it from where its release
//! says, and holds it against the chain.
//!
//! A registry has no names: a name is read in the manifests that it registers. They are looked at
//! once each, in bounds, because anyone can register anything.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};

use openlora_chain::{
    provider::Chain,
    registry::{AdapterId, parse_id, shown_id},
};
use openlora_core::{
    Address,
    calendar::moment,
    error::{ExitClass, Explain},
    private::foreign_text::clean_line,
};
use openlora_distribution::{
    DistributionError, PackageCheckFn, PackageFetcher, PackageLocation, PackageStore, ProgressFn,
    PullLimits, PullRequest, PulledPackage, SmallFile,
};
use openlora_model::adapter::{TASK_FILE, TaskCard};
use openlora_package::{Manifest, manifest::Digest};
use openlora_release::{
    deploy::DeployError,
    lookup::{ChainRelease, ReleaseIndex, is_paused, registered_at},
};

/// Manifests that one search for a name looks at, those that are known not counted.
const LOOKUPS: usize = 256;

/// Manifests that are fetched at the same time, the patience for each, and its largest size.
const PARALLEL: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST: u64 = 1 << 20;
const LARGEST_CARD: u64 = 256 << 10;

/// How long one search for a name looks at manifests: others wait for its turn.
const SEARCH_PATIENCE: Duration = Duration::from_secs(30);

/// Adapters of one name that a refusal describes.
const NAMESAKES: usize = 8;

/// How long what the chain registers is taken for current.
const CURRENT: Duration = Duration::from_secs(10);

/// How long a manifest that could not be read is not asked for again.
const UNREADABLE: Duration = Duration::from_secs(600);

/// A model of a registry, as a caller names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryModel {
    Id(AdapterId),
    Name(String),
    /// `0xPUBLISHER/NAME`: the one of that name that an account registered.
    Published {
        publisher: Address,
        name: String,
    },
}

impl From<&str> for RegistryModel {
    fn from(text: &str) -> Self {
        if let Some(id) = parse_id(text) {
            return Self::Id(id);
        }
        let parts = text.split_once('/').filter(|(_, name)| !name.is_empty());
        let published = parts.and_then(|(publisher, name)| {
            let publisher = publisher.starts_with("0x").then(|| publisher.parse().ok());
            Some((publisher.flatten()?, name))
        });
        match published {
            Some((publisher, name)) => Self::Published {
                publisher,
                name: name.to_owned(),
            },
            None => Self::Name(text.to_owned()),
        }
    }
}

impl std::fmt::Display for RegistryModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => f.write_str(&shown_id(*id)),
            Self::Name(name) => f.write_str(name),
            Self::Published { publisher, name } => write!(f, "{publisher}/{name}"),
        }
    }
}

/// Why a registered package is not here.
#[derive(Debug, thiserror::Error)]
pub enum RegistryPackageError {
    #[error("no release of the registry {registry} is named `{model}`{unread}")]
    NotRegistered {
        registry: Address,
        model: String,
        unread: String,
    },
    #[error("{count} adapters of the registry {registry} are named `{model}`: {}", namesakes.join("; "))]
    Ambiguous {
        registry: Address,
        model: String,
        count: usize,
        /// The first of them, each with its id, its publisher and its age; oldest first.
        namesakes: Vec<String>,
    },
    #[error("the adapter {id} is paused by its owner")]
    Paused { id: String },
    #[error("the publisher of {id}, {publisher}, is not among those that are allowed")]
    Publisher { id: String, publisher: Address },
    #[error("the release of {id} does not say where its package is")]
    NoPlace { id: String },
    #[error("the release of {id} says that its package is at {place}, which {reason}")]
    BadPlace {
        id: String,
        place: String,
        reason: String,
    },
    #[error(transparent)]
    Chain(#[from] DeployError),
    #[error(transparent)]
    Distribution(#[from] DistributionError),
}

impl Explain for RegistryPackageError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Chain(error) => error.class(),
            Self::Distribution(error) => error.class(),
            Self::Publisher { .. } => ExitClass::Verification,
            Self::NotRegistered { .. } | Self::Ambiguous { .. } => ExitClass::Usage,
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Chain(error) => return error.hint(),
            Self::Distribution(error) => return error.hint(),
            Self::NotRegistered { .. } => "`openlora explore` lists what is registered",
            Self::Ambiguous { model, .. } => {
                return Some(format!(
                    "none of them is preferred, as anyone can register any name; name the one that \
                     you mean by its publisher, `0xPUBLISHER/{model}`, or by its id"
                ));
            }
            Self::NoPlace { .. } | Self::BadPlace { .. } => {
                "its publisher can push it, and name the place with `openlora deploy --uri LOCATION`"
            }
            Self::Paused { .. } | Self::Publisher { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// What a registry registers, and how it is fetched.
pub struct RegistryPackages {
    pub chain: Chain,
    pub fetcher: PackageFetcher,
    pub store: PackageStore,
    pub limits: PullLimits,
    /// Accounts whose adapters are fetched; all if empty.
    pub publishers: Vec<Address>,
    /// Only adapters that this account may serve.
    pub server: Option<Address>,
    index: tokio::sync::Mutex<CurrentIndex>,
    unreadable: Failures,
    /// Manifests whose task cards could not be read.
    unreadable_cards: Failures,
    /// The names in manifests that were looked at, so that a call for an unknown name reads no files.
    names: Mutex<BTreeMap<Digest, String>>,
}

#[derive(Default)]
struct CurrentIndex {
    index: ReleaseIndex,
    read_at: Option<Instant>,
}

impl RegistryPackages {
    /// The packages of the chain's registry. Anyone can register a place, so none leads into the own
    /// network, except on a development chain.
    ///
    /// # Errors
    ///
    /// No HTTP client can be made.
    pub fn new(
        chain: Chain,
        fetcher: PackageFetcher,
        store: PackageStore,
        limits: PullLimits,
        publishers: Vec<Address>,
    ) -> Result<Self, RegistryPackageError> {
        let http = match chain.network.is_local() {
            true => fetcher.http.clone(),
            false => fetcher.http.for_strangers(&fetcher.hub)?,
        };
        Ok(Self {
            chain,
            fetcher: PackageFetcher { http, ..fetcher },
            store,
            limits,
            publishers,
            server: None,
            index: tokio::sync::Mutex::default(),
            unreadable: Mutex::default(),
            unreadable_cards: Mutex::default(),
            names: Mutex::default(),
        })
    }

    fn registry(&self) -> Address {
        self.chain.network.contracts.registry.unwrap_or_default()
    }

    /// The newest release of a model.
    ///
    /// # Errors
    ///
    /// No adapter is registered under that name, or several are; it is paused, or its publisher is
    /// not allowed.
    pub async fn find(&self, model: &RegistryModel) -> Result<ChainRelease, RegistryPackageError> {
        let releases = self.releases().await?;
        let release = match model {
            RegistryModel::Id(id) => {
                let found = releases.into_iter().find(|it| it.adapter_id == *id);
                found.ok_or_else(|| self.not_registered(model, 0))?
            }
            RegistryModel::Name(name) => self.find_named(model, name, releases).await?,
            RegistryModel::Published { publisher, name } => {
                let own = releases.into_iter().filter(|it| it.publisher == *publisher);
                self.find_named(model, name, own.collect()).await?
            }
        };
        let (id, publisher) = (shown_id(release.adapter_id), release.publisher);
        if !self.is_allowed(&release) {
            return Err(RegistryPackageError::Publisher { id, publisher });
        }
        let paused = is_paused(&self.chain, release.adapter_id).await;
        match paused.map_err(DeployError::from)? {
            true => Err(RegistryPackageError::Paused { id }),
            false => Ok(release),
        }
    }

    fn is_allowed(&self, release: &ChainRelease) -> bool {
        self.publishers.is_empty() || self.publishers.contains(&release.publisher)
    }

    fn not_registered(&self, model: &RegistryModel, unread: usize) -> RegistryPackageError {
        RegistryPackageError::NotRegistered {
            registry: self.registry(),
            model: model.to_string(),
            unread: match unread {
                0 => String::new(),
                some => format!("; {some} manifests could not be read"),
            },
        }
    }

    async fn releases(&self) -> Result<Vec<ChainRelease>, RegistryPackageError> {
        let mut current = self.index.lock().await;
        if current.read_at.is_none_or(|at| at.elapsed() > CURRENT) {
            current.index.refresh(&self.chain).await?;
            current.read_at = Some(Instant::now());
        }
        let may_serve = |it: &&ChainRelease| {
            let server = self.server;
            server.is_none_or(|server| current.index.may_serve(it.adapter_id, server))
        };
        let releases = current.index.releases().filter(may_serve);
        Ok(releases.cloned().collect())
    }

    /// The releases that may be fetched, in the order in which their adapters were registered, each with
    /// its manifest if that could be read.
    ///
    /// # Errors
    ///
    /// The chain does not answer.
    pub async fn available(
        &self,
    ) -> Result<Vec<(ChainRelease, Option<Manifest>)>, RegistryPackageError> {
        let mut releases = self.releases().await?;
        releases.retain(|it| self.is_allowed(it));
        self.read_unknown(&releases).await;
        let with_manifest = |release: ChainRelease| {
            let manifest = self.store.manifest(release.manifest_sha256);
            (release, manifest)
        };
        Ok(releases.into_iter().map(with_manifest).collect())
    }

    /// The task cards of releases whose packages have one that can be read, by the manifests' digests.
    /// What was not looked at in time is looked at by the next call.
    pub async fn task_cards(
        &self,
        releases: &[(ChainRelease, Manifest)],
    ) -> BTreeMap<Digest, TaskCard> {
        let found = Mutex::new(BTreeMap::new());
        let reading = releases.iter().cloned().map(|(release, manifest)| {
            let found = &found;
            async move {
                if let Some(card) = self.task_card(&release, &manifest).await {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.insert(release.manifest_sha256, card);
                }
            }
        });
        let reading: Vec<_> = reading.collect();
        let reading = stream::iter(reading).buffer_unordered(PARALLEL);
        let reading = reading.for_each(|()| std::future::ready(()));
        let _ = tokio::time::timeout(SEARCH_PATIENCE, reading).await;
        found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task card of a release. One that could not be read is not asked for again for a while.
    async fn task_card(&self, release: &ChainRelease, manifest: &Manifest) -> Option<TaskCard> {
        let location = self.location(release).ok()?;
        let digest = release.manifest_sha256;
        if matches!(location, PackageLocation::Archive(_))
            || is_recent(&self.unreadable_cards, digest)
        {
            return None;
        }
        let file = SmallFile {
            path: TASK_FILE,
            limit: LARGEST_CARD,
        };
        let reading = self
            .fetcher
            .find_file(&self.store, &location, manifest, file);
        let read = tokio::time::timeout(PATIENCE, reading).await;
        let Ok(Ok(read)) = read else {
            note_failure(&self.unreadable_cards, digest);
            return None;
        };
        serde_json::from_slice(&read?).ok()
    }

    async fn find_named(
        &self,
        model: &RegistryModel,
        name: &str,
        releases: Vec<ChainRelease>,
    ) -> Result<ChainRelease, RegistryPackageError> {
        let candidates = releases.into_iter();
        let candidates: Vec<ChainRelease> = candidates.filter(|it| self.is_allowed(it)).collect();
        self.read_unknown(&candidates).await;
        let (mut same, mut unread) = (Vec::new(), 0);
        for release in candidates {
            match self.name_of(release.manifest_sha256) {
                Some(own) if is_named(&own, name) => same.push(release),
                Some(_) => {}
                None => unread += 1,
            }
        }
        match same.len() {
            0 => Err(self.not_registered(model, unread)),
            1 => Ok(same.remove(0)),
            count => Err(RegistryPackageError::Ambiguous {
                registry: self.registry(),
                model: name.to_owned(),
                count,
                namesakes: self.namesakes(&same).await?,
            }),
        }
    }

    /// What tells releases of one name apart.
    async fn namesakes(&self, same: &[ChainRelease]) -> Result<Vec<String>, RegistryPackageError> {
        let mut shown = Vec::new();
        for release in same.iter().take(NAMESAKES) {
            let (id, publisher) = (release.adapter_id, release.publisher);
            let since = registered_at(&self.chain, id).await;
            let since = moment(since.map_err(DeployError::from)?);
            shown.push(format!(
                "{} of {publisher}, registered {since}",
                shown_id(id)
            ));
        }
        Ok(shown)
    }

    /// The name in a manifest that was looked at.
    fn name_of(&self, digest: Digest) -> Option<String> {
        let names = || self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = names().get(&digest) {
            return Some(name.clone());
        }
        let name = self.store.manifest(digest)?.name;
        names().insert(digest, name.clone());
        Some(name)
    }

    /// Fetches the manifests that were never looked at, of which only the names are used.
    async fn read_unknown(&self, releases: &[ChainRelease]) {
        let unknown = releases.iter().filter(|release| {
            let digest = release.manifest_sha256;
            self.name_of(digest).is_none() && !self.is_unreadable(digest)
        });
        // Owned, because a closure over borrowed items would not be general enough for a task.
        let unknown: Vec<ChainRelease> = unknown.take(LOOKUPS).cloned().collect();
        let reading = unknown
            .into_iter()
            .map(|release| self.read_manifest(release));
        let reading = stream::iter(reading).buffer_unordered(PARALLEL);
        let reading = reading.for_each(|()| std::future::ready(()));
        // What was not looked at in time is looked at by the next search.
        let _ = tokio::time::timeout(SEARCH_PATIENCE, reading).await;
    }

    /// Looks at a manifest, and notes if that failed.
    async fn read_manifest(&self, release: ChainRelease) {
        let digest = release.manifest_sha256;
        let location = self.location(&release).ok();
        // A whole archive would have to be fetched for a name.
        let is_archive = |it: &PackageLocation| matches!(it, PackageLocation::Archive(_));
        let read = match location.filter(|it| !is_archive(it)) {
            None => false,
            Some(location) => {
                let limits = PullLimits {
                    file: LARGEST,
                    ..self.limits
                };
                let reading =
                    self.fetcher
                        .find_manifest(&self.store, &location, Some(digest), limits);
                let read = tokio::time::timeout(PATIENCE, reading).await;
                matches!(read, Ok(Ok(_)))
            }
        };
        if !read {
            note_failure(&self.unreadable, digest);
        }
    }

    fn is_unreadable(&self, digest: Digest) -> bool {
        is_recent(&self.unreadable, digest)
    }

    /// Where a release says that its package is. What a chain says never leads to a file or a service
    /// of this machine, except on a development chain.
    ///
    /// # Errors
    ///
    /// It says nothing, or names a place that only its publisher's machine has.
    pub fn location(
        &self,
        release: &ChainRelease,
    ) -> Result<PackageLocation, RegistryPackageError> {
        let id = shown_id(release.adapter_id);
        if release.uri.is_empty() {
            return Err(RegistryPackageError::NoPlace { id });
        }
        let bad = |reason: String| RegistryPackageError::BadPlace {
            id: id.clone(),
            place: clean_line(&release.uri).chars().take(200).collect(),
            reason,
        };
        let location: Result<PackageLocation, _> = release.uri.parse();
        let location = location.map_err(|problem| bad(format!("is none: {}", problem.reason)))?;
        if !location.is_remote() {
            return Err(bad("other machines cannot read".to_owned()));
        }
        if location.is_on_this_machine() && !self.chain.network.is_local() {
            return Err(bad("is this machine".to_owned()));
        }
        Ok(location)
    }

    /// Fetches the package of a release into the store. `check` holds it against the chain.
    ///
    /// # Errors
    ///
    /// It cannot be fetched, is another package than the chain registers, or does not verify.
    pub async fn pull(
        &self,
        release: &ChainRelease,
        limits: PullLimits,
        check: PackageCheckFn<'_>,
        progress: ProgressFn<'_>,
    ) -> Result<PulledPackage, RegistryPackageError> {
        let location = self.location(release)?;
        let request = PullRequest {
            location: &location,
            expected: Some(release.manifest_sha256),
            limits,
            update: false,
        };
        Ok(self
            .fetcher
            .pull(&self.store, &request, check, progress)
            .await?)
    }
}

/// What could not be read, and when that was found.
type Failures = Mutex<BTreeMap<Digest, Instant>>;

fn note_failure(failures: &Failures, digest: Digest) {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    failures.retain(|_, at| at.elapsed() < UNREADABLE);
    failures.insert(digest, Instant::now());
}

fn is_recent(failures: &Failures, digest: Digest) -> bool {
    let failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    let at = failures.get(&digest);
    at.is_some_and(|at| at.elapsed() < UNREADABLE)
}

/// Whether a manifest's own name is a name, as it is or as the id of a model.
fn is_named(own: &str, name: &str) -> bool {
    own == name || model_id(own) == name
}

/// Model ids consist of letters, digits and `-_.`; any other character of a name becomes `-`.
pub fn model_id(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    name.chars()
        .map(|letter| if fits(letter) { letter } else { '-' })
        .collect()
}
