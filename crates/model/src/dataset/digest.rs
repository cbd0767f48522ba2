//! Digests over the content of rows, independent of their file format.
//!
//! One line of JSON per row: `kind` first, then the fields in the order of [`TrainingExample`], no
//! spaces, and a line feed. The digest is the SHA-256 of those lines, so `sha256sum` can check it.

use sha2::{Digest, Sha256};

use super::{DataRow, TrainingExample};

/// SHA-256 of the rows' canonical lines, hex.
pub(super) fn of_rows<'a>(rows: impl Iterator<Item = &'a DataRow>) -> String {
    let mut hash = Sha256::new();
    for row in rows {
        hash.update(canonical_line(&row.example));
    }
    hex::encode(hash.finalize())
}

/// The canonical line of one example, with its line feed.
pub(super) fn canonical_line(example: &TrainingExample) -> String {
    // An example contains only texts under text keys, so serialisation cannot fail.
    serde_json::to_string(example).unwrap_or_default() + "\n"
}

/// Bytes of the rows' canonical lines.
pub(super) fn size_of_rows<'a>(rows: impl Iterator<Item = &'a DataRow>) -> u64 {
    rows.map(|row| canonical_line(&row.example).len() as u64)
        .sum()
}
