//! Counts refused payments by address. The chain is asked about a payment before anything is paid,
//! so an address whose payments were refused often may only pay from channels in use for a while.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{allowances::AddressAllowances, client::ClientAddress};

/// How many addresses are counted. Above that, those with the fewest refusals are removed.
const MOST_ADDRESSES: usize = 16_384;

/// What is left to each address.
#[derive(Debug, Default)]
pub struct RefusedPayments(Mutex<RefusedCallers>);

#[derive(Debug, Default)]
struct RefusedCallers {
    limits: AddressAllowances,
    known: HashMap<ClientAddress, RefusalAllowance>,
}

#[derive(Clone, Copy, Debug)]
struct RefusalAllowance {
    left: f64,
    at: Instant,
}

impl RefusalAllowance {
    fn now(self, limits: AddressAllowances) -> f64 {
        let per_second = f64::from(limits.refusals_per_second);
        let left = self.left + self.at.elapsed().as_secs_f64() * per_second;
        left.min(f64::from(limits.refusals))
    }
}

impl RefusedPayments {
    /// Sets other allowances of refusals.
    pub fn limit(&self, limits: AddressAllowances) {
        self.lock().limits = limits;
    }

    /// Whether an address has used up its allowance.
    pub fn is_limited(&self, address: Option<ClientAddress>) -> bool {
        let callers = self.lock();
        let left = address.and_then(|address| callers.known.get(&address));
        left.is_some_and(|left| left.now(callers.limits) < 1.0)
    }

    /// Counts a refusal.
    pub fn count(&self, address: Option<ClientAddress>) {
        let Some(address) = address else { return };
        let mut callers = self.lock();
        let RefusedCallers { limits, known } = &mut *callers;
        let (limits, burst) = (*limits, f64::from(limits.refusals));
        if known.len() >= MOST_ADDRESSES {
            known.retain(|_, it| it.now(limits) < burst);
        }
        if known.len() >= MOST_ADDRESSES {
            known.retain(|_, it| it.now(limits) < burst / 2.0);
        }
        if known.len() >= MOST_ADDRESSES {
            known.clear();
        }
        let left = known.get(&address).map_or(burst, |it| it.now(limits));
        let left = RefusalAllowance {
            left: (left - 1.0).max(0.0),
            at: Instant::now(),
        };
        known.insert(address, left);
    }

    fn lock(&self) -> MutexGuard<'_, RefusedCallers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
