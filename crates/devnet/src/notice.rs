//! Notifications for subscribers: new blocks with their logs, and logs removed by a reorganisation.

use alloy::{
    consensus::{Header, ReceiptEnvelope, Sealed},
    primitives::{B256, Log as PrimitiveLog},
    rpc::types::{Header as RpcHeader, Log},
};

use super::store::StoredTransaction;

/// One notification.
#[derive(Clone, Debug)]
pub(super) struct BlockNotice {
    /// The new block; `None` if blocks were removed.
    pub header: Option<RpcHeader>,
    pub logs: Vec<Log>,
    pub transactions: Vec<B256>,
}

impl BlockNotice {
    pub(super) fn block(
        header: &Sealed<Header>,
        stored: &[StoredTransaction],
        receipts: &[ReceiptEnvelope],
    ) -> Self {
        let mut logs = Vec::new();
        for (transaction, receipt) in stored.iter().zip(receipts) {
            let first = logs.len() as u64;
            logs.extend(placed_logs(header, transaction, receipt.logs(), first));
        }
        Self {
            header: Some(RpcHeader::from_sealed(header.clone())),
            logs,
            transactions: stored.iter().map(|one| one.hash).collect(),
        }
    }

    /// Logs of removed blocks.
    pub(super) fn removed(logs: Vec<Log>) -> Self {
        let removed = |log| Log {
            removed: true,
            ..log
        };
        Self {
            header: None,
            logs: logs.into_iter().map(removed).collect(),
            transactions: Vec::new(),
        }
    }
}

/// A transaction's logs with their position on the chain; `first` is the index of the first one
/// within the block.
pub(super) fn placed_logs(
    header: &Sealed<Header>,
    transaction: &StoredTransaction,
    logs: &[PrimitiveLog],
    first: u64,
) -> Vec<Log> {
    let place = |(index, log): (usize, &PrimitiveLog)| Log {
        inner: log.clone(),
        block_hash: Some(header.hash()),
        block_number: Some(header.number),
        block_timestamp: Some(header.timestamp),
        transaction_hash: Some(transaction.hash),
        transaction_index: Some(transaction.position),
        log_index: Some(first + index as u64),
        removed: false,
    };
    logs.iter().enumerate().map(place).collect()
}
