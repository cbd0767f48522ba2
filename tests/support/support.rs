//! Running the real binary in an empty home, and comparing all that it says.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[cfg(target_os = "linux")]
use crate::small_disk::unshared;
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
