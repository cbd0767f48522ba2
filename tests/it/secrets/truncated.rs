//! Files that another program cuts short while they are in use: an error, or answers as before,
//! never a signal.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use openlora::{
    error::describe_io,
    runtime::{
        decoder::Decoder,
        frozen,
        influence::{GradientSketch, IndexFile},
        model::{BaseModel, WeightPrecision},
    },
};

use crate::{
    attribution::random_draft,
    live::{Live, golden, serve_args, write_adapters},
    support::openlora,
};

fn cut(path: &Path) {
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(0)
        .unwrap();
}

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

#[test]
fn frozen_bytes_stay_when_the_file_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(&path, &bytes).unwrap();
    let frozen = frozen::read(&path).unwrap();
    assert_eq!(frozen.as_ptr().addr() % 4096, 0);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all(&[9; 50_000])
        .unwrap();
    cut(&path);
    assert!(frozen[..] == bytes[..]);
    let missing = frozen::read(&dir.path().join("none")).unwrap_err();
    assert_eq!(describe_io(&missing), "no such file or directory");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn weights_cut_short_before_they_are_read_are_told() {
    let dir = tempfile::tempdir().unwrap();
    copy(&golden("llama"), dir.path());
    let base = BaseModel::open_dir("llama", dir.path()).unwrap();
    let weights = dir.path().join("model.safetensors");
    let length = fs::metadata(&weights).unwrap().len();
    for (keep, reason) in [
        (length - 1, "incomplete metadata, file not fully covered"),
        (length / 2, "incomplete metadata, file not fully covered"),
        (100, "invalid header length"),
        (4, "header too small"),
        (0, "header too small"),
    ] {
        File::options()
            .write(true)
            .open(&weights)
            .unwrap()
            .set_len(keep)
            .unwrap();
        let error = Decoder::load(&base, WeightPrecision::F32)
            .err()
            .unwrap()
            .to_string();
        let expected = format!("{}: not a safetensors file: {reason}", weights.display());
        assert_eq!(error, expected);
    }
}

/// The engine maps the weights while it loads them and has copies afterwards.
#[test]
fn a_server_answers_on_when_its_files_are_cut_short() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let base = home.path().join("base");
    copy(&golden("llama"), &base);
    let args: Vec<String> = serve_args(0)
        .into_iter()
        .map(|it| match it == golden("llama").display().to_string() {
            true => base.display().to_string(),
            false => it,
        })
        .collect();
    let server = Live::of(openlora(home.path()).args(args.iter().map(String::as_str)));
    let ask = || {
        // Greedy, so that the same weights give the same answer.
        let args = [
            "call",
            "hello there",
            "--temperature",
            "0",
            "--adapter",
            "persona",
            "--url",
            &server.url,
        ];
        openlora(home.path()).args(args).run().succeeds().stdout
    };
    let before = ask();
    for file in [
        "base/model.safetensors",
        "persona/adapter_model.safetensors",
    ] {
        cut(&home.path().join(file));
    }
    assert_eq!(ask(), before);
    assert_eq!(server.drain().0, 0);
}
