//! Adapters in the files of PEFT and of diffusers.

use std::collections::BTreeMap;

use openlora_model::adapter::{HostTensor, LoraAdapter};
use safetensors::{Dtype, tensor::TensorView};

use crate::{
    adapter::{ImageAdapter, ModuleFactors},
    error::DiffusionError,
    model::ImageModel,
};

/// Name of diffusers' own file of an adapter.
pub const DIFFUSERS_FILE: &str = "pytorch_lora_weights.safetensors";
/// The network's name in a diffusers pipeline.
const DIFFUSERS_PREFIX: &str = "transformer.";

impl ImageAdapter {
    /// The factors of an adapter in PEFT's format.
    ///
    /// # Errors
    ///
    /// A path that names no linear module of the model, or factors of another shape.
    pub fn from_peft(model: &ImageModel, adapter: &LoraAdapter) -> Result<Self, DiffusionError> {
        let factor = |name: &str| adapter.tensors.get(name).map(HostTensor::to_f32);
        let factors: Vec<ModuleFactors> = adapter
            .modules
            .iter()
            .map(|module| ModuleFactors {
                path: module.path.clone(),
                rank: module.rank,
                scale: module.scale,
                a: factor(&module.a_name()).unwrap_or_default(),
                b: factor(&module.b_name()).unwrap_or_default(),
            })
            .collect();
        Self::from_factors(model, &factors)
    }

    /// The factors by their PEFT names, such as
    /// `base_model.model.model.net.double_blocks.0.img_qkv.lora_A.weight`, to be written with
    /// [`openlora_model::adapter::write`].
    pub fn peft_tensors(&self) -> BTreeMap<String, HostTensor> {
        let mut tensors = BTreeMap::new();
        for place in self.places() {
            let mut put = |factor: &str, shape: [usize; 2], values: &[f32]| {
                let name = format!("base_model.model.{}.{factor}.weight", place.path);
                tensors.insert(name, HostTensor::from_f32(&shape, values));
            };
            let (a, b) = (
                &self.values()[place.a.clone()],
                &self.values()[place.b.clone()],
            );
            put("lora_A", [place.rank, place.inputs], a);
            put("lora_B", [place.outputs, place.rank], b);
        }
        tensors
    }

    /// The paths of the adapted modules, as PEFT's `target_modules` lists them.
    pub fn target_modules(&self) -> Vec<String> {
        self.places()
            .iter()
            .map(|place| place.path.clone())
            .collect()
    }

    /// The bytes of [`DIFFUSERS_FILE`], which diffusers' `load_lora_weights` reads. Its format has no
    /// alpha, so the scale is multiplied into B.
    ///
    /// # Errors
    ///
    /// None is expected: names are unique.
    pub fn diffusers_file(&self) -> Result<Vec<u8>, DiffusionError> {
        let bytes_of = |values: &[f32], scale: f32| -> Vec<u8> {
            values
                .iter()
                .flat_map(|x| (x * scale).to_le_bytes())
                .collect()
        };
        let mut parts = Vec::new();
        for place in self.places() {
            let name = |factor| format!("{DIFFUSERS_PREFIX}{}.{factor}.weight", place.path);
            let a = bytes_of(&self.values()[place.a.clone()], 1.0);
            let b = bytes_of(&self.values()[place.b.clone()], place.scale);
            parts.push((name("lora_A"), vec![place.rank, place.inputs], a));
            parts.push((name("lora_B"), vec![place.outputs, place.rank], b));
        }
        let problem = |error: safetensors::SafeTensorError| DiffusionError::Weights {
            reason: error.to_string(),
        };
        let mut views = BTreeMap::new();
        for (name, shape, bytes) in &parts {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(problem)?;
            views.insert(name, view);
        }
        safetensors::serialize(views, None).map_err(problem)
    }
}
