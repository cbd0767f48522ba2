//! Loads models through mistral.rs 0.8.1: one adapter merged into one base per engine.
//!
//! The loader takes the adapters to merge from a thread-local list that it never clears. Each load
//! therefore runs on its own thread under one lock, and the list is cleared before and after. The
//! adapter is passed as tensors in memory: mistral.rs would look up adapter names on the Hub.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, Weak, atomic::AtomicU64},
};

use mistralrs::{
    DType, Device, DeviceMapSetting, IsqType, ModelDType, NormalLoaderType, Tensor,
    TextModelBuilder, TokenSource,
    core::{MistralRs, Pipeline},
    model_builder_trait::{build_model_from_pipeline, build_text_pipeline},
};
use mistralrs_quant::{
    LoraAdapter, LoraConfig, ShardedSafeTensors, clear_applied_loras, push_applied_lora,
};

use super::model_dir::ModelDirView;
use openlora_engine::{Quant, turns::TurnQueue};
use openlora_model::{ModelFamily, adapter::NormalisedAdapter};

/// One load at a time: loading is memory-bound, and the lock also serialises access to the loader's
/// global state.
static LOADING: Mutex<()> = Mutex::new(());

/// Used to check whether weights are still in memory.
pub(super) type WeakPipeline = Weak<tokio::sync::Mutex<dyn Pipeline>>;

/// A running mistral.rs engine.
pub(super) struct RunningEngine {
    model: mistralrs::Model,
    pub memory: WeakPipeline,
    /// Counts rows of logits.
    pub steps: Arc<AtomicU64>,
    /// One request at a time.
    pub turns: Arc<TurnQueue>,
}

impl RunningEngine {
    pub(super) fn runner(&self) -> &MistralRs {
        self.model.inner()
    }
}

/// Loads the base in `view`, merges `factors`, then applies `quant`. The error is for the operator.
pub(super) async fn load(
    view: ModelDirView,
    factors: Option<NormalisedAdapter>,
    quant: Quant,
    steps: Arc<AtomicU64>,
) -> Result<RunningEngine, String> {
    let (reply, outcome) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("openlora-load".to_owned())
        .spawn(move || {
            let _ = reply.send(load_here(&view, factors, quant, steps));
        })
        .map_err(|error| format!("no thread for loading: {error}"))?;
    outcome
        .await
        .unwrap_or_else(|_| Err("the model loader broke off; run with -v for its log".to_owned()))
}

fn load_here(
    view: &ModelDirView,
    factors: Option<NormalisedAdapter>,
    quant: Quant,
    steps: Arc<AtomicU64>,
) -> Result<RunningEngine, String> {
    let _one_at_a_time = LOADING
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    clear_applied_loras();
    let device = device().map_err(|error| error.to_string())?;
    // An empty list of modules would give an expression that matches every layer.
    if let Some(factors) = factors.filter(|factors| !factors.target_modules.is_empty()) {
        let adapter = adapter(factors, &device).map_err(|error| error.to_string())?;
        push_applied_lora(adapter);
    }
    let built = build(view, quant, device);
    clear_applied_loras();
    let (model, memory) = built?;
    Ok(RunningEngine {
        model,
        memory,
        steps,
        turns: Arc::new(TurnQueue::new(1)),
    })
}

/// The first device of CUDA or Metal in a build with that feature, otherwise the processor.
fn device() -> mistralrs::Result<Device> {
    if cfg!(feature = "cuda") {
        Device::new_cuda(0)
    } else if cfg!(feature = "metal") {
        Device::new_metal(0)
    } else {
        Ok(Device::Cpu)
    }
}

fn build(
    view: &ModelDirView,
    quant: Quant,
    device: Device,
) -> Result<(mistralrs::Model, WeakPipeline), String> {
    let mut builder = TextModelBuilder::new(view.path().display())
        .with_loader_type(loader(view.family))
        .with_dtype(ModelDType::F32)
        .with_device(device)
        .with_device_mapping(DeviceMapSetting::dummy())
        .with_token_source(TokenSource::None)
        .from_hf_cache_path(view.path().join("no-cache"))
        .with_max_num_seqs(1)
        // Its prefix cache never evicts entries on a CPU: every answered call would stay in memory.
        .with_prefix_cache_n(None);
    if let Some(kind) = isq(quant) {
        builder = builder.with_isq(kind);
    }
    // With a current-thread runtime, mistral.rs also skips its own trial run.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime for loading: {error}"))?;
    runtime.block_on(async {
        let (pipeline, scheduler, settings) = build_text_pipeline(builder)
            .await
            .map_err(|error| format!("{error:#}"))?;
        let memory = Arc::downgrade(&pipeline);
        let model = build_model_from_pipeline(pipeline, scheduler, settings).await;
        Ok((model, memory))
    })
}

/// Provides the factors while mistral.rs builds the layers.
fn adapter(factors: NormalisedAdapter, device: &Device) -> mistralrs::Result<LoraAdapter> {
    let target_modules = patterns(&factors.target_modules);
    let tensors = factors
        .tensors
        .into_iter()
        .map(|(name, tensor)| {
            Ok((
                name,
                Tensor::from_vec(tensor.to_f32(), tensor.shape, &Device::Cpu)?,
            ))
        })
        .collect::<mistralrs::Result<HashMap<_, _>>>()?;
    Ok(LoraAdapter {
        config: LoraConfig {
            rank: factors.r,
            alpha: factors.alpha,
            target_modules,
        },
        weights: ShardedSafeTensors::wrap(Box::new(tensors), DType::F32, device.clone()),
    })
}

/// Regular expressions that match exactly these module paths. mistral.rs searches them unanchored,
/// so a bare `q_proj` would also match layers that the adapter does not target. Layers are grouped
/// so that the expression, which is compiled once per layer, stays short.
fn patterns(modules: &[String]) -> HashSet<String> {
    let mut layers: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut patterns = HashSet::new();
    for module in modules {
        let parts: Vec<&str> = module.split('.').collect();
        match parts.iter().position(|part| part.parse::<u32>().is_ok()) {
            Some(at) => {
                let key = (parts[..at].join("."), parts[at + 1..].join("."));
                layers.entry(key).or_default().insert(parts[at].to_owned());
            }
            None => {
                patterns.insert(format!("^{}$", regex::escape(module)));
            }
        }
    }
    for ((before, after), numbers) in layers {
        let numbers: Vec<String> = numbers.into_iter().collect();
        let (before, after) = (regex::escape(&before), regex::escape(&after));
        patterns.insert(format!("^{before}\\.(?:{})\\.{after}$", numbers.join("|")));
    }
    patterns
}

/// mistral.rs' name of a quantisation.
fn isq(quant: Quant) -> Option<IsqType> {
    match quant {
        Quant::Auto | Quant::F32 => None,
        Quant::Q8_0 => Some(IsqType::Q8_0),
        Quant::Q4_0 => Some(IsqType::Q4_0),
        Quant::Q4K => Some(IsqType::Q4K),
    }
}

fn loader(family: ModelFamily) -> NormalLoaderType {
    match family {
        ModelFamily::Llama => NormalLoaderType::Llama,
        ModelFamily::Mistral => NormalLoaderType::Mistral,
        ModelFamily::Qwen2 => NormalLoaderType::Qwen2,
        ModelFamily::Qwen3 => NormalLoaderType::Qwen3,
    }
}
