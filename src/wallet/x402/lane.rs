//! One way to be paid: a chain's counter, what follows from it, and what our account there has left
//! for gas.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    binding::BindingDomain,
    digest::{EscrowDomain, TokenDomain},
    refused::Refused,
};
use crate::{
    runtime::ledger::{Address, Amount},
    wallet::{
        contracts::ESCROW,
        settlement::{Settlement, Trouble},
    },
};

/// How long what is left for gas is taken as known.
const LOOK: Duration = Duration::from_secs(5);

/// The money that is taken on one chain.
#[derive(Clone)]
pub struct Counter {
    pub settlement: Arc<dyn Settlement>,
    pub token: Address,
    /// The token's signing domain (EIP-712).
    pub token_name: String,
    pub token_version: String,
    /// Seconds between start and end of a payer's withdrawal.
    pub withdraw_delay: u64,
    /// Deposits cost us gas.
    pub min_deposit: Amount,
    /// And so do refunds. Whoever signs for a refund pays so much for it; of others so much stays in
    /// the channel.
    pub refund_fee: Amount,
    /// Wei below which our account pays for nobody's transactions.
    pub min_gas: Amount,
}

/// A counter with what follows from it.
pub(super) struct Lane {
    pub counter: Counter,
    pub chain_id: u64,
    pub escrow: EscrowDomain,
    pub token: TokenDomain,
    /// Of what binds payments from channels to their requests.
    pub binding: BindingDomain,
    pub purse: Purse,
}

/// What is left for gas, as last seen.
#[derive(Default)]
pub(super) struct Purse {
    seen: tokio::sync::Mutex<Option<Instant>>,
    low: AtomicBool,
}

impl Lane {
    pub fn new(counter: Counter) -> Self {
        let chain_id = counter.settlement.network().chain_id;
        let (name, version) = (&counter.token_name, &counter.token_version);
        Self {
            chain_id,
            escrow: EscrowDomain::of(chain_id),
            binding: BindingDomain::of(chain_id, ESCROW.into()),
            purse: Purse::default(),
            token: TokenDomain::of(name, version, chain_id, counter.token),
            counter,
        }
    }

    pub fn settlement(&self) -> &dyn Settlement {
        &*self.counter.settlement
    }

    /// Whether our account can pay for others' transactions; else what is left, where that is
    /// news.
    pub async fn funded(&self) -> Result<(), (Refused, Option<Amount>)> {
        let other = |trouble: Trouble| (Refused::from(trouble), None);
        let mut seen = self.purse.seen.lock().await;
        let mut news = None;
        if seen.is_none_or(|seen| seen.elapsed() >= LOOK) {
            let left = self.settlement().gas().await.map_err(other)?;
            *seen = Some(Instant::now());
            let low = left < self.counter.min_gas;
            let was_low = self.purse.low.swap(low, Ordering::SeqCst);
            news = (low && !was_low).then_some(left);
        }
        match self.is_low() {
            true => Err((Refused::GasLow, news)),
            false => Ok(()),
        }
    }

    pub fn is_low(&self) -> bool {
        self.purse.low.load(Ordering::SeqCst)
    }
}
