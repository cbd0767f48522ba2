//! The transparency log: a tiled Merkle tree over the journal's records, with signed checkpoints.
//!
//! The folder has the layout of C2SP tlog-tiles, the hashes are those of RFC 6962, checkpoints are
//! signed notes (Ed25519), and proofs are `.tlog-proof` files. Entry `n` stands for the journal's
//! record `n + 1`: an [`entry`] is a salted commitment to the disclosed form of its record, with the
//! few facts that are public anyway. The holder of a commitment's opening can check what it
//! commits to; others learn only that a record is there.
//!
//! The log proves that nothing changed after a checkpoint that somebody kept. It does not prove that
//! every call was recorded. This crate knows neither HTTP nor the terminal.
//!
//! ```
//! use openlora_transparency::{CheckpointKey, NoEntries, TileFolder, TileLogWriter};
//!
//! let home = tempfile::tempdir()?;
//! let key = CheckpointKey::create(&home.path().join("log.key"), Some("example.com/log"))?;
//! let verifier = key.verifier()?;
//! let folder = home.path().join("log");
//! let mut log = TileLogWriter::open(&folder, key, &mut NoEntries)?;
//! log.append(&[b"first".to_vec(), b"second".to_vec()])?;
//!
//! let tiles = TileFolder::at(&folder);
//! let checkpoint = tiles.checkpoint(&verifier)?;
//! let proof = tiles.prove_entry(&checkpoint, 1, None)?;
//! assert_eq!(proof.verify(&verifier, b"second")?, checkpoint);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod checkpoint;
mod edge;
pub mod entry;
mod error;
mod folder;
mod journal_entries;
mod lock;
mod plan;
mod proof;
mod seen;
mod source;
mod tile_path;
mod view;
mod writer;

pub use checkpoint::{CheckpointKey, CheckpointVerifier, SignedCheckpoint, TreeHead};
pub use entry::{EntryOpening, OpenedEntry, PublicEntry, SealedEntry};
pub use error::TlogError;
pub use folder::{CHECKPOINT_FILE, TileFolder, bundle_of, entries_of_bundle};
pub use journal_entries::{JournalEntries, catch_up};
pub use plan::{ProofPlan, TileHashes};
pub use proof::{TlogProof, verify_consistency};
pub use seen::SeenCheckpoints;
pub use source::{EntrySource, NoEntries};
pub use tile_path::{TILE_WIDTH, TileKind, TilePath};
pub use tlog_tiles::{EMPTY_HASH, Hash as TreeHash, node_hash, record_hash};
pub use view::TransparencyView;
pub use writer::TileLogWriter;
