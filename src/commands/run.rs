//! `run`: starts an adapter in a container and forwards calls to it.

#[cfg(target_os = "linux")]
mod container;
#[cfg(target_os = "linux")]
mod forward;
#[cfg(target_os = "linux")]
mod parts;

use std::path::PathBuf;

use serde::Serialize;

#[cfg(not(target_os = "linux"))]
use super::CommandContext;
use openlora_container::{
    PACKAGE, SOCKET,
    limits::{CpuShare, LimitName, MemorySize},
    report::{DeniedAttempt, LimitReading},
    runtime_choice::ContainerRuntime,
};
#[cfg(not(target_os = "linux"))]
use openlora_core::error::{ExitClass, ExitStatus, Failure};

/// The request besides settings.
#[derive(Clone, Debug)]
pub struct ContainerRequest {
    /// An image layout or a package.
    pub target: PathBuf,
    /// The base model on this machine; the embedded one if none.
    pub base: Option<PathBuf>,
    pub memory: MemorySize,
    /// All processors if none.
    pub cpus: Option<CpuShare>,
    pub pids: u32,
    /// Where calls are taken, instead of a TCP port.
    pub socket: Option<PathBuf>,
    pub runtime: ContainerRuntime,
    pub waived: Vec<LimitName>,
}

/// The first line of `run --json`, printed once calls are answered.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ContainerReady<'a> {
    /// Where calls are taken: `http://` and an address, or `unix:` and a path.
    pub url: &'a str,
    /// Name to use as `model`.
    pub adapter: &'a str,
    /// What started it: `runc`, `crun`, `youki` or `builtin`.
    pub runtime: &'a str,
    /// Digest of the image's manifest; absent for a package.
    pub image: Option<&'a str>,
    /// The limits, as they were read back inside.
    pub limits: &'a [LimitReading],
    /// What was tried inside and must fail.
    pub attempts: &'a [DeniedAttempt],
}

/// The arguments of the server inside.
pub(super) fn server_arguments(adapter: &str) -> Vec<String> {
    let adapter = format!("{adapter}={PACKAGE}");
    let fixed = [
        "serve",
        "--local",
        "--free",
        "--socket",
        SOCKET,
        "--adapter",
    ];
    let fixed = fixed.into_iter().map(str::to_owned);
    fixed.chain([adapter]).collect()
}

#[cfg(target_os = "linux")]
pub use container::run;

/// Containers are namespaces, control groups and filters of Linux.
#[cfg(not(target_os = "linux"))]
pub async fn run(
    _context: &CommandContext,
    _request: ContainerRequest,
) -> Result<ExitStatus, Failure> {
    let message = format!(
        "containers run on Linux only, and this system is {}",
        std::env::consts::OS
    );
    Err(Failure::new(ExitClass::Environment, message)
        .with_hint("run it in a virtual machine with Linux, or use `openlora serve`"))
}
