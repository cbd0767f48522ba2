//! Starts the chain's process: this same program, detached, with its output in the log file.

use std::process::Stdio;

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use super::{CHANGE, ChainEndpoint, error::SupervisorError, files::ChainDir};

/// The final error of a child process with `--json`.
#[derive(Deserialize)]
struct ChildError {
    message: String,
    hint: Option<String>,
}

/// Starts a process and returns once it answers. The caller must hold the starters' lock.
pub(super) async fn launch(
    folder: &ChainDir,
    chain_id: u64,
    port: u16,
) -> Result<ChainEndpoint, SupervisorError> {
    let program = std::env::current_exe().map_err(SupervisorError::io(
        "find the program",
        std::path::Path::new("openlora"),
    ))?;
    let log = folder.open_log()?;
    let said_before = log.metadata().map_or(0, |found| found.len());
    // The child runs in the folder, where a relative path would be resolved differently.
    let folder_path = std::path::absolute(folder.path())
        .map_err(SupervisorError::io("find the folder", folder.path()))?;
    let home = folder_path.parent().and_then(std::path::Path::parent);
    let mut child = Command::new(&program)
        .args(["--json", "devnet", "start", "--foreground"])
        .args(["--chain-id", &chain_id.to_string()])
        .args(["--port", &port.to_string()])
        .arg("--data")
        .arg(home.unwrap_or(&folder_path))
        // The chain is independent of the starter's project and terminal.
        .current_dir(&folder_path)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(SupervisorError::io("start", &program))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // One line signals that the chain is ready; the end of the stream means that it failed.
        let mut stdout = BufReader::new(stdout);
        let read = timeout(CHANGE, stdout.read_line(&mut line)).await;
        if read.is_err() {
            let _ = child.kill().await;
        }
    }
    match folder.endpoint() {
        Some(mut endpoint) if !line.is_empty() && Some(endpoint.pid) == child.id() => {
            endpoint.started = true;
            Ok(endpoint)
        }
        _ => {
            let _ = child.wait().await;
            Err(failure(folder, chain_id, said_before))
        }
    }
}

/// The last error output of the child.
fn failure(folder: &ChainDir, chain_id: u64, said_before: u64) -> SupervisorError {
    let log = std::fs::read_to_string(folder.log()).unwrap_or_default();
    let said = log.get(said_before as usize..).unwrap_or(&log);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    let envelope = last.and_then(|line| serde_json::from_str::<ChildError>(line).ok());
    let (reason, hint) = match (envelope, last) {
        (Some(envelope), _) => (envelope.message, envelope.hint),
        (None, Some(line)) => (line.to_owned(), None),
        (None, None) => (
            format!("it ended without a word, see {}", folder.log().display()),
            None,
        ),
    };
    SupervisorError::NotStarted {
        chain_id,
        reason,
        hint,
    }
}
