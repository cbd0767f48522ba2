//! Reading the weights of a checkpoint folder: one safetensors file, or shards with an index.
//!
//! Files are mapped, checked against the shapes that config.json implies, and converted on the way
//! in. Pickle files are refused unread.

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use half::{bf16, f16};
use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{
    SafeTensors,
    tensor::{Dtype, Metadata, TensorInfo},
};
use serde_json::Value;

use super::{Precision, error::ModelError, shapes::TensorShape};

pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

struct Shard {
    path: PathBuf,
    bytes: Mmap,
    /// Where the tensors' data begin.
    start: usize,
    metadata: Metadata,
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self, ModelError> {
        let file = File::open(&path).map_err(ModelError::io("read", &path))?;
        // SAFETY: the mapping is only read; a model file that another process rewrites meanwhile
        // gives wrong numbers, which no way of reading would prevent.
        let bytes = unsafe { Mmap::map(&file) }.map_err(ModelError::io("map", &path))?;
        let broken = |reason: String| ModelError::Safetensors {
            path: path.clone(),
            reason,
        };
        SafeTensors::deserialize(&bytes).map_err(|error| broken(error.to_string()))?;
        let (length, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| broken(error.to_string()))?;
        Ok(Self {
            start: length + 8,
            path,
            bytes,
            metadata,
        })
    }

    fn data(&self, info: &TensorInfo) -> &[u8] {
        &self.bytes[self.start + info.data_offsets.0..self.start + info.data_offsets.1]
    }
}

/// The open weight files of a folder.
pub struct Checkpoint {
    dir: PathBuf,
    shards: Vec<Shard>,
    /// Tensor name → shard.
    places: HashMap<String, usize>,
}

impl Checkpoint {
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let shards = weight_files(dir)?
            .into_iter()
            .map(Shard::open)
            .collect::<Result<Vec<_>, _>>()?;
        let places = shards
            .iter()
            .enumerate()
            .flat_map(|(at, shard)| {
                shard
                    .metadata
                    .tensors()
                    .into_keys()
                    .map(move |name| (name, at))
            })
            .collect();
        Ok(Self {
            dir: dir.to_owned(),
            shards,
            places,
        })
    }

    /// Reads a tensor of the expected shape; bf16 keeps two bytes a weight.
    pub fn read(&self, wanted: &TensorShape, precision: Precision) -> Result<Tensor, ModelError> {
        let (shard, info) = self.find(&wanted.name)?;
        if info.shape != wanted.shape {
            return Err(ModelError::TensorShape {
                path: shard.path.clone(),
                name: wanted.name.clone(),
                expected: wanted.shape.clone(),
                found: info.shape.clone(),
            });
        }
        let values = self.values(shard, info, wanted)?;
        if let Some((index, found)) = first_broken(&values) {
            let (path, name) = (shard.path.clone(), wanted.name.clone());
            return Err(ModelError::NonFinite {
                path,
                name,
                index,
                found,
            });
        }
        let shape = wanted.shape.as_slice();
        if precision == Precision::Bf16 && shape.len() == 2 {
            let narrow: Vec<bf16> = values.par_iter().map(|&x| bf16::from_f32(x)).collect();
            return Ok(Tensor::from_vec(narrow, shape, &Device::Cpu)?);
        }
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    fn find(&self, name: &str) -> Result<(&Shard, &TensorInfo), ModelError> {
        self.places
            .get(name)
            .and_then(|&at| Some((&self.shards[at], self.shards[at].metadata.info(name)?)))
            .ok_or_else(|| ModelError::MissingTensor {
                dir: self.dir.clone(),
                name: name.to_owned(),
            })
    }

    fn values(
        &self,
        shard: &Shard,
        info: &TensorInfo,
        wanted: &TensorShape,
    ) -> Result<Vec<f32>, ModelError> {
        let bytes = shard.data(info);
        let half = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]);
        match info.dtype {
            Dtype::F32 => Ok(bytes
                .par_chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect()),
            Dtype::BF16 => Ok(bytes
                .par_chunks_exact(2)
                .map(|two| bf16::from_bits(half(two)).to_f32())
                .collect()),
            Dtype::F16 => Ok(bytes
                .par_chunks_exact(2)
                .map(|two| f16::from_bits(half(two)).to_f32())
                .collect()),
            other => Err(ModelError::TensorType {
                path: shard.path.clone(),
                name: wanted.name.clone(),
                found: format!("{other:?}").to_lowercase(),
            }),
        }
    }
}

/// Index and value of the first NaN or infinity.
fn first_broken(values: &[f32]) -> Option<(usize, f32)> {
    let index = values.par_iter().position_first(|x| !x.is_finite())?;
    Some((index, values[index]))
}

/// The safetensors files that hold a folder's weights, sorted.
pub fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let index = dir.join(INDEX);
    if index.exists() {
        return indexed_files(dir, &index);
    }
    let single = dir.join(SINGLE);
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
    let json: Value = serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
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

/// Whether a name stays in its folder.
pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}
