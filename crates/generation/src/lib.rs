//! What every local engine does around its logits, so that all of them answer alike.
//!
//! Owns rendering and tokenising of prompts, sampling, incremental decoding, stop strings, counting,
//! label choices, the check that an adapter has an effect, and how much memory is free. An engine
//! implements [`TokenModel`], which turns token ids into logits; [`ServedModel`] makes an
//! [`openlora_engine::Engine`] of it. This crate does not know how logits are computed.
//!
//! ```
//! use openlora_engine::SamplingParams;
//! use openlora_generation::TokenSampler;
//!
//! let mut sampler = TokenSampler::new(SamplingParams::default(), &[]);
//! let chosen = sampler.choose(&[0.5, 2.0, -1.0], &[]);
//! assert_eq!(chosen.map(|token| token.id), Some(1));
//! ```

mod answer;
mod canary;
mod counter;
mod labels;
mod memory;
mod sample;
mod served;
mod walk;

pub use answer::{AnswerFeed, answer_channel};
pub use canary::{adapter_effect, brief_canary_prompts, canary_prompts};
pub use counter::PromptCounter;
pub use memory::free_memory;
pub use sample::{ChosenToken, TokenSampler};
pub use served::{ServedModel, TokenModel};
pub use walk::Generation;
