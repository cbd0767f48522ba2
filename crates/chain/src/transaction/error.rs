//! Errors between signing a transaction and its receipt.

use alloy::primitives::U256;

use crate::{WalletError, balance::in_units};
use openlora_core::{
    Address,
    error::{ExitClass, Explain, Failure},
};
use openlora_ledger::{SponsorLimit, UnknownTxLabel};

/// Why a transaction was not sent or is not mined.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The journal cannot record the transaction: it must not be sent.
    #[error("{}", .0.message)]
    Unrecorded(Failure),
    #[error(
        "{account} has {} ETH on `{network}`, and {deed} may cost {} ETH: {} ETH are missing",
        in_units(*held, 18), in_units(*needed, 18), in_units(*needed - *held, 18)
    )]
    Funds {
        account: Address,
        network: String,
        deed: String,
        held: U256,
        needed: U256,
    },
    #[error(
        "gas on `{network}` costs {} gwei now, more than the {} gwei that are allowed",
        in_units(U256::from(*found), 9), in_units(U256::from(*cap), 9)
    )]
    FeeAboveCap {
        network: String,
        found: u128,
        cap: u128,
    },
    #[error(
        "transaction {tx} of {account} has nonce {nonce} and cannot be mined: the next one that \
         `{network}` takes is {expected}"
    )]
    NonceGap {
        tx: String,
        account: Address,
        network: String,
        nonce: u64,
        expected: u64,
    },
    #[error("`{network}` does not take the transaction for {deed}: {reason}")]
    Refused {
        network: String,
        deed: String,
        reason: String,
    },
    /// Not sent: the daily limit for sponsored transactions is reached.
    #[error("`{network}`: {deed} is not sent: {limit}")]
    Limited {
        network: String,
        deed: String,
        limit: SponsorLimit,
    },
    /// The outcome is unknown; the journal has the transaction.
    #[error("nobody knows whether `{network}` took the transaction {tx} for {deed}: {reason}")]
    Unknown {
        network: String,
        tx: String,
        deed: String,
        reason: String,
    },
    #[error(
        "transaction {tx} for {deed} is not mined after {seconds} s; it offers {} gwei per gas",
        in_units(U256::from(*offered), 9)
    )]
    Waiting {
        tx: String,
        deed: String,
        seconds: u64,
        offered: u128,
    },
    #[error("transaction {tx} for {deed} was reverted in block {block}: {reason}")]
    Reverted {
        tx: String,
        deed: String,
        block: u64,
        reason: String,
    },
    #[error("the nonce {nonce} of {account} was used by a transaction that is not ours")]
    NonceTaken { account: Address, nonce: u64 },
    #[error("the account {account} cannot sign: {reason}")]
    CannotSign { account: Address, reason: String },
    /// The transaction is not sent again, because it is not known what it is for.
    #[error("{unknown}; it is not on `{network}` yet, and it is not sent again")]
    UnknownLabel {
        unknown: UnknownTxLabel,
        network: String,
        account: Address,
        nonce: u64,
    },
    #[error("the journal holds a transaction that cannot be read: {tx}")]
    Unreadable { tx: String },
}

impl Explain for TransactionError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Wallet(error) => error.class(),
            Self::Unrecorded(failure) => failure.class,
            Self::Funds { .. } | Self::CannotSign { .. } => ExitClass::Wallet,
            Self::FeeAboveCap { .. }
            | Self::NonceGap { .. }
            | Self::Refused { .. }
            | Self::Unknown { .. }
            | Self::UnknownLabel { .. }
            | Self::Waiting { .. }
            | Self::Limited { .. }
            | Self::NonceTaken { .. } => ExitClass::Network,
            Self::Reverted { .. } => ExitClass::Reverted,
            Self::Unreadable { .. } => ExitClass::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Wallet(error) => return error.hint(),
            Self::Unrecorded(failure) => return failure.hint.clone(),
            Self::Funds { account, .. } => format!("send the missing ETH to {account}"),
            Self::FeeAboveCap { .. } => {
                "wait for a cheaper hour, or allow more with --max-fee GWEI".to_owned()
            }
            Self::NonceGap { expected, .. } => {
                format!("send the account's transaction with nonce {expected} first")
            }
            Self::Waiting { .. } => {
                "run the same command again to go on waiting, with a higher --max-fee to hurry"
                    .to_owned()
            }
            Self::Unknown { .. } => {
                "run the same command again: it finds out first what became of it".to_owned()
            }
            Self::UnknownLabel { account, nonce, .. } => format!(
                "run the same command again once it is mined, or use nonce {nonce} of {account} for \
                 another transaction, which cancels it"
            ),
            Self::NonceTaken { .. } => "run the same command again".to_owned(),
            _ => return None,
        };
        Some(hint)
    }
}
