//! A container that an OCI runtime holds, by its id.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// A container of a runtime, which is killed and deleted with this.
#[derive(Debug)]
pub struct RuntimeContainer {
    pub runtime: PathBuf,
    pub id: String,
}

impl RuntimeContainer {
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.runtime);
        command.stdin(Stdio::null());
        command
    }

    pub fn signal(&self, signal: &str) {
        // It may have ended.
        let _ = self.command().args(["kill", &self.id, signal]).output();
    }
}

impl Drop for RuntimeContainer {
    fn drop(&mut self) {
        let _ = self.command().args(["delete", "-f", &self.id]).output();
    }
}
