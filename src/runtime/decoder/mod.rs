//! The decoder that can be trained: its frozen or learning weights, the differentiable forward pass
//! with its fused kernels, and LoRA factors on it.
//!
//! Which base it is, and where its files are, is the model room's business. It knows nothing of data
//! files, optimizers, runs or serving.

mod batch;
mod error;
mod forward;
pub mod kernels;
mod layer;
mod lora;
mod network;
mod noise;
mod save;
mod tap;
mod weights;

pub use batch::TokenBatch;
pub use error::DecoderError;
pub use layer::ModelParameter;
pub use lora::LoraFactors;
pub use network::Decoder;
pub use save::SaveType;
pub use tap::{GradientTap, ModulePass};
