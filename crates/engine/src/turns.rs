//! A queue for a limited number of concurrent turns, in all and per lane, that is fair first between
//! lanes and then between the payers of a lane.
//!
//! Of the lanes with a turn left, the one that uses fewest turns is next, and of those the one whose
//! latest turn is longest ago; in it, the payer of whom the same holds. So a payer's first call waits
//! for no more than one turn of each other payer, however many calls of theirs wait. A payer's own
//! calls are ordered by due time: when they would finish if they started immediately. A short call
//! therefore precedes a long one that arrived slightly earlier, and no call starves.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::FairShareKey;

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

/// Who a call competes for a turn as. The default is for queues that are not divided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnParty {
    pub lane: String,
    pub payer: FairShareKey,
}

impl TurnParty {
    pub fn new(lane: &str, payer: &FairShareKey) -> Self {
        Self {
            lane: lane.to_owned(),
            payer: payer.clone(),
        }
    }
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
    /// Turns given so far.
    given: u64,
    /// Lanes in which a call runs or waits.
    lanes: BTreeMap<String, LaneTurns>,
}

#[derive(Debug, Default)]
struct LaneTurns {
    used: usize,
    /// Number of its latest turn, or of the latest one of all when it came.
    latest: u64,
    /// Payers of whom a call runs or waits here.
    payers: BTreeMap<FairShareKey, PayerTurns>,
}

#[derive(Debug, Default)]
struct PayerTurns {
    used: usize,
    latest: u64,
    waiting: BTreeMap<WaitingPlace, oneshot::Sender<EngineTurn>>,
}

/// A place among the calls of one payer; earlier ones are next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct WaitingPlace {
    due: Instant,
    arrival: u64,
}

/// What decides between lanes, and between the payers of a lane: the least is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TurnRank {
    used: usize,
    latest: u64,
    first: WaitingPlace,
}

/// A waiting call whose turn has come.
#[derive(Debug)]
struct WaitingTurn {
    party: TurnParty,
    sender: oneshot::Sender<EngineTurn>,
}

/// One turn; on drop it goes to the next call.
#[derive(Debug)]
pub struct EngineTurn {
    /// Taken when the turn is given back.
    turns: Option<Arc<TurnQueue>>,
    party: TurnParty,
}

/// A call in the queue; it leaves when it is cancelled.
struct QueuedCall<'a> {
    turns: &'a TurnQueue,
    party: &'a TurnParty,
    place: WaitingPlace,
}

impl Drop for QueuedCall<'_> {
    fn drop(&mut self) {
        self.turns.lock().leave(self.party, self.place);
    }
}

impl PayerTurns {
    fn rank(&self) -> Option<TurnRank> {
        let first = *self.waiting.keys().next()?;
        Some(TurnRank {
            used: self.used,
            latest: self.latest,
            first,
        })
    }
}

impl LaneTurns {
    /// None if no call waits here.
    fn rank(&self) -> Option<TurnRank> {
        let firsts = self.payers.values().filter_map(PayerTurns::rank);
        let first = firsts.map(|rank| rank.first).min()?;
        Some(TurnRank {
            used: self.used,
            latest: self.latest,
            first,
        })
    }

    /// The payer whose call is next here.
    fn next_payer(&self) -> Option<(&FairShareKey, TurnRank)> {
        let ranked = self.payers.iter();
        let ranked = ranked.filter_map(|(payer, turns)| Some((payer, turns.rank()?)));
        ranked.min_by_key(|(_, rank)| *rank)
    }
}

impl TurnState {
    /// Takes a turn for a call; false if its lane or the queue has none left.
    fn take(&mut self, party: &TurnParty, per_lane: usize) -> bool {
        let used = self.lanes.get(&party.lane).map_or(0, |lane| lane.used);
        if self.free == 0 || used >= per_lane {
            return false;
        }
        self.free -= 1;
        self.given += 1;
        let lane = self.lanes.entry(party.lane.clone()).or_default();
        lane.used += 1;
        lane.latest = self.given;
        let payer = lane.payers.entry(party.payer.clone()).or_default();
        payer.used += 1;
        payer.latest = self.given;
        true
    }

    fn give_back(&mut self, party: &TurnParty) {
        self.free += 1;
        if let Some(lane) = self.lanes.get_mut(&party.lane) {
            lane.used -= 1;
            if let Some(payer) = lane.payers.get_mut(&party.payer) {
                payer.used -= 1;
            }
        }
        self.tidy(party);
    }

    /// Forgets a payer, and then a lane, without calls.
    fn tidy(&mut self, party: &TurnParty) {
        let Some(lane) = self.lanes.get_mut(&party.lane) else {
            return;
        };
        let payer = lane.payers.get(&party.payer);
        if payer.is_some_and(|it| it.used == 0 && it.waiting.is_empty()) {
            lane.payers.remove(&party.payer);
        }
        if lane.payers.is_empty() {
            self.lanes.remove(&party.lane);
        }
    }

    /// Lets a call wait.
    fn queue(
        &mut self,
        party: &TurnParty,
        due: Instant,
        sender: oneshot::Sender<EngineTurn>,
    ) -> WaitingPlace {
        self.arrivals += 1;
        let place = WaitingPlace {
            due,
            arrival: self.arrivals,
        };
        // A payer or lane without calls is forgotten. It comes back behind those that wait, or
        // clients with one call at a time would always be before them.
        let latest = self.given;
        let new_lane = || LaneTurns {
            latest,
            ..LaneTurns::default()
        };
        let new_payer = || PayerTurns {
            latest,
            ..PayerTurns::default()
        };
        let lane = self
            .lanes
            .entry(party.lane.clone())
            .or_insert_with(new_lane);
        let payers = &mut lane.payers;
        let payer = payers.entry(party.payer.clone()).or_insert_with(new_payer);
        payer.waiting.insert(place, sender);
        place
    }

    /// Takes a waiting call out of the queue, if it is still there.
    fn leave(
        &mut self,
        party: &TurnParty,
        place: WaitingPlace,
    ) -> Option<oneshot::Sender<EngineTurn>> {
        let lane = self.lanes.get_mut(&party.lane)?;
        let sender = lane.payers.get_mut(&party.payer)?.waiting.remove(&place);
        self.tidy(party);
        sender
    }

    /// The next waiting call whose lane has a turn left, with that turn taken.
    fn next(&mut self, per_lane: usize) -> Option<WaitingTurn> {
        if self.free == 0 {
            return None;
        }
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.used < per_lane);
        let lanes = lanes.filter_map(|(name, lane)| Some((name, lane, lane.rank()?)));
        let (name, lane, _) = lanes.min_by_key(|(_, _, rank)| *rank)?;
        let (payer, rank) = lane.next_payer()?;
        let party = TurnParty::new(name, payer);
        let sender = self.leave(&party, rank.first)?;
        self.take(&party, per_lane)
            .then_some(WaitingTurn { party, sender })
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
                given: 0,
                lanes: BTreeMap::new(),
            }),
        }
    }

    /// A turn for a call, if one is free.
    pub fn try_take(self: &Arc<Self>, party: &TurnParty) -> Option<EngineTurn> {
        let taken = self.lock().take(party, self.per_lane);
        taken.then(|| self.turn(party))
    }

    /// Waits for the turn of a call.
    pub async fn take(self: &Arc<Self>, party: &TurnParty, due: Instant) -> EngineTurn {
        loop {
            let (queued, given) = {
                let mut state = self.lock();
                if state.take(party, self.per_lane) {
                    return self.turn(party);
                }
                let (sender, given) = oneshot::channel();
                let place = state.queue(party, due, sender);
                let queued = QueuedCall {
                    turns: self,
                    party,
                    place,
                };
                (queued, given)
            };
            // The sender stays in the queue until it hands over a turn.
            let turn = given.await;
            drop(queued);
            if let Ok(turn) = turn {
                return turn;
            }
        }
    }

    fn turn(self: &Arc<Self>, party: &TurnParty) -> EngineTurn {
        EngineTurn {
            turns: Some(Arc::clone(self)),
            party: party.clone(),
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
        turns.lock().give_back(&self.party);
        while let Some(WaitingTurn { party, sender }) = turns.next() {
            // The waiting call may have been cancelled.
            if let Err(mut unwanted) = sender.send(turns.turn(&party)) {
                unwanted.turns = None;
                turns.lock().give_back(&party);
            }
        }
    }
}
