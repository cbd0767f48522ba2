//! Reading tests/data/golden: what PyTorch, transformers and PEFT computed with tiny models.

use openlora_decoder::{Decoder, LoraFactors, TokenBatch};
use openlora_model::{BaseModel, WeightPrecision};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::golden::dir;

pub struct Golden {
    pub name: String,
    bytes: Vec<u8>,
    pub json: Value,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        let bytes = std::fs::read(dir(name).join("expected.safetensors")).unwrap();
        let text = std::fs::read_to_string(dir(name).join("expected.json")).unwrap();
        Self {
            name: name.to_owned(),
            bytes,
            json: serde_json::from_str(&text).unwrap(),
        }
    }

    pub fn base(&self) -> BaseModel {
        BaseModel::open_dir(&self.name, &dir(&self.name)).unwrap()
    }

    pub fn decoder(&self) -> Decoder {
        Decoder::load(&self.base(), WeightPrecision::F32).unwrap()
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        floats(&self.bytes, name).1
    }

    /// Names of the tensors that start with `prefix`, without it.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let names = file.names();
        names
            .into_iter()
            .filter_map(|name| name.strip_prefix(prefix))
            .map(str::to_owned)
            .collect()
    }

    fn integers(&self, name: &str) -> Vec<usize> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = file.tensor(name).unwrap();
        let width = match tensor.dtype() {
            Dtype::I64 => 8,
            Dtype::U8 => 1,
            other => panic!("{name} is {other:?}"),
        };
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte))
        };
        tensor.data().chunks_exact(width).map(number).collect()
    }

    pub fn batch(&self) -> TokenBatch {
        TokenBatch {
            ids: self
                .integers("ids")
                .into_iter()
                .map(|id| id as u32)
                .collect(),
            targets: self
                .integers("targets")
                .into_iter()
                .map(|mark| mark == 1)
                .collect(),
            offsets: self.integers("offsets"),
        }
    }

    /// The factors of a PEFT adapter of this model whose scale is the same everywhere.
    pub fn factors(&self, adapter: &str, scale: f64) -> Vec<LoraFactors> {
        let path = dir(&format!("{}.{adapter}", self.name)).join("adapter_model.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut modules: Vec<String> = file
            .names()
            .into_iter()
            .filter_map(|name| name.strip_suffix(".lora_A.weight").map(str::to_owned))
            .collect();
        modules.sort();
        let factors = |path: String| {
            let (shape, a) = floats(&bytes, &format!("{path}.lora_A.weight"));
            let (_, b) = floats(&bytes, &format!("{path}.lora_B.weight"));
            let magnitude = format!("{path}.lora_magnitude_vector");
            let magnitude = file.tensor(&magnitude).is_ok().then_some(magnitude);
            let module = path.strip_prefix("base_model.model.").unwrap().to_owned();
            LoraFactors {
                module,
                rank: shape[0],
                scale,
                a,
                b,
                magnitude: magnitude.map(|name| floats(&bytes, &name).1),
            }
        };
        modules.into_iter().map(factors).collect()
    }
}

fn floats(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<f32>) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
    let values = tensor
        .data()
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    (tensor.shape().to_vec(), values.collect())
}

/// Asserts max |found − expected| ≤ tolerance · max |expected|.
#[track_caller]
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0f32, |size, x| size.max(x.abs()));
    let gap = found
        .iter()
        .zip(expected)
        .fold(0f32, |gap, (a, b)| gap.max((a - b).abs()));
    assert!(gap <= tolerance * size, "{what}: off by {gap} of {size}");
}
