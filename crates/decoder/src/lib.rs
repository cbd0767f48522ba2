//! The trainable decoder: frozen or trainable weights, the differentiable forward pass with its
//! fused kernels, and LoRA factors.
//!
//! The model crate selects the base and finds its files. This crate does not know data files,
//! optimizers, runs or serving.
//!
//! ```no_run
//! use openlora_decoder::{Decoder, TokenBatch};
//! use openlora_model::{BaseModel, LoraConfig, WeightPrecision};
//!
//! # fn example(base: &BaseModel) -> Result<(), Box<dyn std::error::Error>> {
//! let mut decoder = Decoder::load(base, WeightPrecision::Auto)?;
//! let lora = LoraConfig {
//!     rank: 8,
//!     alpha: 16.0,
//!     targets: vec!["q_proj".to_owned(), "v_proj".to_owned()],
//!     dropout: 0.0,
//!     rslora: false,
//!     ..LoraConfig::default()
//! };
//! decoder.attach_lora(&lora, 42)?;
//! // A token counts in the loss where the mask is true.
//! let rows = [(&[1, 5, 9, 2][..], &[false, true, true, true][..])];
//! let (loss, targets) = decoder.loss_sum(&TokenBatch::from_rows(rows))?;
//! println!("{loss} over {targets} tokens");
//! # Ok(())
//! # }
//! ```

mod backward;
mod batch;
mod buffers;
mod device;
mod direct;
mod error;
mod forward;
pub mod kernels;
mod layer;
mod lora;
mod network;
mod noise;
mod tap;

pub use batch::TokenBatch;
pub use device::compute_device;
pub use error::DecoderError;
pub use layer::ModelParameter;
pub use lora::LoraFactors;
pub use network::Decoder;
pub use tap::{GradientTap, ModulePass};
