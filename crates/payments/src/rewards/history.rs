//! The proposals made to a pool, and what it had promised to each contributor before each proposal.
//! Read from the chain's events alone.

use std::collections::BTreeMap;

use alloy::{primitives::U256, rpc::types::Filter, sol_types::SolEvent};

use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{ContributorPool, PoolEntry, Share},
};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{ReceiverKey, WHOLE_PPM};

/// A proposal, and the pool's state before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolProposal {
    /// Identifies the published sums behind it.
    pub root: Word,
    pub entries: Vec<PoolEntry>,
    /// The pool's promises, in total and per contributor.
    pub allotted: Amount,
    pub had: BTreeMap<Address, Amount>,
}

/// A pool's promises as stated by its events.
#[derive(Default)]
struct PoolPromises {
    shares: Vec<Share>,
    by_round: BTreeMap<U256, Vec<PoolEntry>>,
    given: BTreeMap<Address, Amount>,
    allotted: Amount,
    divided: u128,
}

impl PoolPromises {
    /// Promises from proposals and from static shares, each rounded as the pool rounds it.
    fn had(&self) -> BTreeMap<Address, Amount> {
        let mut had = self.given.clone();
        for share in &self.shares {
            let part = U256::from(self.divided) * U256::from(share.ppm) / U256::from(WHOLE_PPM);
            let sum = had.entry(share.recipient.into()).or_default();
            *sum = sum.saturating_add(Amount(u128::try_from(part).unwrap_or(u128::MAX)));
        }
        had
    }

    fn activate(&mut self, round: U256) {
        for entry in self.by_round.remove(&round).unwrap_or_default() {
            let sum = self.given.entry(entry.contributor.into()).or_default();
            *sum = sum.saturating_add(Amount(entry.amount));
            self.allotted = self.allotted.saturating_add(Amount(entry.amount));
        }
    }
}

/// Every proposal to a pool, oldest first.
pub async fn proposed_on(
    chain: &Chain,
    pool: ReceiverKey,
) -> Result<Vec<PoolProposal>, WalletError> {
    let token: alloy::primitives::Address = pool.token.into();
    let shares = ContributorPool::sharesCall {};
    let shares = chain.read("shares of the pool", pool.receiver, &shares);
    let mut promises = PoolPromises {
        shares: shares.await?,
        ..PoolPromises::default()
    };
    let filter = Filter::new()
        .address(alloy::primitives::Address::from(pool.receiver))
        .event_signature(vec![
            ContributorPool::AllotmentProposed::SIGNATURE_HASH,
            ContributorPool::AllotmentActivated::SIGNATURE_HASH,
            ContributorPool::StaticallyDivided::SIGNATURE_HASH,
        ])
        .topic1(token.into_word());
    let mut proposed = Vec::new();
    for log in chain.logs(&filter, 0).await? {
        if let Ok(event) = ContributorPool::AllotmentProposed::decode_log(&log.inner) {
            let entries = event.data.entries;
            promises.by_round.insert(event.data.round, entries.clone());
            proposed.push(PoolProposal {
                root: event.data.root.into(),
                entries,
                allotted: promises.allotted,
                had: promises.had(),
            });
        } else if let Ok(event) = ContributorPool::AllotmentActivated::decode_log(&log.inner) {
            promises.activate(event.round);
        } else if let Ok(event) = ContributorPool::StaticallyDivided::decode_log(&log.inner) {
            let amount = u128::try_from(event.amount).unwrap_or(u128::MAX);
            promises.divided = promises.divided.saturating_add(amount);
            promises.allotted = promises.allotted.saturating_add(Amount(amount));
        }
    }
    Ok(proposed)
}
