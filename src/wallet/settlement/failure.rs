//! What went wrong with a transaction, as those who wait for the money need to know it.

use super::ChainFailure;
use crate::wallet::{WalletError, transaction::TransactionError};

impl ChainFailure {
    pub(super) fn unreachable(reason: impl ToString) -> Self {
        Self::Unreachable {
            reason: reason.to_string(),
        }
    }

    /// A question that the chain did not answer, or answered with a contract's no.
    pub(super) fn of_read(label: &'static str, error: &WalletError) -> Self {
        match error {
            WalletError::Reverted { reason, .. } => Self::Rejected {
                deed: label,
                reason: reason.clone(),
            },
            error => Self::unreachable(error),
        }
    }

    /// A transaction that was not sent, not mined, or reverted.
    pub(super) fn from_transaction(label: &'static str, error: TransactionError) -> Self {
        match error {
            TransactionError::Wallet(error) => Self::of_read(label, &error),
            TransactionError::Reverted { reason, .. } => Self::Rejected {
                deed: label,
                reason,
            },
            TransactionError::Unknown { tx, .. }
            | TransactionError::Waiting { tx, .. }
            | TransactionError::NonceGap { tx, .. } => Self::Unknown { tx },
            TransactionError::Limited { limit, .. } => Self::Limited(limit),
            // Nothing was sent: no funds for gas, gas too dear, a journal that refuses.
            error => Self::unreachable(error),
        }
    }
}
