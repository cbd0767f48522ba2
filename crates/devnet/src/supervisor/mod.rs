//! One process per home and chain id: finding, starting and stopping it.
//!
//! A running chain holds the lock in its folder. The system releases the lock when the process
//! ends, so a killed chain can be replaced. A starting process holds a second lock, so that a
//! concurrent starter waits for its chain.

mod error;
mod files;
mod foreground;
mod launch;

use std::{path::Path, time::Duration};

use serde::{Deserialize, Serialize};

pub use error::SupervisorError;
pub use files::ChainDir;
pub use foreground::{ForegroundChain, foreground};

use super::server::TOKEN_HEADER;
use files::ChainLock;

/// Timeout for a response of a running chain.
const PATIENCE: Duration = Duration::from_secs(5);
/// Timeout for starting or stopping a chain.
const CHANGE: Duration = Duration::from_secs(15);

/// The default chain id.
pub const CHAIN_ID: u64 = 31_337;
/// Its port; further chain ids have the ports after it.
const PORT: u16 = 8545;
/// Chain ids that have a port of their own.
const PORTS: u64 = 64;

/// The endpoints of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEndpoint {
    /// JSON-RPC over HTTP.
    pub url: String,
    /// The same over WebSocket, with subscriptions.
    pub ws: String,
    pub chain_id: u64,
    pub pid: u32,
    /// The token that `/stop` requires.
    pub(super) token: String,
    /// Whether this call started it.
    #[serde(skip)]
    pub started: bool,
}

/// The status of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainStatus {
    /// It answers.
    Running(ChainEndpoint),
    /// A process holds the lock but does not answer: it is starting, stopping or blocked.
    Silent {
        pid: Option<u32>,
    },
    Stopped,
}

/// The default port of a chain id; 0 selects a free port.
pub fn usual_port(chain_id: u64) -> u16 {
    match chain_id.checked_sub(CHAIN_ID) {
        Some(distance) if distance < PORTS => PORT + distance as u16,
        _ => 0,
    }
}

/// The status of the chain.
pub async fn status(home: &Path, chain_id: u64) -> Result<ChainStatus, SupervisorError> {
    let folder = ChainDir::new(home, chain_id);
    if !folder.is_locked()? {
        return Ok(ChainStatus::Stopped);
    }
    let pid = folder.holder();
    match folder.endpoint() {
        Some(endpoint) if Some(endpoint.pid) == pid && answers(&endpoint).await => {
            Ok(ChainStatus::Running(endpoint))
        }
        _ => Ok(ChainStatus::Silent { pid }),
    }
}

/// The chain's endpoint; starts a separate process if it is not running.
pub async fn ensure_running(
    home: &Path,
    chain_id: u64,
    port: u16,
) -> Result<ChainEndpoint, SupervisorError> {
    if let ChainStatus::Running(endpoint) = status(home, chain_id).await? {
        return Ok(endpoint);
    }
    let folder = ChainDir::new(home, chain_id);
    folder.create()?;
    let starting = folder.start_lock();
    let _turn = blocking(move || ChainLock::wait(&starting)).await?;
    // Another process may have started it, or a foreground chain is just starting.
    if let Some(endpoint) = settled(home, chain_id).await? {
        return Ok(endpoint);
    }
    launch::launch(&folder, chain_id, port).await
}

/// Waits until the chain either answers or has stopped.
async fn settled(home: &Path, chain_id: u64) -> Result<Option<ChainEndpoint>, SupervisorError> {
    let deadline = tokio::time::Instant::now() + CHANGE;
    loop {
        match status(home, chain_id).await? {
            ChainStatus::Running(endpoint) => return Ok(Some(endpoint)),
            ChainStatus::Stopped => return Ok(None),
            ChainStatus::Silent { pid } if tokio::time::Instant::now() > deadline => {
                return Err(SupervisorError::Stuck { chain_id, pid });
            }
            // A foreign process sends no signal when it is ready: poll again.
            ChainStatus::Silent { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Stops the chain; returns after its file is closed, with whether it was running.
pub async fn stop(home: &Path, chain_id: u64) -> Result<bool, SupervisorError> {
    let folder = ChainDir::new(home, chain_id);
    let Some(endpoint) = settled(home, chain_id).await? else {
        return Ok(false);
    };
    let asked = client()?
        .post(format!("{}/stop", endpoint.url))
        .header(TOKEN_HEADER, &endpoint.token)
        .send()
        .await;
    let accepted = asked.is_ok_and(|response| response.status().is_success());
    let path = folder.lock();
    let gone = tokio::time::timeout(CHANGE, blocking(move || ChainLock::wait(&path))).await;
    match gone {
        Ok(Ok(_)) if accepted => Ok(true),
        Ok(Err(error)) => Err(error),
        _ => Err(SupervisorError::Stuck {
            chain_id,
            pid: Some(endpoint.pid),
        }),
    }
}

/// Stops the chain and deletes its state. Returns the endpoint it had while running.
pub async fn reset(home: &Path, chain_id: u64) -> Result<Option<ChainEndpoint>, SupervisorError> {
    let before = settled(home, chain_id).await?;
    stop(home, chain_id).await?;
    let folder = ChainDir::new(home, chain_id);
    folder.create()?;
    // The lock prevents a start while the files are deleted.
    let path = folder.lock();
    let _alone = blocking(move || ChainLock::wait(&path)).await?;
    folder.delete_state()?;
    Ok(before)
}

fn client() -> Result<reqwest::Client, SupervisorError> {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(|error| SupervisorError::Client(error.to_string()))
}

async fn answers(endpoint: &ChainEndpoint) -> bool {
    let Ok(client) = client() else {
        return false;
    };
    let asked = client.get(format!("{}/health", endpoint.url)).send().await;
    asked.is_ok_and(|response| response.status().is_success())
}

/// Waiting for a lock blocks a thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SupervisorError> + Send + 'static,
) -> Result<T, SupervisorError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| SupervisorError::Client(error.to_string()))?
}
