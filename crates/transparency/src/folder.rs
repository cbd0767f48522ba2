//! Reading the folder of a log, beside its writer or without one.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use tlog_tiles::{Hash, record_hash};

use super::{
    checkpoint::{CheckpointVerifier, LARGEST_NOTE, SignedCheckpoint},
    error::TlogError,
    plan::{ProofPlan, TileHashes},
    proof::TlogProof,
    tile_path::{TILE_WIDTH, TileKind, TilePath},
};

/// Name of the signed checkpoint.
pub const CHECKPOINT_FILE: &str = "checkpoint";

/// Bytes of a hash.
pub(crate) const HASH_BYTES: usize = 32;

/// Largest bundle: full, with the largest entries.
const LARGEST_BUNDLE: u64 = 256 * (2 + (1 << 16));

/// Digits of the largest index of an entry.
const LARGEST_PLACE: u64 = 20;

/// The file, below the log's folder, that says where the log has the release of a manifest.
pub(crate) fn release_path(manifest: &str) -> String {
    format!("release/{manifest}")
}

/// Whether a text is a SHA-256 in hex.
pub(crate) fn is_digest(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(is_digit)
}

/// The folder of a log, read only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileFolder {
    dir: PathBuf,
}

impl TileFolder {
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The bytes of the checkpoint; none where nothing was logged.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn checkpoint_note(&self) -> Result<Option<Vec<u8>>, TlogError> {
        self.read(&self.dir.join(CHECKPOINT_FILE), LARGEST_NOTE as u64)
    }

    /// # Errors
    ///
    /// There is none, or it is not signed by this key.
    pub fn checkpoint(&self, verifier: &CheckpointVerifier) -> Result<SignedCheckpoint, TlogError> {
        let note = self.checkpoint_note()?.ok_or_else(|| TlogError::Missing {
            path: self.dir.clone(),
        })?;
        verifier.open(&note)
    }

    /// Where the log says that it has the release of a manifest, by its SHA-256 in hex; none where it
    /// does not say. It is a hint, which a reader checks.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn release_place(&self, manifest: &str) -> Result<Option<u64>, TlogError> {
        if !is_digest(manifest) {
            return Ok(None);
        }
        let bytes = self.read(&self.dir.join(release_path(manifest)), LARGEST_PLACE)?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// The bytes of a tile. One that has grown since stands for its beginning.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, TlogError> {
        if let Some(bytes) = self.exact_tile(path)? {
            return Ok(Some(bytes));
        }
        if path.is_full() {
            return Ok(None);
        }
        let grown = match self.exact_tile(path.full())? {
            Some(full) => Some(full),
            None => match self.wider(path) {
                Some(wider) => self.exact_tile(wider)?,
                None => None,
            },
        };
        Ok(grown.and_then(|bytes| beginning(path, bytes)))
    }

    /// The narrowest partial tile in the same place that is wider.
    fn wider(&self, path: TilePath) -> Option<TilePath> {
        let mut folder = self.dir.join(path.full().to_string()).into_os_string();
        folder.push(".p");
        let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
        let widths = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let width = widths.filter(|width| *width > path.width).min()?;
        Some(TilePath { width, ..path })
    }

    fn exact_tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, TlogError> {
        self.read(&self.dir.join(path.to_string()), LARGEST_BUNDLE)
    }

    fn read(&self, path: &Path, largest: u64) -> Result<Option<Vec<u8>>, TlogError> {
        let wrong = |error: &std::io::Error| TlogError::io("read", path, error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(wrong(&error)),
        };
        let mut bytes = Vec::new();
        let read = file.take(largest + 1).read_to_end(&mut bytes);
        read.map_err(|error| wrong(&error))?;
        match bytes.len() as u64 > largest {
            true => Err(TlogError::DamagedTile {
                name: path.display().to_string(),
                detail: format!("it is larger than {largest} bytes"),
            }),
            false => Ok(Some(bytes)),
        }
    }

    /// The hashes of a proof.
    ///
    /// # Errors
    ///
    /// The tree has no such entry or beginning, or a tile is missing.
    pub fn prove(&self, plan: ProofPlan, tree: u64) -> Result<Vec<Hash>, TlogError> {
        let mut tiles = TileHashes {
            size: tree,
            ..TileHashes::default()
        };
        for path in plan.tiles(tree)? {
            let bytes = self.tile(path)?.ok_or_else(|| missing(path))?;
            tiles.tiles.insert(path, bytes);
        }
        plan.prove(&tiles)
    }

    /// An entry of the tree of a checkpoint.
    ///
    /// # Errors
    ///
    /// There is none, or its bundle is missing or damaged.
    pub fn entry(&self, checkpoint: &SignedCheckpoint, index: u64) -> Result<Vec<u8>, TlogError> {
        let size = checkpoint.size;
        if index >= size {
            return Err(TlogError::OutOfRange { index, size });
        }
        let path = bundle_of(index, size);
        let bytes = self.tile(path)?.ok_or_else(|| missing(path))?;
        let mut entries = entries_of_bundle(path, &bytes)?;
        let place = (index % u64::from(TILE_WIDTH)) as usize;
        Ok(entries.swap_remove(place))
    }

    /// Proves an entry. The proof is checked before it is returned.
    ///
    /// # Errors
    ///
    /// There is no such entry, or the tiles do not lead to the checkpoint's root.
    pub fn prove_entry(
        &self,
        checkpoint: &SignedCheckpoint,
        index: u64,
        extra: Option<Vec<u8>>,
    ) -> Result<TlogProof, TlogError> {
        let size = checkpoint.size;
        let entry = self.entry(checkpoint, index)?;
        let proof = TlogProof {
            extra,
            index,
            hashes: self.prove(ProofPlan::Inclusion { index, size }, size)?,
            checkpoint: checkpoint.note.clone(),
        };
        proof
            .verify_in(checkpoint, &entry)
            .map_err(|_| TlogError::DamagedTile {
                name: "a tile".to_owned(),
                detail: format!("entry {index} does not lead to the root that was signed"),
            })?;
        Ok(proof)
    }

    /// Whether the folder has anything of a log.
    pub fn is_there(&self) -> bool {
        fs::exists(self.dir.join(CHECKPOINT_FILE)).unwrap_or(false)
    }
}

/// The bundle of an entry in a tree of some size.
pub fn bundle_of(index: u64, size: u64) -> TilePath {
    let tile = index / u64::from(TILE_WIDTH);
    let rest = size - tile * u64::from(TILE_WIDTH);
    TilePath {
        kind: TileKind::Entries,
        index: tile,
        width: rest.min(u64::from(TILE_WIDTH)) as u16,
    }
}

/// The entries of a bundle.
///
/// # Errors
///
/// There are fewer or more of them than the bundle's name says.
pub fn entries_of_bundle(path: TilePath, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TlogError> {
    let damaged = |detail: &str| TlogError::DamagedTile {
        name: path.to_string(),
        detail: detail.to_owned(),
    };
    let mut entries = Vec::with_capacity(usize::from(path.width));
    let mut rest = bytes;
    for _ in 0..path.width {
        let (length, after) = rest
            .split_first_chunk::<2>()
            .ok_or_else(|| damaged("it ends before its last entry"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        if after.len() < length {
            return Err(damaged("it ends within an entry"));
        }
        let (entry, after) = after.split_at(length);
        entries.push(entry.to_vec());
        rest = after;
    }
    match rest.is_empty() {
        true => Ok(entries),
        false => Err(damaged("bytes follow its last entry")),
    }
}

/// The hashes of a tile.
pub(crate) fn hashes_of_tile(path: TilePath, bytes: &[u8]) -> Result<Vec<Hash>, TlogError> {
    let expected = usize::from(path.width) * HASH_BYTES;
    if bytes.len() != expected {
        return Err(TlogError::DamagedTile {
            name: path.to_string(),
            detail: format!("{} bytes, expected {expected}", bytes.len()),
        });
    }
    let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
    Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
}

/// Whether the entries of a bundle are those of a tile of leaf hashes.
pub(crate) fn agree(entries: &[Vec<u8>], leaves: &[Hash]) -> bool {
    let hashes = entries.iter().map(|entry| record_hash(entry));
    entries.len() == leaves.len() && hashes.zip(leaves).all(|(found, leaf)| found == *leaf)
}

/// The first part of a wider tile.
fn beginning(path: TilePath, mut full: Vec<u8>) -> Option<Vec<u8>> {
    let length = match path.kind {
        TileKind::Hashes(_) => usize::from(path.width) * HASH_BYTES,
        TileKind::Entries => {
            let mut end: usize = 0;
            for _ in 0..path.width {
                let length = full.get(end..)?.first_chunk::<2>()?;
                end = end + 2 + usize::from(u16::from_be_bytes(*length));
            }
            end
        }
    };
    (length <= full.len()).then(|| {
        full.truncate(length);
        full
    })
}

pub(crate) fn missing(path: TilePath) -> TlogError {
    TlogError::DamagedTile {
        name: path.to_string(),
        detail: "it is not there".to_owned(),
    }
}
