//! A chain's folder: its state, its locks, its log, and its endpoint file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use super::{ChainEndpoint, error::SupervisorError};
use openlora_core::{
    atomic::{self, FileAccess},
    private::files,
};

/// The folder of one chain in a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainDir(PathBuf);

impl ChainDir {
    pub fn new(home: &Path, chain_id: u64) -> Self {
        Self(home.join("devnet").join(chain_id.to_string()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn state(&self) -> PathBuf {
        self.0.join("chain.sqlite")
    }

    /// The output of the process, current and earlier.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn start_lock(&self) -> PathBuf {
        self.0.join("start.lock")
    }

    fn endpoint_file(&self) -> PathBuf {
        self.0.join("endpoint.json")
    }

    /// Private, because the endpoint file allows its reader to stop the chain.
    pub(super) fn create(&self) -> Result<(), SupervisorError> {
        files::folder(&self.0).map_err(SupervisorError::io("create the folder", &self.0))
    }

    /// Whether a process has the chain open.
    pub(super) fn is_locked(&self) -> Result<bool, SupervisorError> {
        if !self.lock().exists() {
            return Ok(false);
        }
        ChainLock::is_taken(&self.lock())
    }

    /// The process that the lock file names.
    pub(super) fn holder(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.lock()).ok()?;
        text.trim().parse().ok()
    }

    pub(super) fn endpoint(&self) -> Option<ChainEndpoint> {
        let text = std::fs::read_to_string(self.endpoint_file()).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Written atomically: readers see the old or the new endpoint.
    pub(super) fn write_endpoint(&self, endpoint: &ChainEndpoint) -> Result<(), SupervisorError> {
        let path = self.endpoint_file();
        let text = serde_json::to_string(endpoint)
            .map_err(|error| SupervisorError::Client(error.to_string()))?;
        atomic::replace_file(&path, text.as_bytes(), FileAccess::Owner)
            .map_err(SupervisorError::io("write", &path))
    }

    pub(super) fn remove_endpoint(&self) {
        // A stale file names a process without the lock and is ignored.
        let _ = std::fs::remove_file(self.endpoint_file());
    }

    pub fn has_state(&self) -> bool {
        self.0.join("chain.sqlite").exists()
    }

    pub(super) fn delete_state(&self) -> Result<(), SupervisorError> {
        for name in ["chain.sqlite", "chain.sqlite-wal", "chain.sqlite-shm"] {
            let path = self.0.join(name);
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(SupervisorError::io("delete", &path)(error)),
            }
        }
        Ok(())
    }

    /// The log, opened for appending; a large one is truncated.
    pub(super) fn open_log(&self) -> Result<File, SupervisorError> {
        const LARGE: u64 = 4 << 20;
        let path = self.log();
        let large = std::fs::metadata(&path).is_ok_and(|found| found.len() > LARGE);
        let mut options = OpenOptions::new();
        options.create(true);
        if large {
            options.write(true).truncate(true);
        } else {
            options.append(true);
        }
        files::open(&mut options, &path).map_err(SupervisorError::io("open", &path))
    }
}

/// An advisory lock, held until dropped.
#[derive(Debug)]
pub(super) struct ChainLock {
    file: File,
}

impl ChainLock {
    fn open(path: &Path) -> Result<File, SupervisorError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        files::open(&mut options, path).map_err(SupervisorError::io("open", path))
    }

    /// Takes the lock, or returns that it is taken.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, SupervisorError> {
        let file = Self::open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(SupervisorError::io("lock", path)(error)),
        }
    }

    /// Whether another process holds the lock. Probes take a shared lock, so they do not block each
    /// other.
    fn is_taken(path: &Path) -> Result<bool, SupervisorError> {
        let file = Self::open(path)?;
        match file.try_lock_shared() {
            Ok(()) => file
                .unlock()
                .map(|()| false)
                .map_err(SupervisorError::io("unlock", path)),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(SupervisorError::io("lock", path)(error)),
        }
    }

    /// Waits for the lock.
    pub(super) fn wait(path: &Path) -> Result<Self, SupervisorError> {
        let file = Self::open(path)?;
        file.lock().map_err(SupervisorError::io("lock", path))?;
        Ok(Self { file })
    }

    /// Writes the id of the lock's holder to the file.
    pub(super) fn sign(&mut self, path: &Path) -> Result<(), SupervisorError> {
        let failed = || SupervisorError::io("write", path);
        self.file.set_len(0).map_err(failed())?;
        self.file
            .write_all(std::process::id().to_string().as_bytes())
            .map_err(failed())
    }
}

impl Drop for ChainLock {
    /// Unlocks explicitly: closing would leave the lock with a child process that shares the file.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// An unpredictable token.
pub(super) fn fresh_token() -> Result<String, SupervisorError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(SupervisorError::io("read", path))?;
    Ok(hex::encode(bytes))
}
