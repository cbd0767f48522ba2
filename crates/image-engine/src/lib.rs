//! The engine that makes pictures, behind the port of engines: one base for many adapters.
//!
//! A picture is made by one thread of the blocking pool, which computes on all cores; further ones
//! wait for a turn. What is computed does not depend on what else runs. HTTP, metering and the journal
//! are unknown here, and so are the files of models.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use openlora_diffusion::{ImageAdapter, ImageModel, TextEncoder};
//! use openlora_engine::{EngineError, ImageEngine, ImageRequest};
//! use openlora_image_engine::ImageHost;
//!
//! # async fn example(
//! #     model: Arc<ImageModel>,
//! #     encoder: Arc<dyn TextEncoder>,
//! #     adapter: ImageAdapter,
//! # ) -> Result<(), EngineError> {
//! let host = Arc::new(ImageHost::new(model, encoder, None));
//! let engine = host.engine("icons", Some(adapter))?;
//! let request = ImageRequest {
//!     prompt: "a red circle".to_owned(),
//!     width: 64,
//!     height: 64,
//!     steps: 24,
//!     guidance: 2.5,
//!     seed: 7,
//! };
//! let made = engine.generate_image(request).await?;
//! println!("{} evaluations", made.evaluations);
//! # Ok(())
//! # }
//! ```

mod engine;
mod host;

pub use engine::DiffusionEngine;
pub use host::{IMAGE_ARITHMETIC, ImageHost};
