//! The packages of a home: immutable folders `sha256-HEX`, named by the digest of their manifest, and
//! what is still on the way to become one.
//!
//! | name | what it is |
//! | --- | --- |
//! | `sha256-HEX/` | a verified package |
//! | `partial/KEY/` | a pull that is not finished; the next one goes on with it |
//! | `locks/KEY` | held while a process writes `partial/KEY` |
//! | `manifests/HEX.json`, `manifests/HEX.file` | manifests and task cards that were looked at, by their digest |
//! | `locations.json` | what each place held when it was pulled, and where packages were pushed |

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use openlora_core::{
    atomic::{self, FileAccess, remove_folder, replace_file, replace_folder},
    private::files,
};
use openlora_package::{Manifest, manifest::Digest};

use super::error::DistributionError;

/// Unfinished pulls of this age are removed.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Folder of a package that is on the way.
const FILES: &str = "files";

/// The store of a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageStore {
    pub(crate) root: PathBuf,
    /// The most bytes that it may hold.
    pub(crate) most: Option<u64>,
}

/// What a place held when it was last pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPlace {
    /// Digest of `openlora.json`.
    pub manifest: Digest,
    /// Digest of the OCI manifest, in registries and layouts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oci: Option<Digest>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LocationsFile {
    format: u32,
    /// By place.
    pulled: BTreeMap<String, LockedPlace>,
    /// Places by manifest digest.
    pushed: BTreeMap<Digest, String>,
}

impl Default for LocationsFile {
    fn default() -> Self {
        Self {
            format: 1,
            pulled: BTreeMap::new(),
            pushed: BTreeMap::new(),
        }
    }
}

/// Held by the only process that writes something; released on drop.
#[derive(Debug)]
pub(crate) struct StoreLock(#[allow(dead_code, reason = "closing it releases the lock")] File);

impl PackageStore {
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            most: None,
        }
    }

    /// The same store, which holds at most so many bytes: see [`Self::packages`] for what goes first.
    pub fn bounded(self, most: u64) -> Self {
        Self {
            most: Some(most),
            ..self
        }
    }

    /// Where a package is, whether or not it is there.
    pub fn package_dir(&self, manifest: Digest) -> PathBuf {
        self.root.join(format!("sha256-{manifest}"))
    }

    pub fn contains(&self, manifest: Digest) -> bool {
        self.package_dir(manifest).is_dir()
    }

    pub(crate) fn partial(&self, key: &str) -> PathBuf {
        self.root.join("partial").join(key)
    }

    /// The files of an unfinished pull.
    pub(crate) fn partial_files(&self, key: &str) -> PathBuf {
        self.partial(key).join(FILES)
    }

    /// Waits until no other process or task writes `key`.
    pub(crate) async fn lock(&self, key: &str) -> Result<StoreLock, DistributionError> {
        let folder = self.root.join("locks");
        files::new_folder(&folder).map_err(DistributionError::io("make", &folder))?;
        let path = folder.join(key);
        let waiting = tokio::task::spawn_blocking(move || lock_file(&path));
        let locked = waiting.await;
        locked.map_err(|_| DistributionError::Busy { path: folder })?
    }

    /// Puts a verified package in place of whatever is under its name.
    pub(crate) fn install(
        &self,
        key: &str,
        manifest: Digest,
    ) -> Result<PathBuf, DistributionError> {
        let (staged, target) = (self.partial_files(key), self.package_dir(manifest));
        seal(&staged).map_err(DistributionError::io("write", &staged))?;
        // A package that was there is damaged, and goes with the unfinished pull.
        replace_folder(&staged, &target).map_err(DistributionError::io("write", &target))?;
        self.discard(key)?;
        Ok(target)
    }

    /// Forgets an unfinished pull.
    pub(crate) fn discard(&self, key: &str) -> Result<(), DistributionError> {
        let partial = self.partial(key);
        remove_folder(&partial).map_err(DistributionError::io("remove", &partial))
    }

    /// Removes an unfinished pull that no process writes; false if it stays.
    pub(crate) fn discard_unused(&self, key: &str) -> bool {
        let Ok(file) = File::open(self.root.join("locks").join(key)) else {
            return false;
        };
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() && self.discard(key).is_ok()
    }

    /// Removes pulls that are unfinished for a week and that no process writes.
    pub(crate) fn discard_stale(&self) {
        let entries = fs::read_dir(self.root.join("partial"));
        for entry in entries.into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|it| it.modified());
            let is_stale = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE));
            if is_stale && let Ok(key) = entry.file_name().into_string() {
                // What stays only costs space.
                self.discard_unused(&key);
            }
        }
    }

    fn manifest_file(&self, manifest: Digest) -> PathBuf {
        self.root.join("manifests").join(format!("{manifest}.json"))
    }

    /// A manifest that was looked at before.
    pub fn manifest(&self, digest: Digest) -> Option<Manifest> {
        let bytes = fs::read(self.manifest_file(digest)).ok()?;
        let is_it = Digest::hash_bytes(&bytes) == digest;
        is_it.then(|| Manifest::parse(&bytes).ok()).flatten()
    }

    /// Keeps a manifest under its digest.
    pub(crate) fn keep_manifest(&self, bytes: &[u8]) -> Result<(), DistributionError> {
        let path = self.manifest_file(Digest::hash_bytes(bytes));
        let folder = atomic::parent(&path);
        files::new_folder(folder)
            .and_then(|()| replace_file(&path, bytes, FileAccess::Owner))
            .map_err(DistributionError::io("write", &path))
    }

    fn small_path(&self, digest: Digest) -> PathBuf {
        self.root.join("manifests").join(format!("{digest}.file"))
    }

    /// A small file of some package that was looked at before.
    pub(crate) fn small_file(&self, digest: Digest) -> Option<Vec<u8>> {
        let bytes = fs::read(self.small_path(digest)).ok()?;
        (Digest::hash_bytes(&bytes) == digest).then_some(bytes)
    }

    /// Keeps a small file under its digest.
    pub(crate) fn keep_small_file(&self, bytes: &[u8]) -> Result<(), DistributionError> {
        let path = self.small_path(Digest::hash_bytes(bytes));
        files::new_folder(atomic::parent(&path))
            .and_then(|()| replace_file(&path, bytes, FileAccess::Owner))
            .map_err(DistributionError::io("write", &path))
    }

    fn locations_file(&self) -> PathBuf {
        self.root.join("locations.json")
    }

    fn locations(&self) -> Result<LocationsFile, DistributionError> {
        let path = self.locations_file();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(LocationsFile::default());
            }
            Err(error) => return Err(DistributionError::io("read", path)(error)),
        };
        let file: LocationsFile = serde_json::from_slice(&bytes)
            .map_err(|error| DistributionError::malformed(path.display(), "the file", error))?;
        match file.format {
            1 => Ok(file),
            other => Err(DistributionError::malformed(
                path.display(),
                "the file",
                format!("expected format 1, found {other}"),
            )),
        }
    }

    /// What a place held when it was last pulled.
    ///
    /// # Errors
    ///
    /// The file of places cannot be read.
    pub fn locked_place(&self, place: &str) -> Result<Option<LockedPlace>, DistributionError> {
        Ok(self.locations()?.pulled.get(place).copied())
    }

    /// Where a package was pushed last.
    ///
    /// # Errors
    ///
    /// The file of places cannot be read.
    pub fn pushed_to(&self, manifest: Digest) -> Result<Option<String>, DistributionError> {
        Ok(self.locations()?.pushed.get(&manifest).cloned())
    }

    pub(crate) async fn lock_place(
        &self,
        place: &str,
        held: LockedPlace,
    ) -> Result<(), DistributionError> {
        self.change_locations(|file| {
            file.pulled.insert(place.to_owned(), held);
        })
        .await
    }

    pub(crate) async fn remember_push(
        &self,
        manifest: Digest,
        place: &str,
    ) -> Result<(), DistributionError> {
        self.change_locations(|file| {
            file.pushed.insert(manifest, place.to_owned());
        })
        .await
    }

    async fn change_locations(
        &self,
        change: impl FnOnce(&mut LocationsFile),
    ) -> Result<(), DistributionError> {
        let _alone = self.lock("locations").await?;
        let mut file = self.locations()?;
        change(&mut file);
        let path = self.locations_file();
        let bytes = serde_json::to_vec_pretty(&file)
            .map_err(|error| DistributionError::malformed(path.display(), "the file", error))?;
        replace_file(&path, &bytes, FileAccess::Owner)
            .map_err(DistributionError::io("write", &path))
    }
}

fn lock_file(path: &Path) -> Result<StoreLock, DistributionError> {
    let mut options = OpenOptions::new();
    let opened = files::open(options.create(true).truncate(false).write(true), path);
    let file = opened.map_err(DistributionError::io("open", path))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| DistributionError::io("lock", path)(errno.into()))?;
    Ok(StoreLock(file))
}

/// Makes the files of a folder read-only and durable.
fn seal(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            seal(&entry.path())?;
        } else {
            fs::set_permissions(entry.path(), Permissions::from_mode(0o400))?;
        }
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    File::open(folder)?.sync_all()
}
