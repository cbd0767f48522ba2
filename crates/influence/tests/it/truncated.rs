//! An index whose file another program cuts short while it is in use.

use std::fs;

use openlora_influence::{GradientSketch, IndexFile};

use crate::{attribution::random_draft, files::cut};

#[test]
fn an_open_index_answers_as_before_whatever_becomes_of_its_file() {
    let draft = random_draft(2_000, 3, [2, 64]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.bin");
    fs::write(&path, draft.encode()).unwrap();
    let index = IndexFile::open(&path).unwrap();
    let sketch = GradientSketch::quantise(&[vec![0.5; 64], vec![-0.25; 64]]);
    let (scores, sizes) = (index.scores(&sketch).unwrap(), index.sizes());
    let answer: Vec<u32> = (0..8).map(|place| (30 + place) % 97).collect();
    let trace = format!("{:?}", index.trace(&[], &answer));
    cut(&path);
    assert_eq!(index.scores(&sketch).unwrap(), scores);
    assert_eq!(index.sizes(), sizes);
    assert_eq!(format!("{:?}", index.trace(&[], &answer)), trace);
    assert_eq!(
        index.size(),
        fs::metadata(&path)
            .map(|_| draft.encode().len() as u64)
            .unwrap()
    );
    // Opened anew, it is what it is now.
    let error = IndexFile::open(&path).err().unwrap().to_string();
    assert!(error.contains("index.bin"), "{error}");
}
