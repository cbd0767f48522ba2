//! What the running node reports while it works. The listener decides how it is shown.

use std::{sync::Arc, time::Duration};

use openlora_chain::transaction::TxEvent;
use openlora_core::Address;
use openlora_influence::AttributionError;

/// Something that the operator should know and that is no result.
pub enum RuntimeNotice<'a> {
    /// Progress of a transaction.
    Transaction(TxEvent),
    /// The development faucet gave an account its first coins.
    Funded { account: Address },
    /// A development chain was reset: earlier sums of it no longer count.
    ChainRestarted { network: &'a str },
    /// An adapter's index cannot be used, so its calls get the static shares.
    StaticShares { reason: &'a AttributionError },
    /// The chain does not say where this server is reached.
    NotAnnounced {
        url: &'a str,
        reason: String,
        /// When it is tried again; `None` if that would not help.
        again: Option<Duration>,
    },
}

/// Receives notices, from any thread.
pub type NoticeListener = Arc<dyn Fn(RuntimeNotice<'_>) + Send + Sync>;

/// Forwards the progress of transactions.
pub fn transaction_listener(listener: &NoticeListener) -> Arc<dyn Fn(TxEvent) + Send + Sync> {
    let listener = Arc::clone(listener);
    Arc::new(move |event| listener(RuntimeNotice::Transaction(event)))
}
