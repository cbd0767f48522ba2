//! `devnet`: the embedded development chain as a separate process.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{CommandContext, ask, network::port};
use crate::commands::printer::Printer;
use openlora_chain::development::MNEMONIC;
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_devnet::{
    ETHER,
    supervisor::{self, ChainDir, ChainEndpoint, ChainStatus},
};
use openlora_ledger::event::Event;
use openlora_runtime::{journal, running_server::RunningServer};

/// The request of `devnet start` besides settings.
#[derive(Clone, Debug, Default)]
pub struct StartRequest {
    /// Run in this process.
    pub foreground: bool,
    /// Folder of the chain's data, instead of the user's home.
    pub data: Option<PathBuf>,
}

/// The endpoints of the chain.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct DevnetStarted {
    /// JSON-RPC over HTTP.
    pub url: String,
    /// The same over WebSocket, with subscriptions.
    pub ws: String,
    pub chain_id: u64,
    pub pid: u32,
    /// It was started by this command.
    pub started: bool,
    pub folder: String,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct DevnetStopped {
    pub chain_id: u64,
    /// It was running before.
    pub stopped: bool,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct DevnetState {
    pub chain_id: u64,
    pub running: bool,
    /// A process holds the chain's lock but does not answer.
    pub silent: bool,
    pub pid: Option<u32>,
    pub url: Option<String>,
    pub ws: Option<String>,
    /// Bytes of state on disk.
    pub bytes: u64,
    pub folder: String,
    pub log: String,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct DevnetReset {
    pub chain_id: u64,
    /// It was running and was restarted with a new chain.
    pub restarted: bool,
    pub url: Option<String>,
}

fn chain_id(context: &CommandContext) -> u64 {
    context.settings.devnet.chain_id
}

/// Starts the chain, or prints where it already runs.
pub async fn start(context: &CommandContext, request: StartRequest) -> Result<ExitStatus, Failure> {
    let chain_id = chain_id(context);
    let port = port(context, chain_id);
    let home = request.data.unwrap_or_else(|| context.dirs.data.clone());
    if request.foreground {
        return foreground(context, &home, chain_id, port).await;
    }
    let endpoint = supervisor::ensure_running(&home, chain_id, port).await?;
    let verb = if endpoint.started {
        "started"
    } else {
        "running already"
    };
    announce(&context.printer, &home, &endpoint, verb);
    Ok(ExitStatus::Success)
}

async fn foreground(
    context: &CommandContext,
    home: &Path,
    chain_id: u64,
    port: u16,
) -> Result<ExitStatus, Failure> {
    let genesis = openlora_devnet::local_genesis()?;
    let node = supervisor::foreground(home, chain_id, port, genesis).await?;
    let stop = node.stop_token();
    let listen = |kind| {
        signal(kind).map_err(|error| {
            let message = format!("cannot listen for signals: {error}");
            Failure::new(ExitClass::Environment, message)
        })
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
    announce(&context.printer, home, &node.endpoint, "started");
    let pid = node.endpoint.pid;
    node.run().await?;
    context.printer.note(format!(
        "chain {chain_id} (process {pid}) stopped; its state is on disk"
    ));
    Ok(ExitStatus::Success)
}

fn announce(printer: &Printer, home: &Path, endpoint: &ChainEndpoint, verb: &str) {
    let folder = ChainDir::new(home, endpoint.chain_id);
    if printer.is_json() {
        printer.json(&DevnetStarted {
            url: endpoint.url.clone(),
            ws: endpoint.ws.clone(),
            chain_id: endpoint.chain_id,
            pid: endpoint.pid,
            started: endpoint.started,
            folder: folder.path().display().to_string(),
        });
    } else {
        printer.line(&endpoint.url);
    }
    printer.note(format!(
        "chain {} {verb} at {} (process {}), state in {}",
        endpoint.chain_id,
        endpoint.url,
        endpoint.pid,
        folder.path().display()
    ));
    printer.note(format!(
        "ten accounts with {ETHER} ETH each; everybody knows their words: {MNEMONIC}"
    ));
}

/// Refuses while a server of this home accepts payments on the chain.
async fn refuse_served(context: &CommandContext, chain_id: u64) -> Result<(), Failure> {
    let server = RunningServer::find(&context.dirs).await?;
    let Some(server) = server.filter(|it| it.is_on(chain_id)) else {
        return Ok(());
    };
    let message = format!(
        "the server at {} takes money on the development chain {chain_id}",
        server.url()
    );
    Err(Failure::new(ExitClass::Environment, message).with_hint("stop it first"))
}

/// Stops the chain; it is no error if it is not running.
pub async fn stop(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let chain_id = chain_id(context);
    refuse_served(context, chain_id).await?;
    let stopped = supervisor::stop(&context.dirs.data, chain_id).await?;
    if context.printer.is_json() {
        context.printer.json(&DevnetStopped { chain_id, stopped });
    } else if stopped {
        context.printer.line(format!("chain {chain_id} stopped"));
    } else {
        context
            .printer
            .line(format!("chain {chain_id} was not running"));
    }
    Ok(ExitStatus::Success)
}

/// Prints whether the chain runs, its endpoints and its size.
pub async fn status(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let chain_id = chain_id(context);
    let status = supervisor::status(&context.dirs.data, chain_id).await?;
    let folder = ChainDir::new(&context.dirs.data, chain_id);
    let state = describe(chain_id, &status, &folder);
    if context.printer.is_json() {
        context.printer.json(&state);
        return Ok(ExitStatus::Success);
    }
    let line = match &status {
        ChainStatus::Running(endpoint) => format!(
            "chain {chain_id} runs at {} (process {})",
            endpoint.url, endpoint.pid
        ),
        ChainStatus::Silent { pid: Some(pid) } => {
            format!("chain {chain_id} is held by process {pid}, which does not answer")
        }
        ChainStatus::Silent { pid: None } => {
            format!("chain {chain_id} is held, and does not answer")
        }
        ChainStatus::Stopped => format!("chain {chain_id} is not running"),
    };
    context.printer.line(line);
    context
        .printer
        .line(format!("state: {} bytes in {}", state.bytes, state.folder));
    Ok(ExitStatus::Success)
}

fn describe(chain_id: u64, status: &ChainStatus, folder: &ChainDir) -> DevnetState {
    let size = |name: &str| {
        let path = folder.path().join(name);
        std::fs::metadata(path).map_or(0, |found| found.len())
    };
    let endpoint = match status {
        ChainStatus::Running(endpoint) => Some(endpoint),
        ChainStatus::Silent { .. } | ChainStatus::Stopped => None,
    };
    DevnetState {
        chain_id,
        running: endpoint.is_some(),
        silent: matches!(status, ChainStatus::Silent { .. }),
        pid: match status {
            ChainStatus::Running(endpoint) => Some(endpoint.pid),
            ChainStatus::Silent { pid } => *pid,
            ChainStatus::Stopped => None,
        },
        url: endpoint.map(|endpoint| endpoint.url.clone()),
        ws: endpoint.map(|endpoint| endpoint.ws.clone()),
        bytes: size("chain.sqlite") + size("chain.sqlite-wal"),
        folder: folder.path().display().to_string(),
        log: folder.log().display().to_string(),
    }
}

/// Creates a new chain; a running one restarts at the same address.
pub async fn reset(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let chain_id = chain_id(context);
    let home = &context.dirs.data;
    refuse_served(context, chain_id).await?;
    // A process that writes the journal now would continue with events of the removed chain.
    let path = context.dirs.journal();
    let journal = match path.exists() {
        true => Some(journal::open(&path)?),
        false => None,
    };
    if ChainDir::new(home, chain_id).has_state() {
        let deed = format!("deleting the development chain {chain_id} and all that is on it");
        ask::confirm(context, &deed, "yes")?;
    }
    let before = supervisor::reset(home, chain_id).await?;
    // If this is not reached, the next command detects the new chain.
    if let Some(journal) = &journal {
        journal.append(Event::ChainEnded { chain_id }).await?;
    }
    let restarted = match &before {
        Some(endpoint) => {
            let port = endpoint
                .url
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok());
            let port = port.unwrap_or_else(|| supervisor::usual_port(chain_id));
            Some(supervisor::ensure_running(home, chain_id, port).await?)
        }
        None => None,
    };
    if context.printer.is_json() {
        context.printer.json(&DevnetReset {
            chain_id,
            restarted: restarted.is_some(),
            url: restarted.map(|endpoint| endpoint.url),
        });
        return Ok(ExitStatus::Success);
    }
    context.printer.line(match restarted {
        Some(endpoint) => format!("chain {chain_id} begins anew at {}", endpoint.url),
        None => format!("chain {chain_id} will begin anew"),
    });
    Ok(ExitStatus::Success)
}
