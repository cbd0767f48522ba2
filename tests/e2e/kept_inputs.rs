//! The kept inputs of the fuzz targets, through the functions that the targets call.

use std::{collections::BTreeSet, fs};

use crate::{parsers::PARSERS, paths::repository};

/// Files of a folder of the fuzz targets.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(repository().join("fuzz").join(folder)).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn kept_inputs_of_every_parser_are_read_or_refused() {
    for (name, parse) in PARSERS {
        let folder = format!("corpus/{name}");
        let kept = names(&folder);
        assert!(!kept.is_empty(), "{name} has no kept input");
        for file in kept {
            let bytes = fs::read(repository().join("fuzz").join(&folder).join(file)).unwrap();
            parse(&bytes);
            // Cut short, and with one changed byte.
            for length in (0..bytes.len()).step_by(1 + bytes.len() / 16) {
                parse(&bytes[..length]);
                let mut changed = bytes.clone();
                changed[length] ^= 0x20;
                parse(&changed);
            }
        }
    }
}

#[test]
fn every_parser_has_a_fuzz_target() {
    let known: BTreeSet<String> = PARSERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("corpus"), known);
    let targets = names("fuzz_targets");
    let expected: BTreeSet<String> = known.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(targets, expected);
    let manifest = fs::read_to_string(repository().join("fuzz/Cargo.toml")).unwrap();
    for name in known {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name}"
        );
    }
}
