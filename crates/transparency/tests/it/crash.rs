//! Killed writers and full disks.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::tempdir;

use crate::{Numbered, folder, key, open, oracle, verifier};
use openlora_transparency::{
    EntrySource, ProofPlan, TileLogWriter, TlogError, TreeHead, verify_consistency,
};

#[cfg(target_os = "linux")]
use crate::small_disk::{on_small_disk, small_disk};

const CHILD_FOLDER: &str = "OPENLORA_TEST_TLOG";

/// More than any child appends.
const ENDLESS: u64 = 1 << 32;

/// Entries of each commit of the child: no divisor of a tile's width.
const STEP: usize = 97;

#[test]
#[ignore = "the process that a_killed_writer_loses_nothing_that_it_signed kills"]
fn child_appends_until_killed() {
    let dir = std::env::var_os(CHILD_FOLDER).expect("another test starts this one");
    let dir = Path::new(&dir);
    let mut source = Numbered::new(ENDLESS);
    let mut log = TileLogWriter::open(&dir.join("log"), key(dir), &mut source).unwrap();
    loop {
        let entries = source.entries(log.size(), STEP).unwrap();
        let checkpoint = log.append(&entries).unwrap();
        // Bypasses the test harness, which keeps what tests print until they end.
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "\nsigned {} {}",
            checkpoint.size,
            checkpoint.root_hex()
        )
        .and_then(|()| out.flush())
        .unwrap();
    }
}

fn child(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::child_appends_until_killed"])
        .args(["--nocapture", "--test-threads=1"])
        .env(CHILD_FOLDER, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The tree that the child says that it signed.
fn signed(line: &str) -> Option<TreeHead> {
    let (size, root) = line.strip_prefix("signed ")?.split_once(' ')?;
    let root: [u8; 32] = hex::decode(root).ok()?.try_into().ok()?;
    Some(TreeHead {
        size: size.parse().ok()?,
        root: openlora_transparency::TreeHash(root),
    })
}

#[test]
fn a_killed_writer_loses_nothing_that_it_signed() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    let (tiles, verifier) = (folder(path, "log"), verifier(path));
    let mut last: Option<TreeHead> = None;
    for point in 0..20_u32 {
        let mut child = child(path);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heads = lines.map_while(Result::ok).filter_map(|line| signed(&line));
        for _ in 0..=point % 4 {
            last = Some(heads.next().unwrap());
        }
        // Each round ends in another part of the next append.
        let until = Instant::now() + Duration::from_micros(150) * point;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        // What it signed until it was killed was public as well.
        last = heads.last().or(last);
        child.wait().unwrap();
        let last = last.unwrap();
        let found = tiles.checkpoint(&verifier).unwrap();
        let plan = ProofPlan::Consistency {
            from: last.size,
            size: found.size,
        };
        let mut source = Numbered::new(ENDLESS);
        let log = TileLogWriter::open(tiles.dir(), key(path), &mut source).unwrap();
        assert_eq!(log.checkpoint(), &found, "killed at point {point}");
        let hashes = tiles.prove(plan, found.size).unwrap();
        verify_consistency(last, found.head(), &hashes).unwrap();
    }
    let size = tiles.checkpoint(&verifier).unwrap().size;
    let whole = open(path, "anew", &mut Numbered::new(size)).unwrap();
    assert_eq!(whole.checkpoint(), &tiles.checkpoint(&verifier).unwrap());
    oracle::accepts(&[oracle::folder_question(verifier.vkey(), tiles.dir())]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_on_a_full_disk_stays_as_it_was() {
    on_small_disk("size=512k", "crash::child_fills_its_disk");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "a_log_on_a_full_disk_stays_as_it_was runs it on a disk of its own"]
fn child_fills_its_disk() {
    let dir = small_disk();
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![7; 200 << 10]).unwrap();
    let (tiles, verifier) = (folder(&dir, "log"), verifier(&dir));
    let mut source = Numbered::new(ENDLESS);
    let mut log = TileLogWriter::open(tiles.dir(), key(&dir), &mut source).unwrap();
    let refused = loop {
        let entries = source.entries(log.size(), STEP).unwrap();
        if let Err(error) = log.append(&entries).map(drop) {
            break error;
        }
    };
    assert!(matches!(refused, TlogError::Full { .. }), "{refused:?}");
    let checkpoint = tiles.checkpoint(&verifier).unwrap();
    assert_eq!(log.checkpoint(), &checkpoint);
    oracle::accepts(&[oracle::folder_question(verifier.vkey(), tiles.dir())]);
    std::fs::remove_file(ballast).unwrap();
    // The same writer goes on, and so does another one after it.
    let size = checkpoint.size + 300;
    let entries = source.entries(checkpoint.size, 300).unwrap();
    assert_eq!(log.append(&entries).unwrap().size, size);
    drop(log);
    let again = open(&dir, "log", &mut Numbered::new(size)).unwrap();
    assert_eq!(again.size(), size);
    oracle::accepts(&[oracle::folder_question(verifier.vkey(), tiles.dir())]);
}
