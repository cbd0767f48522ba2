//! How much the store may hold: which packages are used, kept or unused, and what goes when there is no
//! room.
//!
//! | name | what it is |
//! | --- | --- |
//! | `used/HEX` | its time is that of the last use of a package |
//! | `kept/HEX` | the user keeps the package |
//! | `locks/held-HEX` | held, shared, by processes that use the package |
//! | `partial/KEY/reserved` | the bytes that an unfinished pull may come to |

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::{FlockOperation, flock};

use openlora_core::{
    atomic::{FileAccess, remove_folder, replace_file},
    private::files,
};
use openlora_package::{Manifest, manifest::Digest};

use super::{
    blocking::blocking,
    error::DistributionError,
    store::{PackageStore, StoreLock},
};

/// The file of an unfinished pull with its size.
const RESERVED: &str = "reserved";

/// A package of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPackage {
    pub manifest_sha256: Digest,
    /// None if the manifest cannot be read.
    pub manifest: Option<Manifest>,
    pub dir: PathBuf,
    pub bytes: u64,
    /// Unix time in seconds of the last pull or start of serving.
    pub last_used: u64,
    /// The user keeps it, whatever room is needed.
    pub is_kept: bool,
    /// A running process uses it.
    pub is_held: bool,
}

/// Keeps a package in the store while a process uses it; released on drop.
#[derive(Debug)]
pub struct PackageHold(#[allow(dead_code, reason = "closing it releases the lock")] File);

/// An unfinished pull.
struct UnfinishedPull {
    key: String,
    bytes: u64,
    since: SystemTime,
}

impl PackageStore {
    /// Notes that a package is used now.
    pub fn touch(&self, manifest: Digest) {
        let path = self.under("used", manifest);
        let noted = open_marker(&path).and_then(|file| file.set_modified(SystemTime::now()));
        // The time decides only what goes first.
        drop(noted);
    }

    /// Keeps a package in the store until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// The lock cannot be taken; it is being removed.
    pub fn hold(&self, manifest: Digest) -> Result<PackageHold, DistributionError> {
        let path = self.hold_file(manifest);
        let file = open_marker(&path).map_err(DistributionError::io("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(_) => return Err(DistributionError::Busy { path }),
        }
        self.touch(manifest);
        Ok(PackageHold(file))
    }

    /// The same for a folder, if it is a package of this store.
    ///
    /// # Errors
    ///
    /// As with [`Self::hold`].
    pub fn hold_dir(&self, dir: &Path) -> Result<Option<PackageHold>, DistributionError> {
        let name = dir.file_name().and_then(|it| it.to_str());
        let digest = name.and_then(|it| Digest::of_hex(it.strip_prefix("sha256-")?));
        match digest.filter(|it| self.package_dir(*it) == dir) {
            Some(digest) => self.hold(digest).map(Some),
            None => Ok(None),
        }
    }

    /// Has a package stay in the store, or no longer.
    ///
    /// # Errors
    ///
    /// It is not there, or its mark cannot be written.
    pub fn keep(&self, manifest: Digest, is_kept: bool) -> Result<(), DistributionError> {
        if !self.contains(manifest) {
            return Err(self.no_package(manifest));
        }
        let path = self.under("kept", manifest);
        let done = match is_kept {
            true => open_marker(&path).map(drop),
            false => match fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        done.map_err(DistributionError::io("write", path))
    }

    /// The packages of the store, the one that was used last first.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn packages(&self) -> Result<Vec<StoredPackage>, DistributionError> {
        let mut found = Vec::new();
        for name in names_in(&self.root)? {
            let digest = name.strip_prefix("sha256-").and_then(Digest::of_hex);
            if let Some(digest) = digest {
                found.push((self.last_use(digest), self.described(digest)));
            }
        }
        found.sort_by_key(|(used, it)| (std::cmp::Reverse(*used), it.manifest_sha256));
        Ok(found.into_iter().map(|(_, package)| package).collect())
    }

    /// The time of the last use since the Unix epoch, as exact as the file system has it.
    fn last_use(&self, digest: Digest) -> Duration {
        let used = fs::metadata(self.under("used", digest));
        let used = used.or_else(|_| fs::metadata(self.package_dir(digest)));
        let used = used.and_then(|it| it.modified());
        let used = used.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        used.unwrap_or_default()
    }

    fn described(&self, digest: Digest) -> StoredPackage {
        let dir = self.package_dir(digest);
        StoredPackage {
            manifest_sha256: digest,
            manifest: openlora_package::read(&dir).ok().map(|it| it.manifest),
            bytes: bytes_in(&dir),
            last_used: self.last_use(digest).as_secs(),
            is_kept: self.under("kept", digest).exists(),
            is_held: self.is_held(digest),
            dir,
        }
    }

    fn is_held(&self, digest: Digest) -> bool {
        let Ok(file) = File::open(self.hold_file(digest)) else {
            return false;
        };
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    }

    /// Removes a package that no process uses.
    ///
    /// # Errors
    ///
    /// It is not there, a process uses it, or it cannot be removed.
    pub fn remove(&self, manifest: Digest) -> Result<(), DistributionError> {
        if !self.contains(manifest) {
            return Err(self.no_package(manifest));
        }
        let path = self.hold_file(manifest);
        let file = open_marker(&path).map_err(DistributionError::io("open", &path))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(DistributionError::Held {
                path: self.package_dir(manifest),
            });
        }
        let dir = self.package_dir(manifest);
        remove_folder(&dir).map_err(DistributionError::io("remove", &dir))?;
        for mark in ["used", "kept"] {
            // Without a package they mean nothing.
            let _ = fs::remove_file(self.under(mark, manifest));
        }
        Ok(())
    }

    fn no_package(&self, manifest: Digest) -> DistributionError {
        DistributionError::missing(self.root.display(), format!("package sha256-{manifest}"))
    }

    /// Reserves room for a pull: packages that nothing uses or keeps go, those first that were not used
    /// for longest, and then unfinished pulls.
    ///
    /// # Errors
    ///
    /// There is not enough room for it.
    pub(crate) async fn make_room(&self, key: &str, needed: u64) -> Result<(), DistributionError> {
        if self.most.is_none() {
            return Ok(());
        }
        let alone = self.lock("room").await?;
        let (store, key) = (self.clone(), key.to_owned());
        blocking(move || store.make_room_now(&key, needed, &alone)).await
    }

    fn make_room_now(
        &self,
        key: &str,
        needed: u64,
        _alone: &StoreLock,
    ) -> Result<(), DistributionError> {
        let Some(most) = self.most else {
            return Ok(());
        };
        let packages = self.packages()?;
        let mut unfinished = self.unfinished(key)?;
        let in_packages: u64 = packages.iter().map(|it| it.bytes).sum();
        let in_pulls: u64 = unfinished.iter().map(|it| it.bytes).sum();
        let mut used = in_packages.saturating_add(in_pulls);
        let is_enough = |used: u64| used.saturating_add(needed) <= most;
        for package in packages.iter().rev() {
            if is_enough(used) {
                break;
            }
            let is_unused = !package.is_kept && !package.is_held;
            if is_unused && self.remove(package.manifest_sha256).is_ok() {
                used -= package.bytes;
            }
        }
        unfinished.sort_by_key(|it| it.since);
        for pull in &unfinished {
            if is_enough(used) {
                break;
            }
            if self.discard_unused(&pull.key) {
                used -= pull.bytes;
            }
        }
        if !is_enough(used) {
            return Err(DistributionError::NoRoom {
                path: self.root.clone(),
                needed,
                used,
                most,
            });
        }
        let path = self.partial(key).join(RESERVED);
        replace_file(&path, needed.to_string().as_bytes(), FileAccess::Owner)
            .map_err(DistributionError::io("write", path))
    }

    /// The unfinished pulls besides one.
    fn unfinished(&self, own: &str) -> Result<Vec<UnfinishedPull>, DistributionError> {
        let mut found = Vec::new();
        for key in names_in(&self.root.join("partial"))? {
            if key == own {
                continue;
            }
            let dir = self.partial(&key);
            let reserved = fs::read_to_string(dir.join(RESERVED)).ok();
            let reserved = reserved.and_then(|text| text.trim().parse().ok());
            let since = fs::metadata(&dir).and_then(|it| it.modified());
            found.push(UnfinishedPull {
                bytes: bytes_in(&dir).max(reserved.unwrap_or(0)),
                since: since.unwrap_or(UNIX_EPOCH),
                key,
            });
        }
        Ok(found)
    }

    fn hold_file(&self, digest: Digest) -> PathBuf {
        self.root.join("locks").join(format!("held-{digest}"))
    }

    fn under(&self, folder: &str, digest: Digest) -> PathBuf {
        self.root.join(folder).join(digest.to_string())
    }
}

fn open_marker(path: &Path) -> std::io::Result<File> {
    files::new_folder(openlora_core::atomic::parent(path))?;
    let mut options = OpenOptions::new();
    files::open(options.create(true).truncate(false).write(true), path)
}

/// Names in a folder; none if it is not there.
fn names_in(folder: &Path) -> Result<Vec<String>, DistributionError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(DistributionError::io("read", folder))?,
    };
    let names = entries.flatten().map(|it| it.file_name());
    Ok(names.filter_map(|it| it.into_string().ok()).collect())
}

/// Bytes of the files in a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_in(&entry.path()),
        Ok(_) => entry.metadata().map_or(0, |it| it.len()),
        Err(_) => 0,
    });
    sizes.sum()
}
