//! Who a call belongs to: an adapter or the plain base, its payer, and the call's place among all
//! calls.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc::Sender,
};

use openlora_engine::FairShareKey;

use super::{
    adapter_memory::{AdapterMemory, FactorSource, ResidentAdapter},
    counters::ActivityCounters,
    pages::OwnerId,
};

/// A model that calls can name. It leaves with its last engine and call, and its factors and prefixes
/// with it.
pub(crate) struct ModelOwner {
    pub id: OwnerId,
    /// Name in messages.
    pub name: String,
    /// None for the plain base.
    pub source: Option<FactorSource>,
    ties: OwnerTies,
}

/// What a model that leaves is taken out of.
#[derive(Clone)]
pub(crate) struct OwnerTies {
    /// Receives the id when the model is not needed any more.
    pub gone: Sender<OwnerId>,
    pub memory: Arc<AdapterMemory>,
    pub counters: Arc<ActivityCounters>,
}

impl ModelOwner {
    /// Counts itself as resident if it is the plain base. An adapter is while its factors are in
    /// memory.
    pub(crate) fn new(
        id: OwnerId,
        name: String,
        source: Option<FactorSource>,
        ties: OwnerTies,
    ) -> Self {
        if source.is_none() {
            ties.counters.resident.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            id,
            name,
            source,
            ties,
        }
    }
}

impl Drop for ModelOwner {
    fn drop(&mut self) {
        match self.source {
            None => {
                let resident = &self.ties.counters.resident;
                resident.fetch_sub(1, Ordering::Relaxed);
            }
            Some(_) => self.ties.memory.remove(self.id),
        }
        // Without a scheduler there are no prefixes left either.
        let _ = self.ties.gone.send(self.id);
    }
}

/// The model that a call names, with its factors, and whom the call counts for.
#[derive(Clone)]
pub(crate) struct CallOwner {
    pub model: Arc<ModelOwner>,
    /// None for the plain base.
    pub adapter: Option<Arc<ResidentAdapter>>,
    pub payer: FairShareKey,
}

/// A call that runs or waits; the number of them is bounded.
pub(crate) struct EngineSlot {
    calls: Arc<AtomicUsize>,
}

impl EngineSlot {
    /// A slot, if fewer than `limit` calls run or wait.
    pub(crate) fn take(calls: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let taken = calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < limit).then_some(count + 1)
        });
        taken.is_ok().then(|| Self {
            calls: Arc::clone(calls),
        })
    }
}

impl Drop for EngineSlot {
    fn drop(&mut self) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }
}
