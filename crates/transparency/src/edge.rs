//! The right edge of the tree: the tiles that are not full yet. It is all that an append needs.

use tlog_tiles::{EMPTY_HASH, Hash, Tile, node_hash, record_hash};

use super::tile_path::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};

/// A file to write.
pub struct NewTile {
    pub path: TilePath,
    pub bytes: Vec<u8>,
}

/// The unfinished tiles of a tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TreeEdge {
    pub size: u64,
    /// Hashes of the unfinished tile of each level, fewer than [`TILE_WIDTH`] each.
    pub levels: Vec<Vec<Hash>>,
    /// The unfinished bundle of entries.
    pub bundle: Vec<u8>,
}

impl TreeEdge {
    /// The names of the unfinished tiles of a tree of this size, and of its unfinished bundle.
    pub fn paths(size: u64) -> Vec<TilePath> {
        let mut paths = Vec::new();
        let mut level = 0;
        while size >> (TILE_HEIGHT * level) > 0 {
            let hashes = size >> (TILE_HEIGHT * level);
            let width = (hashes % u64::from(TILE_WIDTH)) as u16;
            let index = hashes / u64::from(TILE_WIDTH);
            let tile = |kind| TilePath { kind, index, width };
            if width > 0 {
                paths.push(tile(TileKind::Hashes(level)));
                if level == 0 {
                    paths.push(tile(TileKind::Entries));
                }
            }
            level += 1;
        }
        paths
    }

    /// Adds an entry; `full` receives the tiles that it completes.
    pub fn push(&mut self, entry: &[u8], full: &mut Vec<NewTile>) {
        let length = entry.len() as u16;
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(entry);
        self.size += 1;
        let mut hash = record_hash(entry);
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let bytes = tile_bytes(hashes);
            hashes.clear();
            hash = Tile::subtree_hash(&bytes);
            let index = (self.size >> (usize::from(TILE_HEIGHT) * (level + 1))) - 1;
            let tile = |kind| TilePath {
                kind,
                index,
                width: TILE_WIDTH,
            };
            if level == 0 {
                full.push(NewTile {
                    path: tile(TileKind::Entries),
                    bytes: std::mem::take(&mut self.bundle),
                });
            }
            full.push(NewTile {
                path: tile(TileKind::Hashes(level as u8)),
                bytes,
            });
        }
    }

    /// The unfinished tiles as files.
    pub fn partial_tiles(&self) -> Vec<NewTile> {
        let file = |path: TilePath| NewTile {
            path,
            bytes: match path.kind {
                TileKind::Entries => self.bundle.clone(),
                TileKind::Hashes(level) => tile_bytes(&self.levels[usize::from(level)]),
            },
        };
        Self::paths(self.size).into_iter().map(file).collect()
    }

    /// The root of the tree, from the perfect subtrees of which it consists, largest first.
    pub fn root(&self) -> Hash {
        let mut subtrees = Vec::new();
        for hashes in self.levels.iter().rev() {
            let mut rest = hashes.as_slice();
            for power in (0..TILE_HEIGHT).rev() {
                let width = 1_usize << power;
                if rest.len() & width != 0 {
                    let (left, right) = rest.split_at(width);
                    subtrees.push(Tile::subtree_hash(&tile_bytes(left)));
                    rest = right;
                }
            }
        }
        let mut from_right = subtrees.into_iter().rev();
        let last = from_right.next().unwrap_or(EMPTY_HASH);
        from_right.fold(last, |right, left| node_hash(left, right))
    }
}

fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}
