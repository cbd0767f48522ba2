//! Things that one call at a time may hold: channels, and payments by `exact`.
//!
//! What is held and was never put there disappears again, so that made-up names fill no memory.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::OwnedMutexGuard;

/// How long a call waits for another of the same channel.
const PATIENCE: Duration = Duration::from_secs(30);

type LockSlot<V> = Arc<tokio::sync::Mutex<Option<V>>>;
type LockSlots<K, V> = Arc<Mutex<HashMap<K, LockSlot<V>>>>;

pub(super) struct KeyedLocks<K, V> {
    slots: LockSlots<K, V>,
}

/// A thing in one pair of hands, until dropped.
pub(super) struct HeldLock<K: Hash + Eq, V> {
    key: K,
    slots: LockSlots<K, V>,
    /// Always there until the drop.
    guard: Option<OwnedMutexGuard<Option<V>>>,
}

impl<K: Hash + Eq + Copy, V> KeyedLocks<K, V> {
    pub fn new(things: impl IntoIterator<Item = (K, V)>) -> Self {
        let slot = |(key, thing)| (key, Arc::new(tokio::sync::Mutex::new(Some(thing))));
        Self {
            slots: Arc::new(Mutex::new(things.into_iter().map(slot).collect())),
        }
    }

    /// Waits for its turn, but not for ever.
    pub async fn take(&self, key: K) -> Option<HeldLock<K, V>> {
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

impl<K: Hash + Eq, V> HeldLock<K, V> {
    pub fn get(&self) -> Option<&V> {
        self.guard.as_ref()?.as_ref()
    }

    pub fn put(&mut self, thing: V) {
        if let Some(guard) = &mut self.guard {
            **guard = Some(thing);
        }
    }
}

impl<K: Hash + Eq, V> Drop for HeldLock<K, V> {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut slots = open(&self.slots);
        // Alone in the map: nobody holds it or waits for it, and nobody can begin to now.
        let forgotten = slots.get(&self.key).is_some_and(|slot| {
            Arc::strong_count(slot) == 1 && slot.try_lock().is_ok_and(|thing| thing.is_none())
        });
        if forgotten {
            slots.remove(&self.key);
        }
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
