//! Loading and unloading: what an engine is asked to run, and what came of it.

use std::sync::Arc;

use crate::{
    Engine, EngineError,
    quant::{Quant, QuantChoice},
};
use openlora_model::{BaseModel, adapter::LoraAdapter};

/// The model to load.
pub struct EngineSpec<'a> {
    /// Name in messages: the adapter's name, or the base's.
    pub name: String,
    pub base: &'a BaseModel,
    pub adapter: Option<&'a LoraAdapter>,
    pub quant: Quant,
}

/// What computes an engine's answers, as receipts name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineIdentity {
    /// The implementation and the version of its arithmetic, such as `native/1`.
    pub engine: String,
    /// Format of the base's weights in memory, such as `q8_0`.
    pub weights: String,
}

/// A loaded engine, and what is reported to the operator.
#[derive(Clone)]
pub struct LoadedEngine {
    pub engine: Arc<dyn Engine>,
    /// The implementation and the version of its arithmetic, such as `native/1`.
    pub implementation: &'static str,
    pub weights: QuantChoice,
    /// The largest change of a logit by the adapter over the test prompts; `None` for a plain base.
    pub effect: Option<f32>,
}

impl LoadedEngine {
    /// Whether the adapter changed the base's output.
    pub fn live(&self) -> bool {
        self.effect.is_some()
    }

    pub fn identity(&self) -> EngineIdentity {
        EngineIdentity {
            engine: self.implementation.to_owned(),
            weights: self.weights.quant.to_string(),
        }
    }
}

/// Loads models while others answer, and keeps what they share.
///
/// A model is unloaded by dropping its [`LoadedEngine`]: calls that are being answered still end, and
/// then its weights are freed.
#[async_trait::async_trait]
pub trait ModelLoader: Send + Sync {
    /// Loads a base, or an adapter over it.
    ///
    /// # Errors
    ///
    /// A base or a setting that the engine cannot run, an adapter that does not belong to the base
    /// or changes no logit, and too little memory.
    async fn load(&self, spec: EngineSpec<'_>) -> Result<LoadedEngine, EngineError>;

    /// Number of models whose weights are in memory.
    fn resident(&self) -> usize;

    /// Number of rows of logits computed so far, including those of cancelled answers.
    fn steps(&self) -> u64;
}
