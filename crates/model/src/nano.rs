//! The embedded base: its files in the binary, and the folder they are unpacked to.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{
    error::ModelError,
    unpack::{EmbeddedFile, unpack},
};

/// The id of the embedded base, which needs no folder and no network.
pub const NANO: &str = "nano";

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        &[$(EmbeddedFile {
            name: $name,
            bytes: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../assets/nano/",
                $name
            )),
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

/// Unpacks the base to a folder below `dir` and returns it; valid files are left unchanged. The
/// folder is named by a hash of its content, so that binaries with different bases do not overwrite
/// each other's.
pub fn unpack_nano(dir: &Path) -> Result<PathBuf, ModelError> {
    let mut hasher = Sha256::new();
    for file in FILES {
        hasher.update(file.bytes);
    }
    let mut name = hex::encode(hasher.finalize());
    name.truncate(12);
    let dir = dir.join(name);
    unpack(FILES, &dir)?;
    Ok(dir)
}
