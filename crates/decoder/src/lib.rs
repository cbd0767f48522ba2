//! The trainable decoder: frozen or trainable weights, the differentiable forward pass with its
//! fused kernels, and LoRA factors.
//!
//! The model crate selects the base and finds its files. This crate does not know data files,
//! optimizers, runs or serving.

mod batch;
mod error;
mod forward;
pub mod kernels;
mod layer;
mod lora;
mod network;
mod noise;
mod tap;
mod weights;

pub use batch::TokenBatch;
pub use error::DecoderError;
pub use layer::ModelParameter;
pub use lora::LoraFactors;
pub use network::Decoder;
pub use tap::{GradientTap, ModulePass};
