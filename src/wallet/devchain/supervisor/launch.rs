//! Starting the chain's process: this very program, detached, its words in the log file.

use std::process::Stdio;

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use super::{CHANGE, ChainEndpoint, error::SupervisorError, files::ChainDir};

/// The error that a child with `--json` ends with.
#[derive(Deserialize)]
struct ChildError {
    message: String,
    hint: Option<String>,
}

/// Starts a process and returns once it answers. The caller holds the lock of starters.
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
    // The child works in the folder, where a relative path would mean something else.
    let folder_path = std::path::absolute(folder.path())
        .map_err(SupervisorError::io("find the folder", folder.path()))?;
    let home = folder_path.parent().and_then(std::path::Path::parent);
    let mut child = Command::new(&program)
        .args(["--json", "devnet", "start", "--foreground"])
        .args(["--chain-id", &chain_id.to_string()])
        .args(["--port", &port.to_string()])
        .arg("--data")
        .arg(home.unwrap_or(&folder_path))
        // No project and no terminal of the starter reach into the chain's life.
        .current_dir(&folder_path)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(SupervisorError::io("start", &program))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // One line says that the chain is up; the end of the stream, that it never will be.
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

/// What the child said last.
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
