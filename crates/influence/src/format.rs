//! The file format: a header, and sections with a hash each.
//!
//! All numbers are little-endian; sections start at multiples of 64.
//!
//! ```text
//! "OLORATTR"  u32 version  u32 sections
//! per section: u32 kind  u32 zero  u64 offset  u64 length  [32] SHA-256
//! [32] SHA-256 of everything above
//! ```

use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::IndexError;

const MAGIC: &[u8; 8] = b"OLORATTR";
pub const VERSION: u32 = 2;
const ALIGNMENT: usize = 64;
const FIXED: usize = 16;
const ENTRY: usize = 56;

/// Sections in the order of their kinds, from 1.
pub const SECTIONS: [&str; 8] = [
    "meta", "examples", "scales", "rows", "alphabet", "text", "suffixes", "firsts",
];

/// Byte range of a section.
pub type SectionRange = std::ops::Range<usize>;

/// Encodes sections, given in the order of [`SECTIONS`], as one file.
pub fn encode(sections: &[Vec<u8>; SECTIONS.len()]) -> Vec<u8> {
    let header = FIXED + ENTRY * sections.len() + 32;
    let (mut file, mut offset) = (Vec::new(), header.next_multiple_of(ALIGNMENT));
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    for (kind, section) in (1u32..).zip(sections) {
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&0u32.to_le_bytes());
        file.extend_from_slice(&(offset as u64).to_le_bytes());
        file.extend_from_slice(&(section.len() as u64).to_le_bytes());
        file.extend_from_slice(&Sha256::digest(section));
        offset = (offset + section.len()).next_multiple_of(ALIGNMENT);
    }
    let seal = Sha256::digest(&file);
    file.extend_from_slice(&seal);
    for section in sections {
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file.extend_from_slice(section);
    }
    file
}

/// Locates the sections of a file and verifies every hash.
pub fn decode(bytes: &[u8], path: &Path) -> Result<[SectionRange; SECTIONS.len()], IndexError> {
    let header = FIXED + ENTRY * SECTIONS.len() + 32;
    check_start(bytes, path, header)?;
    let (table, seal) = (&bytes[..header - 32], &bytes[header - 32..header]);
    check_hash("header", table, seal, path)?;
    let mut spans: [SectionRange; SECTIONS.len()] = Default::default();
    for (at, span) in spans.iter_mut().enumerate() {
        let entry = &table[FIXED + at * ENTRY..][..ENTRY];
        let (offset, length) = (word(entry, 8), word(entry, 16));
        let end = offset.saturating_add(length);
        if end > bytes.len() as u64 {
            return Err(IndexError::Truncated {
                path: path.to_owned(),
                expected: end,
                found: bytes.len() as u64,
            });
        }
        *span = offset as usize..end as usize;
        check_hash(SECTIONS[at], &bytes[span.clone()], &entry[24..], path)?;
    }
    Ok(spans)
}

fn check_start(bytes: &[u8], path: &Path, header: usize) -> Result<(), IndexError> {
    let path = path.to_owned();
    let start = &bytes[..bytes.len().min(MAGIC.len())];
    if !MAGIC.starts_with(start) {
        let found = hex::encode(start);
        return Err(IndexError::Foreign { path, found });
    }
    if bytes.len() < header {
        let (expected, found) = (header as u64, bytes.len() as u64);
        // The version determines the header length; a file of an older version may be complete.
        if bytes.len() < FIXED || version(bytes) == VERSION {
            return Err(IndexError::Truncated {
                path,
                expected,
                found,
            });
        }
    }
    match version(bytes) {
        VERSION => Ok(()),
        found => Err(IndexError::Version {
            path,
            expected: VERSION,
            found,
        }),
    }
}

fn version(bytes: &[u8]) -> u32 {
    let mut version = [0; 4];
    version.copy_from_slice(&bytes[8..12]);
    u32::from_le_bytes(version)
}

fn word(entry: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&entry[at..at + 8]);
    u64::from_le_bytes(word)
}

fn check_hash(
    section: &'static str,
    bytes: &[u8],
    expected: &[u8],
    path: &Path,
) -> Result<(), IndexError> {
    let found = Sha256::digest(bytes);
    if found.as_slice() == expected {
        return Ok(());
    }
    Err(IndexError::Damaged {
        path: path.to_owned(),
        section,
        expected: hex::encode(expected),
        found: hex::encode(found),
    })
}
