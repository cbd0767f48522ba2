//! Logs of many sizes: their files and proofs, as an independent verifier sees them.

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::{Numbered, folder, open, oracle, verifier};
use openlora_transparency::{
    ProofPlan, SignedCheckpoint, TileKind, TileLogWriter, TilePath, TlogError, entry::sealed_extra,
    verify_consistency,
};

/// Around the widths of tiles of the first three levels.
const SIZES: &[u64] = &[
    1, 2, 3, 4, 7, 255, 256, 257, 511, 512, 600, 1023, 65_535, 65_536, 65_793, 66_000,
];

fn tree(checkpoint: &SignedCheckpoint) -> Value {
    json!({ "size": checkpoint.size, "root": checkpoint.root_hex() })
}

#[test]
fn an_independent_verifier_accepts_every_log_and_every_proof() {
    let dir = tempdir().unwrap();
    let (path, verifier) = (dir.path(), verifier(dir.path()));
    let tiles = folder(path, "log");
    let mut seen: Vec<SignedCheckpoint> = Vec::new();
    let mut questions = Vec::new();
    for size in SIZES {
        let log = open(path, "log", &mut Numbered::new(*size)).unwrap();
        assert_eq!(log.size(), *size);
        drop(log);
        let checkpoint = tiles.checkpoint(&verifier).unwrap();
        oracle::accepts(&[oracle::folder_question(verifier.vkey(), tiles.dir())]);
        for earlier in &seen {
            let plan = ProofPlan::Consistency {
                from: earlier.size,
                size: *size,
            };
            let hashes = tiles.prove(plan, *size).unwrap();
            verify_consistency(earlier.head(), checkpoint.head(), &hashes).unwrap();
            questions.push(json!({
                "check": "consistency",
                "from": tree(earlier),
                "to": tree(&checkpoint),
                "proof": hashes.iter().map(|it| hex::encode(it.0)).collect::<Vec<_>>(),
            }));
        }
        seen.push(checkpoint);
    }
    oracle::accepts(&questions);
}

#[test]
fn every_entry_of_a_log_is_proven() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    let mut source = Numbered::new(700);
    drop(open(path, "log", &mut source).unwrap());
    let (tiles, verifier) = (folder(path, "log"), verifier(path));
    let checkpoint = tiles.checkpoint(&verifier).unwrap();
    for (index, entry) in (0..).zip(source.all()) {
        let proof = tiles.prove_entry(&checkpoint, index, None).unwrap();
        assert_eq!(proof.verify(&verifier, &entry).unwrap(), checkpoint);
        let again = openlora_transparency::TlogProof::parse(&proof.to_text()).unwrap();
        assert_eq!(again, proof);
        assert_eq!(tiles.entry(&checkpoint, index).unwrap(), entry);
        let wrong = proof.verify(&verifier, b"another");
        assert_eq!(wrong, Err(TlogError::NotIncluded { index, size: 700 }));
    }
    let beyond = tiles.prove_entry(&checkpoint, 700, None).unwrap_err();
    assert_eq!(
        beyond,
        TlogError::OutOfRange {
            index: 700,
            size: 700
        }
    );
    assert_eq!(sealed_extra(b"x"), br#"{"entry":"x"}"#);
}

#[test]
fn a_beginning_has_the_root_that_it_had() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    let mut roots = Vec::new();
    let mut log =
        TileLogWriter::open(&path.join("log"), crate::key(path), &mut Numbered::new(0)).unwrap();
    for entry in Numbered::new(530).all() {
        roots.push(log.append(&[entry]).unwrap().root);
    }
    let tiles = folder(path, "log");
    for (size, root) in (1..).zip(roots) {
        let found = tiles.prove(ProofPlan::Root { size }, 530).unwrap();
        assert_eq!(found, [root]);
    }
}

#[test]
fn partial_tiles_go_when_the_full_one_is_there() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    let tiles = folder(path, "log");
    let exists = |path: &str| tiles.dir().join(path).exists();
    drop(open(path, "log", &mut Numbered::new(200)).unwrap());
    drop(open(path, "log", &mut Numbered::new(255)).unwrap());
    let leaves = |width| TilePath {
        kind: TileKind::Hashes(0),
        index: 0,
        width,
    };
    let some = tiles.tile(leaves(200)).unwrap().unwrap();
    std::fs::remove_file(tiles.dir().join("tile/0/000.p/200")).unwrap();
    assert_eq!(tiles.tile(leaves(200)).unwrap().unwrap(), some);
    drop(open(path, "log", &mut Numbered::new(200)).unwrap_err());
    assert!(exists("tile/0/000.p/255") && exists("tile/entries/000.p/200"));
    drop(open(path, "log", &mut Numbered::new(257)).unwrap());
    assert!(exists("tile/0/000") && exists("tile/entries/000") && exists("tile/1/000.p/1"));
    assert!(!exists("tile/0/000.p") && !exists("tile/entries/000.p"));
    let was = TilePath {
        kind: TileKind::Entries,
        index: 0,
        width: 3,
    };
    let beginning = tiles.tile(was).unwrap().unwrap();
    assert_eq!(beginning, b"\x00\x010\x00\x06entry1\x00\x0bentryentry2");
}

#[test]
fn the_key_is_private_and_hidden() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let key = crate::key(dir.path());
    let file = dir.path().join("log.key");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    let secret = text.trim_end().splitn(5, '+').last().unwrap();
    assert!(!format!("{key:?}").contains(secret));
    assert_eq!(key.origin(), "example.com/log");
    let nameless = dir.path().join("other.key");
    let other = openlora_transparency::CheckpointKey::create(&nameless, None).unwrap();
    assert!(other.origin().starts_with("openlora.invalid/"));
}

#[test]
fn of_several_that_make_the_key_all_get_the_one_that_is_kept() {
    use openlora_transparency::CheckpointKey;
    for _ in 0..20 {
        let dir = tempdir().unwrap();
        let path = dir.path().join("log.key");
        let start = std::sync::Barrier::new(8);
        let made = std::thread::scope(|threads| {
            let makers: Vec<_> = (0..8)
                .map(|_| {
                    threads.spawn(|| {
                        start.wait();
                        let key = CheckpointKey::open_or_create(&path, None).unwrap();
                        key.vkey().to_owned()
                    })
                })
                .collect();
            let keys = makers.into_iter().map(|it| it.join().unwrap());
            keys.collect::<Vec<String>>()
        });
        let kept = CheckpointKey::open(&path).unwrap();
        assert!(made.iter().all(|it| it == kept.vkey()), "{made:?}");
    }
}
