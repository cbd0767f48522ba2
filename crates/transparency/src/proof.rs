//! `.tlog-proof` files (C2SP tlog-proof), and the verification of both kinds of proofs.

use base64::{Engine, engine::general_purpose::STANDARD};
use tlog_tiles::{Hash, check_record, check_tree, record_hash};

use super::{
    checkpoint::{CheckpointVerifier, LARGEST_TREE, SignedCheckpoint, TreeHead},
    error::TlogError,
};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Largest proof file that is read, in bytes.
const LARGEST: usize = 8 << 20;

/// The hashes of a path in the largest tree.
const LONGEST: usize = 64;

/// A proof that an entry is in the tree of a signed checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct TlogProof {
    /// Not covered by the proof; see [`OpenedEntry`](crate::OpenedEntry).
    pub extra: Option<Vec<u8>>,
    pub index: u64,
    /// From the leaf's sibling upwards.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl TlogProof {
    /// The text of a `.tlog-proof` file.
    pub fn to_text(&self) -> String {
        let extra = self.extra.as_ref();
        let extra = extra.map(|bytes| format!("extra {}\n", STANDARD.encode(bytes)));
        let hashes: String = self.hashes.iter().map(|hash| format!("{hash}\n")).collect();
        format!(
            "{HEADER}\n{}index {}\n{hashes}\n{}",
            extra.unwrap_or_default(),
            self.index,
            self.checkpoint
        )
    }

    /// # Errors
    ///
    /// The text is not exactly a proof.
    pub fn parse(text: &str) -> Result<Self, TlogError> {
        let wrong = |detail: &str| TlogError::malformed("the proof", detail);
        if text.len() > LARGEST {
            return Err(wrong("it is too large"));
        }
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or_else(|| wrong("expected an empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(wrong(&format!("expected `{HEADER}` in the first line")));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            None => None,
            Some(encoded) => {
                let bytes = STANDARD.decode(encoded);
                lines.next();
                Some(bytes.map_err(|_| wrong("its extra data is no base64"))?)
            }
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.ok_or_else(|| wrong("expected a line with the index"))?;
        let number: u64 = index.parse().map_err(|_| wrong("its index is no number"))?;
        if number.to_string() != index || number >= LARGEST_TREE {
            return Err(wrong("its index is no number of an entry"));
        }
        let hashes = lines.map(|line| Hash::parse_hash(line).map_err(|_| wrong("a hash")));
        let hashes = hashes.take(LONGEST + 1).collect::<Result<Vec<Hash>, _>>()?;
        if hashes.len() > LONGEST {
            return Err(wrong("it has more hashes than any proof"));
        }
        Ok(Self {
            extra,
            index: number,
            hashes,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks the checkpoint's signature and that `entry` is in its tree, at this index.
    ///
    /// # Errors
    ///
    /// The checkpoint is not the log's, or the tree has no such entry.
    pub fn verify(
        &self,
        verifier: &CheckpointVerifier,
        entry: &[u8],
    ) -> Result<SignedCheckpoint, TlogError> {
        let checkpoint = verifier.open(self.checkpoint.as_bytes())?;
        self.verify_in(&checkpoint, entry)?;
        Ok(checkpoint)
    }

    /// Checks that `entry` is in the tree of a checkpoint, at this index.
    ///
    /// # Errors
    ///
    /// The tree has no such entry.
    pub fn verify_in(&self, checkpoint: &SignedCheckpoint, entry: &[u8]) -> Result<(), TlogError> {
        let SignedCheckpoint { size, root, .. } = *checkpoint;
        let index = self.index;
        if index >= size {
            return Err(TlogError::OutOfRange { index, size });
        }
        check_record(&self.hashes, size, root, index, record_hash(entry))
            .map_err(|_| TlogError::NotIncluded { index, size })
    }
}

/// Checks that the tree of an earlier checkpoint is the beginning of a later one's.
///
/// # Errors
///
/// It is not, or the proof is not one of these two trees.
pub fn verify_consistency(from: TreeHead, to: TreeHead, hashes: &[Hash]) -> Result<(), TlogError> {
    let broken = || TlogError::Inconsistent {
        from: from.size,
        to: to.size,
    };
    if from.size > to.size {
        return Err(TlogError::RolledBack {
            expected: from.size,
            found: to.size,
        });
    }
    if from.size == to.size {
        return match from.root == to.root {
            true => Ok(()),
            false => Err(TlogError::Forked {
                size: to.size,
                expected: from.root_hex(),
                found: to.root_hex(),
            }),
        };
    }
    if from.size == 0 {
        return Ok(());
    }
    check_tree(&hashes.to_vec(), to.size, to.root, from.size, from.root).map_err(|_| broken())
}
