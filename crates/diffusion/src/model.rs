//! The weights of an image model, and their files.

use std::{collections::BTreeMap, sync::Arc};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    config::ImageModelConfig,
    error::DiffusionError,
    layout::{CHECKPOINT_PREFIX, ModelLayout, ParameterPlace},
    noise::fill_normal,
    numeric::{bf16_bits, to_bf16},
    tables::PositionTables,
};

/// Name of the configuration's file.
pub const CONFIG_FILE: &str = "config.json";
/// Name of the weights' file, as diffusers has it.
pub const WEIGHTS_FILE: &str = "diffusion_pytorch_model.safetensors";

/// Parts of published checkpoints that the network does not use.
const UNUSED: &[&str] = &["t_embedder.", "pooled_embedder."];

/// A model in main memory.
#[derive(Clone, Debug)]
pub struct ImageModel {
    config: ImageModelConfig,
    layout: ModelLayout,
    /// All parameters, in the layout's order.
    values: Vec<f32>,
    tables: Arc<PositionTables>,
}

impl ImageModel {
    /// A model with the given parameters, in the order of [`ModelLayout`].
    ///
    /// # Errors
    ///
    /// A configuration that cannot be, or another number of values.
    pub fn new(config: ImageModelConfig, values: Vec<f32>) -> Result<Self, DiffusionError> {
        config.check()?;
        let layout = ModelLayout::new(&config);
        if values.len() != layout.len {
            return Err(DiffusionError::Shape {
                name: "parameters".to_owned(),
                expected: vec![layout.len],
                found: vec![values.len()],
            });
        }
        Ok(Self {
            tables: Arc::new(PositionTables::new(&config)),
            config,
            layout,
            values,
        })
    }

    /// Random weights to train from: Xavier-uniform matrices, as MiniT2I starts, with a head of
    /// zeros and the outputs of blocks scaled down by their number.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be.
    pub fn random(config: ImageModelConfig, seed: u64) -> Result<Self, DiffusionError> {
        config.check()?;
        let layout = ModelLayout::new(&config);
        let mut values = vec![0.0; layout.len];
        let mut generator = ChaCha20Rng::seed_from_u64(seed);
        for place in &layout.parameters {
            let to = &mut values[place.range.clone()];
            match place.shape[..] {
                [_] if place.name.ends_with("bias") => {}
                [_] => to.fill(1.0),
                _ if place.name.starts_with("final_layer") => {}
                [1, 1, _] => {
                    fill_normal(&mut generator, to);
                    to.iter_mut().for_each(|x| *x *= 0.02);
                }
                [outputs, ..] => {
                    let inputs = to.len() / outputs;
                    let deviation = (2.0 / (inputs + outputs) as f64).sqrt() as f32;
                    fill_normal(&mut generator, to);
                    to.iter_mut().for_each(|x| *x *= deviation);
                }
                [] => {}
            }
        }
        Self::new(config, values)
    }

    /// Reads the two files of a model.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be, a tensor that is missing, not known, of another shape or of
    /// another type than f32, bf16 and f16, and values that are not finite.
    pub fn read(config: &[u8], weights: &[u8]) -> Result<Self, DiffusionError> {
        let config = ImageModelConfig::parse(config)?;
        let layout = ModelLayout::new(&config);
        let file = SafeTensors::deserialize(weights).map_err(|error| DiffusionError::Weights {
            reason: error.to_string(),
        })?;
        let mut tensors: BTreeMap<String, TensorView<'_>> = BTreeMap::new();
        for (name, view) in file.tensors() {
            let name = name.strip_prefix(CHECKPOINT_PREFIX).unwrap_or(&name);
            tensors.insert(name.to_owned(), view);
        }
        let mut values = vec![0.0; layout.len];
        for place in &layout.parameters {
            let to = &mut values[place.range.clone()];
            match tensors.remove(&place.name) {
                Some(view) => read_tensor(place, &view, to)?,
                // Norms without weights are norms with weights of one.
                None if place.name.contains("norm") => to.fill(1.0),
                None => {
                    let reason = format!("tensor {CHECKPOINT_PREFIX}{} is missing", place.name);
                    return Err(DiffusionError::Weights { reason });
                }
            }
        }
        let unknown = tensors.keys().find(|name| {
            let mut unused = UNUSED.iter();
            !unused.any(|part| name.starts_with(part))
        });
        if let Some(name) = unknown {
            let reason = format!("tensor {name} is not known");
            return Err(DiffusionError::Weights { reason });
        }
        Self::new(config, values)
    }

    pub fn config(&self) -> &ImageModelConfig {
        &self.config
    }

    pub fn layout(&self) -> &ModelLayout {
        &self.layout
    }

    /// All parameters, in the layout's order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn tables(&self) -> &PositionTables {
        &self.tables
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The same model with every parameter rounded to bf16, as its file has it.
    pub fn rounded(mut self) -> Self {
        self.values.iter_mut().for_each(|x| *x = to_bf16(*x));
        self
    }

    /// The weights' file in bf16; the same parameters give the same bytes.
    ///
    /// # Errors
    ///
    /// None is expected: the layout's names are unique.
    pub fn weights_file(&self) -> Result<Vec<u8>, DiffusionError> {
        let mut parts = Vec::new();
        for place in &self.layout.parameters {
            let values = &self.values[place.range.clone()];
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|x| bf16_bits(*x).to_le_bytes())
                .collect();
            parts.push((place, bytes));
        }
        let mut views = BTreeMap::new();
        for (place, bytes) in &parts {
            let view = TensorView::new(Dtype::BF16, place.shape.clone(), bytes)
                .map_err(|error| weights_problem(&error))?;
            views.insert(format!("{CHECKPOINT_PREFIX}{}", place.name), view);
        }
        safetensors::serialize(views, None).map_err(|error| weights_problem(&error))
    }
}

fn weights_problem(error: &safetensors::SafeTensorError) -> DiffusionError {
    DiffusionError::Weights {
        reason: error.to_string(),
    }
}

fn read_tensor(
    place: &ParameterPlace,
    view: &TensorView<'_>,
    to: &mut [f32],
) -> Result<(), DiffusionError> {
    let name = format!("{CHECKPOINT_PREFIX}{}", place.name);
    if view.shape() != place.shape {
        return Err(DiffusionError::Shape {
            name,
            expected: place.shape.clone(),
            found: view.shape().to_vec(),
        });
    }
    decode_floats(view.dtype(), view.data(), to).ok_or_else(|| DiffusionError::Weights {
        reason: format!(
            "tensor {name} is {:?}; expected F32, BF16 or F16",
            view.dtype()
        ),
    })?;
    match to.iter().all(|x| x.is_finite()) {
        true => Ok(()),
        false => Err(DiffusionError::Weights {
            reason: format!("tensor {name} has values that are not finite"),
        }),
    }
}

/// Widens the little-endian values of a tensor; `None` for types other than f32, bf16 and f16.
pub(crate) fn decode_floats(dtype: Dtype, data: &[u8], to: &mut [f32]) -> Option<()> {
    match dtype {
        Dtype::F32 => {
            for (x, bytes) in to.iter_mut().zip(data.as_chunks().0) {
                *x = f32::from_le_bytes(*bytes);
            }
        }
        Dtype::BF16 => {
            for (x, bytes) in to.iter_mut().zip(data.as_chunks().0) {
                *x = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
            }
        }
        Dtype::F16 => {
            for (x, bytes) in to.iter_mut().zip(data.as_chunks().0) {
                *x = half::f16::from_le_bytes(*bytes).to_f32();
            }
        }
        _ => return None,
    }
    Some(())
}
