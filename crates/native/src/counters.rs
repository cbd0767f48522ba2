//! What a loader's schedulers have done so far, for the operator.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Work done since the loader was made, over all of its bases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NativeActivity {
    /// Rows of logits.
    pub rows: u64,
    /// Tokens computed, those of prompts included.
    pub tokens: u64,
    /// Tokens whose keys and values were known from earlier calls of the same adapter.
    pub reused: u64,
    /// How often a sequence gave its pages to others, to be computed again later.
    pub pre_emptions: u64,
}

#[derive(Debug, Default)]
pub(crate) struct ActivityCounters {
    /// Models in memory.
    pub resident: AtomicUsize,
    pub rows: AtomicU64,
    pub tokens: AtomicU64,
    pub reused: AtomicU64,
    pub pre_emptions: AtomicU64,
}

impl ActivityCounters {
    pub(crate) fn snapshot(&self) -> NativeActivity {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NativeActivity {
            rows: read(&self.rows),
            tokens: read(&self.tokens),
            reused: read(&self.reused),
            pre_emptions: read(&self.pre_emptions),
        }
    }
}
