//! Saves a whole decoder as a checkpoint folder in HF layout.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use candle_core::{DType, Tensor};
use safetensors::{Dtype, View};
use serde_json::Value;

use super::{error::DecoderError, network::Decoder};
use openlora_model::{ModelError, unpack::write_whole};

/// Number type of saved weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveType {
    F32,
    Bf16,
}

impl SaveType {
    /// The name in config.json.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
        }
    }
}

/// A tensor's bytes, little-endian.
struct SavedTensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &SavedTensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Decoder {
    /// Writes `config.json` and `model.safetensors` to `dir`, each atomically. LoRA factors are not
    /// included: merge them first. The caller writes the tokenizer's files.
    pub fn save_full(&self, dir: &Path, save_type: SaveType) -> Result<(), DecoderError> {
        std::fs::create_dir_all(dir).map_err(ModelError::io("create", dir))?;
        let mut config = self.config.source.clone();
        config.shift_remove("torch_dtype");
        config.insert("dtype".to_owned(), Value::from(save_type.name()));
        let text = format!("{:#}\n", Value::Object(config));
        write_whole(&dir.join("config.json"), text.as_bytes())?;
        let tensors = self
            .parameters()
            .into_iter()
            .map(|(name, parameter)| Ok((name, saved(parameter.tensor(), save_type)?)))
            .collect::<Result<BTreeMap<_, _>, DecoderError>>()?;
        let path = dir.join("model.safetensors");
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        let bytes = safetensors::serialize(&tensors, Some(metadata)).map_err(|error| {
            ModelError::Safetensors {
                path: path.clone(),
                reason: error.to_string(),
            }
        })?;
        Ok(write_whole(&path, &bytes)?)
    }
}

fn saved(tensor: &Tensor, save_type: SaveType) -> Result<SavedTensor, DecoderError> {
    let shape = tensor.dims().to_vec();
    let flat = tensor.detach().flatten_all()?;
    let (dtype, bytes) = match save_type {
        SaveType::F32 => {
            let values: Vec<f32> = flat.to_dtype(DType::F32)?.to_vec1()?;
            (
                Dtype::F32,
                values.into_iter().flat_map(f32::to_le_bytes).collect(),
            )
        }
        SaveType::Bf16 => {
            let values: Vec<half::bf16> = flat.to_dtype(DType::BF16)?.to_vec1()?;
            (
                Dtype::BF16,
                values
                    .into_iter()
                    .flat_map(half::bf16::to_le_bytes)
                    .collect(),
            )
        }
    };
    Ok(SavedTensor {
        dtype,
        shape,
        bytes,
    })
}
