//! Frozen bytes, whatever becomes of their file.

use std::{
    fs::{self, File},
    io::Write,
};

use openlora_core::{error::describe_io, frozen};

use crate::files::cut;

#[test]
fn frozen_bytes_stay_when_the_file_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(&path, &bytes).unwrap();
    let frozen = frozen::read(&path).unwrap();
    assert_eq!(frozen.as_ptr().addr() % 4096, 0);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all(&[9; 50_000])
        .unwrap();
    cut(&path);
    assert!(frozen[..] == bytes[..]);
    let missing = frozen::read(&dir.path().join("none")).unwrap_err();
    assert_eq!(describe_io(&missing), "no such file or directory");
}
