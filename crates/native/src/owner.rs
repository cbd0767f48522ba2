//! Who a call belongs to: an adapter or the plain base, its payer, and the call's place among all
//! calls.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering, mpsc::Sender},
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

/// How many times as many calls as are meant to may run or wait, so that one payer with all places does
/// not keep others out.
const OVERDRAFT: usize = 2;

/// The calls that run or wait. Their number is bounded.
pub(crate) struct CallPlaces {
    /// Calls that are meant to.
    limit: usize,
    taken: Mutex<TakenPlaces>,
}

#[derive(Default)]
struct TakenPlaces {
    all: usize,
    by_payer: HashMap<FairShareKey, usize>,
}

/// A call that runs or waits.
pub(crate) struct EngineSlot {
    places: Arc<CallPlaces>,
    payer: FairShareKey,
}

impl CallPlaces {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: Mutex::default(),
        }
    }

    /// A place, if fewer calls than the limit run or wait. Beyond it, payers with less than an equal
    /// part go on, up to `OVERDRAFT` times as many. The error is the number of calls.
    pub(crate) fn take(self: &Arc<Self>, payer: &FairShareKey) -> Result<EngineSlot, usize> {
        let mut taken = self.lock();
        if !taken.has_room(payer, self.limit) {
            return Err(taken.all);
        }
        taken.all += 1;
        *taken.by_payer.entry(payer.clone()).or_default() += 1;
        Ok(EngineSlot {
            places: Arc::clone(self),
            payer: payer.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, TakenPlaces> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakenPlaces {
    fn has_room(&self, payer: &FairShareKey, limit: usize) -> bool {
        if self.all < limit {
            return true;
        }
        let own = self.by_payer.get(payer).copied().unwrap_or(0);
        let payers = self.by_payer.len() + usize::from(own == 0);
        own < limit / payers && self.all < limit.saturating_mul(OVERDRAFT)
    }
}

impl Drop for EngineSlot {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        if let Some(own) = taken.by_payer.get_mut(&self.payer) {
            *own -= 1;
            if *own == 0 {
                taken.by_payer.remove(&self.payer);
            }
        }
    }
}
