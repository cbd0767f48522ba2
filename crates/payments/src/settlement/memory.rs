//! The last known state of a chain: its head, channels by id, and the locations of our facts. No
//! network and no journal here.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use openlora_chain::provider::BlockHead;
use openlora_core::Word;
use openlora_ledger::{ChannelView, EventLocation};

/// How many blocks below the head a fact is watched.
const WATCHED: u64 = 4096;

#[derive(Default)]
pub(super) struct ChainMemory(Mutex<MemoryState>);

#[derive(Default)]
pub(super) struct MemoryState {
    pub head: Option<BlockHead>,
    /// When the chain last answered, and when it last failed to answer.
    pub looked: Option<Instant>,
    pub failed: Option<(Instant, String)>,
    /// Since when the head is below the last one.
    pub lower: Option<Instant>,
    pub channels: BTreeMap<Word, WatchedChannel>,
    pub marks: VecDeque<EventLocation>,
    /// Transactions of marks whose blocks have not been read yet.
    pub unseen: BTreeSet<String>,
}

/// A channel whose state is watched.
pub(super) struct WatchedChannel {
    pub view: ChannelView,
    /// Whether the journal has the same state.
    pub told: bool,
    /// The head at which the newest part of its balance is deep enough.
    pub ripe_at: u64,
}

impl ChainMemory {
    pub fn lock(&self) -> MutexGuard<'_, MemoryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryState {
    pub fn is_fresh(&self, longest: Duration) -> bool {
        self.looked.is_some_and(|at| at.elapsed() <= longest)
    }

    /// Stops serving from memory until the next successful poll.
    pub fn clear_views(&mut self) {
        self.looked = None;
    }

    /// The reason why the last read of the chain failed, if that was within `moment`.
    pub fn just_failed(&self, moment: Duration) -> Option<String> {
        let (at, reason) = self.failed.as_ref()?;
        (at.elapsed() <= moment).then(|| reason.clone())
    }

    pub fn watch(&mut self, location: EventLocation) {
        self.marks.retain(|it| it.tx != location.tx);
        self.unseen.insert(location.tx.clone());
        self.marks.push_back(location);
    }

    /// Records a new head and drops facts that are too old to be reorganized.
    pub fn advance_head(&mut self, head: BlockHead) {
        self.head = Some(head);
        (self.looked, self.failed, self.lower) = (Some(Instant::now()), None, None);
        let oldest = head.number.saturating_sub(WATCHED);
        self.marks.retain(|location| location.block >= oldest);
        let marks = &self.marks;
        self.unseen
            .retain(|tx| marks.iter().any(|location| location.tx == *tx));
    }
}

/// Whether two views have the same content, even at different blocks.
pub(super) fn same_view(a: &ChannelView, b: &ChannelView) -> bool {
    let at = |view: &ChannelView| ChannelView {
        block: 0,
        block_hash: Word::default(),
        ..view.clone()
    };
    at(a) == at(b)
}
