//! Who a call belongs to: an adapter or the plain base, and the call's place among all calls.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc::Sender,
};

use super::{counters::ActivityCounters, lora::NativeAdapter, pages::OwnerId};

/// A model that calls can name. It leaves memory with its last engine and call, and its prefixes with
/// it.
pub(crate) struct ModelOwner {
    pub id: OwnerId,
    /// Name in messages.
    pub name: String,
    /// None for the plain base.
    pub adapter: Option<NativeAdapter>,
    /// Receives the id when the model is not needed any more.
    gone: Sender<OwnerId>,
    counters: Arc<ActivityCounters>,
}

impl ModelOwner {
    /// Counts itself as resident.
    pub(crate) fn new(
        id: OwnerId,
        name: String,
        adapter: Option<NativeAdapter>,
        gone: Sender<OwnerId>,
        counters: Arc<ActivityCounters>,
    ) -> Self {
        counters.resident.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
            name,
            adapter,
            gone,
            counters,
        }
    }
}

impl Drop for ModelOwner {
    fn drop(&mut self) {
        self.counters.resident.fetch_sub(1, Ordering::Relaxed);
        // Without a scheduler there are no prefixes left either.
        let _ = self.gone.send(self.id);
    }
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
