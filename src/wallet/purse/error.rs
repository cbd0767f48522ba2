//! What keeps a payer from paying.

use std::path::PathBuf;

use super::Money;
use crate::{
    error::{ExitClass, Explain},
    runtime::ledger::{Address, Word},
    wallet::{WalletError, transaction::TransactionError, x402::wire::WireProblem},
};

/// Every way in which paying fails.
#[derive(Debug, thiserror::Error)]
pub enum PurseError {
    #[error("the purse {}: {problem}", path.display())]
    Store { path: PathBuf, problem: String },
    #[error("the purse {} has format {found}, expected {expected}", path.display())]
    Format {
        path: PathBuf,
        found: i64,
        expected: i64,
    },
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error("what {server} says about payment cannot be read: {problem}")]
    Wire {
        server: String,
        problem: WireProblem,
    },
    #[error("{server} offers nothing that can be paid: expected {expected}, found {found}")]
    NoOffer {
        server: String,
        expected: String,
        found: String,
    },
    #[error(
        "{server} asks for terms that are not taken: `{field}`: expected {expected}, found {found}"
    )]
    Terms {
        server: String,
        field: &'static str,
        expected: String,
        found: String,
    },
    #[error("this call may cost {price}, more than the {limit} of --max-price")]
    Price { price: Money, limit: Money },
    #[error(
        "this needs {price}; of the {budget} a day that `call.budget` allows, {spent} are spent \
         and {left} are left"
    )]
    Budget {
        price: Money,
        budget: Money,
        spent: Money,
        left: Money,
    },
    #[error("{account} has {held} on `{network}`, and {needed} are needed")]
    Funds {
        account: Address,
        network: String,
        held: Money,
        needed: Money,
    },
    #[error("{server} refused the payment: {code}")]
    Refused { server: String, code: String },
    #[error(
        "{server} says that channel {channel} stands otherwise and does not prove it: {reason}"
    )]
    Unproven {
        server: String,
        channel: Word,
        reason: String,
    },
    #[error("{server} says that it charged {charged}, more than the {quote} that was signed for")]
    Overcharged {
        server: String,
        charged: Money,
        quote: Money,
    },
    #[error("{server} says that the channel's total is {found}, expected {expected}")]
    Inconsistent {
        server: String,
        found: Money,
        expected: Money,
    },
    #[error("channel {channel} is used by another call now")]
    Busy { channel: Word },
    #[error("there is no channel {wanted} in the purse")]
    NoChannel { wanted: String, known: Vec<String> },
}

impl Explain for PurseError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Store { .. } | Self::Busy { .. } => ExitClass::Environment,
            Self::Format { .. } => ExitClass::BadInput,
            Self::Wallet(error) => error.class(),
            Self::Transaction(error) => error.class(),
            Self::Price { .. } | Self::Budget { .. } => ExitClass::Unconfirmed,
            Self::Funds { .. } => ExitClass::Wallet,
            Self::NoChannel { .. } => ExitClass::Usage,
            _ => ExitClass::Network,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Wallet(error) => return error.hint(),
            Self::Transaction(error) => return error.hint(),
            Self::Store { .. } => {
                "check that the folder can be written to and has room, then call again".to_owned()
            }
            Self::Format { .. } => "use the version of openlora that wrote it".to_owned(),
            Self::NoOffer { .. } => {
                "choose the server's network with --network, or another --scheme".to_owned()
            }
            Self::Price { .. } => {
                "raise --max-price, or ask for a shorter answer with --max-tokens".to_owned()
            }
            Self::Budget { .. } => "wait for tomorrow (UTC), or raise it: \
                 openlora config set --user call.budget AMOUNT"
                .to_owned(),
            Self::Funds {
                account, needed, ..
            } => {
                format!("send {account} at least {needed}")
            }
            Self::Busy { .. } => "wait for the other call to end, then try again".to_owned(),
            Self::NoChannel { known, .. } if !known.is_empty() => {
                format!("there are {}", known.join(", "))
            }
            Self::NoChannel { .. } => {
                "`openlora call` opens one by itself when a server asks for payment".to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }
}
