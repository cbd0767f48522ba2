//! Writing a log. Tiles are on disk before the checkpoint that covers them is signed, and the
//! checkpoint is replaced in one step. After a crash the log goes on from its checkpoint; tiles
//! beyond it are written anew, with the same bytes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{
    checkpoint::{CheckpointKey, CheckpointVerifier, SignedCheckpoint},
    edge::{NewTile, TreeEdge},
    entry::{LARGEST_ENTRY, PublicEntry},
    error::TlogError,
    folder::{
        CHECKPOINT_FILE, TileFolder, agree, bundle_of, entries_of_bundle, hashes_of_tile,
        is_digest, missing, release_path,
    },
    lock::TlogLock,
    source::EntrySource,
    tile_path::{TileKind, TilePath},
};
use openlora_core::{
    atomic::{self, FileAccess, FileBatch},
    private::files,
};
use tlog_tiles::record_hash;

/// Tiles that are open at a time while they are synced together.
const OPEN_FILES: usize = 128;

/// Entries that are read at a time when tiles are made again.
const PAGE: usize = 4096;

/// The only writer of a log.
#[derive(Debug)]
pub struct TileLogWriter {
    dir: PathBuf,
    key: CheckpointKey,
    edge: TreeEdge,
    checkpoint: SignedCheckpoint,
    _lock: TlogLock,
}

impl TileLogWriter {
    /// Opens the log in `dir`, or begins one. Tiles of its checkpoint that are missing or damaged are
    /// made again from `source`.
    ///
    /// # Errors
    ///
    /// Another process writes it, its checkpoint is not signed by `key`, or `source` has other
    /// entries than those that the checkpoint covers.
    pub fn open(
        dir: &Path,
        key: CheckpointKey,
        source: &mut dyn EntrySource,
    ) -> Result<Self, TlogError> {
        files::folder(dir).map_err(|error| TlogError::io("create the folder", dir, &error))?;
        let lock = TlogLock::acquire(dir)?;
        let folder = TileFolder::at(dir);
        let found = match folder.checkpoint_note()? {
            Some(note) => Some(key.verifier()?.open(&note)?),
            None => None,
        };
        let Some(checkpoint) = found else {
            let edge = TreeEdge::default();
            let checkpoint = key.sign(0, edge.root())?;
            // Readers can tell an empty log from none.
            write_checkpoint(dir, &checkpoint)?;
            return Ok(Self {
                dir: dir.to_owned(),
                key,
                edge,
                checkpoint,
                _lock: lock,
            });
        };
        let edge = match read_edge(&folder, &checkpoint) {
            Ok(edge) => edge,
            Err(TlogError::DamagedTile { name, detail }) => {
                tracing::warn!(%name, %detail, "the transparency log is made again from the journal");
                rebuild(dir, &checkpoint, source)?
            }
            Err(error) => return Err(error),
        };
        check_source(&folder, edge.size, source)?;
        Ok(Self {
            dir: dir.to_owned(),
            key,
            edge,
            checkpoint,
            _lock: lock,
        })
    }

    /// The number of entries that the checkpoint covers.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The public key of the log.
    ///
    /// # Errors
    ///
    /// None for a key that was read.
    pub fn verifier(&self) -> Result<CheckpointVerifier, TlogError> {
        self.key.verifier()
    }

    /// Appends entries and signs one checkpoint over all of them; it is durable when this returns.
    ///
    /// # Errors
    ///
    /// An entry is too large, or the disk refuses. The log is as before then.
    pub fn append(&mut self, entries: &[Vec<u8>]) -> Result<&SignedCheckpoint, TlogError> {
        if entries.is_empty() {
            return Ok(&self.checkpoint);
        }
        let mut edge = self.edge.clone();
        let mut full = Vec::new();
        for entry in entries {
            if entry.len() > LARGEST_ENTRY {
                return Err(TlogError::EntryTooLarge {
                    sequence: edge.size + 1,
                    found: entry.len(),
                    limit: LARGEST_ENTRY,
                });
            }
            edge.push(entry, &mut full);
        }
        let unchanged: BTreeSet<TilePath> = TreeEdge::paths(self.edge.size).into_iter().collect();
        let partial = edge.partial_tiles().into_iter();
        let partial = partial.filter(|tile| !unchanged.contains(&tile.path));
        write_tiles(&self.dir, full.iter().chain(&partial.collect::<Vec<_>>()))?;
        write_release_places(&self.dir, self.edge.size, entries)?;
        let checkpoint = self.key.sign(edge.size, edge.root())?;
        write_checkpoint(&self.dir, &checkpoint)?;
        (self.edge, self.checkpoint) = (edge, checkpoint);
        for tile in &full {
            remove_partial(&self.dir, tile.path);
        }
        Ok(&self.checkpoint)
    }
}

fn write_checkpoint(dir: &Path, checkpoint: &SignedCheckpoint) -> Result<(), TlogError> {
    let path = dir.join(CHECKPOINT_FILE);
    atomic::replace_file(&path, checkpoint.note.as_bytes(), FileAccess::Owner)
        .map_err(|error| TlogError::io("write", &path, &error))
}

/// Writes down where the log has releases, so that readers need not search all entries for one. It is
/// a hint: readers check the entry that is there.
fn write_release_places(dir: &Path, from: u64, entries: &[Vec<u8>]) -> Result<(), TlogError> {
    for (index, entry) in (from..).zip(entries) {
        let Some(path) = release_of(entry).map(|digest| dir.join(release_path(&digest))) else {
            continue;
        };
        if path.exists() {
            continue;
        }
        let folder = atomic::parent(&path);
        files::new_folder(folder)
            .map_err(|error| TlogError::io("create the folder", folder, &error))?;
        atomic::replace_file(&path, index.to_string().as_bytes(), FileAccess::Owner)
            .map_err(|error| TlogError::io("write", &path, &error))?;
    }
    Ok(())
}

/// The digest of the manifest that an entry registers.
fn release_of(entry: &[u8]) -> Option<String> {
    let name = b"\"manifest_sha256\"";
    let is_named = entry.windows(name.len()).any(|part| part == name);
    is_named.then_some(())?;
    let entry = PublicEntry::parse(entry).ok()?;
    let digest = entry.facts.get("manifest_sha256")?.as_str()?;
    is_digest(digest).then(|| digest.to_owned())
}

/// The edge of the checkpoint's tree, if its tiles are there and lead to its root.
fn read_edge(folder: &TileFolder, checkpoint: &SignedCheckpoint) -> Result<TreeEdge, TlogError> {
    let mut edge = TreeEdge {
        size: checkpoint.size,
        ..TreeEdge::default()
    };
    let mut entries = Vec::new();
    for path in TreeEdge::paths(checkpoint.size) {
        let bytes = folder.tile(path)?.ok_or_else(|| missing(path))?;
        match path.kind {
            TileKind::Hashes(level) => {
                let level = usize::from(level);
                edge.levels
                    .resize(edge.levels.len().max(level + 1), Vec::new());
                edge.levels[level] = hashes_of_tile(path, &bytes)?;
            }
            TileKind::Entries => {
                entries = entries_of_bundle(path, &bytes)?;
                edge.bundle = bytes;
            }
        }
    }
    let leaves = edge.levels.first().cloned().unwrap_or_default();
    match agree(&entries, &leaves) && edge.root() == checkpoint.root {
        true => Ok(edge),
        false => Err(TlogError::DamagedTile {
            name: "the end".to_owned(),
            detail: "its tiles do not lead to the root that was signed".to_owned(),
        }),
    }
}

/// Writes all tiles of the checkpoint's tree again. Nothing is written until the source is known to
/// have the tree: tiles of another one would take the place of those that are still good.
fn rebuild(
    dir: &Path,
    checkpoint: &SignedCheckpoint,
    source: &mut dyn EntrySource,
) -> Result<TreeEdge, TlogError> {
    let edge = replay(checkpoint, source, |_| Ok(()))?;
    if edge.root() != checkpoint.root {
        return Err(TlogError::JournalDiffers {
            sequence: checkpoint.size,
        });
    }
    let edge = replay(checkpoint, source, |full| write_tiles(dir, full.iter()))?;
    write_tiles(dir, edge.partial_tiles().iter())?;
    Ok(edge)
}

/// The edge of a tree of the checkpoint's size from the source; `write` receives the full tiles.
fn replay(
    checkpoint: &SignedCheckpoint,
    source: &mut dyn EntrySource,
    mut write: impl FnMut(&[NewTile]) -> Result<(), TlogError>,
) -> Result<TreeEdge, TlogError> {
    let mut edge = TreeEdge::default();
    while edge.size < checkpoint.size {
        let left = usize::try_from(checkpoint.size - edge.size).unwrap_or(PAGE);
        let entries = source.entries(edge.size, left.min(PAGE))?;
        if entries.is_empty() {
            return Err(TlogError::JournalBehind {
                expected: checkpoint.size,
                found: edge.size,
            });
        }
        let mut full = Vec::new();
        entries.iter().for_each(|entry| edge.push(entry, &mut full));
        write(&full)?;
    }
    Ok(edge)
}

/// The last entry of the log must be the source's own: a journal's record names its predecessors by
/// their hash, so the whole journal is the one that was logged.
fn check_source(
    folder: &TileFolder,
    size: u64,
    source: &mut dyn EntrySource,
) -> Result<(), TlogError> {
    let Some(last) = size.checked_sub(1).filter(|_| source.is_complete()) else {
        return Ok(());
    };
    let Some(entry) = source.entries(last, 1)?.pop() else {
        return Err(TlogError::JournalBehind {
            expected: size,
            found: count(source, last)?,
        });
    };
    let path = TilePath {
        kind: TileKind::Hashes(0),
        ..bundle_of(last, size)
    };
    let bytes = folder.tile(path)?.ok_or_else(|| missing(path))?;
    match hashes_of_tile(path, &bytes)?.pop() == Some(record_hash(&entry)) {
        true => Ok(()),
        false => Err(TlogError::JournalDiffers { sequence: size }),
    }
}

/// How many entries a source has; fewer than `most`.
fn count(source: &mut dyn EntrySource, most: u64) -> Result<u64, TlogError> {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low) / 2;
        match source.entries(middle, 1)?.is_empty() {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    Ok(low)
}

/// Writes tiles and waits until they are on disk. Readers of an earlier checkpoint never see half of
/// a file.
fn write_tiles<'a>(dir: &Path, tiles: impl Iterator<Item = &'a NewTile>) -> Result<(), TlogError> {
    let (mut batch, mut folders) = (FileBatch::default(), BTreeSet::new());
    let synced = |batch: FileBatch| {
        batch
            .sync()
            .map_err(|error| TlogError::io("sync", dir, &error))
    };
    for (place, tile) in tiles.enumerate() {
        if place % OPEN_FILES == OPEN_FILES - 1 {
            synced(std::mem::take(&mut batch))?;
        }
        let path = dir.join(tile.path.to_string());
        let folder = atomic::parent(&path);
        if folders.insert(folder.to_owned()) {
            files::new_folder(folder)
                .map_err(|error| TlogError::io("create the folder", folder, &error))?;
            let above = folder.ancestors().skip(1);
            above
                .take_while(|above| above.starts_with(dir))
                .for_each(|above| batch.add_folder(above));
        }
        batch
            .replace(&path, &tile.bytes, FileAccess::Owner)
            .map_err(|error| TlogError::io("write", &path, &error))?;
    }
    synced(batch)
}

/// Partial tiles may go once the full one is there. A leftover only costs space.
fn remove_partial(dir: &Path, full: TilePath) {
    let mut folder = dir.join(full.to_string()).into_os_string();
    folder.push(".p");
    let _ = fs::remove_dir_all(folder);
}
