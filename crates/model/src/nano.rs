//! The embedded bases: their files in the binary, and the folders they are unpacked to.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{
    error::ModelError,
    unpack::{EmbeddedFile, unpack},
};

/// The id of the embedded base for text, which needs no folder and no network.
pub const NANO: &str = "nano";
/// The id of the embedded base for pictures. The hidden states of [`NANO`] are what it reads of a
/// caption.
pub const PICO: &str = "pico";

macro_rules! embedded {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(EmbeddedFile {
            name: $name,
            bytes: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../assets/",
                $folder,
                "/",
                $name
            )),
        }),+]
    };
}

/// Every file of `pico`.
pub const PICO_FILES: &[EmbeddedFile] =
    embedded!["pico": "config.json", "diffusion_pytorch_model.safetensors"];

/// Every file of `nano`, as Hugging Face lays it out.
pub const FILES: &[EmbeddedFile] = embedded![
    "nano": "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "model.safetensors",
];

/// Unpacks `nano` to a folder below `dir` and returns it; valid files are left unchanged. The
/// folder is named by a hash of its content, so that binaries with different bases do not overwrite
/// each other's.
pub fn unpack_nano(dir: &Path) -> Result<PathBuf, ModelError> {
    unpack_hashed(FILES, dir)
}

/// The same for `pico`, beside `nano`.
pub fn unpack_pico(dir: &Path) -> Result<PathBuf, ModelError> {
    unpack_hashed(PICO_FILES, dir)
}

fn unpack_hashed(files: &[EmbeddedFile], dir: &Path) -> Result<PathBuf, ModelError> {
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(file.bytes);
    }
    let mut name = hex::encode(hasher.finalize());
    name.truncate(12);
    let dir = dir.join(name);
    unpack(files, &dir)?;
    Ok(dir)
}
