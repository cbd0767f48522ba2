//! Inference of many adapters over one base, the same to the bit in any company.
//!
//! A base is packed once; adapters are factors beside it that come and go. Calls of all adapters are
//! computed in common batches. An answer depends on nothing but its own call: neither neighbours,
//! chunks, threads, a warm cache nor pre-emption change a bit of it. This crate owns the packed models,
//! the forward pass, the pages of keys and values, the memory of adapters and the scheduler. It does not
//! know HTTP, metering or the journal.
//!
//! ```no_run
//! use openlora_engine::{EngineSpec, ModelLoader, Prompt, Quant};
//! use openlora_model::BaseModel;
//! use openlora_native::{NativeLoader, NativeSettings};
//!
//! # async fn example(base: &BaseModel) -> Result<(), openlora_engine::EngineError> {
//! let loader = NativeLoader::new(NativeSettings::default());
//! let loaded = loader
//!     .load(EngineSpec {
//!         name: "base".to_owned(),
//!         base,
//!         adapter: None,
//!         quant: Quant::Auto,
//!     })
//!     .await?;
//! let prompt = Prompt::Text("Once upon a time".to_owned());
//! println!("{} tokens", loaded.engine.count_prompt(&prompt).await?);
//! # Ok(())
//! # }
//! ```

mod adapter_memory;
mod base;
mod counters;
mod forward;
mod host;
mod loader;
mod lora;
mod model;
mod owner;
mod pages;
mod scheduler;
mod sequence;
mod settings;

pub use base::{NativeBase, PackError};
pub use counters::NativeActivity;
pub use loader::{NativeLoader, NativeMemory};
pub use lora::{FactorError, NativeAdapter};
pub use openlora_kernels::{ARITHMETIC, CpuPath};
pub use settings::NativeSettings;
