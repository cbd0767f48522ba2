//! Indexes that cannot be used, and counts at the edges.

use std::fs;

use openlora_influence::{
    AttributionDir, AttributionError, GradientSketch, GradientSketcher, IndexError, IndexFile,
    IndexMethod, build,
};
use tempfile::TempDir;

use super::{Trained, random_draft, written};

/// The error of opening these bytes, with the path taken out.
fn refusal(bytes: &[u8]) -> String {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("index.bin");
    fs::write(&path, bytes).unwrap();
    let error = IndexFile::open(&path).err().map(|error| error.to_string());
    error
        .unwrap_or_default()
        .replace(&path.display().to_string(), "FILE")
}

#[test]
fn truncated_foreign_and_damaged_files_each_have_their_error() {
    let whole = random_draft(6, 2, [2, 64]).encode();
    let length = whole.len();
    assert_eq!(refusal(&whole), "");
    assert_eq!(
        refusal(b""),
        "FILE is cut short: 496 bytes are expected, 0 are there"
    );
    assert_eq!(
        refusal(&whole[..100]),
        "FILE is cut short: 496 bytes are expected, 100 are there"
    );
    assert_eq!(
        refusal(&whole[..length - 1]),
        format!(
            "FILE is cut short: {length} bytes are expected, {} are there",
            length - 1
        )
    );
    assert_eq!(
        refusal(b"PAR1 and so on, of another kind"),
        "FILE is no attribution index: it begins with 5041523120616e64"
    );
    let mut newer = whole.clone();
    newer[8] = 9;
    assert_eq!(
        refusal(&newer),
        "FILE is an attribution index of version 9; this program reads 2"
    );
    let mut flipped = whole.clone();
    flipped[length - 1] ^= 1;
    let said = refusal(&flipped);
    let start = "FILE: the firsts section is not what was written: its SHA-256 is ";
    assert!(said.starts_with(start), "{said}");
    let mut header = whole;
    header[20] ^= 1;
    let said = refusal(&header);
    let start = "FILE: the header section is not what was written: its SHA-256 is ";
    assert!(said.starts_with(start), "{said}");
}

#[test]
fn every_flipped_byte_is_found() {
    let whole = random_draft(3, 2, [1, 16]).encode();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("index.bin");
    let padding = |at: usize| {
        // Between sections nothing is read, and the file's own digest tells.
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        IndexFile::open(&path)
            .map(|index| index.digest().to_owned())
            .ok()
    };
    fs::write(&path, &whole).unwrap();
    let digest = IndexFile::open(&path).unwrap().digest().to_owned();
    for (at, byte) in whole.iter().enumerate() {
        if let Some(found) = padding(at) {
            assert_eq!(*byte, 0, "byte {at} is read");
            assert_ne!(found, digest, "byte {at}");
        }
    }
}

#[test]
fn none_one_and_ten_thousand_contributors_work() {
    for (examples, contributors) in [(0, 0), (1, 1), (10_000, 10_000)] {
        let (_dir, index) = written(&random_draft(examples, contributors, [1, 16]));
        assert_eq!(index.examples().len(), examples);
        assert_eq!(index.contributors().len(), contributors);
        let sketch = GradientSketch::quantise(&[vec![1.0; 16]]);
        assert_eq!(index.scores(&sketch).unwrap().len(), examples);
        let trace = index.trace(&[], &[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(trace.spans.is_empty(), examples == 0);
    }
}

#[test]
fn a_sketch_of_another_shape_is_refused() {
    let (_dir, index) = written(&random_draft(4, 2, [2, 64]));
    let error = index
        .scores(&GradientSketch::quantise(&[vec![1.0; 64]]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a sketch has 1 checkpoints of 64 values, the index 2 checkpoints of 64 values"
    );
    for bytes in [
        vec![],
        vec![1, 2, 64],
        vec![2, 0, 0, 0, 0, 0],
        vec![1, 1, 4, 0, 0, 0, 9],
    ] {
        assert!(
            matches!(
                GradientSketch::from_bytes(&bytes),
                Err(IndexError::Sketch { .. })
            ),
            "{bytes:?}"
        );
    }
}

#[test]
fn an_index_of_other_weights_is_stale() {
    let (_dir, index) = written(&random_draft(1, 1, [1, 16]));
    index.binding().require("b", "a").unwrap();
    let said = |base, adapter| {
        index
            .binding()
            .require(base, adapter)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        said("b", "merged"),
        "the attribution index is of another adapter: it was built for a, this is merged"
    );
    assert_eq!(
        said("requantised", "a"),
        "the attribution index is of another base: it was built for b, this is requantised"
    );
}

#[test]
fn changed_checkpoints_other_bases_and_empty_answers_are_refused() {
    let trained = Trained::new();
    let dir = TempDir::new().unwrap();
    let (_, places) = trained.build(IndexMethod::Influence, dir.path());
    let mut sketcher = GradientSketcher::open(&places, &trained.inputs.base).unwrap();
    assert!(matches!(
        sketcher.sketch(&[1, 2], &[]),
        Err(AttributionError::EmptyAnswer)
    ));
    let mut other = trained.inputs.base.clone();
    other.digest = "other".into();
    assert!(matches!(
        GradientSketcher::open(&places, &other),
        Err(AttributionError::Index(IndexError::Stale {
            what: "base",
            ..
        }))
    ));
    let file = places.dir.join("preconditioner.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    assert!(matches!(
        GradientSketcher::open(&places, &trained.inputs.base),
        Err(AttributionError::Index(IndexError::Damaged { .. }))
    ));
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let trained = Trained::new();
    let (rows, mut material) = (trained.rows(), trained.material(IndexMethod::Influence));
    for tensor in material.checkpoints[1].weights.values_mut() {
        *tensor = (tensor.ones_like().unwrap() * f64::NAN).unwrap();
    }
    let dir = TempDir::new().unwrap();
    let places = AttributionDir::new(dir.path());
    let error = build(
        &trained.job(&rows, &material, IndexMethod::Influence),
        &places,
        &mut |_| {},
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "the gradient of example 0 is not finite: it has a NaN or an infinity"
    );
    assert!(!places.index().exists());
}
