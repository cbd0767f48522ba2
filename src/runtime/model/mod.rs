//! Base models: which one, where its files are, and a decoder that can be trained.
//!
//! Owns the config, the weights, the differentiable forward pass with its fused kernels, and LoRA
//! factors on it. It knows nothing of data files, optimizers, runs or serving.

mod base;
mod batch;
pub mod bpe;
mod config;
mod decoder;
mod error;
mod forward;
pub mod hub;
pub mod kernels;
mod layer;
mod lora;
mod lora_config;
pub mod nano;
mod noise;
mod save;
mod shapes;
mod tap;
pub mod text;
pub mod unpack;
mod weights;

pub use base::{Base, BaseRequest, HubToken, open_base};
pub use batch::Batch;
pub use config::{Family, ModelConfig, RopeScaling};
pub use decoder::Decoder;
pub use error::{HubProblem, ModelError};
pub use hub::Download;
pub use layer::Parameter;
pub use lora::LoraFactors;
pub use lora_config::LoraConfig;
pub use save::SaveType;
pub use shapes::{
    MemoryEstimate, ModuleShape, TensorShape, estimate_memory, lora_parameters, modules,
    parameters, tensors,
};
pub use tap::{Passed, Tap};

/// How the frozen weights of a base are kept in memory; arithmetic is f32 throughout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    F32,
    /// Matrices in bf16: half the memory, widened block by block as they are used.
    Bf16,
    /// f32, the precision that is exact everywhere.
    #[default]
    Auto,
}
