//! Names of tiles, as C2SP tlog-tiles writes them.

use std::fmt;

/// Hashes of a full tile, and entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// The height of a tile in levels of the tree.
pub(crate) const TILE_HEIGHT: u8 = 8;

/// Digits of an index are written in groups of three.
const GROUP: u64 = 1000;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TileKind {
    /// The entries themselves, each after its length.
    Entries,
    /// Hashes of this level.
    Hashes(u8),
}

/// The name of a tile below the log's prefix: `tile/L/N` or `tile/L/N.p/W`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TilePath {
    pub kind: TileKind,
    /// The tile's number within its level.
    pub index: u64,
    /// From 1 to [`TILE_WIDTH`].
    pub width: u16,
}

impl TilePath {
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The number of entries that a tree must have to have this tile; none where no tree can.
    pub fn end(&self) -> Option<u64> {
        let hashes = self.index.checked_mul(u64::from(TILE_WIDTH))?;
        let hashes = hashes.checked_add(u64::from(self.width))?;
        let level = match self.kind {
            TileKind::Entries => 0,
            TileKind::Hashes(level) => u32::from(level),
        };
        u64::from(TILE_WIDTH)
            .checked_pow(level)?
            .checked_mul(hashes)
    }

    /// The full tile in the same place.
    pub fn full(self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..self
        }
    }

    /// The tile of a name; none for any text that is not exactly a name.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("tile/")?;
        let (level, rest) = rest.split_once('/')?;
        let kind = match level {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().ok().filter(|level| *level < 64)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => {
                let width = width.parse().ok();
                (
                    number,
                    width.filter(|width| (1..TILE_WIDTH).contains(width))?,
                )
            }
            None => (rest, TILE_WIDTH),
        };
        let mut index: u64 = 0;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let part: u64 = digits.parse().ok().filter(|part| *part < GROUP)?;
            index = index.checked_mul(GROUP)?.checked_add(part)?;
        }
        let tile = Self { kind, index, width };
        // Every tile has one name, so that caches and folders hold it once.
        (tile.to_string() == text).then_some(tile)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut groups = vec![self.index % GROUP];
        let mut rest = self.index / GROUP;
        while rest > 0 {
            groups.push(rest % GROUP);
            rest /= GROUP;
        }
        let (last, others) = (groups[0], &groups[1..]);
        for group in others.iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{last:03}")?;
        match self.is_full() {
            true => Ok(()),
            false => write!(f, ".p/{}", self.width),
        }
    }
}
