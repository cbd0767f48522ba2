//! Running the real binary in an empty home, and comparing all that it says.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::waiting;

/// A command line to be run.
pub struct Invocation {
    command: Command,
}

/// What a finished command line said.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The binary in working directory `dir`, its own files in `dir/home`, nothing inherited.
pub fn openlora(dir: &Path) -> Invocation {
    let mut command = Command::new(binary());
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .env("OPENLORA_HOME", dir.join("home"))
        .stdin(Stdio::null());
    Invocation { command }
}

/// Path of the binary under test.
pub fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_openlora"))
}

impl Invocation {
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The prepared command, for tests that talk to it while it runs.
    pub fn into_command(self) -> Command {
        self.command
    }

    pub fn run(mut self) -> Run {
        let output = waiting::output(&mut self.command);
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a shell script in `dir` with `$0` the binary, where it may mount folders of its own.
#[cfg(target_os = "linux")]
#[track_caller]
pub fn with_own_mounts(dir: &Path, script: &str) -> Run {
    let mut command = unshared(dir, script);
    command.arg(binary()).env("OPENLORA_HOME", dir.join("home"));
    let output = waiting::output(&mut command);
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A shell script in `dir` that may mount folders of its own, whoever runs the tests.
#[cfg(target_os = "linux")]
#[track_caller]
fn unshared(dir: &Path, script: &str) -> Command {
    let command = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["-rm", "sh", "-c", script])
            .current_dir(dir)
            .stdin(Stdio::null());
        command
    };
    let may = waiting::output(&mut command("mount -t tmpfs tmpfs ."));
    let why = String::from_utf8_lossy(&may.stderr).into_owned();
    assert!(
        may.status.success(),
        "this test mounts a small disk of its own and may not: {why}\n\
         permit user namespaces (sysctl kernel.unprivileged_userns_clone=1, and \
         kernel.apparmor_restrict_unprivileged_userns=0 where there is one) and run it again"
    );
    command(script)
}

#[cfg(target_os = "linux")]
const DISK: &str = "OPENLORA_TEST_DISK";

/// Runs one of this binary's ignored tests with a small disk of its own; `options` are those of a
/// tmpfs.
#[cfg(target_os = "linux")]
#[track_caller]
pub fn on_small_disk(options: &str, test: &str) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("disk")).unwrap();
    let script = "mount -t tmpfs -o \"$0\" tmpfs disk && exec \"$@\"";
    let mut command = unshared(dir.path(), script);
    command
        .arg(options)
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--test-threads=1", test])
        .env(DISK, dir.path().join("disk"));
    let output = waiting::output(&mut command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("test result: ok. 1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The disk of a test that [`on_small_disk`] runs.
#[cfg(target_os = "linux")]
#[track_caller]
pub fn small_disk() -> PathBuf {
    let path = std::env::var_os(DISK);
    PathBuf::from(path.expect("a test with a small disk is run by the test that mounts it"))
}

impl Run {
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "stderr: {}", self.stderr);
        self
    }

    /// Asserts the exit code and the whole of stderr, and that stdout stayed empty.
    #[track_caller]
    pub fn fails(self, code: i32, stderr: &str) {
        assert_eq!(
            (self.code, self.stderr.as_str(), self.stdout.as_str()),
            (code, stderr, "")
        );
    }
}
