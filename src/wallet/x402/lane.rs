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
    refusal::PaymentRefusal,
};
use crate::{
    runtime::ledger::{Address, Amount},
    wallet::{
        contracts::ESCROW,
        settlement::{ChainFailure, ChainSettlement},
    },
};

/// How long what is left for gas is taken as known.
const LOOK: Duration = Duration::from_secs(5);

/// The money that is taken on one chain.
#[derive(Clone)]
pub struct ChainOffer {
    pub settlement: Arc<dyn ChainSettlement>,
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
pub(super) struct PaymentMethod {
    pub chain_offer: ChainOffer,
    pub chain_id: u64,
    pub escrow: EscrowDomain,
    pub token: TokenDomain,
    /// Of what binds payments from channels to their requests.
    pub binding: BindingDomain,
    pub gas: GasBalance,
}

/// What is left for gas, as last seen.
#[derive(Default)]
pub(super) struct GasBalance {
    seen: tokio::sync::Mutex<Option<Instant>>,
    low: AtomicBool,
}

impl PaymentMethod {
    pub fn new(chain_offer: ChainOffer) -> Self {
        let chain_id = chain_offer.settlement.network().chain_id;
        let (name, version) = (&chain_offer.token_name, &chain_offer.token_version);
        Self {
            chain_id,
            escrow: EscrowDomain::for_chain(chain_id),
            binding: BindingDomain::for_contract(chain_id, ESCROW.into()),
            gas: GasBalance::default(),
            token: TokenDomain::for_token(name, version, chain_id, chain_offer.token),
            chain_offer,
        }
    }

    pub fn settlement(&self) -> &dyn ChainSettlement {
        &*self.chain_offer.settlement
    }

    /// Whether our account can pay for others' transactions; else what is left, where that is
    /// news.
    pub async fn funded(&self) -> Result<(), (PaymentRefusal, Option<Amount>)> {
        let other = |trouble: ChainFailure| (PaymentRefusal::from(trouble), None);
        let mut seen = self.gas.seen.lock().await;
        let mut news = None;
        if seen.is_none_or(|seen| seen.elapsed() >= LOOK) {
            let left = self.settlement().gas().await.map_err(other)?;
            *seen = Some(Instant::now());
            let low = left < self.chain_offer.min_gas;
            let was_low = self.gas.low.swap(low, Ordering::SeqCst);
            news = (low && !was_low).then_some(left);
        }
        match self.is_low() {
            true => Err((PaymentRefusal::GasLow, news)),
            false => Ok(()),
        }
    }

    pub fn is_low(&self) -> bool {
        self.gas.low.load(Ordering::SeqCst)
    }
}
