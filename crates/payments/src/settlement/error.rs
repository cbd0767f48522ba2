//! Errors of claiming, settling and withdrawing.

use super::ChainFailure;
use openlora_chain::{WalletError, transaction::TransactionError};
use openlora_core::error::{ExitClass, Explain};

/// Every error that stops a round of settlement.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Trouble(#[from] ChainFailure),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(transparent)]
    Wallet(#[from] WalletError),
}

impl Explain for SettleError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Trouble(ChainFailure::Rejected { .. } | ChainFailure::Spent { .. }) => {
                ExitClass::Reverted
            }
            Self::Trouble(_) => ExitClass::Network,
            Self::Transaction(error) => error.class(),
            Self::Wallet(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Trouble(ChainFailure::Rejected { .. } | ChainFailure::Spent { .. }) => None,
            Self::Trouble(_) => Some("run the same command again".to_owned()),
            Self::Transaction(error) => error.hint(),
            Self::Wallet(error) => error.hint(),
        }
    }
}
