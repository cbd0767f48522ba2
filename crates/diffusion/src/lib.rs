//! Making pictures from text: the model, its adapters, training and sampling.
//!
//! The model predicts a picture from noisy pixels and from the frozen hidden states of a text encoder,
//! without an autoencoder (JiT, arXiv:2511.13720) and with the two-stream blocks of MiniT2I. This crate
//! owns its weights and files, LoRA factors over its linear layers, the backward pass, the trainer and
//! the sampler. It does not know data files, runs, packages or serving.
//!
//! The same seed gives the same bits on any number of threads.

mod adapter;
mod backward;
mod caption;
mod config;
mod error;
mod flow;
mod layout;
mod measure;
mod model;
mod nano_text;
mod noise;
mod numeric;
mod ops;
mod optimizer;
mod pass;
mod peft;
mod sample;
mod tables;
mod text_encoder;
mod train;

pub use adapter::{AdapterPlace, ImageAdapter, ImageAdapterConfig, ModuleFactors};
pub use caption::{CaptionEmbedding, TextEncoder};
pub use config::ImageModelConfig;
pub use error::DiffusionError;
pub use flow::{FlowMeasure, TimeNoise, example_gradients, pixels_of};
pub use layout::{LinearModule, ModelLayout, ParameterPlace};
pub use measure::example_losses;
pub use model::{CONFIG_FILE, ImageModel, WEIGHTS_FILE};
pub use nano_text::LlamaStates;
pub use optimizer::ImageAdamW;
pub use peft::DIFFUSERS_FILE;
pub use sample::{
    FlowSampler, MAX_GUIDANCE, MAX_STEPS, SampleRequest, branches, sample, sample_cost,
    sample_pixels,
};
pub use text_encoder::{NanoTextEncoder, T5TextEncoder};
pub use train::{ImageExample, ImageStep, ImageTrainOptions, ImageTrainer};
