//! A fold kept beside its journal, so that reading starts where it was left.
//!
//! It is never trusted over the journal: it counts only while the record that it ends with is
//! still there with the same chain hash, and only in the form that this version writes. Whatever
//! else is found is left aside, and the journal is read from its beginning.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{error::JournalError, read_only::ReadOnlyJournal};
use crate::atomic::{FileAccess, replace_file};

/// Where the projection `name` of the journal at `path` is kept.
pub fn path_of(journal: &Path, name: &str) -> PathBuf {
    let mut file = journal.file_name().unwrap_or_default().to_owned();
    file.push(".");
    file.push(name);
    journal.with_file_name(file)
}

/// The fold at `path` and the place of its last record, when it is one of this journal.
///
/// # Errors
/// The journal cannot be read; a projection that cannot is none.
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

/// Keeps `fold`, which ends with record `sequence` of chain hash `hash`.
///
/// # Errors
/// The folder cannot be written; reading goes on without a projection then.
pub fn store<T: Serialize>(
    path: &Path,
    (sequence, hash): (u64, &str),
    form: &str,
    fold: &T,
) -> std::io::Result<()> {
    let body = serde_json::to_vec(fold)?;
    let digest = hex::encode(Sha256::digest(&body));
    let mut file = format!("{form} {sequence} {hash} {digest}\n").into_bytes();
    file.extend_from_slice(&body);
    replace_file(path, &file, FileAccess::Owner)
}
