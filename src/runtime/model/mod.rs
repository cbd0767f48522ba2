//! Base models: which one, where its files are, its text, and which tensors it has.
//!
//! Owns the config, the tokenizer and the shapes. Computing with the weights is the decoder's
//! business; data files, optimizers, runs and serving are unknown.

mod base;
pub mod bpe;
mod config;
mod error;
pub mod hub;
mod lora_config;
pub mod nano;
pub mod shapes;
pub mod text;
pub mod unpack;
mod weight_files;

pub use base::{BaseModel, BaseRequest, HubToken, open_base};
pub use config::{ModelConfig, ModelFamily, RopeScaling};
pub use error::{HubProblem, ModelError};
pub use hub::DownloadProgress;
pub use lora_config::{LoraConfig, is_target};
pub use shapes::{
    MemoryEstimate, ModuleShape, TensorShape, estimate_memory, lora_parameters, modules,
    parameters, tensors,
};
pub use weight_files::weight_files;

/// How the frozen weights of a base are kept in memory; arithmetic is f32 throughout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightPrecision {
    F32,
    /// Matrices in bf16: half the memory, widened block by block as they are used.
    Bf16,
    /// f32, the precision that is exact everywhere.
    #[default]
    Auto,
}
