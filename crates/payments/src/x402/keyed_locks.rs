//! Locks by key: one call at a time holds a channel or an `exact` payment.
//!
//! The locks hold no state. The state of a channel or a payment is the ledger's record, which only
//! the journal's events change. A lock is removed when no task holds it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::OwnedMutexGuard;

/// How long a call waits for another call on the same channel.
const PATIENCE: Duration = Duration::from_secs(30);

type LockSlots<K> = Arc<Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>>;

pub(super) struct KeyedLocks<K> {
    slots: LockSlots<K>,
}

/// One key's lock, held until dropped.
pub(super) struct HeldLock<K: Hash + Eq> {
    key: K,
    slots: LockSlots<K>,
    /// Present until the drop.
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K: Hash + Eq + Copy> KeyedLocks<K> {
    pub fn new() -> Self {
        Self {
            slots: LockSlots::default(),
        }
    }

    /// Waits for the lock, with a time limit.
    pub async fn take(&self, key: K) -> Option<HeldLock<K>> {
        let slot = Arc::clone(open(&self.slots).entry(key).or_default());
        let mut held = HeldLock {
            key,
            slots: Arc::clone(&self.slots),
            guard: None,
        };
        held.guard = tokio::time::timeout(PATIENCE, slot.lock_owned()).await.ok();
        held.guard.is_some().then_some(held)
    }
}

impl<K: Hash + Eq> Drop for HeldLock<K> {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut slots = open(&self.slots);
        // Only the map has it: no task holds it or waits for it, and none can start while the map
        // is locked.
        if slots
            .get(&self.key)
            .is_some_and(|slot| Arc::strong_count(slot) == 1)
        {
            slots.remove(&self.key);
        }
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
