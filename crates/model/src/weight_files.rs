//! Finds the weight files of a checkpoint folder: one safetensors file, or shards with an index.
//! Pickle files are refused without reading.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::ModelError;
use openlora_core::error::describe_decoding;

pub const SINGLE: &str = "model.safetensors";
pub const INDEX: &str = "model.safetensors.index.json";
/// What diffusers calls the weights of a denoiser.
pub const PICTURE_SINGLE: &str = "diffusion_pytorch_model.safetensors";
pub const PICTURE_INDEX: &str = "diffusion_pytorch_model.safetensors.index.json";

/// The safetensors files that hold a folder's weights, sorted.
pub fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, ModelError> {
    weight_files_named(dir, SINGLE, INDEX)
}

/// The same for files of other names.
pub fn weight_files_named(
    dir: &Path,
    single: &str,
    index: &str,
) -> Result<Vec<PathBuf>, ModelError> {
    let index = dir.join(index);
    if index.exists() {
        return indexed_files(dir, &index);
    }
    let single = dir.join(single);
    if single.exists() {
        return Ok(vec![single]);
    }
    let pickle = [
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "consolidated.00.pth",
    ];
    match pickle
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.exists())
    {
        Some(path) => Err(ModelError::Pickle { path }),
        None => Err(ModelError::NoWeights {
            dir: dir.to_owned(),
        }),
    }
}

fn indexed_files(dir: &Path, index: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let text = std::fs::read_to_string(index).map_err(ModelError::io("read", index))?;
    let broken = |reason: String| ModelError::Json {
        path: index.to_owned(),
        reason,
    };
    let json: Value =
        serde_json::from_str(&text).map_err(|error| broken(describe_decoding(&error)))?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| broken("no object weight_map".to_owned()))?;
    let mut names = Vec::new();
    for file in map.values() {
        match file.as_str() {
            Some(name) if is_plain_name(name) => names.push(name),
            _ => {
                return Err(broken(format!(
                    "{file} is not the name of a file in that folder"
                )));
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

/// Whether a name stays inside its folder.
pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}
