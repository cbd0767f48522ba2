//! The effects of a mined transaction on anchors and pools, read from its logs. Facts that the logs
//! leave out are in the root's published file.

use std::sync::Arc;

use alloy::{rpc::types::TransactionReceipt, sol_types::SolEvent};

use openlora_chain::{
    registry::{AttributionAnchor, ContributorPool, shown_id},
    transaction::FactReader,
};
use openlora_core::{Amount, Word};
use openlora_ledger::{
    ReceiverKey,
    event::{ContributionClaimed, ContributionsProposed, Event, RootAnchored},
};
use openlora_ports::PublishedLog;

/// Where a log was found.
struct LogPosition {
    tx: String,
    chain_id: u64,
    block: u64,
    block_hash: Word,
}

impl LogPosition {
    fn from_receipt(chain_id: u64, receipt: &TransactionReceipt) -> Self {
        Self {
            tx: receipt.transaction_hash.to_string(),
            chain_id,
            block: receipt.block_number.unwrap_or_default(),
            block_hash: receipt.block_hash.unwrap_or_default().into(),
        }
    }
}

/// The facts of a server's own transaction.
pub fn told_by(receipt: &TransactionReceipt, chain_id: u64, log: &dyn PublishedLog) -> Vec<Event> {
    let at = LogPosition::from_receipt(chain_id, receipt);
    let mut facts = Vec::new();
    for entry in receipt.logs() {
        if let Ok(event) = AttributionAnchor::Anchored::decode_log(&entry.inner) {
            facts.extend(anchored(&event, &at, log));
        }
        if let Ok(event) = ContributorPool::AllotmentProposed::decode_log(&entry.inner) {
            let pool = ReceiverKey {
                chain_id,
                receiver: entry.address().into(),
                token: event.token.into(),
            };
            facts.extend(proposed(&event, &at, pool, log));
        }
    }
    facts.extend(claimed_by(receipt, chain_id));
    facts
}

fn anchored(
    event: &AttributionAnchor::Anchored,
    at: &LogPosition,
    log: &dyn PublishedLog,
) -> Option<Event> {
    let root = Word::from(event.root);
    let batch = log.batch(root)?;
    Some(Event::Anchored(Box::new(RootAnchored {
        tx: at.tx.clone(),
        chain_id: at.chain_id,
        adapter_id: shown_id(event.id),
        server: event.server.into(),
        root,
        previous: batch.previous,
        sequence: event.sequence,
        count: event.count,
        charged: Amount(event.charged),
        through: batch.through,
        block: at.block,
        block_hash: at.block_hash,
    })))
}

fn proposed(
    event: &ContributorPool::AllotmentProposed,
    at: &LogPosition,
    pool: ReceiverKey,
    log: &dyn PublishedLog,
) -> Option<Event> {
    let root = Word::from(event.root);
    let contributions = log.contributions(root, pool)?;
    Some(Event::ContributionsProposed(Box::new(
        ContributionsProposed {
            tx: at.tx.clone(),
            pool,
            root,
            total: contributions.total,
            activates_at: u64::try_from(event.due).ok()?,
            through: contributions.through,
            block: at.block,
            block_hash: at.block_hash,
        },
    )))
}

/// Reads the payments to contributors on a chain.
pub fn claim_facts(chain_id: u64) -> FactReader {
    Arc::new(move |receipt| claimed_by(receipt, chain_id))
}

/// Reads the effects of a server's own transactions on a chain, with the published files of their
/// roots.
pub fn server_facts(chain_id: u64, log: Arc<dyn PublishedLog>) -> FactReader {
    Arc::new(move |receipt| told_by(receipt, chain_id, &*log))
}

/// Payments to contributors in a transaction, whichever account sent it.
pub fn claimed_by(receipt: &TransactionReceipt, chain_id: u64) -> Vec<Event> {
    let at = LogPosition::from_receipt(chain_id, receipt);
    let claimed = receipt.logs().iter().filter_map(|entry| {
        let event = ContributorPool::Claimed::decode_log(&entry.inner).ok()?;
        Some(Event::ContributionClaimed(Box::new(ContributionClaimed {
            tx: at.tx.clone(),
            pool: ReceiverKey {
                chain_id,
                receiver: entry.address().into(),
                token: event.token.into(),
            },
            contributor: event.contributor.into(),
            amount: Amount(u128::try_from(event.amount).ok()?),
            cumulative: Amount(u128::try_from(event.cumulative).ok()?),
            block: at.block,
            block_hash: at.block_hash,
        })))
    });
    claimed.collect()
}
