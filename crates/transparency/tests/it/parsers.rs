//! Every reader of foreign bytes, with bytes that were changed at random: nothing panics, and what is
//! accepted is exactly what was written.

use proptest::prelude::*;
use tempfile::tempdir;

use crate::{Numbered, folder, open, verifier};
use openlora_transparency::{
    CheckpointVerifier, EntryOpening, OpenedEntry, PublicEntry, TileKind, TilePath, TlogProof,
    entries_of_bundle,
};

/// A proof of entry 200 of 300, and the key that it verifies with.
struct Sample {
    proof: TlogProof,
    entry: Vec<u8>,
    verifier: CheckpointVerifier,
}

fn sample() -> Sample {
    let dir = tempdir().unwrap();
    drop(open(dir.path(), "log", &mut Numbered::new(300)).unwrap());
    let (tiles, verifier) = (folder(dir.path(), "log"), verifier(dir.path()));
    let checkpoint = tiles.checkpoint(&verifier).unwrap();
    let entry = tiles.entry(&checkpoint, 200).unwrap();
    let extra = Some(b"some extra".to_vec());
    Sample {
        proof: tiles.prove_entry(&checkpoint, 200, extra).unwrap(),
        entry,
        verifier,
    }
}

/// One change of a text of `length` bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, prop::sample::Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Flip(at, mask) => bytes[at.index(length)] ^= mask,
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Insert(at, more) => {
                let at = at.index(length);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Repeat(one, other) => {
                let (start, end) = (one.index(length), other.index(length));
                let part = bytes[start.min(end)..start.max(end)].to_vec();
                bytes.extend(part);
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<prop::sample::Index>;
    let change = prop_oneof![
        (at(), 1..=255_u8).prop_map(|(at, mask)| Change::Flip(at, mask)),
        at().prop_map(Change::Cut),
        (at(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, it)| Change::Insert(at, it)),
        (at(), at()).prop_map(|(one, other)| Change::Repeat(one, other)),
    ];
    prop::collection::vec(change, 1..4)
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    changes.iter().for_each(|change| change.apply(&mut bytes));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_changed_proof_proves_nothing_else(changes in changes()) {
        thread_local!(static SAMPLE: Sample = sample());
        SAMPLE.with(|sample| {
            let text = sample.proof.to_text();
            let bytes = changed(text.as_bytes(), &changes);
            let Ok(parsed) = TlogProof::parse(&String::from_utf8_lossy(&bytes)) else {
                return;
            };
            if parsed.verify(&sample.verifier, &sample.entry).is_ok() {
                // Only the extra data is not covered, and further signature lines.
                assert_eq!((parsed.index, &parsed.hashes), (200, &sample.proof.hashes));
            }
        });
    }

    #[test]
    fn a_changed_checkpoint_states_nothing_else(changes in changes()) {
        thread_local!(static SAMPLE: Sample = sample());
        SAMPLE.with(|sample| {
            let note = sample.proof.checkpoint.as_bytes();
            if let Ok(opened) = sample.verifier.open(&changed(note, &changes)) {
                let expected = sample.verifier.open(note).unwrap();
                assert_eq!(opened.head(), expected.head());
            }
            let vkey = changed(sample.verifier.vkey().as_bytes(), &changes);
            if let Ok(other) = CheckpointVerifier::parse(&String::from_utf8_lossy(&vkey)) {
                let is_same = other.vkey() == sample.verifier.vkey();
                assert_eq!(other.open(note).is_ok(), is_same);
            }
        });
    }

    #[test]
    fn a_tile_has_one_name(text in "tile/(entries|[0-9]{1,3})/(x?[0-9]{1,4}/){0,7}x?[0-9]{1,4}(\\.p/[0-9]{1,4})?") {
        if let Some(tile) = TilePath::parse(&text) {
            prop_assert_eq!(tile.to_string(), text);
            prop_assert!((1..=256).contains(&tile.width));
        }
    }

    #[test]
    fn every_tile_is_read_back(level in 0_u8..64, index in any::<u64>(), width in 1_u16..=256, entries in any::<bool>()) {
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
        let tile = TilePath { kind, index, width };
        prop_assert_eq!(TilePath::parse(&tile.to_string()), Some(tile));
        // No arithmetic overflows.
        let _ = tile.end();
    }

    #[test]
    fn names_of_tiles_never_leave_the_folder(text in "\\PC{0,60}") {
        if let Some(tile) = TilePath::parse(&text) {
            let name = tile.to_string();
            prop_assert!(name.starts_with("tile/") && !name.contains(".."));
        }
    }

    #[test]
    fn a_bundle_is_read_whole_or_not_at_all(bytes in prop::collection::vec(any::<u8>(), 0..600), width in 1_u16..=256) {
        let path = TilePath { kind: TileKind::Entries, index: 0, width };
        if let Ok(entries) = entries_of_bundle(path, &bytes) {
            prop_assert_eq!(entries.len(), usize::from(width));
            let length: usize = entries.iter().map(|entry| entry.len() + 2).sum();
            prop_assert_eq!(length, bytes.len());
        }
    }

    #[test]
    fn a_changed_entry_is_refused(changes in changes()) {
        let entry = br#"{"commitment":"00","sequence":7,"type":"call_metered","v":1}"#;
        prop_assert!(PublicEntry::parse(entry).is_ok());
        let bytes = changed(entry, &changes);
        if let Ok(parsed) = PublicEntry::parse(&bytes) {
            let opening = EntryOpening { blinding: "00".repeat(32), record: "{}".to_owned() };
            let extra = serde_json::json!({ "entry": String::from_utf8_lossy(&bytes), "opening": opening });
            let opened = OpenedEntry::from_extra(extra.to_string().as_bytes(), parsed.sequence.saturating_sub(1));
            // The opening is of no record.
            prop_assert!(opened.is_err());
        }
        let extra = changed(br#"{"entry":"{\"commitment\":\"00\",\"sequence\":7,\"type\":\"x\",\"v\":1}"}"#, &changes);
        if let Ok(opened) = OpenedEntry::from_extra(&extra, 6) {
            prop_assert_eq!(opened.public.sequence, 7);
            prop_assert_eq!(opened.record, None);
        }
    }
}
