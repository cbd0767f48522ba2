//! A folded state stored next to its journal, so that reading resumes where it stopped.
//!
//! The journal always takes precedence. A projection is used only if its last record is still in
//! the journal with the same chain hash, and only in the format of this version. Otherwise it is
//! ignored, and the journal is read from the beginning.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{error::JournalError, read_only::ReadOnlyJournal};
use openlora_core::atomic::{FileAccess, replace_file};

/// The path of the projection `name` of the journal at `path`.
pub fn path_of(journal: &Path, name: &str) -> PathBuf {
    let mut file = journal.file_name().unwrap_or_default().to_owned();
    file.push(".");
    file.push(name);
    journal.with_file_name(file)
}

/// The state stored at `path` and the position of its last record, if it belongs to this journal.
///
/// # Errors
///
/// The journal cannot be read; an unreadable projection counts as absent.
pub fn load<T: DeserializeOwned>(
    path: &Path,
    journal: &mut ReadOnlyJournal,
    form: &str,
) -> Result<Option<(u64, T)>, JournalError> {
    let Some((head, body)) = read(path) else {
        return Ok(None);
    };
    let words: Vec<&str> = head.split_ascii_whitespace().collect();
    let [known_form, sequence, hash, digest] = words[..] else {
        return Ok(None);
    };
    let sequence = sequence.parse::<u64>().ok().filter(|it| *it > 0);
    let Some(sequence) = sequence.filter(|_| known_form == form) else {
        return Ok(None);
    };
    if hex::encode(Sha256::digest(&body)) != digest {
        return Ok(None);
    }
    let record = journal.read(sequence, 1)?.pop();
    if record.is_none_or(|record| record.sequence != sequence || record.hash != hash) {
        return Ok(None);
    }
    let fold = serde_json::from_slice(&body).ok();
    Ok(fold.map(|fold| (sequence, fold)))
}

fn read(path: &Path) -> Option<(String, Vec<u8>)> {
    let mut file = BufReader::new(std::fs::File::open(path).ok()?);
    let (mut head, mut body) = (String::new(), Vec::new());
    file.read_line(&mut head).ok()?;
    file.read_to_end(&mut body).ok()?;
    Some((head, body))
}

/// Stores `fold`, whose last record is `sequence` with chain hash `hash`.
///
/// # Errors
///
/// The folder cannot be written; the caller continues without a projection.
pub fn store<T: Serialize>(
    path: &Path,
    sequence: u64,
    hash: &str,
    form: &str,
    fold: &T,
) -> std::io::Result<()> {
    let body = serde_json::to_vec(fold)?;
    let digest = hex::encode(Sha256::digest(&body));
    let mut file = format!("{form} {sequence} {hash} {digest}\n").into_bytes();
    file.extend_from_slice(&body);
    replace_file(path, &file, FileAccess::Owner)
}
