//! A number of turns, and who gets the next one: whoever is due first.
//!
//! A call is due when it would be done had it begun at once, so a short call goes before a long one
//! that came a moment earlier, and no call waits for ever behind later ones.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// What a token counts for in the order of calls.
const PER_TOKEN: Duration = Duration::from_millis(20);

/// Longest time by which a call is put behind others, in tokens.
const MOST_TOKENS: u32 = 1 << 16;

/// When a call of so many tokens is due that comes now.
pub fn due_time(tokens: u64) -> Instant {
    let tokens = u32::try_from(tokens)
        .unwrap_or(MOST_TOKENS)
        .min(MOST_TOKENS);
    Instant::now() + PER_TOKEN * tokens
}

/// Turns, taken and waited for.
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

/// One turn; it goes to the next when dropped.
#[derive(Debug)]
pub struct EngineTurn {
    turns: Option<Arc<TurnQueue>>,
}

/// A place in the queue; whoever leaves frees it.
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

    /// A turn, if one is free now.
    pub fn try_take(self: &Arc<Self>) -> Option<EngineTurn> {
        let mut state = self.lock();
        state.free = state.free.checked_sub(1)?;
        Some(EngineTurn::from_queue(self))
    }

    /// Waits for a turn in the order of what is due.
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
            // Its sender lives in the queue until it gives a turn away.
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
                // Who waited has left.
                Err(mut unwanted) => unwanted.turns = None,
            }
        }
    }
}
