//! A priority queue for a limited number of concurrent turns: the call with the earliest due time
//! is next.
//!
//! The due time of a call is when it would finish if it started immediately. A short call therefore
//! precedes a long one that arrived slightly earlier, and no call starves.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// Estimated time per token, for ordering calls.
const PER_TOKEN: Duration = Duration::from_millis(20);

/// Maximum length in tokens by which a call is delayed.
const MOST_TOKENS: u32 = 1 << 16;

/// The due time of a call of `tokens` tokens that arrives now.
pub fn due_time(tokens: u64) -> Instant {
    let tokens = u32::try_from(tokens)
        .unwrap_or(MOST_TOKENS)
        .min(MOST_TOKENS);
    Instant::now() + PER_TOKEN * tokens
}

/// Free turns, and the calls waiting for one.
#[derive(Debug)]
pub struct TurnQueue {
    state: Mutex<TurnState>,
}

#[derive(Debug)]
struct TurnState {
    free: usize,
    arrivals: u64,
    waiting: BTreeMap<(Instant, u64), oneshot::Sender<EngineTurn>>,
}

/// One turn; on drop it goes to the next call.
#[derive(Debug)]
pub struct EngineTurn {
    turns: Option<Arc<TurnQueue>>,
}

/// A place in the queue; it is freed when its call is cancelled.
struct TurnPlace<'a> {
    turns: &'a TurnQueue,
    place: (Instant, u64),
}

impl Drop for TurnPlace<'_> {
    fn drop(&mut self) {
        self.turns.lock().waiting.remove(&self.place);
    }
}

impl TurnQueue {
    pub fn new(count: usize) -> Self {
        Self {
            state: Mutex::new(TurnState {
                free: count,
                arrivals: 0,
                waiting: BTreeMap::new(),
            }),
        }
    }

    /// A turn, if one is free.
    pub fn try_take(self: &Arc<Self>) -> Option<EngineTurn> {
        let mut state = self.lock();
        state.free = state.free.checked_sub(1)?;
        Some(EngineTurn::from_queue(self))
    }

    /// Waits for a turn, in order of due time.
    pub async fn take(self: &Arc<Self>, due: Instant) -> EngineTurn {
        loop {
            let (place, given) = {
                let mut state = self.lock();
                if let Some(left) = state.free.checked_sub(1) {
                    state.free = left;
                    return EngineTurn::from_queue(self);
                }
                let (sender, given) = oneshot::channel();
                state.arrivals += 1;
                let place = (due, state.arrivals);
                state.waiting.insert(place, sender);
                let place = TurnPlace { turns: self, place };
                (place, given)
            };
            // The sender stays in the queue until it hands over a turn.
            let turn = given.await;
            drop(place);
            if let Ok(turn) = turn {
                return turn;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<oneshot::Sender<EngineTurn>> {
        let mut state = self.lock();
        let first = state.waiting.pop_first();
        if first.is_none() {
            state.free += 1;
        }
        first.map(|(_, sender)| sender)
    }
}

impl EngineTurn {
    fn from_queue(turns: &Arc<TurnQueue>) -> Self {
        Self {
            turns: Some(Arc::clone(turns)),
        }
    }
}

impl Drop for EngineTurn {
    fn drop(&mut self) {
        let Some(turns) = self.turns.take() else {
            return;
        };
        while let Some(sender) = turns.next() {
            match sender.send(Self::from_queue(&turns)) {
                Ok(()) => return,
                // The waiting call was cancelled.
                Err(mut unwanted) => unwanted.turns = None,
            }
        }
    }
}
