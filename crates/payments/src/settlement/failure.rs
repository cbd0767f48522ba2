//! Maps transaction errors to the failures that payment code distinguishes.

use super::ChainFailure;
use openlora_chain::{WalletError, transaction::TransactionError};

impl ChainFailure {
    pub(super) fn unreachable(reason: impl ToString) -> Self {
        Self::Unreachable {
            reason: reason.to_string(),
        }
    }

    /// From a failed read: the chain did not answer, or the contract rejected the call.
    pub(super) fn of_read(label: &'static str, error: &WalletError) -> Self {
        match error {
            WalletError::Reverted { reason, .. } => Self::Rejected {
                deed: label,
                reason: reason.clone(),
            },
            error => Self::unreachable(error),
        }
    }

    /// From a transaction that was not sent, not mined, or reverted.
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
            TransactionError::UnknownLabel { unknown, .. } => Self::Unknown { tx: unknown.tx },
            TransactionError::Limited { limit, .. } => Self::Limited(limit),
            // Nothing was sent: not enough gas funds, too high a gas price, or a journal error.
            error => Self::unreachable(error),
        }
    }
}
