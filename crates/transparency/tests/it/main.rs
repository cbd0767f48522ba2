//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod crash;
mod growth;
mod journals;
mod oracle;
mod parsers;
mod tampering;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/small_disk.rs"]
mod small_disk;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/waiting.rs"]
mod waiting;

use std::path::Path;

use openlora_transparency::{
    CheckpointKey, CheckpointVerifier, EntrySource, TileFolder, TileLogWriter, TlogError,
};

/// As many entries as there are numbers below `count`.
struct Numbered {
    count: u64,
    /// Makes logs that differ from one another.
    word: &'static str,
}

impl Numbered {
    fn new(count: u64) -> Self {
        Self {
            count,
            word: "entry",
        }
    }

    fn all(&mut self) -> Vec<Vec<u8>> {
        self.entries(0, usize::MAX).unwrap()
    }
}

impl EntrySource for Numbered {
    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, TlogError> {
        let numbers = from..self.count;
        // Of different lengths, the empty one among them.
        let entry = |number: u64| self.word.repeat((number % 7) as usize) + &number.to_string();
        Ok(numbers
            .take(limit)
            .map(|number| entry(number).into_bytes())
            .collect())
    }
}

fn key(dir: &Path) -> CheckpointKey {
    let path = dir.join("log.key");
    match CheckpointKey::open(&path) {
        Err(TlogError::NoKey { .. }) => CheckpointKey::create(&path, Some("example.com/log")),
        opened => opened,
    }
    .unwrap()
}

fn verifier(dir: &Path) -> CheckpointVerifier {
    key(dir).verifier().unwrap()
}

/// The log `name` of a folder, brought up to date with a source.
fn open(dir: &Path, name: &str, source: &mut Numbered) -> Result<TileLogWriter, TlogError> {
    let mut log = TileLogWriter::open(&dir.join(name), key(dir), source)?;
    openlora_transparency::catch_up(&mut log, source)?;
    Ok(log)
}

fn folder(dir: &Path, name: &str) -> TileFolder {
    TileFolder::at(&dir.join(name))
}
