//! Counts refused payments by address. The chain is asked about a payment before anything is paid,
//! so an address whose payments were refused often may only pay from channels in use for a while.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::client::ClientAddress;

/// How many refusals an address may cause in one burst, and per second.
const BURST: f64 = 256.0;
const PER_SECOND: f64 = 8.0;
/// How many addresses are counted. Above that, those with the fewest refusals are removed.
const MOST_ADDRESSES: usize = 16_384;

/// What is left to each address.
#[derive(Debug, Default)]
pub struct RefusedPayments(Mutex<HashMap<ClientAddress, RefusalAllowance>>);

#[derive(Clone, Copy, Debug)]
struct RefusalAllowance {
    left: f64,
    at: Instant,
}

impl RefusalAllowance {
    fn now(self) -> f64 {
        (self.left + self.at.elapsed().as_secs_f64() * PER_SECOND).min(BURST)
    }
}

impl RefusedPayments {
    /// Whether an address has used up its allowance.
    pub fn is_limited(&self, address: Option<ClientAddress>) -> bool {
        let known = self.lock();
        let left = address.and_then(|address| known.get(&address));
        left.is_some_and(|left| left.now() < 1.0)
    }

    /// Counts a refusal.
    pub fn count(&self, address: Option<ClientAddress>) {
        let Some(address) = address else { return };
        let mut known = self.lock();
        if known.len() >= MOST_ADDRESSES {
            known.retain(|_, it| it.now() < BURST);
        }
        if known.len() >= MOST_ADDRESSES {
            known.retain(|_, it| it.now() < BURST / 2.0);
        }
        if known.len() >= MOST_ADDRESSES {
            known.clear();
        }
        let left = known.get(&address).map_or(BURST, |it| it.now());
        let left = RefusalAllowance {
            left: (left - 1.0).max(0.0),
            at: Instant::now(),
        };
        known.insert(address, left);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientAddress, RefusalAllowance>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
