//! Logs that were changed, cut, forked or rolled back, and two writers.

use std::{fs, path::Path};

use tempfile::tempdir;

use crate::{Numbered, folder, key, open, oracle, verifier};
use openlora_transparency::{
    NoEntries, ProofPlan, SeenCheckpoints, TileLogWriter, TlogError, catch_up,
};

/// Every file of a log, by its path below the log.
fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => pending.push(path),
                false => found.push(path.strip_prefix(dir).unwrap().display().to_string()),
            }
        }
    }
    found.retain(|name| name != ".lock");
    found.sort();
    found
}

#[test]
fn a_damaged_log_is_not_made_again_from_another_source() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    drop(open(path, "log", &mut Numbered::new(300)).unwrap());
    let tiles = folder(path, "log");
    fs::remove_file(tiles.dir().join("tile/0/001.p/44")).unwrap();
    let full = tiles.dir().join("tile/entries/000");
    let before = fs::read(&full).unwrap();
    let mut other = Numbered {
        count: 300,
        word: "other",
    };
    let refused = TileLogWriter::open(tiles.dir(), key(path), &mut other).unwrap_err();
    assert_eq!(refused, TlogError::JournalDiffers { sequence: 300 });
    assert_eq!(fs::read(&full).unwrap(), before);
    open(path, "log", &mut Numbered::new(300)).unwrap();
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    drop(open(path, "log", &mut Numbered::new(300)).unwrap());
    let (tiles, verifier) = (folder(path, "log"), verifier(path));
    let mut questions = 0;
    for name in files(tiles.dir()) {
        let file = tiles.dir().join(&name);
        let whole = fs::read(&file).unwrap();
        for place in [0, whole.len() / 2, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&file, changed).unwrap();
            let question = oracle::folder_question(verifier.vkey(), tiles.dir());
            let answers = oracle::ask(&[question]);
            assert_ne!(answers, ["ok"], "{name} at {place}");
            let proven = tiles.checkpoint(&verifier).and_then(|checkpoint| {
                (0..300).try_for_each(|index| tiles.prove_entry(&checkpoint, index, None).map(drop))
            });
            assert!(proven.is_err(), "{name} at {place}");
            questions += 1;
        }
        fs::write(&file, whole).unwrap();
    }
    // checkpoint, two full and two partial tiles, and the tile above.
    assert_eq!(questions, 6 * 3);
    oracle::accepts(&[oracle::folder_question(verifier.vkey(), tiles.dir())]);
}

#[test]
fn cut_and_lost_tiles_are_made_again_from_the_source() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    drop(open(path, "log", &mut Numbered::new(700)).unwrap());
    let (tiles, verifier) = (folder(path, "log"), verifier(path));
    let checkpoint = tiles.checkpoint(&verifier).unwrap();
    let before: Vec<Vec<u8>> = files(tiles.dir())
        .iter()
        .map(|name| fs::read(tiles.dir().join(name)).unwrap())
        .collect();
    let ends = [
        "tile/0/002.p/188",
        "tile/entries/002.p/188",
        "tile/1/000.p/2",
    ];
    for end in ends {
        let file = tiles.dir().join(end);
        let whole = fs::read(&file).unwrap();
        for cut in [0, 1, whole.len() - 1] {
            fs::write(&file, &whole[..cut]).unwrap();
            let log = open(path, "log", &mut Numbered::new(700)).unwrap();
            assert_eq!(log.checkpoint(), &checkpoint);
            assert_eq!(fs::read(&file).unwrap(), whole, "{end} cut to {cut}");
        }
    }
    fs::remove_dir_all(tiles.dir().join("tile")).unwrap();
    let lost = TileLogWriter::open(tiles.dir(), key(path), &mut NoEntries).unwrap_err();
    assert_eq!(
        lost,
        TlogError::JournalBehind {
            expected: 700,
            found: 0
        }
    );
    drop(open(path, "log", &mut Numbered::new(700)).unwrap());
    let after: Vec<Vec<u8>> = files(tiles.dir())
        .iter()
        .map(|name| fs::read(tiles.dir().join(name)).unwrap())
        .collect();
    assert_eq!(after, before);
}

#[test]
fn a_log_never_contradicts_its_checkpoint() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    for size in [300, 256] {
        let name = size.to_string();
        drop(open(path, &name, &mut Numbered::new(size)).unwrap());
        let refused = |source: &mut Numbered| open(path, &name, source).unwrap_err();
        let mut other = Numbered {
            count: size + 5,
            word: "changed",
        };
        assert_eq!(
            refused(&mut other),
            TlogError::JournalDiffers { sequence: size }
        );
        assert_eq!(
            refused(&mut Numbered::new(size - 40)),
            TlogError::JournalBehind {
                expected: size,
                found: size - 40
            }
        );
        // Without its tiles neither.
        fs::remove_dir_all(path.join(&name).join("tile")).unwrap();
        assert_eq!(
            refused(&mut other),
            TlogError::JournalDiffers { sequence: size }
        );
    }
    let another = tempdir().unwrap();
    let stranger = key(another.path());
    let refused = TileLogWriter::open(&path.join("300"), stranger, &mut Numbered::new(300));
    assert_eq!(
        refused.unwrap_err(),
        TlogError::BadSignature {
            origin: "example.com/log".to_owned()
        }
    );
}

#[test]
fn forks_and_rollbacks_are_refused_by_whoever_kept_a_checkpoint() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    let (verifier, seen) = (verifier(path), SeenCheckpoints::at(&path.join("seen")));
    let log_of = |name: &str, count, word| {
        let mut source = Numbered { count, word };
        drop(open(path, name, &mut source).unwrap());
        folder(path, name)
    };
    let accept = |tiles: &openlora_transparency::TileFolder| {
        let checkpoint = tiles.checkpoint(&verifier).unwrap();
        let from = seen.last(&verifier).unwrap().map_or(0, |last| last.size);
        let size = checkpoint.size;
        let hashes = match from > 0 && from < size {
            true => tiles
                .prove(ProofPlan::Consistency { from, size }, size)
                .unwrap(),
            false => Vec::new(),
        };
        seen.accept(&verifier, &checkpoint, &hashes)
    };
    let honest = log_of("honest", 300, "entry");
    accept(&honest).unwrap();
    accept(&honest).unwrap();
    let forked = log_of("forked", 300, "forged");
    let refused = accept(&forked).unwrap_err();
    assert!(matches!(refused, TlogError::Forked { size: 300, .. }));
    let changed = log_of("changed", 400, "forged");
    assert_eq!(
        accept(&changed),
        Err(TlogError::Inconsistent { from: 300, to: 400 })
    );
    let rolled_back = log_of("rolled back", 299, "entry");
    assert_eq!(
        accept(&rolled_back),
        Err(TlogError::RolledBack {
            expected: 300,
            found: 299
        })
    );
    let grown = log_of("honest", 400, "entry");
    accept(&grown).unwrap();
    assert_eq!(seen.last(&verifier).unwrap().unwrap().size, 400);
}

#[test]
fn a_place_keeps_the_key_that_was_first_seen_there() {
    let (dir, other) = (tempdir().unwrap(), tempdir().unwrap());
    let seen = SeenCheckpoints::at(&dir.path().join("seen"));
    let (first, second) = (verifier(dir.path()), verifier(other.path()));
    seen.pin("https://example.com", &first).unwrap();
    seen.pin("https://example.com", &first).unwrap();
    seen.pin("https://example.org", &second).unwrap();
    assert_eq!(
        seen.pin("https://example.com", &second),
        Err(TlogError::OtherKey {
            place: "https://example.com".to_owned(),
            expected: first.vkey().to_owned(),
            found: second.vkey().to_owned(),
        })
    );
}

#[test]
fn there_is_one_writer() {
    let dir = tempdir().unwrap();
    let path = dir.path();
    let mut first = open(path, "log", &mut Numbered::new(10)).unwrap();
    let second = open(path, "log", &mut Numbered::new(20)).unwrap_err();
    assert_eq!(
        second,
        TlogError::InUse {
            path: path.join("log"),
            pid: Some(std::process::id())
        }
    );
    assert_eq!(catch_up(&mut first, &mut Numbered::new(30)).unwrap(), 20);
    drop(first);
    assert_eq!(
        open(path, "log", &mut Numbered::new(40)).unwrap().size(),
        40
    );
}
