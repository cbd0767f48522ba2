//! Which converted files stay in the cache: a bounded number and size, those used last.
//!
//! Beside the folder of a conversion is its record, which says where the GGUF file was when it was
//! used last. A process that uses the conversion has a shared lock on the record, so that no other
//! removes it meanwhile. A conversion whose GGUF file was removed or changed leaves first.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use openlora_core::{atomic, private::files};
use serde::{Deserialize, Serialize};

/// Conversions that are kept, besides those in use.
pub const MOST_CONVERSIONS: usize = 8;
/// Bytes of them.
pub const MOST_CONVERTED_BYTES: u64 = 64_000_000_000;

/// Keeps a conversion in the cache while it is used. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConversionLease {
    record: Arc<File>,
}

/// The GGUF file of a conversion, as it was when it was used last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SourceRecord {
    path: PathBuf,
    size: u64,
    /// Nanoseconds since 1970.
    modified: u64,
}

impl SourceRecord {
    fn new(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        let found = fs::metadata(&path)?;
        let since = found.modified()?.duration_since(UNIX_EPOCH);
        let nanoseconds = since.map_err(io::Error::other)?.as_nanos();
        Ok(Self {
            path,
            size: found.len(),
            modified: u64::try_from(nanoseconds).unwrap_or(u64::MAX),
        })
    }

    /// Whether the file is there no longer, or is another one.
    fn is_outdated(&self) -> bool {
        Self::new(&self.path).ok().as_ref() != Some(self)
    }
}

/// The record of a conversion in `home`.
fn record_of(home: &Path) -> PathBuf {
    home.with_extension("json")
}

fn open_record(home: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    files::open(&mut options, &record_of(home))
}

/// Whether an open record is still that of the conversion in `home`.
fn is_current(record: &File, home: &Path) -> io::Result<bool> {
    let open = record.metadata()?;
    Ok(match fs::metadata(record_of(home)) {
        Ok(found) => (found.dev(), found.ino()) == (open.dev(), open.ino()),
        Err(_) => false,
    })
}

impl ConversionLease {
    /// Waits while another process removes the conversion in `home`.
    pub(super) fn take(home: &Path) -> io::Result<Self> {
        loop {
            let record = open_record(home)?;
            record.lock_shared()?;
            if is_current(&record, home)? {
                let record = Arc::new(record);
                return Ok(Self { record });
            }
        }
    }

    /// Records that the conversion of the file at `source` is used now.
    pub(super) fn note(&self, source: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(&SourceRecord::new(source)?)?;
        self.record.write_all_at(&text, 0)?;
        self.record.set_len(text.len() as u64)?;
        self.record.set_modified(SystemTime::now())
    }
}

/// A conversion in the cache.
#[derive(Debug)]
struct CachedConversion {
    home: PathBuf,
    source: Option<SourceRecord>,
    used: SystemTime,
    bytes: u64,
}

impl CachedConversion {
    fn read(home: PathBuf) -> Self {
        let record = record_of(&home);
        let source = fs::read(&record).ok();
        let used = fs::metadata(&record).or_else(|_| fs::metadata(&home));
        Self {
            source: source.and_then(|text| serde_json::from_slice(&text).ok()),
            used: used.and_then(|it| it.modified()).unwrap_or(UNIX_EPOCH),
            bytes: bytes_in(&home),
            home,
        }
    }

    fn is_outdated(&self) -> bool {
        self.source.as_ref().is_some_and(SourceRecord::is_outdated)
    }

    /// Removes it, unless it is used. Tells whether it is gone.
    fn remove(&self) -> bool {
        let removed = || -> io::Result<bool> {
            let record = open_record(&self.home)?;
            if record.try_lock().is_err() || !is_current(&record, &self.home)? {
                return Ok(false);
            }
            atomic::remove_folder(&self.home)?;
            fs::remove_file(record_of(&self.home))?;
            Ok(true)
        };
        removed().unwrap_or(false)
    }
}

/// Bytes of all files in a folder and those below it.
fn bytes_in(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_in(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The conversions below `dir`, with or without a record.
fn conversions(dir: &Path) -> Vec<CachedConversion> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let homes: BTreeSet<PathBuf> = entries
        .map(|entry| entry.path().with_extension(""))
        .filter(|home| {
            let name = home.file_name().unwrap_or_default().to_string_lossy();
            name.len() == 64 && name.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
        .collect();
    homes.into_iter().map(CachedConversion::read).collect()
}

/// Makes room below `dir` for a conversion in `home` of so many bytes, which its maker has a lease of.
/// What cannot be removed stays: it is used, or not ours.
pub(super) fn make_room(dir: &Path, home: &Path, bytes: u64) {
    let mut others = conversions(dir);
    others.retain(|it| it.home != home);
    others.retain(|it| !(it.is_outdated() && it.remove()));
    others.sort_by_key(|it| it.used);
    let mut count = others.len() + 1;
    let mut total = others
        .iter()
        .fold(bytes, |sum, it| sum.saturating_add(it.bytes));
    for oldest in others {
        if count <= MOST_CONVERSIONS && total <= MOST_CONVERTED_BYTES {
            return;
        }
        if oldest.remove() {
            count -= 1;
            total = total.saturating_sub(oldest.bytes);
        }
    }
}
