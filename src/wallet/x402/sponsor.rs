//! What is done for payers at our cost of gas, and where that ends.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{checks::now, reason::Reason, refused::Refused};
use crate::{
    runtime::ledger::{Address, Amount, ChannelKey},
    wallet::settlement::{Settlement, Trouble},
};

/// How long what is left for gas is taken as known.
const LOOK: Duration = Duration::from_secs(5);
const DAY_SECONDS: u64 = 86_400;

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
pub struct Rules {
    pub contract_payers: ContractPayers,
    /// How long a refund waits that somebody else may have asked for.
    pub refund_pause: Duration,
    /// Refunds and deposits that are put on chains for one payer in a day (UTC).
    pub refunds_daily: u32,
    pub deposits_daily: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            contract_payers: ContractPayers::Refuse,
            refund_pause: Duration::from_secs(3),
            refunds_daily: 4,
            deposits_daily: 100,
        }
    }
}

/// What was done for a payer today.
#[derive(Clone, Copy, Default)]
struct Done {
    /// That strangers may have asked for, and that the payer signed for.
    refunds: [u32; 2],
    deposits: u32,
}

/// A refund that waits.
#[derive(Clone, Copy)]
struct Waiting {
    since: Instant,
    /// Calls of the channel when it was asked for.
    calls: u64,
    /// Somebody waits for it now.
    held: bool,
}

/// Counts what is done for payers, and holds refunds back.
pub(super) struct Sponsor {
    pub rules: Rules,
    today: Mutex<(u64, HashMap<Address, Done>)>,
    waiting: Mutex<HashMap<ChannelKey, Waiting>>,
}

/// The one who waits for a channel's refund, until dropped.
pub(super) struct Turn<'a> {
    sponsor: &'a Sponsor,
    key: ChannelKey,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = open(&self.sponsor.waiting).get_mut(&self.key) {
            waiting.held = false;
        }
    }
}

impl Sponsor {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            today: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// Counts a deposit of a payer's that is about to be sent.
    pub fn deposit(&self, payer: Address) -> Result<(), Reason> {
        let most = self.rules.deposits_daily;
        self.count(payer, |done| up(&mut done.deposits, most))
            .then_some(())
            .ok_or(Reason::DepositLimit)
    }

    /// Counts a refund. Those that a payer signed for are counted by themselves, so that nobody
    /// else uses them up.
    pub fn refund(&self, payer: Address, signed: bool) -> Result<(), Reason> {
        let most = self.rules.refunds_daily;
        self.count(payer, |done| {
            up(&mut done.refunds[usize::from(signed)], most)
        })
        .then_some(())
        .ok_or(Reason::RefundLimit)
    }

    fn count(&self, payer: Address, count: impl FnOnce(&mut Done) -> bool) -> bool {
        let today = now() / DAY_SECONDS;
        let mut days = open(&self.today);
        if days.0 != today {
            *days = (today, HashMap::new());
        }
        count(days.1.entry(payer).or_default())
    }

    /// How long a refund has to wait yet, having been asked for when the channel had had so many
    /// calls; one at a time.
    pub fn wait(&self, key: ChannelKey, calls: u64) -> Result<(Duration, Turn<'_>), Refused> {
        let pause = self.rules.refund_pause;
        let mut all = open(&self.waiting);
        all.retain(|_, waiting| waiting.held || waiting.since.elapsed() < pause * 10);
        let fresh = Waiting {
            since: Instant::now(),
            calls,
            held: false,
        };
        let waiting = all.entry(key).or_insert(fresh);
        if waiting.held {
            return Err(Refused::Busy);
        }
        if waiting.calls != calls {
            *waiting = fresh;
        }
        waiting.held = true;
        let left = pause.saturating_sub(waiting.since.elapsed());
        Ok((left, Turn { sponsor: self, key }))
    }

    /// A refund is made, or not wanted any more.
    pub fn end(&self, key: ChannelKey) {
        open(&self.waiting).remove(&key);
    }
}

/// Counts one more, up to a limit.
fn up(count: &mut u32, most: u32) -> bool {
    let more = *count < most;
    *count += u32::from(more);
    more
}

/// What is left for gas, as last seen.
#[derive(Default)]
pub(super) struct Purse {
    seen: tokio::sync::Mutex<Option<Instant>>,
    low: AtomicBool,
}

impl Purse {
    /// Whether our account can pay for others' transactions; else what is left, where that is
    /// news.
    pub async fn funded(
        &self,
        settlement: &dyn Settlement,
        min_gas: Amount,
    ) -> Result<(), (Refused, Option<Amount>)> {
        let other = |trouble: Trouble| (Refused::from(trouble), None);
        let mut seen = self.seen.lock().await;
        let mut news = None;
        if seen.is_none_or(|seen| seen.elapsed() >= LOOK) {
            let left = settlement.gas().await.map_err(other)?;
            *seen = Some(Instant::now());
            let low = left < min_gas;
            let was_low = self.low.swap(low, Ordering::SeqCst);
            news = (low && !was_low).then_some(left);
        }
        match self.is_low() {
            true => Err((Refused::GasLow, news)),
            false => Ok(()),
        }
    }

    pub fn is_low(&self) -> bool {
        self.low.load(Ordering::SeqCst)
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
