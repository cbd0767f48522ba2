//! Which adapters' factors are in memory: the most recently used ones, within a budget.
//!
//! Factors that a call holds never leave, and neither do others for the sake of factors that would not
//! fit even then. An adapter that left keeps its place among the models and its known prefixes: it
//! comes back with the same digest or not at all.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use openlora_engine::EngineError;
use openlora_model::adapter::{self, LoraAdapter};

use super::{base::NativeBase, counters::ActivityCounters, lora::NativeAdapter, pages::OwnerId};

/// Where an adapter's factors come from.
#[derive(Debug)]
pub(crate) struct FactorSource {
    /// SHA-256 of its files, hex.
    pub digest: String,
    /// Its folder, when it was loaded the last time.
    dir: Mutex<PathBuf>,
    /// Memory that its packed factors take.
    pub bytes: u64,
}

/// Factors in memory.
#[derive(Debug)]
pub(crate) struct ResidentAdapter {
    pub factors: NativeAdapter,
    counters: Arc<ActivityCounters>,
}

/// The factors of a base's adapters.
#[derive(Debug)]
pub(crate) struct AdapterMemory {
    /// In bytes.
    budget: Option<u64>,
    counters: Arc<ActivityCounters>,
    state: Mutex<AdapterShelf>,
    /// Adapters come back one at a time, so that they exceed the budget by none.
    pub returning: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct AdapterShelf {
    adapters: HashMap<OwnerId, ShelvedAdapter>,
    bytes: u64,
    clock: u64,
}

#[derive(Debug)]
struct ShelvedAdapter {
    resident: Arc<ResidentAdapter>,
    bytes: u64,
    /// When it was used the last time.
    used: u64,
}

impl FactorSource {
    pub(crate) fn new(adapter: &LoraAdapter, factors: &NativeAdapter) -> Self {
        Self {
            digest: adapter.digest.clone(),
            dir: Mutex::new(adapter.dir.clone()),
            bytes: factors.bytes() as u64,
        }
    }

    /// The same files are in another folder now.
    pub(crate) fn moved_to(&self, dir: &Path) {
        dir.clone_into(&mut lock(&self.dir));
    }

    /// Reads and packs the factors again. The error is for the operator.
    pub(crate) fn read(&self, base: &NativeBase) -> Result<NativeAdapter, String> {
        let dir = lock(&self.dir).clone();
        let found = adapter::read(&dir).map_err(|error| error.to_string())?;
        if found.digest != self.digest {
            return Err(format!(
                "{}: its files were changed: expected digest {}, found {}",
                dir.display(),
                self.digest,
                found.digest
            ));
        }
        NativeAdapter::pack(base, &found).map_err(|error| error.to_string())
    }
}

impl ResidentAdapter {
    fn new(factors: NativeAdapter, counters: &Arc<ActivityCounters>) -> Self {
        counters.resident.fetch_add(1, Ordering::Relaxed);
        Self {
            factors,
            counters: Arc::clone(counters),
        }
    }
}

impl Drop for ResidentAdapter {
    fn drop(&mut self) {
        self.counters.resident.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AdapterMemory {
    /// Memory for so many bytes of factors; without a bound if none.
    pub(crate) fn new(budget: Option<u64>, counters: Arc<ActivityCounters>) -> Self {
        Self {
            budget,
            counters,
            state: Mutex::default(),
            returning: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        lock(&self.state).bytes
    }

    /// The factors of an adapter, if they are in memory.
    pub(crate) fn find(&self, owner: OwnerId) -> Option<Arc<ResidentAdapter>> {
        lock(&self.state).find(owner)
    }

    /// Takes in the factors of the adapter `name`, unless they are there already.
    ///
    /// # Errors
    ///
    /// See [`Self::make_room`].
    pub(crate) fn add(
        &self,
        owner: OwnerId,
        name: &str,
        factors: NativeAdapter,
    ) -> Result<Arc<ResidentAdapter>, EngineError> {
        let bytes = factors.bytes() as u64;
        let mut state = lock(&self.state);
        if let Some(found) = state.find(owner) {
            return Ok(found);
        }
        self.make_room_in(&mut state, name, bytes)?;
        let resident = Arc::new(ResidentAdapter::new(factors, &self.counters));
        state.clock += 1;
        let shelved = ShelvedAdapter {
            resident: Arc::clone(&resident),
            bytes,
            used: state.clock,
        };
        state.bytes += bytes;
        state.adapters.insert(owner, shelved);
        Ok(resident)
    }

    /// Lets the least recently used adapters leave until there is room for `bytes` of the adapter
    /// `name`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Load`] if they exceed the budget, [`EngineError::Busy`] if they do so together
    /// with the adapters in use.
    pub(crate) fn make_room(&self, name: &str, bytes: u64) -> Result<(), EngineError> {
        self.make_room_in(&mut lock(&self.state), name, bytes)
    }

    fn make_room_in(
        &self,
        state: &mut AdapterShelf,
        name: &str,
        bytes: u64,
    ) -> Result<(), EngineError> {
        let Some(budget) = self.budget else {
            return Ok(());
        };
        let allowed = format!("{budget} bytes, which `serve.adapter_memory` allows");
        if bytes > budget {
            return Err(EngineError::Load {
                name: name.to_owned(),
                reason: format!("its factors take {bytes} of {allowed}"),
            });
        }
        let in_use = state.in_use();
        if in_use + bytes > budget {
            return Err(EngineError::Busy {
                name: name.to_owned(),
                reason: format!(
                    "its factors take {bytes} bytes, and adapters in use take {in_use} of {allowed}"
                ),
            });
        }
        while state.bytes + bytes > budget && state.drop_oldest() {}
        Ok(())
    }

    /// Forgets an adapter that no call can name any more.
    pub(crate) fn remove(&self, owner: OwnerId) {
        lock(&self.state).remove(owner);
    }
}

impl ShelvedAdapter {
    /// Others get it only under the lock of the shelf.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.resident) == 1
    }
}

impl AdapterShelf {
    fn find(&mut self, owner: OwnerId) -> Option<Arc<ResidentAdapter>> {
        self.clock += 1;
        let found = self.adapters.get_mut(&owner)?;
        found.used = self.clock;
        Some(Arc::clone(&found.resident))
    }

    fn in_use(&self) -> u64 {
        let used = self.adapters.values().filter(|it| !it.is_idle());
        used.map(|it| it.bytes).sum()
    }

    /// Lets the least recently used adapter leave; false if all are in use.
    fn drop_oldest(&mut self) -> bool {
        let idle = self.adapters.iter().filter(|(_, it)| it.is_idle());
        let oldest = idle.min_by_key(|(_, it)| it.used).map(|(owner, _)| *owner);
        oldest.is_some_and(|owner| self.remove(owner))
    }

    fn remove(&mut self, owner: OwnerId) -> bool {
        let removed = self.adapters.remove(&owner);
        self.bytes -= removed.as_ref().map_or(0, |it| it.bytes);
        removed.is_some()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
