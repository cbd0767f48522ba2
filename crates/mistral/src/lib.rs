//! mistral.rs 0.8.1 as an [`openlora_engine::Engine`]; no other crate uses it.
//!
//! An engine is a base with at most one merged adapter. mistral.rs computes logits only; what surrounds
//! them is the code that all engines share. Each engine processes one request at a time, short ones first: mistral.rs mixes up
//! the caches of concurrent sequences of different lengths, and batching gains nothing on a CPU.
//! Several engines run in parallel. Embeddings are not offered: mistral.rs provides them only for
//! dedicated embedding models. This crate does not know HTTP, metering or the journal.
//!
//! ```no_run
//! use openlora_engine::{EngineSpec, ModelLoader, Prompt, Quant};
//! use openlora_mistral::MistralLoader;
//! use openlora_model::BaseModel;
//!
//! # async fn example(base: &BaseModel) -> Result<(), openlora_engine::EngineError> {
//! let loaded = MistralLoader::new()
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

mod load;
mod model_dir;
mod quant;
mod token_request;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{load::RunningEngine, model_dir::ModelDirView, token_request::MistralModel};
use openlora_core::error::Explain;
use openlora_engine::{EngineError, EngineSpec, LoadedEngine, ModelLoader, Quant, QuantChoice};
use openlora_generation::{ServedModel, adapter_effect, canary_prompts};
use openlora_model as model;
use openlora_model::{
    ModelConfig,
    adapter::{self, LoraAdapter, NormalisedAdapter},
    dataset::Task,
    text::TextCodec,
};

pub use model_dir::unsupported_reason;
pub use quant::{MachineLimits, resolve_quant};

/// Whether this build computes on a GPU.
pub const fn computes_on_gpu() -> bool {
    cfg!(any(feature = "cuda", feature = "metal"))
}

/// Names the engine in answers about models and in receipts.
pub const IMPLEMENTATION: &str = "mistralrs/0.8.1";

/// Loads engines and keeps the data they share.
#[derive(Default)]
pub struct MistralLoader {
    /// Test logits of each base, by digest and quantisation of its weights.
    canaries: Mutex<HashMap<(String, Quant), CanaryLogits>>,
    /// Loaded weights that may still be in memory.
    memory: Mutex<Vec<load::WeakPipeline>>,
    steps: Arc<AtomicU64>,
}

/// Logits after each test prompt.
type CanaryLogits = Arc<Vec<Vec<f32>>>;

#[async_trait::async_trait]
impl ModelLoader for MistralLoader {
    /// Loads a base, or an adapter merged into it. An adapter that changes no logit is refused.
    ///
    /// The first adapter of a base requires two loads: the plain base is loaded, its logits on a
    /// few test prompts are computed, and it is dropped, unless it was loaded here before.
    async fn load(&self, spec: EngineSpec<'_>) -> Result<LoadedEngine, EngineError> {
        let plan = LoadPlan::from_spec(&spec)?;
        let Some(adapter) = spec.adapter else {
            let running = self.start(&plan, None).await?;
            let logits = canary(&plan, &running).await?;
            lock(&self.canaries).insert(plan.key(), Arc::new(logits));
            return Ok(plan.loaded(running, None));
        };
        let factors = factors(&plan, adapter)?;
        let before = self.base_canary(&plan).await?;
        let running = self.start(&plan, Some(factors)).await?;
        let effect = adapter_effect(&plan.name, &before, &canary(&plan, &running).await?)?;
        Ok(plan.loaded(running, Some(effect)))
    }

    /// The weights of a dropped engine are freed after its last answer.
    fn resident(&self) -> usize {
        let mut memory = lock(&self.memory);
        memory.retain(|weights| weights.strong_count() > 0);
        memory.len()
    }

    fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
}

impl MistralLoader {
    pub fn new() -> Self {
        Self::default()
    }

    async fn start(
        &self,
        plan: &LoadPlan,
        factors: Option<NormalisedAdapter>,
    ) -> Result<RunningEngine, EngineError> {
        let failed = |reason| EngineError::Load {
            name: plan.name.clone(),
            reason,
        };
        let view = ModelDirView::create(&plan.folder, &plan.config)
            .map_err(|error| failed(error.to_string()))?;
        let running = load::load(view, factors, plan.weights.quant, self.steps.clone())
            .await
            .map_err(failed)?;
        lock(&self.memory).push(running.memory.clone());
        Ok(running)
    }

    async fn base_canary(&self, plan: &LoadPlan) -> Result<CanaryLogits, EngineError> {
        if let Some(known) = lock(&self.canaries).get(&plan.key()) {
            return Ok(known.clone());
        }
        let base = self.start(plan, None).await?;
        let logits = Arc::new(canary(plan, &base).await?);
        lock(&self.canaries).insert(plan.key(), logits.clone());
        Ok(logits)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The plan of a load, checked before any expensive work.
struct LoadPlan {
    name: String,
    folder: PathBuf,
    digest: String,
    codec: Arc<TextCodec>,
    config: ModelConfig,
    weights: QuantChoice,
}

impl LoadPlan {
    fn from_spec(spec: &EngineSpec<'_>) -> Result<Self, EngineError> {
        let refused = |reason: String, hint: Option<&str>| EngineError::Unsupported {
            name: spec.name.clone(),
            reason,
            hint: hint.map(str::to_owned),
        };
        let config = spec.base.config.clone();
        if let Some(obstacle) = unsupported_reason(&config) {
            return Err(refused(obstacle, None));
        }
        let folder = spec.base.dir.clone();
        let codec = TextCodec::open(&folder).map_err(|error| refused(error.to_string(), None))?;
        let task = spec.adapter.and_then(|adapter| adapter.task.as_ref());
        let classifies = task.is_some_and(|card| matches!(card.task, Task::Classify { .. }));
        let weights = resolve_quant(spec.quant, &config, MachineLimits::detect(), classifies)
            .map_err(|reason| refused(reason, Some("use --quant f32 or auto")))?;
        Ok(Self {
            name: spec.name.clone(),
            digest: spec.base.digest.clone(),
            folder,
            codec: Arc::new(codec),
            config,
            weights,
        })
    }

    fn key(&self) -> (String, Quant) {
        (self.digest.clone(), self.weights.quant)
    }

    fn loaded(self, running: RunningEngine, effect: Option<f32>) -> LoadedEngine {
        let engine = ServedModel {
            name: self.name,
            model: MistralModel {
                running: Arc::new(running),
            },
            codec: self.codec,
            context: model_dir::context(&self.config),
        };
        LoadedEngine {
            engine: Arc::new(engine),
            implementation: IMPLEMENTATION,
            weights: self.weights,
            effect,
        }
    }
}

/// The adapter's factors for the engine, checked against the base: mistral.rs would silently skip a
/// module that it does not find.
fn factors(plan: &LoadPlan, adapter: &LoraAdapter) -> Result<NormalisedAdapter, EngineError> {
    adapter::check_against(adapter, &model::modules(&plan.config))
        .and_then(|()| adapter::normalise(adapter))
        .map_err(|error| EngineError::Unsupported {
            name: plan.name.clone(),
            reason: error.to_string(),
            hint: error.hint(),
        })
}

/// Logits after each test prompt.
async fn canary(plan: &LoadPlan, running: &RunningEngine) -> Result<Vec<Vec<f32>>, EngineError> {
    let context = model_dir::context(&plan.config);
    let mut rows = Vec::new();
    for prompt in canary_prompts(plan.config.vocab_size, context) {
        rows.push(token_request::logits(running, prompt).await?);
    }
    Ok(rows)
}
