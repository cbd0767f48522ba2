//! Monitoring of a transfer: its progress, a timeout, and the check of its digest.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

use hf_hub::api::tokio::Progress;
use sha2::{Digest, Sha256};

use super::DownloadProgress;
use crate::error::HubProblem;

/// A blob is named after its ETag, which for large files is their SHA-256.
pub fn check_digest(path: &Path) -> Result<(), HubProblem> {
    let unreadable = |error: std::io::Error| HubProblem::Transport {
        reason: error.to_string(),
    };
    let blob = path.canonicalize().map_err(unreadable)?;
    let expected = blob
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if expected.len() != 64 || !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(&blob).map_err(unreadable)?;
    std::io::copy(&mut file, &mut hasher).map_err(unreadable)?;
    let found = hex::encode(hasher.finalize());
    if found == expected {
        Ok(())
    } else {
        Err(HubProblem::Digest { expected, found })
    }
}

/// Removes an invalid file, so that the next attempt starts from the beginning.
pub fn discard(path: &Path) {
    // If it cannot be removed, the next check finds it invalid again.
    let _ = path.canonicalize().and_then(std::fs::remove_file);
    let _ = std::fs::remove_file(path);
}

/// Counts received bytes and forwards them.
#[derive(Clone)]
pub struct DownloadMeter {
    reports: Sender<DownloadProgress>,
    started: Instant,
    size: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    /// Milliseconds from `started` to the last received data.
    heard: Arc<AtomicU64>,
}

impl DownloadMeter {
    pub fn new(reports: Sender<DownloadProgress>) -> Self {
        let (started, size) = (Instant::now(), Arc::default());
        Self {
            reports,
            started,
            size,
            received: Arc::default(),
            heard: Arc::default(),
        }
    }

    fn hear(&self) {
        self.heard
            .store(self.started.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Completes when nothing has arrived for too long.
    pub async fn silence(&self) {
        let heard = || Duration::from_millis(self.heard.load(Ordering::Relaxed));
        while self.started.elapsed() < heard() + super::SILENCE {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    pub fn check(&self) -> Result<(), HubProblem> {
        let expected = self.size.load(Ordering::Relaxed);
        let found = self.received.load(Ordering::Relaxed);
        if found == expected {
            Ok(())
        } else {
            Err(HubProblem::Size { expected, found })
        }
    }
}

impl Progress for DownloadMeter {
    async fn init(&mut self, size: usize, file: &str) {
        self.hear();
        self.size.store(size as u64, Ordering::Relaxed);
        // A missing listener does not stop the transfer.
        self.reports
            .send(DownloadProgress::Started {
                file: file.to_owned(),
                bytes: size as u64,
            })
            .ok();
    }

    async fn update(&mut self, size: usize) {
        self.hear();
        self.received.fetch_add(size as u64, Ordering::Relaxed);
        self.reports
            .send(DownloadProgress::Advanced { bytes: size as u64 })
            .ok();
    }

    async fn finish(&mut self) {}
}
