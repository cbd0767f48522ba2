//! Other people's programs, pinned and installed once: anvil, cast, forge, viem, ethers.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::paths::repository;
use crate::sdk::{installed, run, suite};

/// Version of the Foundry programs, which come as npm packages of one platform each.
const FOUNDRY: &str = "1.7.1";

pub fn artifact(name: &str) -> PathBuf {
    let folder = repository().join("contracts/artifacts");
    folder.join(format!("{name}.json"))
}

/// `linux-amd64` and the like, as the packages are named.
fn platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{system}-{processor}")
}

/// The folder with viem, ethers, solc and the Foundry programs.
pub fn javascript() -> PathBuf {
    let pins = suite("evm").join("package-lock.json");
    installed(&format!("evm-js-{FOUNDRY}"), &pins, |folder| {
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(suite("evm").join(file), folder.join(file)).unwrap();
        }
        let quiet = ["--ignore-scripts", "--no-audit", "--no-fund"];
        run(Command::new("npm")
            .arg("ci")
            .args(quiet)
            .current_dir(folder));
        let packages = ["anvil", "cast", "forge"]
            .map(|name| format!("@foundry-rs/{name}-{}@{FOUNDRY}", platform()));
        run(Command::new("npm")
            .args(["install", "--no-save"])
            .args(quiet)
            .args(packages)
            .current_dir(folder));
    })
}

/// A Foundry program; the test fails, saying what to install, when there is none.
pub fn foundry(name: &str) -> PathBuf {
    let package = format!("@foundry-rs/{name}-{}", platform());
    let path = javascript()
        .join("node_modules")
        .join(&package)
        .join("bin")
        .join(name);
    assert!(
        path.exists(),
        "{name} is missing: install it with `npm install --no-save {package}@{FOUNDRY}` in {}",
        javascript().display()
    );
    path
}

/// A running anvil.
pub struct Anvil {
    child: Child,
    pub url: String,
}

impl Anvil {
    pub fn start() -> Self {
        Self::of(31_337)
    }

    pub fn of(chain_id: u64) -> Self {
        let mut child = Command::new(foundry("anvil"))
            .args(["--port", "0", "--color", "never"])
            .args(["--chain-id", &chain_id.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| Some(line.strip_prefix("Listening on ")?.trim().to_owned()))
            .expect("anvil says where it listens");
        // Read on, so that it never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            url: format!("http://{address}"),
        }
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
