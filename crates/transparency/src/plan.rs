//! Proofs from tiles: which tiles a proof needs, and the proof once they are at hand. The tiles may
//! come from a folder or from anywhere else; a proof from wrong tiles does not verify.

use std::{cell::RefCell, collections::BTreeMap};

use tlog_tiles::{EMPTY_HASH, Error, Hash, HashReader, Tile, prove_record, prove_tree, tree_hash};

use super::{
    checkpoint::LARGEST_TREE,
    error::TlogError,
    tile_path::{TILE_HEIGHT, TileKind, TilePath},
};

/// A proof in a tree of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofPlan {
    /// The root itself.
    Root { size: u64 },
    /// That an entry is in the tree.
    Inclusion { index: u64, size: u64 },
    /// That the tree of `from` entries is the beginning of that of `size` entries.
    Consistency { from: u64, size: u64 },
}

impl ProofPlan {
    fn size(self) -> u64 {
        match self {
            Self::Root { size } | Self::Inclusion { size, .. } | Self::Consistency { size, .. } => {
                size
            }
        }
    }

    /// The tiles from which the proof is made. They are those of a tree of `tree` entries, of which
    /// the tree of the proof may be the beginning.
    ///
    /// # Errors
    ///
    /// The tree has no such entry or beginning.
    pub fn tiles(self, tree: u64) -> Result<Vec<TilePath>, TlogError> {
        let asked = IndexRecorder::default();
        self.hashes(tree, &asked)?;
        let mut tiles: Vec<TilePath> = Vec::new();
        for index in asked.0.into_inner() {
            tiles.extend(tile_of(index, tree).map(|(path, _)| path));
        }
        tiles.sort_unstable();
        tiles.dedup();
        Ok(tiles)
    }

    /// The hashes of the proof; the root alone for [`ProofPlan::Root`].
    ///
    /// # Errors
    ///
    /// The tree has no such entry or beginning, or a tile is missing or too short.
    pub fn prove(self, tiles: &TileHashes) -> Result<Vec<Hash>, TlogError> {
        self.hashes(tiles.size, tiles)
    }

    fn hashes(self, tree: u64, reader: &impl HashReader) -> Result<Vec<Hash>, TlogError> {
        let size = self.size();
        let beyond = |index: u64| TlogError::OutOfRange { index, size };
        if size > tree || tree > LARGEST_TREE {
            return Err(TlogError::OutOfRange {
                index: size,
                size: tree,
            });
        }
        let made = match self {
            Self::Root { .. } => tree_hash(size, reader).map(|root| vec![root]),
            Self::Inclusion { index, .. } if index >= size => return Err(beyond(index)),
            Self::Inclusion { index, .. } => prove_record(size, index, reader),
            Self::Consistency { from, .. } if from > size => return Err(beyond(from)),
            // Every tree begins with the empty one.
            Self::Consistency { from: 0, .. } => return Ok(Vec::new()),
            Self::Consistency { from, .. } => prove_tree(size, from, reader),
        };
        made.map_err(|error| TlogError::DamagedTile {
            name: "a tile".to_owned(),
            detail: error.to_string(),
        })
    }
}

/// The tile in which a tree of this size keeps a hash.
fn tile_of(index: u64, size: u64) -> Option<(TilePath, Tile)> {
    let tile = Tile::from_index(TILE_HEIGHT, index).parent(0, size)?;
    let path = TilePath {
        kind: TileKind::Hashes(tile.level()),
        index: tile.level_index(),
        width: u16::try_from(tile.width()).ok()?,
    };
    Some((path, tile))
}

/// Notes which hashes are asked for.
#[derive(Default)]
struct IndexRecorder(RefCell<Vec<u64>>);

impl HashReader for IndexRecorder {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        self.0.borrow_mut().extend_from_slice(indexes);
        Ok(vec![EMPTY_HASH; indexes.len()])
    }
}

/// Tiles of a tree of some size.
#[derive(Clone, Debug, Default)]
pub struct TileHashes {
    pub size: u64,
    pub tiles: BTreeMap<TilePath, Vec<u8>>,
}

impl HashReader for TileHashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let hash = |index: &u64| {
            let (path, tile) = tile_of(*index, self.size).ok_or(Error::IndexesNotInTree)?;
            let data = self.tiles.get(&path).ok_or(Error::InvalidTile)?;
            tile.hash_at_index(data, *index)
        };
        indexes.iter().map(hash).collect()
    }
}
