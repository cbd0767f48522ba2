//! Space on disks.

use std::{io::ErrorKind, path::Path, process::Command};

use openlora_core::disk::free_space;

/// As `df` prints it, in KiB.
fn available(dir: &Path) -> u64 {
    let output = Command::new("df").arg("-kP").arg(dir).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let row = text.lines().nth(1).unwrap();
    row.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn free_space_is_what_df_prints() {
    let dir = tempfile::tempdir().unwrap();
    let found = free_space(dir.path()).unwrap() / 1024;
    // Others write to the disk meanwhile.
    assert!(found.abs_diff(available(dir.path())) < 1 << 20);
    let missing = free_space(&dir.path().join("missing")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}
