//! A priority queue for a limited number of concurrent turns, in all and per lane: of the calls whose
//! lane has a turn left, the one with the earliest due time is next.
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

/// The lane of all calls of a queue that is not divided.
const ONLY_LANE: &str = "";

/// The due time of a call of `tokens` tokens that arrives now.
pub fn due_time(tokens: u64) -> Instant {
    let tokens = u32::try_from(tokens)
        .unwrap_or(MOST_TOKENS)
        .min(MOST_TOKENS);
    Instant::now() + PER_TOKEN * tokens
}

/// Free turns, and the calls waiting for one. Calls of one lane have a part of the turns at most, so
/// that a busy lane leaves turns to the others.
#[derive(Debug)]
pub struct TurnQueue {
    /// The most turns of one lane.
    per_lane: usize,
    state: Mutex<TurnState>,
}

#[derive(Debug)]
struct TurnState {
    free: usize,
    arrivals: u64,
    /// Turns in use by lane; a lane without any has no entry.
    used: BTreeMap<String, usize>,
    waiting: BTreeMap<(Instant, u64), WaitingTurn>,
}

#[derive(Debug)]
struct WaitingTurn {
    lane: String,
    sender: oneshot::Sender<EngineTurn>,
}

/// One turn; on drop it goes to the next call.
#[derive(Debug)]
pub struct EngineTurn {
    /// Taken when the turn is given back.
    turns: Option<Arc<TurnQueue>>,
    lane: String,
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

impl TurnState {
    /// Takes a turn for a call of `lane`; false if the lane or the queue has none left.
    fn take(&mut self, lane: &str, per_lane: usize) -> bool {
        let used = self.used.get(lane).copied().unwrap_or(0);
        if self.free == 0 || used >= per_lane {
            return false;
        }
        self.free -= 1;
        self.used.insert(lane.to_owned(), used + 1);
        true
    }

    fn give_back(&mut self, lane: &str) {
        self.free += 1;
        if let Some(used) = self.used.get_mut(lane) {
            *used -= 1;
            if *used == 0 {
                self.used.remove(lane);
            }
        }
    }

    /// The next waiting call whose lane has a turn left, with that turn taken.
    fn next(&mut self, per_lane: usize) -> Option<WaitingTurn> {
        let has_room = |call: &WaitingTurn| {
            let used = self.used.get(&call.lane).copied().unwrap_or(0);
            self.free > 0 && used < per_lane
        };
        let place = *self.waiting.iter().find(|(_, call)| has_room(call))?.0;
        let call = self.waiting.remove(&place)?;
        self.take(&call.lane, per_lane).then_some(call)
    }
}

impl TurnQueue {
    /// A queue with so many turns, in a single lane.
    pub fn new(count: usize) -> Self {
        Self::with_lanes(count, count)
    }

    /// A queue with so many turns, of which calls of one lane have at most `per_lane`.
    pub fn with_lanes(count: usize, per_lane: usize) -> Self {
        Self {
            per_lane,
            state: Mutex::new(TurnState {
                free: count,
                arrivals: 0,
                used: BTreeMap::new(),
                waiting: BTreeMap::new(),
            }),
        }
    }

    /// A turn, if one is free.
    pub fn try_take(self: &Arc<Self>) -> Option<EngineTurn> {
        self.try_take_in(ONLY_LANE)
    }

    /// Waits for a turn, in order of due time.
    pub async fn take(self: &Arc<Self>, due: Instant) -> EngineTurn {
        self.take_in(ONLY_LANE, due).await
    }

    /// A turn for a call of `lane`, if one is free.
    pub fn try_take_in(self: &Arc<Self>, lane: &str) -> Option<EngineTurn> {
        let taken = self.lock().take(lane, self.per_lane);
        taken.then(|| self.turn(lane))
    }

    /// Waits for a turn for a call of `lane`, in order of due time.
    pub async fn take_in(self: &Arc<Self>, lane: &str, due: Instant) -> EngineTurn {
        loop {
            let (place, given) = {
                let mut state = self.lock();
                if state.take(lane, self.per_lane) {
                    return self.turn(lane);
                }
                let (sender, given) = oneshot::channel();
                state.arrivals += 1;
                let place = (due, state.arrivals);
                let lane = lane.to_owned();
                state.waiting.insert(place, WaitingTurn { lane, sender });
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

    fn turn(self: &Arc<Self>, lane: &str) -> EngineTurn {
        EngineTurn {
            turns: Some(Arc::clone(self)),
            lane: lane.to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<WaitingTurn> {
        self.lock().next(self.per_lane)
    }
}

impl Drop for EngineTurn {
    fn drop(&mut self) {
        let Some(turns) = self.turns.take() else {
            return;
        };
        turns.lock().give_back(&self.lane);
        while let Some(WaitingTurn { lane, sender }) = turns.next() {
            // The waiting call may have been cancelled.
            if let Err(mut unwanted) = sender.send(turns.turn(&lane)) {
                unwanted.turns = None;
                turns.lock().give_back(&lane);
            }
        }
    }
}
