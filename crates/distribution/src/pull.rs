//! Pulling: from a place into the store. A package is in the store only after every byte was compared
//! with its manifest and every check of `verify` was made.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Url;

use openlora_core::{
    atomic::{self, FileAccess, replace_file},
    private::files,
};
use openlora_package::{
    ENVELOPE_FILE, MANIFEST_FILE, MODEL_SIGNATURE_FILE, Manifest, PackageError,
    manifest::{Digest, LARGEST, PackageFile},
    verify::PackageVerification,
};

use super::{
    archive::fetch_archive,
    blocking::blocking,
    credentials::CredentialSources,
    error::DistributionError,
    http::HttpFetcher,
    layout::LayoutReader,
    limits::PullLimits,
    location::PackageLocation,
    modelpack::package_layers,
    origin::OriginSecret,
    partial_file::PartialFile,
    registry::RegistryClient,
    source::{ArtifactFiles, PackageSource},
    store::{LockedPlace, PackageStore},
};

/// Attempts without progress after which a broken download is given up.
const ATTEMPTS: u32 = 4;

/// Bytes that an attempt must bring to count as progress. Less would let a server have a download
/// begin anew for hours.
const PROGRESS: u64 = 1 << 16;

/// The pause before the next attempt, times its number.
const PAUSE: Duration = Duration::from_millis(250);

/// How packages are reached.
#[derive(Clone, Debug)]
pub struct PackageFetcher {
    pub http: HttpFetcher,
    pub credentials: CredentialSources,
    /// Address of the Hub.
    pub hub: String,
}

/// What to pull, and what it must be.
#[derive(Clone, Debug)]
pub struct PullRequest<'a> {
    pub location: &'a PackageLocation,
    /// The only manifest that is accepted.
    pub expected: Option<Digest>,
    pub limits: PullLimits,
    /// Accept that a tag, a branch or a URL holds something else than when it was pulled first.
    pub update: bool,
}

/// A file of a package that is read without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallFile<'a> {
    /// Its path in the package.
    pub path: &'a str,
    /// The most bytes that it may have.
    pub limit: u64,
}

/// Bytes of a package that are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullProgress {
    pub done: u64,
    /// 0 where it is not known: of an archive.
    pub total: u64,
}

/// A package in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct PulledPackage {
    pub dir: PathBuf,
    pub manifest: Manifest,
    pub manifest_sha256: Digest,
    /// Bytes that were fetched; zero if it was in the store.
    pub fetched: u64,
    /// The digest under which the registry knows it.
    pub oci: Option<Digest>,
}

/// Checks a folder before it becomes a package of the store.
pub type PackageCheckFn<'a> =
    &'a (dyn Fn(&Path) -> Result<PackageVerification, PackageError> + Send + Sync);

/// Called for each piece.
pub type ProgressFn<'a> = &'a (dyn Fn(PullProgress) + Send + Sync);

/// A manifest at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundManifest {
    pub manifest: Manifest,
    pub sha256: Digest,
    bytes: Vec<u8>,
    oci: Option<Digest>,
}

impl PackageFetcher {
    async fn open(
        &self,
        location: &PackageLocation,
        store: &PackageStore,
        limits: PullLimits,
        progress: ProgressFn<'_>,
    ) -> Result<PackageSource, DistributionError> {
        let place = location.to_string();
        match location {
            PackageLocation::Folder(dir) => Ok(PackageSource::Folder(dir.clone())),
            PackageLocation::Layout { dir, tag } => {
                let layout = LayoutReader::new(dir);
                let files = artifact(&place, &layout.manifest(tag)?)?;
                Ok(PackageSource::Layout(layout, files))
            }
            PackageLocation::Registry(reference) => {
                let client = RegistryClient::new(&self.http, reference, &self.credentials, false)?;
                let files = artifact(&place, &client.manifest(&reference.version).await?)?;
                Ok(PackageSource::Registry(client, files))
            }
            PackageLocation::Web(url) => self.web(url, None),
            PackageLocation::Hub {
                repository,
                revision,
            } => {
                let hub = self.hub.trim_end_matches('/');
                let token = self.credentials.hub_token.as_deref();
                self.web(&format!("{hub}/{repository}/resolve/{revision}"), token)
            }
            PackageLocation::Archive(url) => {
                let url = parsed(url)?;
                let folder = store.partial(&archive_key(&place));
                let tell = |done: u64| progress(PullProgress { done, total: 0 });
                let root = fetch_archive(&self.http, &url, &folder, limits, &tell).await?;
                Ok(PackageSource::Folder(root))
            }
        }
    }

    fn web(&self, url: &str, token: Option<&str>) -> Result<PackageSource, DistributionError> {
        let root = parsed(url)?;
        let secret = token.and_then(|it| OriginSecret::new(&root, &format!("Bearer {it}")));
        Ok(PackageSource::Web {
            fetcher: self.http.clone(),
            root,
            secret,
        })
    }

    /// Reads the manifest at a place and nothing else. It is kept, so that it is known next time.
    ///
    /// # Errors
    ///
    /// The place cannot be read, or its manifest is wrong, not the expected one or too large.
    pub async fn find_manifest(
        &self,
        store: &PackageStore,
        location: &PackageLocation,
        expected: Option<Digest>,
        limits: PullLimits,
    ) -> Result<FoundManifest, DistributionError> {
        let key = archive_key(&location.to_string());
        let is_archive = matches!(location, PackageLocation::Archive(_));
        let _alone = match is_archive {
            true => Some(store.lock(&key).await?),
            false => None,
        };
        let source = self.open(location, store, limits, &|_| {}).await?;
        let limit = limits.file.min(LARGEST);
        let found = manifest_of(&source, &location.to_string(), expected, limit).await?;
        store.keep_manifest(&found.bytes)?;
        Ok(found)
    }

    /// Reads one small file of a package at a place, besides its manifest. It is kept, so that it is
    /// known next time. `None` if the manifest names no such file.
    ///
    /// # Errors
    ///
    /// It cannot be read, is larger than `limit` bytes, or is not the manifest's.
    pub async fn find_file(
        &self,
        store: &PackageStore,
        location: &PackageLocation,
        manifest: &Manifest,
        file: SmallFile<'_>,
    ) -> Result<Option<Vec<u8>>, DistributionError> {
        let Some(named) = manifest.files.iter().find(|it| it.path == file.path) else {
            return Ok(None);
        };
        if named.size.0 > file.limit {
            return Err(DistributionError::TooLarge {
                what: named.path.clone(),
                found: named.size.0,
                limit: file.limit,
            });
        }
        if let Some(bytes) = store.small_file(named.sha256) {
            return Ok(Some(bytes));
        }
        let limits = PullLimits {
            file: file.limit,
            total: file.limit,
        };
        let source = self.open(location, store, limits, &|_| {}).await?;
        let bytes = source.open(named, 0).await?;
        let bytes = bytes.whole(&named.path, file.limit).await?;
        let found = Digest::hash_bytes(&bytes);
        if found != named.sha256 {
            return Err(DistributionError::Content {
                place: location.to_string(),
                what: named.path.clone(),
                expected: named.sha256,
                found,
            });
        }
        store.keep_small_file(&bytes)?;
        Ok(Some(bytes))
    }

    /// Brings a package into the store.
    ///
    /// # Errors
    ///
    /// It cannot be reached, is not the expected one, is too large, or does not verify. Nothing is
    /// added to the store then.
    pub async fn pull(
        &self,
        store: &PackageStore,
        request: &PullRequest<'_>,
        check: PackageCheckFn<'_>,
        progress: ProgressFn<'_>,
    ) -> Result<PulledPackage, DistributionError> {
        let place = request.location.to_string();
        let locked = store.locked_place(&place)?;
        if let Some(known) = self.known(store, request, locked)
            && let Some(package) = stored(store, known, check)?
        {
            let oci = locked.and_then(|it| it.oci);
            store.touch(known);
            return Ok(PulledPackage { oci, ..package });
        }
        let stale = store.clone();
        blocking(move || stale.discard_stale()).await;
        let key = archive_key(&place);
        let is_archive = matches!(request.location, PackageLocation::Archive(_));
        let _archive = match is_archive {
            true => {
                let lock = store.lock(&key).await?;
                make_archive_room(store, &key, request).await?;
                Some(lock)
            }
            false => None,
        };
        let pulled = self.pull_anew(store, request, locked, check, progress);
        let pulled = pulled.await;
        // What is refused would be refused again; a broken download goes on.
        let stays = |error: &DistributionError| {
            error.is_transient() || matches!(error, DistributionError::Offline { .. })
        };
        if is_archive && !pulled.as_ref().is_err_and(stays) {
            store.discard(&key)?;
        }
        let (package, held) = pulled?;
        if locked != Some(held) {
            store.lock_place(&place, held).await?;
        }
        Ok(package)
    }

    /// Brings a package that is not in the store, and says what its place holds.
    async fn pull_anew(
        &self,
        store: &PackageStore,
        request: &PullRequest<'_>,
        locked: Option<LockedPlace>,
        check: PackageCheckFn<'_>,
        progress: ProgressFn<'_>,
    ) -> Result<(PulledPackage, LockedPlace), DistributionError> {
        let place = request.location.to_string();
        let source = self
            .open(request.location, store, request.limits, progress)
            .await?;
        let found = manifest_of(&source, &place, request.expected, LARGEST).await?;
        check_lock(&place, request, locked, found.sha256)?;
        let total = request.limits.check(&found.manifest)?;
        source.check_listing(&place, &found.manifest)?;
        if matches!(request.location, PackageLocation::Archive(_)) {
            // Its files are there now, and count themselves.
            store.make_room(&archive_key(&place), 0).await?;
        }
        let pull = RunningPull {
            store,
            place: &place,
            source: &source,
            found: &found,
            total,
        };
        let package = pull.finish(check, progress).await?;
        let held = LockedPlace {
            manifest: found.sha256,
            oci: found.oci,
        };
        Ok((package, held))
    }

    /// The manifest that is meant, if that can be said without asking anyone.
    fn known(
        &self,
        store: &PackageStore,
        request: &PullRequest<'_>,
        locked: Option<LockedPlace>,
    ) -> Option<Digest> {
        let locked = locked.map(|it| it.manifest);
        let fits = |digest: &Digest| request.expected.is_none_or(|it| it == *digest);
        let is_certain = !request.location.is_movable()
            || (self.http.is_offline() && !request.location.is_on_this_machine());
        let known = match request.expected {
            Some(expected) => Some(expected),
            None => locked.filter(|_| is_certain).filter(fits),
        };
        known.filter(|digest| store.contains(*digest))
    }
}

fn parsed(url: &str) -> Result<Url, DistributionError> {
    Url::parse(url).map_err(|error| DistributionError::malformed(url, "the URL", error))
}

/// Makes room for an archive and its files: their size where the manifest is known, and else as much as
/// a package may have, but not more than half of the store.
async fn make_archive_room(
    store: &PackageStore,
    key: &str,
    request: &PullRequest<'_>,
) -> Result<(), DistributionError> {
    let limits = request.limits;
    let known = request.expected.and_then(|digest| store.manifest(digest));
    let size = match known {
        Some(manifest) => limits.check(&manifest)?,
        None => limits.unpacked(),
    };
    let half = store.most.map_or(u64::MAX, |most| most / 2);
    let folder = store.partial(key);
    files::new_folder(&folder).map_err(DistributionError::io("make", &folder))?;
    store.make_room(key, size.saturating_mul(2).min(half)).await
}

/// The name of an archive's unfinished download.
fn archive_key(place: &str) -> String {
    format!("url-{}", Digest::hash_bytes(place.as_bytes()))
}

fn artifact(place: &str, manifest: &[u8]) -> Result<ArtifactFiles, DistributionError> {
    Ok(ArtifactFiles {
        layers: package_layers(place, manifest)?,
        oci: Digest::hash_bytes(manifest),
    })
}

async fn manifest_of(
    source: &PackageSource,
    place: &str,
    expected: Option<Digest>,
    limit: u64,
) -> Result<FoundManifest, DistributionError> {
    let bytes = source.manifest(place, limit).await?;
    let found = Digest::hash_bytes(&bytes);
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        return Err(DistributionError::OtherManifest {
            place: place.to_owned(),
            expected,
            found,
        });
    }
    let manifest = Manifest::parse(&bytes).map_err(|problem| DistributionError::Manifest {
        place: place.to_owned(),
        problem,
    })?;
    Ok(FoundManifest {
        manifest,
        sha256: found,
        bytes,
        oci: source.oci_digest(),
    })
}

/// Refuses what has moved. Folders of this machine change as their owner likes.
fn check_lock(
    place: &str,
    request: &PullRequest<'_>,
    locked: Option<LockedPlace>,
    found: Digest,
) -> Result<(), DistributionError> {
    let Some(locked) = locked.map(|it| it.manifest) else {
        return Ok(());
    };
    // What the caller expects is known from elsewhere.
    let is_free = request.update || request.expected.is_some() || !request.location.is_remote();
    if locked == found || is_free {
        return Ok(());
    }
    Err(DistributionError::Moved {
        place: place.to_owned(),
        locked,
        found,
    })
}

/// The package of the store, if it is there and verifies.
fn stored(
    store: &PackageStore,
    digest: Digest,
    check: PackageCheckFn<'_>,
) -> Result<Option<PulledPackage>, DistributionError> {
    let dir = store.package_dir(digest);
    if !dir.is_dir() || !check(&dir)?.ok {
        return Ok(None);
    }
    let package = openlora_package::read(&dir)?;
    Ok((package.manifest_sha256 == digest).then(|| PulledPackage {
        dir,
        manifest: package.manifest,
        manifest_sha256: digest,
        fetched: 0,
        oci: None,
    }))
}

/// A pull whose manifest is known and allowed.
struct RunningPull<'a> {
    store: &'a PackageStore,
    place: &'a str,
    source: &'a PackageSource,
    found: &'a FoundManifest,
    total: u64,
}

impl RunningPull<'_> {
    async fn finish(
        &self,
        check: PackageCheckFn<'_>,
        progress: ProgressFn<'_>,
    ) -> Result<PulledPackage, DistributionError> {
        let digest = self.found.sha256;
        let key = format!("sha256-{digest}");
        let _alone = self.store.lock(&key).await?;
        // Another process may have finished it meanwhile.
        if let Some(package) = stored(self.store, digest, check)? {
            let oci = self.found.oci;
            self.store.touch(digest);
            return Ok(PulledPackage { oci, ..package });
        }
        let dir = self.store.partial_files(&key);
        files::new_folder(&dir).map_err(DistributionError::io("make", &dir))?;
        self.store.make_room(&key, self.total).await?;
        let fetched = self.fetch_all(&dir, progress).await?;
        let report = check(&dir)?;
        if !report.ok {
            self.store.discard(&key)?;
            return Err(DistributionError::Refused {
                place: self.place.to_owned(),
                report,
            });
        }
        let (store, bytes) = (self.store.clone(), self.found.bytes.clone());
        let installed = move || {
            let dir = store.install(&key, digest)?;
            store.keep_manifest(&bytes)?;
            Ok::<_, DistributionError>(dir)
        };
        let dir = blocking(installed).await?;
        self.store.touch(digest);
        Ok(PulledPackage {
            dir,
            manifest: self.found.manifest.clone(),
            manifest_sha256: digest,
            fetched,
            oci: self.found.oci,
        })
    }

    async fn fetch_all(
        &self,
        dir: &Path,
        progress: ProgressFn<'_>,
    ) -> Result<u64, DistributionError> {
        let mut fetched = self.fetch_own(dir).await?;
        let mut done = 0;
        for file in &self.found.manifest.files {
            let path = dir.join(&file.path);
            let folder = atomic::parent(&path);
            files::new_folder(folder).map_err(DistributionError::io("make", folder))?;
            let (before, total) = (done, self.total);
            let tell = move |of_file: u64| {
                let done = before + of_file;
                progress(PullProgress { done, total });
            };
            fetched += self.fetch_file(file, &path, &tell).await?;
            tell(file.size.0);
            done += file.size.0;
        }
        Ok(fetched)
    }

    /// The manifest and the signatures.
    async fn fetch_own(&self, dir: &Path) -> Result<u64, DistributionError> {
        let mut fetched = self.found.bytes.len() as u64;
        let put = |name: &str, bytes: &[u8]| {
            let path = dir.join(name);
            let written = replace_file(&path, bytes, FileAccess::Owner);
            written.map_err(DistributionError::io("write", path))
        };
        put(MANIFEST_FILE, &self.found.bytes)?;
        for name in [ENVELOPE_FILE, MODEL_SIGNATURE_FILE] {
            match self.source.signature(self.place, name).await? {
                Some(bytes) => {
                    fetched += bytes.len() as u64;
                    put(name, &bytes)?;
                }
                None => match fs::remove_file(dir.join(name)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(DistributionError::io("remove", dir.join(name))(error));
                    }
                    _ => {}
                },
            }
        }
        Ok(fetched)
    }

    /// Fetches a file, or what is missing of it; returns the number of bytes that came.
    async fn fetch_file(
        &self,
        file: &PackageFile,
        path: &Path,
        tell: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<u64, DistributionError> {
        let (mut fetched, mut failures, mut is_fresh) = (0, 0, false);
        loop {
            let mut part = PartialFile::open(path, file, self.place).await?;
            let was_there = part.length;
            let result = part.complete(self.source, tell).await;
            let came = part.length.saturating_sub(was_there);
            fetched += came;
            match result {
                Ok(()) => return Ok(fetched),
                Err(error) if error.is_transient() => {
                    let goes_on = came >= PROGRESS && !part.restarted;
                    failures = if goes_on { 1 } else { failures + 1 };
                    if failures >= ATTEMPTS {
                        return Err(error);
                    }
                    tokio::time::sleep(PAUSE * failures).await;
                }
                // What an earlier pull left may be wrong; what came now is not asked for again.
                Err(DistributionError::Content { .. } | DistributionError::Size { .. })
                    if was_there > 0 && !is_fresh =>
                {
                    is_fresh = true;
                    part.remove()?;
                }
                Err(error) => {
                    if matches!(
                        error,
                        DistributionError::Content { .. } | DistributionError::Size { .. }
                    ) {
                        part.remove()?;
                    }
                    return Err(error);
                }
            }
        }
    }
}
