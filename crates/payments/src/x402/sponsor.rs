//! What is done for payers at our cost of gas: refunds that wait, and an account that runs low.
//! Daily limits are kept where transactions are sent.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::refusal::PaymentRefusal;
use openlora_ledger::ChannelKey;

/// Whether vouchers are taken that a payer's contract decides about (ERC-1271).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContractPayers {
    #[default]
    Refuse,
    /// The voucher is claimed before the call runs, and costs all that it allows.
    Settle,
}

/// How payers are treated.
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
    /// Calls of the channel when it was asked for.
    calls: u64,
    /// A task waits for it now.
    held: bool,
}

/// Holds refunds back.
pub(super) struct GasSponsor {
    pub rules: SponsorRules,
    waiting: Mutex<HashMap<ChannelKey, WaitingRefund>>,
}

/// The one who waits for a channel's refund, until dropped.
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

    /// How long a refund has to wait yet, having been asked for when the channel had had so many
    /// calls; one at a time.
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

    /// A refund is made, or not wanted any more.
    pub fn end(&self, key: ChannelKey) {
        open(&self.waiting).remove(&key);
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
