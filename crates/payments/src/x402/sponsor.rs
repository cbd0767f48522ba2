//! Refunds that wait at the server, and the rules for payers whose transactions we pay gas for.
//! Daily limits are enforced where transactions are sent.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::refusal::PaymentRefusal;
use openlora_ledger::ChannelKey;

/// Whether vouchers are accepted that a payer's contract decides (ERC-1271).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContractPayers {
    #[default]
    Refuse,
    /// The voucher is claimed before the call runs, and the call costs the whole voucher.
    Settle,
}

/// Rules for payers.
#[derive(Clone, Copy, Debug)]
pub struct SponsorRules {
    pub contract_payers: ContractPayers,
    /// How long a refund waits if a party other than the payer may have requested it.
    pub refund_pause: Duration,
}

impl Default for SponsorRules {
    fn default() -> Self {
        Self {
            contract_payers: ContractPayers::Refuse,
            refund_pause: Duration::from_secs(3),
        }
    }
}

/// A refund that waits.
#[derive(Clone, Copy)]
struct WaitingRefund {
    since: Instant,
    /// The channel's number of calls when the refund was requested.
    calls: u64,
    /// A task waits for it now.
    held: bool,
}

/// Delays refunds.
pub(super) struct GasSponsor {
    pub rules: SponsorRules,
    waiting: Mutex<HashMap<ChannelKey, WaitingRefund>>,
}

/// The right to wait for a channel's refund, until dropped.
pub(super) struct RefundTurn<'a> {
    sponsor: &'a GasSponsor,
    key: ChannelKey,
}

impl Drop for RefundTurn<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = open(&self.sponsor.waiting).get_mut(&self.key) {
            waiting.held = false;
        }
    }
}

impl GasSponsor {
    pub fn new(rules: SponsorRules) -> Self {
        Self {
            rules,
            waiting: Mutex::default(),
        }
    }

    /// The remaining pause of a refund that was requested when the channel had this number of
    /// calls. Only one task waits at a time.
    pub fn wait(
        &self,
        key: ChannelKey,
        calls: u64,
    ) -> Result<(Duration, RefundTurn<'_>), PaymentRefusal> {
        let pause = self.rules.refund_pause;
        let mut all = open(&self.waiting);
        all.retain(|_, waiting| waiting.held || waiting.since.elapsed() < pause * 10);
        let fresh = WaitingRefund {
            since: Instant::now(),
            calls,
            held: false,
        };
        let waiting = all.entry(key).or_insert(fresh);
        if waiting.held {
            return Err(PaymentRefusal::Busy);
        }
        if waiting.calls != calls {
            *waiting = fresh;
        }
        waiting.held = true;
        let left = pause.saturating_sub(waiting.since.elapsed());
        Ok((left, RefundTurn { sponsor: self, key }))
    }

    /// Ends the wait: the refund is made or cancelled.
    pub fn end(&self, key: ChannelKey) {
        open(&self.waiting).remove(&key);
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
