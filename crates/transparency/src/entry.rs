//! Entries of the log: what everyone may read of a record, and the opening for those whom the record
//! concerns.
//!
//! An entry is canonical JSON with a salted commitment to the record. The salt of each commitment
//! is derived from the journal's secret salt, so that the whole log can be made again from the
//! journal, byte for byte, and the opening of one entry opens no other.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::TlogError;
use openlora_core::error::describe_decoding;
use openlora_journal::StoredRow;
use openlora_ledger::{disclosure, event::EventRecord};

/// Version of the form of entries.
const FORMAT: u32 = 1;

/// Bundles state an entry's length in 16 bits.
pub const LARGEST_ENTRY: usize = u16::MAX as usize;

/// Largest `extra` of a proof that is read, in bytes.
const LARGEST_EXTRA: usize = 4 << 20;

const COMMITMENT: &[u8] = b"openlora transparency log, commitment, v1\n";
const BLINDING: &[u8] = b"openlora transparency log, blinding, v1\n";

/// What an entry states to everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicEntry {
    pub v: u32,
    /// The record's place in the journal, from 1.
    pub sequence: u64,
    /// The event's tag, where it is public.
    #[serde(rename = "type")]
    pub kind: String,
    /// Facts that are on a chain.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub facts: Map<String, Value>,
    /// SHA-256 over the blinding and the record, hex.
    pub commitment: String,
}

impl PublicEntry {
    /// # Errors
    ///
    /// The bytes are no entry in canonical form.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogError> {
        let wrong = |detail: String| TlogError::malformed("the entry", detail);
        let entry: Self =
            serde_json::from_slice(bytes).map_err(|error| wrong(describe_decoding(&error)))?;
        if entry.v != FORMAT {
            return Err(wrong(format!("format {}, expected {FORMAT}", entry.v)));
        }
        match entry.to_bytes() == bytes {
            true => Ok(entry),
            false => Err(wrong("it is not in canonical form".to_owned())),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        canonical_json(&serde_json::to_value(self).unwrap_or_default()).into_bytes()
    }
}

/// What opens an entry's commitment. It shows the record to its holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryOpening {
    /// 32 bytes, hex.
    pub blinding: String,
    /// The record in its disclosed form, as canonical JSON.
    pub record: String,
}

/// An entry and its opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEntry {
    pub entry: Vec<u8>,
    pub opening: EntryOpening,
}

impl SealedEntry {
    /// The entry of a journal's record.
    ///
    /// # Errors
    ///
    /// The record is not JSON, or too large.
    pub fn from_row(row: &StoredRow, salt: &[u8]) -> Result<Self, TlogError> {
        let event: Value = serde_json::from_slice(&row.body).map_err(|error| {
            TlogError::malformed("a record of the journal", describe_decoding(&error))
        })?;
        let (kind, facts) = disclosure::public_facts(&event);
        let hash = hex::encode(row.hash);
        let record = disclosure::public_stored_record(row.sequence, row.time_ms, event, &hash);
        let record = canonical_json(&record);
        let blinding: [u8; 32] = Sha256::new()
            .chain_update(BLINDING)
            .chain_update(salt)
            .chain_update(row.sequence.to_be_bytes())
            .finalize()
            .into();
        let entry = PublicEntry {
            v: FORMAT,
            sequence: row.sequence,
            kind: kind.to_owned(),
            facts,
            commitment: commitment(&blinding, &record),
        }
        .to_bytes();
        if entry.len() > LARGEST_ENTRY {
            return Err(TlogError::EntryTooLarge {
                sequence: row.sequence,
                found: entry.len(),
                limit: LARGEST_ENTRY,
            });
        }
        Ok(Self {
            entry,
            opening: EntryOpening {
                blinding: hex::encode(blinding),
                record,
            },
        })
    }

    /// The `extra` of a proof that carries the entry and its opening.
    pub fn to_extra(&self) -> Vec<u8> {
        ProofExtra {
            entry: String::from_utf8_lossy(&self.entry).into_owned(),
            opening: Some(self.opening.clone()),
        }
        .to_bytes()
    }

    /// The `extra` of a proof that shows no more than everyone may read.
    pub fn to_sealed_extra(&self) -> Vec<u8> {
        sealed_extra(&self.entry)
    }
}

/// The `extra` of a proof of an entry that others published.
pub fn sealed_extra(entry: &[u8]) -> Vec<u8> {
    ProofExtra {
        entry: String::from_utf8_lossy(entry).into_owned(),
        opening: None,
    }
    .to_bytes()
}

/// What `.tlog-proof` files of this log carry beside the proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofExtra {
    entry: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opening: Option<EntryOpening>,
}

impl ProofExtra {
    fn to_bytes(&self) -> Vec<u8> {
        canonical_json(&serde_json::to_value(self).unwrap_or_default()).into_bytes()
    }
}

/// An entry as a proof carries it; the commitment was compared with the opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedEntry {
    /// The bytes that are in the tree.
    pub bytes: Vec<u8>,
    pub public: PublicEntry,
    /// Absent where the proof shows only what everyone may read.
    pub record: Option<EventRecord>,
}

impl OpenedEntry {
    /// Reads the `extra` of a proof of entry `index`.
    ///
    /// # Errors
    ///
    /// It is malformed, of another place, or shows another record than the one committed to.
    pub fn from_extra(extra: &[u8], index: u64) -> Result<Self, TlogError> {
        let wrong = |detail: String| TlogError::malformed("the proof's extra data", detail);
        if extra.len() > LARGEST_EXTRA {
            return Err(wrong(format!("{} bytes", extra.len())));
        }
        let carried: ProofExtra =
            serde_json::from_slice(extra).map_err(|error| wrong(describe_decoding(&error)))?;
        let bytes = carried.entry.into_bytes();
        let public = PublicEntry::parse(&bytes)?;
        if index.checked_add(1) != Some(public.sequence) {
            let found = public.sequence;
            return Err(wrong(format!("entry {index} is of record {found}")));
        }
        let record = match &carried.opening {
            None => None,
            Some(opening) => Some(opened(&public, opening)?),
        };
        Ok(Self {
            bytes,
            public,
            record,
        })
    }
}

fn opened(public: &PublicEntry, opening: &EntryOpening) -> Result<EventRecord, TlogError> {
    let index = public.sequence.saturating_sub(1);
    let other = || TlogError::WrongOpening { index };
    let blinding = hex::decode(&opening.blinding).map_err(|_| other())?;
    let blinding: [u8; 32] = blinding.try_into().map_err(|_| other())?;
    if commitment(&blinding, &opening.record) != public.commitment {
        return Err(other());
    }
    let record: EventRecord = serde_json::from_str(&opening.record)
        .map_err(|error| TlogError::malformed("the record", describe_decoding(&error)))?;
    match record.sequence == public.sequence {
        true => Ok(record),
        false => Err(other()),
    }
}

fn commitment(blinding: &[u8; 32], record: &str) -> String {
    let hash = Sha256::new()
        .chain_update(COMMITMENT)
        .chain_update(blinding);
    hex::encode(hash.chain_update(record).finalize())
}

/// JSON without spaces and with sorted names. Numbers keep their digits: RFC 8785 would round those
/// above 2^53, which amounts and chain ids may exceed.
fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            text.push('{');
            for (place, name) in names.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(&fields[name], text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}
