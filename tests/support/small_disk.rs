//! Tests that fill a small disk of their own.
#![cfg(target_os = "linux")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::waiting;

/// A shell script in `dir` that may mount folders of its own, whoever runs the tests.
#[track_caller]
pub fn unshared(dir: &Path, script: &str) -> Command {
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

const DISK: &str = "OPENLORA_TEST_DISK";

/// Runs one of this binary's ignored tests with a small disk of its own; `options` are those of a
/// tmpfs.
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
#[track_caller]
pub fn small_disk() -> PathBuf {
    let path = std::env::var_os(DISK);
    PathBuf::from(path.expect("a test with a small disk is run by the test that mounts it"))
}
