//! Loads bases and adapters, beside running calls.

use std::{
    collections::HashMap,
    num::NonZero,
    sync::{Arc, Weak, atomic::Ordering},
};

use openlora_core::error::Explain;
use openlora_engine::{
    EngineError, EngineSpec, LoadedEngine, ModelLoader, Quant, QuantChoice, megabytes,
};
use openlora_generation::{ServedModel, free_memory};
use openlora_kernels::{ARITHMETIC, Cpu, PAGE_TOKENS, WeightFormat};
use openlora_model::{
    self as model, BaseModel, ModelConfig,
    adapter::{self, LoraAdapter},
    text::TextCodec,
};

use super::{
    adapter_memory::FactorSource,
    base::{NativeBase, kv_shape},
    counters::{ActivityCounters, NativeActivity},
    host::{HostLimits, NativeHost},
    lora::NativeAdapter,
    model::NativeModel,
    owner::ModelOwner,
    settings::NativeSettings,
};

/// Memory for keys and values unless a full context takes more or all of them take less.
const CACHE_BYTES: u64 = 1 << 30;

/// Memory of what a loader has loaded, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NativeMemory {
    pub bases: u64,
    pub adapters: u64,
    /// Keys and values: of running calls, of known prefixes, and pages kept for further ones.
    pub cache: u64,
}

/// A base by its digest and the form of its weights.
type BaseKey = (String, Quant);

/// Loads adapters over bases that they share.
///
/// A base is in memory once, with its adapters' factors beside it. It leaves with its last engine.
/// Factors also leave, least recently used first, where [`NativeSettings::adapter_bytes`] bounds them;
/// they are read again from their folder when they are called.
#[derive(Default)]
pub struct NativeLoader {
    settings: NativeSettings,
    /// One base is loaded at a time.
    hosts: tokio::sync::Mutex<HashMap<BaseKey, Weak<NativeHost>>>,
    counters: Arc<ActivityCounters>,
}

impl NativeLoader {
    pub fn new(settings: NativeSettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// The memory in use now.
    pub async fn memory(&self) -> NativeMemory {
        let hosts = self.hosts.lock().await;
        let live = hosts.values().filter_map(Weak::upgrade);
        live.fold(NativeMemory::default(), |sum, host| NativeMemory {
            bases: sum.bases + host.base.bytes() as u64,
            adapters: sum.adapters + host.adapter_bytes(),
            cache: sum.cache + host.cache_bytes() as u64,
        })
    }

    /// The work done so far.
    pub fn activity(&self) -> NativeActivity {
        self.counters.snapshot()
    }

    async fn host(
        &self,
        name: &str,
        base: &BaseModel,
        form: WeightForm,
    ) -> Result<Arc<NativeHost>, EngineError> {
        let key = (base.digest.clone(), form.quant);
        let mut hosts = self.hosts.lock().await;
        hosts.retain(|_, host| host.strong_count() > 0);
        if let Some(host) = hosts.get(&key).and_then(Weak::upgrade) {
            return Ok(host);
        }
        let plan = HostPlan::new(name, base, form, self.settings)?;
        let counters = Arc::clone(&self.counters);
        let started = tokio::task::spawn_blocking(move || plan.start(counters)).await;
        let host = Arc::new(started.map_err(|error| EngineError::Load {
            name: name.to_owned(),
            reason: error.to_string(),
        })??);
        hosts.insert(key, Arc::downgrade(&host));
        Ok(host)
    }

    async fn adapter(
        &self,
        name: &str,
        host: &Arc<NativeHost>,
        adapter: &LoraAdapter,
    ) -> Result<Arc<ModelOwner>, EngineError> {
        let config = &host.base.config;
        let refused = |reason: String, hint: Option<String>| EngineError::Unsupported {
            name: name.to_owned(),
            reason,
            hint,
        };
        adapter::check_against(adapter, &model::modules(config))
            .map_err(|error| refused(error.to_string(), error.hint()))?;
        if let Some(owner) = host.find(Some(&adapter.digest)) {
            if let Some(source) = &owner.source {
                source.moved_to(&adapter.dir);
            }
            return Ok(owner);
        }
        let (base, source) = (Arc::clone(&host.base), adapter.clone());
        let pack = move || NativeAdapter::pack(&base, &source);
        let packed = tokio::task::spawn_blocking(pack).await;
        let packed = packed.map_err(|error| EngineError::Load {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        let packed = packed.map_err(|error| refused(error.to_string(), None))?;
        host.add_adapter(name, FactorSource::new(adapter, &packed), packed)
    }
}

#[async_trait::async_trait]
impl ModelLoader for NativeLoader {
    async fn load(&self, spec: EngineSpec<'_>) -> Result<LoadedEngine, EngineError> {
        let name = spec.name;
        let form = WeightForm::resolve(&name, spec.quant, &spec.base.config)?;
        let weights = form.choice();
        let host = self.host(&name, spec.base, form).await?;
        let (owner, effect) = match spec.adapter {
            None => (host.add(&name, None), None),
            Some(adapter) => {
                let owner = self.adapter(&name, &host, adapter).await?;
                let effect = host.effect(&name, &adapter.digest, &owner).await?;
                (owner, Some(effect))
            }
        };
        let (codec, context) = (Arc::clone(&host.codec), host.context);
        let engine = ServedModel {
            model: NativeModel {
                name: name.clone(),
                host,
                owner,
                call: None,
            },
            name,
            codec,
            context,
        };
        Ok(LoadedEngine {
            engine: Arc::new(engine),
            implementation: ARITHMETIC,
            weights,
            effect,
        })
    }

    fn resident(&self) -> usize {
        self.counters.resident.load(Ordering::Relaxed)
    }

    fn steps(&self) -> u64 {
        self.counters.rows.load(Ordering::Relaxed)
    }
}

/// The form of a base's weights in memory.
#[derive(Clone, Debug)]
struct WeightForm {
    quant: Quant,
    format: WeightFormat,
    reason: String,
    free: u64,
}

impl WeightForm {
    /// `auto` takes 8 bits.
    fn resolve(name: &str, wanted: Quant, config: &ModelConfig) -> Result<Self, EngineError> {
        let (quant, format) = match wanted {
            Quant::Auto | Quant::Q8_0 => (Quant::Q8_0, WeightFormat::Int8),
            Quant::Q4_0 => (Quant::Q4_0, WeightFormat::Int4),
            Quant::F32 => (Quant::F32, WeightFormat::F32),
            Quant::Q4K => {
                return Err(EngineError::Unsupported {
                    name: name.to_owned(),
                    reason: "the native engine has no q4k weights".to_owned(),
                    hint: Some("use --quant q4_0, q8_0, f32 or auto".to_owned()),
                });
            }
        };
        let free = free_memory();
        let bytes = quant.bytes(model::parameters(config));
        if bytes > free {
            return Err(EngineError::Load {
                name: name.to_owned(),
                reason: format!(
                    "its {quant} weights take {} of {} free memory",
                    megabytes(bytes),
                    megabytes(free)
                ),
            });
        }
        let reason = match wanted {
            Quant::Auto => format!("{} of {} free", megabytes(bytes), megabytes(free)),
            _ => "as asked for".to_owned(),
        };
        Ok(Self {
            quant,
            format,
            reason,
            free: free - bytes,
        })
    }

    fn choice(&self) -> QuantChoice {
        QuantChoice {
            quant: self.quant,
            reason: self.reason.clone(),
        }
    }
}

/// A base that is about to be loaded.
struct HostPlan {
    name: String,
    base: BaseModel,
    codec: TextCodec,
    format: WeightFormat,
    settings: NativeSettings,
    limits: HostLimits,
}

impl HostPlan {
    /// The context is as long as the model's, or as the cache can hold.
    fn new(
        name: &str,
        base: &BaseModel,
        form: WeightForm,
        settings: NativeSettings,
    ) -> Result<Self, EngineError> {
        let page = kv_shape(&base.config, form.format).page_bytes() as u64;
        let full = base.config.max_positions.div_ceil(PAGE_TOKENS) as u64;
        let parallel = settings.parallel.max(1);
        let pages = match settings.cache_bytes {
            Some(bytes) => bytes / page,
            None => {
                let most = full.saturating_mul(parallel as u64);
                (CACHE_BYTES / page)
                    .clamp(full, most)
                    .min(form.free / 2 / page)
            }
        };
        if pages == 0 {
            return Err(EngineError::Load {
                name: name.to_owned(),
                reason: format!(
                    "the cache of {} bytes cannot hold {PAGE_TOKENS} tokens, which take {page} bytes",
                    settings.cache_bytes.unwrap_or(form.free / 2)
                ),
            });
        }
        let codec = TextCodec::open(&base.dir).map_err(|error| EngineError::Unsupported {
            name: name.to_owned(),
            reason: error.to_string(),
            hint: None,
        })?;
        let pages = usize::try_from(pages).unwrap_or(usize::MAX);
        let held = pages.saturating_mul(PAGE_TOKENS);
        Ok(Self {
            name: name.to_owned(),
            base: base.clone(),
            codec,
            format: form.format,
            settings,
            limits: HostLimits {
                parallel,
                chunk_tokens: settings.chunk_tokens,
                calls: parallel.saturating_add(settings.queue),
                pages,
                adapter_bytes: settings.adapter_bytes,
                context: base.config.max_positions.min(held),
            },
        })
    }

    fn start(self, counters: Arc<ActivityCounters>) -> Result<NativeHost, EngineError> {
        let load = |reason: String| EngineError::Load {
            name: self.name.clone(),
            reason,
        };
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = self.settings.threads.unwrap_or_else(cores);
        let cpu = match self.settings.path {
            Some(path) => Cpu::with_path(path, threads).map_err(|error| load(error.to_string()))?,
            None => Cpu::new(threads),
        };
        let base = NativeBase::pack(&self.base, self.format, self.limits.context)
            .map_err(|error| load(error.to_string()))?;
        NativeHost::start(base, self.codec, cpu, self.limits, counters)
            .map_err(|error| load(format!("no thread for it: {error}")))
    }
}
