//! Counts the tokens of prompts before payment: once per request, in a lane that leaves the
//! processor to paid calls, and within an allowance per address.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{allowances::AddressAllowances, api_error::ApiError, client::ClientAddress};

/// How many token counts are kept, so that the paid repeat of a quoted request is not counted
/// again.
const REMEMBERED: usize = 8192;

/// How many requests may wait for their count, in total and per address.
const MOST_WAITING: usize = 128;
const MOST_WAITING_PER_ADDRESS: usize = 16;

/// The allowance that a request uses besides its bytes.
const PER_REQUEST: i64 = 4096;

/// How many addresses have separate allowances. Above that, the fullest allowances are removed.
const MOST_ADDRESSES: usize = 16_384;

/// Counts prompts for quotes.
#[derive(Debug)]
pub struct QuoteCounter {
    known: Mutex<QuoteCache>,
    callers: Mutex<QuoteCallers>,
    lane: Semaphore,
}

#[derive(Debug, Default)]
struct QuoteCache {
    tokens: HashMap<String, u64>,
    order: VecDeque<String>,
}

#[derive(Debug, Default)]
struct QuoteCallers {
    limits: AddressAllowances,
    allowances: HashMap<ClientAddress, ByteAllowance>,
    waiting: BTreeMap<ClientAddress, usize>,
    all_waiting: usize,
}

/// The bytes left to an address; below zero after a request that is larger than the allowance.
#[derive(Clone, Copy, Debug)]
struct ByteAllowance {
    left: i64,
    at: Instant,
}

/// The right to count; ends when dropped.
#[derive(Debug)]
pub struct CountingPermit<'a> {
    _permit: SemaphorePermit<'a>,
    _place: Option<QuotePlace<'a>>,
}

#[derive(Debug)]
struct QuotePlace<'a> {
    quotes: &'a QuoteCounter,
    address: ClientAddress,
}

impl QuoteCounter {
    /// Counts at most `concurrent` requests at once.
    pub fn new(concurrent: usize) -> Self {
        Self {
            known: Mutex::default(),
            callers: Mutex::default(),
            lane: Semaphore::new(concurrent),
        }
    }

    /// Sets other allowances of unpaid bytes.
    pub fn limit(&self, limits: AddressAllowances) {
        lock(&self.callers).limits = limits;
    }

    /// The tokens of a request that was counted before.
    pub fn known(&self, hash: &str) -> Option<u64> {
        lock(&self.known).tokens.get(hash).copied()
    }

    pub fn store_count(&self, hash: &str, tokens: u64) {
        let mut known = lock(&self.known);
        if known.tokens.insert(hash.to_owned(), tokens).is_none() {
            known.order.push_back(hash.to_owned());
        }
        while known.order.len() > REMEMBERED {
            if let Some(oldest) = known.order.pop_front() {
                known.tokens.remove(&oldest);
            }
        }
    }

    /// Charges a request without payment to the allowance of its address: 429 if the allowance is
    /// used up.
    pub fn spend(&self, address: Option<ClientAddress>, bytes: usize) -> Result<(), ApiError> {
        let Some(address) = address else {
            return Ok(());
        };
        let mut callers = lock(&self.callers);
        let limits = callers.limits;
        let burst = i64::from(limits.unpaid_bytes);
        let cost = i64::try_from(bytes).unwrap_or(i64::MAX).min(burst) + PER_REQUEST;
        callers.forget();
        let fresh = ByteAllowance {
            left: burst,
            at: Instant::now(),
        };
        let allowance = callers.allowances.entry(address).or_insert(fresh);
        allowance.refill(limits);
        if allowance.left > 0 {
            allowance.left -= cost;
            return Ok(());
        }
        let per_second = u64::from(limits.unpaid_bytes_per_second.max(1));
        let seconds = allowance.left.unsigned_abs() / per_second + 1;
        let message = "Too much was sent from this address without payment; try again later.";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Err(ApiError::new(status, "unpaid_limit", message).retry_after(seconds))
    }

    /// Waits to count a request's prompts: 429 if too many wait.
    pub async fn enter(
        &self,
        address: Option<ClientAddress>,
    ) -> Result<CountingPermit<'_>, ApiError> {
        let place = address.map(|address| self.wait(address)).transpose()?;
        let permit = self.lane.acquire().await.map_err(|_| full())?;
        Ok(CountingPermit {
            _permit: permit,
            _place: place,
        })
    }

    fn wait(&self, address: ClientAddress) -> Result<QuotePlace<'_>, ApiError> {
        let mut callers = lock(&self.callers);
        let own = callers.waiting.get(&address).copied().unwrap_or(0);
        let many = !address.is_shared() && own >= MOST_WAITING_PER_ADDRESS;
        if many || callers.all_waiting >= MOST_WAITING {
            return Err(full());
        }
        callers.all_waiting += 1;
        *callers.waiting.entry(address).or_default() += 1;
        Ok(QuotePlace {
            quotes: self,
            address,
        })
    }
}

impl QuoteCallers {
    /// A full allowance need not be kept.
    fn forget(&mut self) {
        if self.allowances.len() < MOST_ADDRESSES {
            return;
        }
        let limits = self.limits;
        let burst = i64::from(limits.unpaid_bytes);
        self.allowances.retain(|_, it| {
            it.refill(limits);
            it.left < burst
        });
        if self.allowances.len() >= MOST_ADDRESSES {
            self.allowances.retain(|_, it| it.left < burst / 2);
        }
        if self.allowances.len() >= MOST_ADDRESSES {
            self.allowances.clear();
        }
    }
}

impl ByteAllowance {
    fn refill(&mut self, limits: AddressAllowances) {
        let now = Instant::now();
        let past = i64::try_from(now.duration_since(self.at).as_millis()).unwrap_or(i64::MAX);
        let more = past.saturating_mul(i64::from(limits.unpaid_bytes_per_second)) / 1000;
        if more > 0 {
            let burst = i64::from(limits.unpaid_bytes);
            self.left = self.left.saturating_add(more).min(burst);
            self.at = now;
        }
    }
}

impl Drop for QuotePlace<'_> {
    fn drop(&mut self) {
        let mut callers = lock(&self.quotes.callers);
        callers.all_waiting -= 1;
        if let Some(own) = callers.waiting.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                callers.waiting.remove(&self.address);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn full() -> ApiError {
    let message = "Too many requests wait for their price; try again shortly.";
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "quote_queue_full", message).retry_after(1)
}
