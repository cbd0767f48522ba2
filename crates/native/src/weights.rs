//! Reads the tensors of a base as f32.

use std::path::PathBuf;

use half::{bf16, f16};
use safetensors::{SafeTensors, tensor::Dtype};

use openlora_model::{BaseModel, TensorShape};

/// The weight files of a base.
pub(crate) struct BaseTensors {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl BaseTensors {
    pub(crate) fn open(base: &BaseModel) -> Result<Self, String> {
        let paths = base.weight_files().map_err(|error| error.to_string())?;
        let read = |path: PathBuf| {
            let bytes = std::fs::read(&path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            Ok((path, bytes))
        };
        let files = paths.into_iter().map(read).collect::<Result<_, String>>()?;
        Ok(Self { files })
    }

    /// Row-major values of a tensor of the expected shape.
    pub(crate) fn read(&self, wanted: &TensorShape) -> Result<Vec<f32>, String> {
        for (path, bytes) in &self.files {
            let file = SafeTensors::deserialize(bytes)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let Ok(view) = file.tensor(&wanted.name) else {
                continue;
            };
            if view.shape() != wanted.shape {
                return Err(format!(
                    "{}: tensor {} has shape {:?}; config.json asks for {:?}",
                    path.display(),
                    wanted.name,
                    view.shape(),
                    wanted.shape
                ));
            }
            let pairs = || view.data().chunks_exact(2).map(|two| [two[0], two[1]]);
            return match view.dtype() {
                Dtype::F32 => Ok(view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect()),
                Dtype::BF16 => Ok(pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect()),
                Dtype::F16 => Ok(pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect()),
                other => Err(format!("tensor {} is {other:?}", wanted.name)),
            };
        }
        Err(format!("tensor {} is missing", wanted.name))
    }
}
