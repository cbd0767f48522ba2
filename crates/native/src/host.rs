//! A base in memory with its scheduler, and what its adapters share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Instant,
};

use openlora_engine::{EngineError, FairShareKey, turns::due_time};
use openlora_generation::{adapter_effect, brief_canary_prompts, canary_prompts};
use openlora_kernels::{Cpu, KvShape};
use openlora_model::text::TextCodec;
use tokio::sync::oneshot;

use super::{
    adapter_memory::{AdapterMemory, FactorSource, ResidentAdapter},
    base::NativeBase,
    counters::ActivityCounters,
    lora::NativeAdapter,
    owner::{CallOwner, CallPlaces, EngineSlot, ModelOwner, OwnerTies},
    pages::{OwnerId, PagePool},
    scheduler::{Scheduler, SchedulerParts, Submission, SubmittedWork},
    sequence::{CalledRows, RowCall, RowRequest},
};

/// Sizes of a scheduler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostLimits {
    pub parallel: usize,
    pub chunk_tokens: usize,
    /// Calls that run or wait.
    pub calls: usize,
    /// Pages of keys and values.
    pub pages: usize,
    /// Memory of adapters' factors, in bytes; without a bound if none.
    pub adapter_bytes: Option<u64>,
    /// Longest prompt and answer together, in tokens.
    pub context: usize,
}

/// A base with its scheduler; it ends with the last model that uses it.
pub(crate) struct NativeHost {
    pub base: Arc<NativeBase>,
    pub codec: Arc<TextCodec>,
    pub context: usize,
    places: Arc<CallPlaces>,
    submissions: Sender<Vec<Submission>>,
    ties: OwnerTies,
    owners: AtomicU64,
    /// Pages in existence.
    pages: Arc<AtomicUsize>,
    /// Adapters by digest, in memory or not, and the plain base by none.
    models: Mutex<HashMap<Option<String>, Weak<ModelOwner>>>,
    canaries: Mutex<CanaryResults>,
}

/// What the test prompts have shown.
#[derive(Default)]
struct CanaryResults {
    /// The base's logits after the prompts.
    base: HashMap<CanaryLength, Arc<Vec<Vec<f32>>>>,
    /// The effects of adapters by digest.
    effects: HashMap<String, f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CanaryLength {
    /// Nearly as fast as one token, because the weights are read once.
    Brief,
    Whole,
}

fn dropped(_: oneshot::error::RecvError) -> EngineError {
    EngineError::Failed("it dropped the request".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NativeHost {
    /// Starts a scheduler on a thread of its own.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread.
    pub(crate) fn start(
        base: NativeBase,
        codec: TextCodec,
        cpu: Cpu,
        limits: HostLimits,
        counters: Arc<ActivityCounters>,
    ) -> std::io::Result<Self> {
        let base = Arc::new(base);
        let pages = Arc::new(AtomicUsize::new(0));
        let parts = SchedulerParts {
            base: Arc::clone(&base),
            cpu,
            pool: PagePool::new(base.kv_shape(), limits.pages),
            parallel: limits.parallel.max(1),
            chunk_tokens: limits.chunk_tokens.max(1),
            counters: Arc::clone(&counters),
            pages: Arc::clone(&pages),
        };
        let (submissions, calls): (_, Receiver<Vec<Submission>>) = channel();
        let (gone, owners): (_, Receiver<OwnerId>) = channel();
        std::thread::Builder::new()
            .name("openlora-native".to_owned())
            .spawn(move || Scheduler::new(parts).run(&calls, &owners))?;
        let memory = AdapterMemory::new(limits.adapter_bytes, Arc::clone(&counters));
        Ok(Self {
            base,
            codec: Arc::new(codec),
            context: limits.context,
            places: Arc::new(CallPlaces::new(limits.calls)),
            submissions,
            ties: OwnerTies {
                gone,
                memory: Arc::new(memory),
                counters,
            },
            owners: AtomicU64::new(0),
            pages,
            models: Mutex::default(),
            canaries: Mutex::default(),
        })
    }

    pub(crate) fn vocabulary(&self) -> usize {
        self.base.config.vocab_size
    }

    /// Memory of keys and values.
    pub(crate) fn cache_bytes(&self) -> usize {
        let shape: KvShape = self.base.kv_shape();
        self.pages.load(Ordering::Relaxed) * shape.page_bytes()
    }

    /// Memory of the adapters.
    pub(crate) fn adapter_bytes(&self) -> u64 {
        self.ties.memory.bytes()
    }

    /// The model with this digest; none for the plain base.
    pub(crate) fn find(&self, digest: Option<&str>) -> Option<Arc<ModelOwner>> {
        let digest = digest.map(str::to_owned);
        lock(&self.models).get(&digest).and_then(Weak::upgrade)
    }

    /// Adds a model, unless one with its digest came first.
    pub(crate) fn add(&self, name: &str, source: Option<FactorSource>) -> Arc<ModelOwner> {
        let mut models = lock(&self.models);
        models.retain(|_, owner| owner.strong_count() > 0);
        let digest = source.as_ref().map(|it| it.digest.clone());
        if let Some(owner) = models.get(&digest).and_then(Weak::upgrade) {
            return owner;
        }
        let id = OwnerId(self.owners.fetch_add(1, Ordering::Relaxed));
        let owner = ModelOwner::new(id, name.to_owned(), source, self.ties.clone());
        let owner = Arc::new(owner);
        models.insert(digest, Arc::downgrade(&owner));
        owner
    }

    /// Adds an adapter with its factors.
    ///
    /// # Errors
    ///
    /// There is no room for them.
    pub(crate) fn add_adapter(
        &self,
        name: &str,
        source: FactorSource,
        factors: NativeAdapter,
    ) -> Result<Arc<ModelOwner>, EngineError> {
        let owner = self.add(name, Some(source));
        self.ties.memory.add(owner.id, name, factors)?;
        Ok(owner)
    }

    /// A model for a call of `payer`, with its factors in memory until it is dropped.
    ///
    /// # Errors
    ///
    /// The factors left memory, and there is no room for them or their files are not as they were.
    pub(crate) async fn enter(
        &self,
        model: &Arc<ModelOwner>,
        payer: &FairShareKey,
    ) -> Result<CallOwner, EngineError> {
        let adapter = match &model.source {
            Some(source) => Some(self.factors(model, source).await?),
            None => None,
        };
        Ok(CallOwner {
            model: Arc::clone(model),
            adapter,
            payer: payer.clone(),
        })
    }

    async fn factors(
        &self,
        model: &Arc<ModelOwner>,
        source: &FactorSource,
    ) -> Result<Arc<ResidentAdapter>, EngineError> {
        let memory = &self.ties.memory;
        if let Some(found) = memory.find(model.id) {
            return Ok(found);
        }
        let _alone = memory.returning.lock().await;
        if let Some(found) = memory.find(model.id) {
            return Ok(found);
        }
        memory.make_room(&model.name, source.bytes)?;
        let (base, again) = (Arc::clone(&self.base), Arc::clone(model));
        let read = move || again.source.as_ref().map(|source| source.read(&base));
        let read = tokio::task::spawn_blocking(read).await;
        let load = |reason: String| EngineError::Load {
            name: model.name.clone(),
            reason,
        };
        let read = read.map_err(|error| load(error.to_string()))?;
        let factors = read.unwrap_or_else(|| Err("it has no factors".to_owned()));
        memory.add(model.id, &model.name, factors.map_err(load)?)
    }

    /// The place of a call.
    ///
    /// # Errors
    ///
    /// As many calls as may run and wait do so, and those of `payer` are no less than its part of them.
    pub(crate) fn slot(&self, name: &str, payer: &FairShareKey) -> Result<EngineSlot, EngineError> {
        self.places.take(payer).map_err(|calls| EngineError::Busy {
            name: name.to_owned(),
            reason: format!("{calls} calls run or wait already"),
        })
    }

    pub(crate) fn submit(
        &self,
        owner: CallOwner,
        tokens: Vec<u32>,
        due: Instant,
        work: SubmittedWork,
    ) -> Result<(), EngineError> {
        self.submit_together(vec![Submission {
            owner,
            tokens,
            due,
            work,
        }])
    }

    /// Submits calls that the same step takes in.
    fn submit_together(&self, calls: Vec<Submission>) -> Result<(), EngineError> {
        let sent = self.submissions.send(calls);
        sent.map_err(|_| EngineError::Failed("its thread has ended".to_owned()))
    }

    /// The logits after `prefix` and each request's path.
    pub(crate) async fn rows(
        &self,
        owner: CallOwner,
        prefix: Vec<u32>,
        requests: Vec<RowRequest>,
        slot: Option<EngineSlot>,
    ) -> CalledRows {
        let (call, rows) = rows_of(owner, prefix, requests, slot);
        self.submit_together(vec![call])?;
        rows.await.map_err(dropped)?
    }

    /// How much an adapter with this digest changes the base's logits; what was found before is not
    /// computed again.
    ///
    /// # Errors
    ///
    /// It changes nothing, or gives logits that are no numbers.
    pub(crate) async fn effect(
        &self,
        name: &str,
        digest: &str,
        owner: &Arc<ModelOwner>,
    ) -> Result<f32, EngineError> {
        let known = lock(&self.canaries).effects.get(digest).copied();
        if let Some(effect) = known {
            return Ok(effect);
        }
        let effect = match self.effect_after(name, owner, CanaryLength::Brief).await {
            Err(EngineError::DeadAdapter { .. }) => {
                self.effect_after(name, owner, CanaryLength::Whole).await?
            }
            effect => effect?,
        };
        let mut canaries = lock(&self.canaries);
        canaries.effects.insert(digest.to_owned(), effect);
        Ok(effect)
    }

    async fn effect_after(
        &self,
        name: &str,
        owner: &Arc<ModelOwner>,
        length: CanaryLength,
    ) -> Result<f32, EngineError> {
        let known = lock(&self.canaries).base.get(&length).cloned();
        let before = match known {
            Some(rows) => rows,
            None => {
                let plain = self.add(name, None);
                let rows = Arc::new(self.canary_rows(&plain, length).await?);
                lock(&self.canaries).base.insert(length, Arc::clone(&rows));
                rows
            }
        };
        adapter_effect(name, &before, &self.canary_rows(owner, length).await?)
    }

    /// The logits after the test prompts, which one batch computes.
    async fn canary_rows(&self, owner: &Arc<ModelOwner>, length: CanaryLength) -> CalledRows {
        let owner = self.enter(owner, &FairShareKey::default()).await?;
        let prompts = match length {
            CanaryLength::Brief => brief_canary_prompts(self.vocabulary(), self.context),
            CanaryLength::Whole => canary_prompts(self.vocabulary(), self.context),
        };
        let all = || RowRequest {
            path: Vec::new(),
            tokens: Vec::new(),
        };
        let calls = prompts.into_iter();
        let calls = calls.map(|prompt| rows_of(owner.clone(), prompt, vec![all()], None));
        let (calls, replies): (Vec<_>, Vec<_>) = calls.unzip();
        self.submit_together(calls)?;
        let mut rows = Vec::new();
        for reply in replies {
            rows.extend(reply.await.map_err(dropped)??);
        }
        Ok(rows)
    }
}

/// A call for rows of logits, and where they arrive.
fn rows_of(
    owner: CallOwner,
    prefix: Vec<u32>,
    requests: Vec<RowRequest>,
    slot: Option<EngineSlot>,
) -> (Submission, oneshot::Receiver<CalledRows>) {
    let (reply, rows) = oneshot::channel();
    let call = RowCall {
        rows: vec![None; requests.len()],
        requests,
        reply,
        _slot: slot,
    };
    let submission = Submission {
        owner,
        tokens: prefix,
        due: due_time(1),
        work: SubmittedWork::Rows(call),
    };
    (submission, rows)
}
