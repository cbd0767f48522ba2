//! When a payment without an answer is sent again: ever more rarely, and not for ever.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The pause after the first attempt, which doubles, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(45);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// How long after the payment its outcome is asked for without a request.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is done about a call that was paid and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryStep {
    Now,
    Later,
    /// Only if its user asks for it.
    Never,
}

/// The attempts of this process. A new process begins anew, except with calls that are too old.
#[derive(Debug, Default)]
pub struct RetryPlan(Mutex<HashMap<String, PastAttempts>>);

#[derive(Clone, Copy, Debug)]
struct PastAttempts {
    pause: Duration,
    last: Instant,
}

impl RetryPlan {
    fn past(&self) -> MutexGuard<'_, HashMap<String, PastAttempts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the outcome of a call that was paid so long ago is asked for now.
    pub fn step(&self, request_id: &str, age: Duration, now: Instant) -> RetryStep {
        if age > LONGEST {
            return RetryStep::Never;
        }
        let past = self.past().get(request_id).copied();
        let waits = |it: PastAttempts| now.saturating_duration_since(it.last) < it.pause;
        match past.is_some_and(waits) {
            true => RetryStep::Later,
            false => RetryStep::Now,
        }
    }

    /// Notes an attempt without an outcome. Returns the pause before the next one.
    pub fn failed(&self, request_id: &str, now: Instant) -> Duration {
        let mut past = self.past();
        let before = past.get(request_id).map(|it| it.pause);
        let pause = before.map_or(FIRST_PAUSE, |it| (it * 2).min(LONGEST_PAUSE));
        past.insert(request_id.to_owned(), PastAttempts { pause, last: now });
        pause
    }

    /// Keeps only the calls that are still open.
    pub fn retain(&self, is_open: impl Fn(&str) -> bool) {
        self.past().retain(|request_id, _| is_open(request_id));
    }
}
