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
pub fn due(tokens: u64) -> Instant {
    let tokens = u32::try_from(tokens)
        .unwrap_or(MOST_TOKENS)
        .min(MOST_TOKENS);
    Instant::now() + PER_TOKEN * tokens
}

/// Turns, taken and waited for.
#[derive(Debug)]
pub struct Turns {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    arrivals: u64,
    waiting: BTreeMap<(Instant, u64), oneshot::Sender<Turn>>,
}

/// One turn; it goes to the next when dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Option<Arc<Turns>>,
}

/// A place in the queue; whoever leaves frees it.
struct WaitingPlace<'a> {
    turns: &'a Turns,
    place: (Instant, u64),
}

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        self.turns.lock().waiting.remove(&self.place);
    }
}

impl Turns {
    pub fn new(count: usize) -> Self {
        Self {
            state: Mutex::new(State {
                free: count,
                arrivals: 0,
                waiting: BTreeMap::new(),
            }),
        }
    }

    /// A turn, if one is free now.
    pub fn try_take(self: &Arc<Self>) -> Option<Turn> {
        let mut state = self.lock();
        state.free = state.free.checked_sub(1)?;
        Some(Turn::of(self))
    }

    /// Waits for a turn in the order of what is due.
    pub async fn take(self: &Arc<Self>, due: Instant) -> Turn {
        loop {
            let (place, given) = {
                let mut state = self.lock();
                if let Some(left) = state.free.checked_sub(1) {
                    state.free = left;
                    return Turn::of(self);
                }
                let (sender, given) = oneshot::channel();
                state.arrivals += 1;
                let place = (due, state.arrivals);
                state.waiting.insert(place, sender);
                let place = WaitingPlace { turns: self, place };
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut state = self.lock();
        let first = state.waiting.pop_first();
        if first.is_none() {
            state.free += 1;
        }
        first.map(|(_, sender)| sender)
    }
}

impl Turn {
    fn of(turns: &Arc<Turns>) -> Self {
        Self {
            turns: Some(Arc::clone(turns)),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.turns.take() else {
            return;
        };
        while let Some(sender) = turns.next() {
            match sender.send(Self::of(&turns)) {
                Ok(()) => return,
                // Who waited has left.
                Err(mut unwanted) => unwanted.turns = None,
            }
        }
    }
}
