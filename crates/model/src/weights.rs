//! Reads the weights of a checkpoint folder.
//!
//! Headers are checked against the shapes that config.json implies; tensors are read one by one and
//! converted to f32 on reading. Files are not mapped, so that a file truncated by another program gives an
//! error.

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::{
    SafeTensorError, SafeTensors,
    tensor::{Dtype, Metadata, TensorInfo},
};

use super::{
    error::ModelError,
    shapes::{ModuleShape, TensorShape},
    weight_files::weight_files,
};
use openlora_core::error::{ExitClass, Explain, describe_decoding};

/// Weights that do not match their config.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{}: tensor {name} is missing", dir.display())]
    Missing { dir: PathBuf, name: String },
    #[error("{}: tensor {name} has shape {found:?}; config.json asks for {expected:?}", path.display())]
    Shape {
        path: PathBuf,
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error("{}: tensor {name} is {found}; expected f32, f16 or bf16", path.display())]
    Type {
        path: PathBuf,
        name: String,
        found: String,
    },
    #[error("{}: tensor {name} holds {found} at element {index}; expected finite numbers", path.display())]
    NonFinite {
        path: PathBuf,
        name: String,
        index: usize,
        found: f32,
    },
}

impl Explain for WeightError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Model(error) => error.class(),
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::Missing { .. } => {
                Some("download the model again, or point base.id at a complete folder".to_owned())
            }
            _ => None,
        }
    }
}

/// Bytes of the header's length field.
const LENGTH: u64 = 8;
/// Maximum header size of the format.
const LARGEST_HEADER: u64 = 100_000_000;

/// One open weight file.
pub(crate) struct WeightShard {
    path: PathBuf,
    file: File,
    /// Offset of the tensors' data.
    start: u64,
    metadata: Metadata,
}

impl WeightShard {
    fn open(path: PathBuf) -> Result<Self, ModelError> {
        let file = File::open(&path).map_err(ModelError::io("read", &path))?;
        let length = file
            .metadata()
            .map_err(ModelError::io("read", &path))?
            .len();
        let header = read_header(&file, length).map_err(ModelError::io("read", &path))?;
        let metadata = parse_header(&header, length).map_err(|reason| ModelError::Safetensors {
            path: path.clone(),
            reason,
        })?;
        Ok(Self {
            start: header.len() as u64,
            path,
            file,
            metadata,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file up to the tensors' data.
    pub(crate) fn header(&self) -> Result<Vec<u8>, ModelError> {
        let mut bytes = vec![0; self.start as usize];
        let read = self.file.read_exact_at(&mut bytes, 0);
        read.map_err(ModelError::io("read", &self.path))?;
        Ok(bytes)
    }

    /// The tensors in the order of their data, which has no holes.
    pub(crate) fn in_order(&self) -> Vec<(String, &TensorInfo)> {
        let mut all: Vec<(String, &TensorInfo)> = self.metadata.tensors().into_iter().collect();
        all.sort_by_key(|(_, info)| info.data_offsets);
        all
    }

    pub(crate) fn data(&self, name: &str, info: &TensorInfo) -> Result<Vec<u8>, ModelError> {
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        let read = self
            .file
            .read_exact_at(&mut bytes, self.start + start as u64);
        read.map(|()| bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => ModelError::Safetensors {
                path: self.path.clone(),
                reason: format!("another program cuts it short: tensor {name} is gone"),
            },
            _ => ModelError::io("read", &self.path)(error),
        })
    }
}

/// The length field and the header, or as much of them as the file has.
fn read_header(file: &File, length: u64) -> std::io::Result<Vec<u8>> {
    let mut header = Vec::new();
    let mut rest = file.take(LENGTH);
    rest.read_to_end(&mut header)?;
    let Ok(size) = <[u8; 8]>::try_from(header.as_slice()) else {
        return Ok(header);
    };
    // A longer header is refused by its length alone.
    let size = u64::from_le_bytes(size).min(length.saturating_sub(LENGTH));
    if size <= LARGEST_HEADER {
        file.take(size).read_to_end(&mut header)?;
    }
    Ok(header)
}

/// The parsed header, if it fits a file of `length` bytes.
fn parse_header(header: &[u8], length: u64) -> Result<Metadata, String> {
    // A valid header is incomplete only because the data is missing.
    match SafeTensors::read_metadata(header) {
        Ok(_) | Err(SafeTensorError::MetadataIncompleteBuffer) => {}
        Err(error) => return Err(error.to_string()),
    }
    let text = header.get(LENGTH as usize..).unwrap_or_default();
    let metadata: Metadata =
        serde_json::from_slice(text).map_err(|error| describe_decoding(&error))?;
    let tensors = metadata.tensors();
    let ends = tensors.values().map(|info| info.data_offsets.1 as u64);
    match ends.max().unwrap_or(0) + header.len() as u64 == length {
        true => Ok(metadata),
        false => Err(SafeTensorError::MetadataIncompleteBuffer.to_string()),
    }
}

/// The open weight files of a folder.
pub struct WeightFiles {
    dir: PathBuf,
    shards: Vec<WeightShard>,
    /// Tensor name → shard.
    places: HashMap<String, usize>,
}

impl WeightFiles {
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        Self::open_files(dir, weight_files(dir)?)
    }

    /// Opens these files of a folder.
    pub(crate) fn open_files(dir: &Path, files: Vec<PathBuf>) -> Result<Self, ModelError> {
        let shards = files
            .into_iter()
            .map(WeightShard::open)
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

    pub(crate) fn shards(&self) -> &[WeightShard] {
        &self.shards
    }

    /// Every tensor `NAME.weight` with two dimensions as a linear layer, sorted by path.
    pub(crate) fn matrices(&self) -> Vec<ModuleShape> {
        let tensors = self.shards.iter().flat_map(WeightShard::in_order);
        let matrix = |(name, info): (String, &TensorInfo)| {
            let path = name.strip_suffix(".weight")?.to_owned();
            let [out_dim, in_dim] = <[usize; 2]>::try_from(info.shape.as_slice()).ok()?;
            Some(ModuleShape {
                path,
                in_dim,
                out_dim,
            })
        };
        let mut all: Vec<ModuleShape> = tensors.filter_map(matrix).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    /// Number of values of all tensors.
    pub(crate) fn elements(&self) -> u64 {
        let tensors = self.shards.iter().flat_map(WeightShard::in_order);
        let sizes = tensors.map(|(_, info)| info.shape.iter().product::<usize>() as u64);
        sizes.sum()
    }

    /// Row-major values of a tensor of the expected shape.
    pub fn read(&self, wanted: &TensorShape) -> Result<Vec<f32>, WeightError> {
        let (shard, info) = self.find(&wanted.name)?;
        if info.shape != wanted.shape {
            return Err(WeightError::Shape {
                path: shard.path.clone(),
                name: wanted.name.clone(),
                expected: wanted.shape.clone(),
                found: info.shape.clone(),
            });
        }
        let values = self.values(shard, info, wanted)?;
        match first_broken(&values) {
            Some((index, found)) => Err(WeightError::NonFinite {
                path: shard.path.clone(),
                name: wanted.name.clone(),
                index,
                found,
            }),
            None => Ok(values),
        }
    }

    fn find(&self, name: &str) -> Result<(&WeightShard, &TensorInfo), WeightError> {
        self.places
            .get(name)
            .and_then(|&at| Some((&self.shards[at], self.shards[at].metadata.info(name)?)))
            .ok_or_else(|| WeightError::Missing {
                dir: self.dir.clone(),
                name: name.to_owned(),
            })
    }

    fn values(
        &self,
        shard: &WeightShard,
        info: &TensorInfo,
        wanted: &TensorShape,
    ) -> Result<Vec<f32>, WeightError> {
        let bytes = shard.data(&wanted.name, info)?;
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
            other => Err(WeightError::Type {
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
