//! Weights whose file was cut short.

use std::fs::{self, File};

use openlora_decoder::Decoder;
use openlora_model::{BaseModel, WeightPrecision};

use crate::{files::copy, golden::dir as golden};

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
