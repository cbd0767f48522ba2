//! The embedded base: its files as part of the binary, and the folder that they are opened from.

use std::path::Path;

use super::{
    error::ModelError,
    unpack::{EmbeddedFile, unpack},
};

/// What a base is called that needs no folder and no network.
pub const NANO: &str = "nano";

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        &[$(EmbeddedFile {
            name: $name,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/nano/", $name)),
        }),+]
    };
}

/// Every file of the base, as Hugging Face lays it out.
pub const FILES: &[EmbeddedFile] = embedded![
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "model.safetensors",
];

/// Makes `dir` hold the base; files that are already right are left alone.
pub fn unpack_nano(dir: &Path) -> Result<(), ModelError> {
    unpack(FILES, dir)
}
