//! The same limits by runc of Debian, on the same root.

use std::{
    fs,
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use openlora_container::{
    ContainerError,
    oci_runtime::{start_with, try_runtime},
};
use tempfile::TempDir;

use crate::support::{Place, debian, place, probe};

/// runc with its library.
fn runc() -> (TempDir, PathBuf) {
    let tools = tempfile::tempdir().unwrap();
    debian(tools.path(), &["runc", "libseccomp2"]);
    let script = tools.path().join("run");
    let text = "#!/bin/sh\n\
                folder=$(dirname \"$0\")\n\
                export LD_LIBRARY_PATH=\"$(echo \"$folder\"/usr/lib/*-linux-gnu)\"\n\
                exec \"$folder/usr/sbin/runc\" \"$@\"\n";
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    (tools, script)
}

/// What the probe says in a container of runc, and the exit code.
fn run(place: &Place, runc: &Path) -> Result<(Vec<String>, i32), ContainerError> {
    try_runtime(runc, &place.spec, &probe())?;
    let mut process = start_with(runc, &place.spec, &probe())?;
    let found = process.report.limits.iter();
    let missing: Vec<_> = found.filter(|it| it.asked != it.found).collect();
    assert_eq!(missing, Vec::<&_>::new());
    let mut text = String::new();
    let mut output = process.output.take().unwrap();
    output.read_to_string(&mut text).unwrap();
    let lines = text.lines().map(str::to_owned).collect();
    Ok((lines, process.wait()?.code))
}

#[test]
fn runc_enforces_the_same_limits_or_is_not_used() {
    let (_tools, runc) = runc();
    let attacks = [
        "write=/written",
        "write=/run/openlora/file",
        "tcp=192.0.2.1:80",
        "mount",
        "io_uring",
        "fork",
        "thread",
        "status=CapEff",
    ];
    let place = place(&attacks);
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    match run(&place, &runc) {
        Ok((lines, code)) => {
            let expected = [
                "write=/written: error 30",
                "write=/run/openlora/file: error 13",
                "tcp=192.0.2.1:80: error 1",
                "mount: error 1",
                "io_uring: error 1",
                "fork: error 1",
                "thread: done",
                "status=CapEff: 0000000000000000",
            ];
            assert_eq!((lines, code), (expected.map(str::to_owned).to_vec(), 0));
        }
        // Only root may map another user.
        Err(error) => assert!(
            !root && matches!(error, ContainerError::Jail { .. }),
            "{error}"
        ),
    }
    let hungry = crate::support::place(&["allocate=512"]);
    if root {
        let killed = run(&hungry, &runc).unwrap();
        assert_eq!(killed, (Vec::new(), 128 + 9));
    }
}
