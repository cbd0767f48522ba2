//! Other people's programs, pinned and installed once: anvil, cast, forge, viem, ethers, web3.py.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sha2::{Digest, Sha256};

/// Version of the Foundry programs, which come as npm packages of one platform each.
const FOUNDRY: &str = "1.7.1";

pub fn suite(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdk")
        .join(name)
}

pub fn artifact(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/artifacts");
    folder.join(format!("{name}.json"))
}

/// Runs to the end and returns stdout; failing says everything.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{out}\n{err}");
    out
}

/// A folder for what `pins` name; `install` fills it once. Tests that need the same one wait.
fn installed(kind: &str, pins: &[&Path], install: impl FnOnce(&Path)) -> PathBuf {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut digest = Sha256::new();
    for pin in pins {
        digest.update(std::fs::read(pin).unwrap());
    }
    digest.update(FOUNDRY);
    let digest = hex::encode(digest.finalize());
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("evm-{kind}-{}", &digest[..16]));
    let stamp = folder.join("installed");
    if !stamp.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        install(&folder);
        std::fs::write(&stamp, "").unwrap();
    }
    folder
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
    installed("js", &[&pins], |folder| {
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

/// The interpreter of an environment with web3.py.
pub fn python() -> PathBuf {
    let pins = suite("web3py").join("requirements.txt");
    let folder = installed("python", &[&pins], |folder| {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder));
        run(Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--no-input", "-r"])
            .arg(&pins));
    });
    folder.join("bin/python")
}

/// A running anvil.
pub struct Anvil {
    child: Child,
    pub url: String,
}

impl Anvil {
    pub fn start() -> Self {
        let mut child = Command::new(foundry("anvil"))
            .args(["--port", "0", "--color", "never"])
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
