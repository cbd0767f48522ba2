//! The process of a chain, whether started by the user or in the background.

use std::{path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    ChainEndpoint,
    error::SupervisorError,
    files::{ChainDir, ChainLock, fresh_token},
};
use crate::{ChainOptions, DevChain, GenesisState, RunningNode};

/// A chain that listens in this process.
pub struct ForegroundChain {
    pub endpoint: ChainEndpoint,
    running: RunningNode,
    folder: ChainDir,
    _lock: ChainLock,
}

/// Opens the chain of a home and listens.
pub async fn foreground(
    home: &Path,
    chain_id: u64,
    port: u16,
    genesis: GenesisState,
) -> Result<ForegroundChain, SupervisorError> {
    let folder = ChainDir::new(home, chain_id);
    folder.create()?;
    let path = folder.lock();
    let Some(mut lock) = alone(&path).await? else {
        let pid = folder.holder();
        return Err(SupervisorError::AlreadyRunning { chain_id, pid });
    };
    lock.sign(&path)?;
    let chain = DevChain::open(ChainOptions {
        path: folder.state(),
        chain_id,
        genesis,
    })?;
    let token = fresh_token()?;
    let running = RunningNode::start(chain, port, &token).await?;
    let address = running.address();
    let endpoint = ChainEndpoint {
        url: format!("http://{address}"),
        ws: format!("ws://{address}"),
        chain_id,
        pid: std::process::id(),
        token,
        started: true,
    };
    folder.write_endpoint(&endpoint)?;
    Ok(ForegroundChain {
        endpoint,
        running,
        folder,
        _lock: lock,
    })
}

/// Takes the lock. A probe holds it only briefly; a running chain holds it permanently.
async fn alone(path: &Path) -> Result<Option<ChainLock>, SupervisorError> {
    for _ in 0..10 {
        if let Some(lock) = ChainLock::take(path)? {
            return Ok(Some(lock));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(None)
}

impl ForegroundChain {
    /// Ends the chain when it is cancelled.
    pub fn stop_token(&self) -> CancellationToken {
        self.running.stop_token()
    }

    /// Serves until stopped; returns after the chain's file is closed.
    pub async fn run(self) -> Result<(), SupervisorError> {
        let served = self.running.run().await;
        self.folder.remove_endpoint();
        Ok(served?)
    }
}
