//! Runs this binary as a user would: a command line in, JSON out.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use openlora_core::{
    atomic::{self, FileAccess},
    error::{EXIT_CLASSES, ExitClass, Failure, describe_decoding},
    private::files,
};

/// Contains the password of the demo's account, generated for this run.
pub(super) const PASSWORD_FILE: &str = "password";

/// This binary, with a home of its own.
pub struct DemoBinary {
    binary: PathBuf,
    dir: PathBuf,
    /// Name of the home folder.
    home: &'static str,
}

/// A server that is stopped when this is dropped.
pub struct DemoServer {
    child: Child,
    /// The line it printed when it became ready.
    pub ready: ReadyServer,
}

/// What is read of the server's ready line.
#[derive(Deserialize)]
pub struct ReadyServer {
    pub url: String,
}

/// What is read of the result of `wallet new`.
#[derive(Deserialize)]
pub struct CreatedAccount {
    pub address: String,
}

impl DemoBinary {
    pub fn new(home: &Path) -> Result<Self, Failure> {
        let binary = std::env::current_exe().map_err(|error| {
            Failure::new(
                ExitClass::Environment,
                format!("cannot find this program: {error}"),
            )
        })?;
        Ok(Self {
            binary,
            dir: home.to_owned(),
            home: "home",
        })
    }

    /// The same program with another home.
    pub fn with_home(&self, home: &'static str) -> Self {
        Self {
            binary: self.binary.clone(),
            dir: self.dir.clone(),
            home,
        }
    }

    /// The journal of this home.
    pub fn journal(&self) -> PathBuf {
        self.dir.join(self.home).join("data/journal.sqlite")
    }

    /// The folder in which this home's server publishes its log.
    pub fn log(&self) -> PathBuf {
        self.dir.join(self.home).join("data/attribution-log")
    }

    /// Configures this home to use a running chain.
    pub fn use_chain(&self, rpc: &str) -> Result<(), Failure> {
        let folder = self.dir.join(self.home).join("config");
        files::folder(&folder)
            .map_err(|error| Failure::io("create the folder", &folder, &error))?;
        let path = folder.join("config.toml");
        let text = format!("[network.local]\nrpc = \"{rpc}\"\n");
        atomic::replace_file(&path, text.as_bytes(), FileAccess::Owner)
            .map_err(|error| Failure::io("write", &path, &error))
    }

    /// Generates the password that the commands read from their environment.
    pub fn write_password(&self) -> Result<(), Failure> {
        let path = self.dir.join(PASSWORD_FILE);
        let password = format!("{:032x}\n", rand::random::<u128>());
        atomic::replace_file(&path, password.as_bytes(), FileAccess::Owner)
            .map_err(|error| Failure::io("write", &path, &error))
    }

    /// The folder of this program's own files.
    pub fn home(&self) -> PathBuf {
        self.dir.join(self.home)
    }

    /// The folder of its files that may be deleted.
    pub fn cache(&self) -> PathBuf {
        self.home().join("cache")
    }

    /// The variables that its commands run with.
    pub fn variables(&self) -> [(&'static str, OsString); 4] {
        [
            ("OPENLORA_HOME", self.home().into()),
            // A chain of its own on a free port.
            ("OPENLORA_DEVNET_PORT", "0".into()),
            // One tiny call is paid by a transfer of its own, for comparison.
            ("OPENLORA_SERVE_MIN_EXACT", "0.00001".into()),
            (
                "OPENLORA_PASSWORD_FILE",
                self.dir.join(PASSWORD_FILE).into(),
            ),
        ]
    }

    /// Folder in which projects are created.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        // The user's own settings must not affect the demo.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OPENLORA_") {
                command.env_remove(name);
            }
        }
        command
            .arg("--json")
            .args(args)
            .current_dir(dir)
            .envs(self.variables())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end; its result is not needed.
    pub async fn run(&self, dir: &Path, args: &[&str]) -> Result<(), Failure> {
        self.output(dir, args, Stdio::piped()).await.map(drop)
    }

    /// Runs a command to its end and reads its result.
    pub async fn read<T: DeserializeOwned>(&self, dir: &Path, args: &[&str]) -> Result<T, Failure> {
        self.read_watched(dir, args, false).await
    }

    /// The same; its stderr is shown if `watch` asks for progress, as a bar only if stderr is the
    /// terminal itself.
    pub async fn read_watched<T: DeserializeOwned>(
        &self,
        dir: &Path,
        args: &[&str],
        watch: bool,
    ) -> Result<T, Failure> {
        let stderr = match watch {
            true => Stdio::inherit(),
            false => Stdio::piped(),
        };
        let result = self.output(dir, args, stderr).await?;
        serde_json::from_value(result).map_err(|error| {
            let line = args.join(" ");
            let message = format!(
                "`openlora {line}` printed something else: {}",
                describe_decoding(&error)
            );
            Failure::new(ExitClass::Internal, message)
        })
    }

    async fn output(&self, dir: &Path, args: &[&str], stderr: Stdio) -> Result<Value, Failure> {
        let output = self
            .command(dir, args)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| self.cannot_run(args, &error))?
            .wait_with_output()
            .await
            .map_err(|error| self.cannot_run(args, &error))?;
        if !output.status.success() {
            return Err(failed_step(args, output.status.code(), &output.stderr));
        }
        last_json(&output.stdout).ok_or_else(|| {
            Failure::new(
                ExitClass::Internal,
                format!("`openlora {}` printed no result", args.join(" ")),
            )
        })
    }

    /// Starts a server and waits for its ready line.
    pub async fn serve(&self, dir: &Path, args: &[&str]) -> Result<DemoServer, Failure> {
        let mut child = self
            .command(dir, args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.cannot_run(args, &error))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout);
            lines
                .read_line(&mut line)
                .await
                .map_err(|error| self.cannot_run(args, &error))?;
        }
        match serde_json::from_str(&line) {
            Ok(ready) => {
                // Its notes are not read any more; a full pipe would block it.
                if let Some(mut stderr) = child.stderr.take() {
                    tokio::spawn(async move {
                        tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await
                    });
                }
                Ok(DemoServer { child, ready })
            }
            Err(_) => {
                let output = child
                    .wait_with_output()
                    .await
                    .map_err(|error| self.cannot_run(args, &error))?;
                Err(failed_step(args, output.status.code(), &output.stderr))
            }
        }
    }

    fn cannot_run(&self, args: &[&str], error: &std::io::Error) -> Failure {
        let line = args.join(" ");
        Failure::new(
            ExitClass::Environment,
            format!("cannot run `openlora {line}`: {error}"),
        )
    }
}

impl DemoServer {
    /// Asks the server to drain, and waits until it has exited.
    pub async fn stop(mut self) -> Result<(), Failure> {
        if let Some(pid) = self.child.id() {
            terminate(pid);
        }
        let status = self.child.wait().await.map_err(|error| {
            Failure::new(
                ExitClass::Internal,
                format!("the server could not be waited for: {error}"),
            )
        })?;
        match status.success() {
            true => Ok(()),
            false => Err(Failure::new(
                ExitClass::Internal,
                format!("the server ended with {status}"),
            )),
        }
    }
}

#[cfg(unix)]
fn terminate(pid: u32) {
    let pid = sysinfo::Pid::from_u32(pid);
    let mut system = sysinfo::System::new();
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
    if let Some(process) = system.process(pid) {
        process.kill_with(sysinfo::Signal::Term);
    }
}

#[cfg(not(unix))]
fn terminate(_pid: u32) {}

/// The last JSON line, which is the result.
fn last_json(stdout: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(stdout);
    text.lines()
        .rev()
        .find_map(|line| serde_json::from_str(line).ok())
}

/// The error of a step, reported as the demo's error with the step's class and hint.
fn failed_step(args: &[&str], code: Option<i32>, stderr: &[u8]) -> Failure {
    let class = EXIT_CLASSES
        .iter()
        .find(|row| Some(i32::from(row.1)) == code)
        .map_or(ExitClass::Internal, |row| row.0);
    let line = args.join(" ");
    let Some(envelope) = last_json(stderr) else {
        return Failure::new(class, format!("`openlora {line}` failed"));
    };
    let message = envelope["message"].as_str().unwrap_or("no reason given");
    let failure = Failure::new(class, format!("`openlora {line}` failed: {message}"));
    match envelope["hint"].as_str() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
