//! Errors of payments on the payer's side.

use std::path::PathBuf;

use super::TokenAmount;
use crate::x402::{Reason, wire::WireProblem};
use openlora_chain::{WalletError, transaction::TransactionError};
use openlora_core::{
    Address, Word,
    calendar::moment,
    error::{ExitClass, Explain},
    private::foreign_text::clean_line,
};

/// Every reason for which a payment fails.
#[derive(Debug, thiserror::Error)]
pub enum PayerError {
    #[error("the payment store {}: {problem}", path.display())]
    Store { path: PathBuf, problem: String },
    #[error("the payment store {} has format {found}, expected {expected}", path.display())]
    Format {
        path: PathBuf,
        found: i64,
        expected: i64,
    },
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(
        "what {server} says about payment cannot be read: {}",
        clean_line(&problem.to_string())
    )]
    Wire {
        server: String,
        problem: WireProblem,
    },
    #[error(
        "{server} offers nothing that can be paid: expected {expected}, found {}",
        clean_line(found)
    )]
    NoOffer {
        server: String,
        expected: String,
        found: String,
    },
    #[error(
        "{server} asks for terms that are not taken: `{field}`: expected {expected}, found {}",
        clean_line(found)
    )]
    Terms {
        server: String,
        field: &'static str,
        expected: String,
        found: String,
    },
    #[error("this call may cost {price}, more than the {limit} of --max-price")]
    Price {
        price: TokenAmount,
        limit: TokenAmount,
    },
    #[error(
        "this needs {price}; of the {budget} a day that `call.budget` allows, {spent} are spent \
         and {left} are left"
    )]
    Budget {
        price: TokenAmount,
        budget: TokenAmount,
        spent: TokenAmount,
        left: TokenAmount,
    },
    #[error(
        "this needs {price}; of the {budget} a day that the key `{caller}` may spend, {spent} are \
         spent and {left} are left"
    )]
    CallerBudget {
        caller: String,
        price: TokenAmount,
        budget: TokenAmount,
        spent: TokenAmount,
        left: TokenAmount,
    },
    #[error(
        "this puts {deposit} into a channel; of the {limit} that `call.max_locked` allows in \
         channels at the same time, {locked} are there"
    )]
    Locked {
        deposit: TokenAmount,
        limit: TokenAmount,
        locked: TokenAmount,
    },
    #[error(
        "this puts {deposit} into a channel with {receiver}, where it stays until it is used or asked \
         back, more than the {limit} of {allowed_by}"
    )]
    Deposit {
        deposit: TokenAmount,
        limit: TokenAmount,
        receiver: Address,
        allowed_by: &'static str,
    },
    #[error(
        "{server} takes {fee} for a refund, more than the {limit} that `call.max_refund_fee` allows"
    )]
    RefundFee {
        server: String,
        fee: TokenAmount,
        limit: TokenAmount,
    },
    #[error("{server} takes {fee} for a refund, and {rest} are left in the channel")]
    RefundRest {
        server: String,
        fee: TokenAmount,
        rest: TokenAmount,
    },
    #[error("{account} has {held} on `{network}`, and {needed} are needed")]
    Funds {
        account: Address,
        network: String,
        held: TokenAmount,
        needed: TokenAmount,
    },
    #[error("{server} refused the payment: {}", explained(code))]
    Refused { server: String, code: String },
    #[error(
        "{server} says that channel {channel} stands otherwise and does not prove it: {}",
        known_or_text(reason)
    )]
    Unproven {
        server: String,
        channel: Word,
        reason: String,
    },
    #[error(
        "{server} refuses a payment from channel {channel}, whose total there is another ({}): \
         the channel is in use from another home with the same account, or the server counts what \
         it refuses",
        known_or_text(reason)
    )]
    Shared {
        server: String,
        channel: Word,
        reason: String,
    },
    #[error(
        "{server} has taken {charged} for this call and does not give its answer again ({})",
        explained(code)
    )]
    Lost {
        server: String,
        charged: TokenAmount,
        code: String,
    },
    #[error(
        "{server} refuses the payment ({}) and may still use it until {}",
        explained(code), moment(*until)
    )]
    Undecided {
        server: String,
        code: String,
        until: u64,
    },
    #[error("no call that was paid from here and waits for its answer is named `{wanted}`")]
    NoAttempt { wanted: String, known: Vec<String> },
    #[error(
        "{account} paid for this call on chain {chain_id}, and another account or chain is chosen"
    )]
    OtherPayer { account: Address, chain_id: u64 },
    #[error("{server} says that it charged {charged}, more than the {quote} that was signed for")]
    Overcharged {
        server: String,
        charged: TokenAmount,
        quote: TokenAmount,
    },
    #[error("{server} says that the channel's total is {found}, expected {expected}")]
    Inconsistent {
        server: String,
        found: TokenAmount,
        expected: TokenAmount,
    },
    #[error("channel {channel} is used by another call now")]
    Busy { channel: Word },
    #[error("no channel {wanted} was opened from here")]
    NoChannel { wanted: String, known: Vec<String> },
}

impl Explain for PayerError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Store { .. } | Self::Busy { .. } => ExitClass::Environment,
            Self::Format { .. } => ExitClass::BadInput,
            Self::Wallet(error) => error.class(),
            Self::Transaction(error) => error.class(),
            Self::Price { .. }
            | Self::Budget { .. }
            | Self::CallerBudget { .. }
            | Self::Locked { .. }
            | Self::Deposit { .. }
            | Self::RefundFee { .. }
            | Self::RefundRest { .. } => ExitClass::Unconfirmed,
            Self::Funds { .. } => ExitClass::Wallet,
            Self::NoChannel { .. } | Self::NoAttempt { .. } | Self::OtherPayer { .. } => {
                ExitClass::Usage
            }
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
                "raise --max-price, or ask for less: a shorter answer with --max-tokens, or fewer pictures or \
                 steps".to_owned()
            }
            Self::Deposit { deposit, .. } => {
                format!("allow it with --max-deposit {}", deposit.number())
            }
            Self::RefundFee { fee, .. } => format!(
                "allow it with `openlora config set --user call.max_refund_fee {}`, or take the rest \
                 back from the chain: openlora channel withdraw",
                fee.number()
            ),
            Self::RefundRest { .. } => {
                "use it up by calls, or take it back from the chain: openlora channel withdraw"
                    .to_owned()
            }
            Self::Lost { .. } => "make the call anew if its answer is worth its price twice; \
                 `openlora receipts show ID` keeps what was paid"
                .to_owned(),
            Self::Undecided { .. } => {
                "ask again after that: unused, it is then paid anew".to_owned()
            }
            Self::NoAttempt { known, .. } if !known.is_empty() => {
                format!("there are {}", known.join(", "))
            }
            Self::NoAttempt { .. } => "every paid call has been answered".to_owned(),
            Self::OtherPayer { .. } => {
                "choose the account with --from and the chain with --network".to_owned()
            }
            Self::Terms {
                field: "extra.withdrawDelay",
                ..
            } => "a longer one is taken with: \
                 openlora config set --user call.max_delay SECONDS"
                .to_owned(),
            Self::Budget { .. } => "wait for tomorrow (UTC), or raise it: \
                 openlora config set --user call.budget AMOUNT"
                .to_owned(),
            Self::CallerBudget { .. } => {
                "wait for tomorrow (UTC), or raise the limit of this key: `proxy.keys`, `proxy.per_key`"
                    .to_owned()
            }
            Self::Locked { .. } => "take some of it back: openlora channel refund CHANNEL \
                 (`openlora channel list` shows them), or allow more: \
                 openlora config set --user call.max_locked AMOUNT"
                .to_owned(),
            Self::Shared { server, .. } => format!(
                "nothing is lost, and only one home may use a channel: open one of this home's own \
                 with `openlora channel open {server} --amount AMOUNT`, and call again"
            ),
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
                "`openlora call PROMPT` opens one by itself when a server asks for payment"
                    .to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }
}

/// A server's reason code with the sentence that it stands for.
fn explained(code: &str) -> String {
    match Reason::from_code(code) {
        Some(_) => known_or_text(code),
        None => format!("reason code {}", clean_line(code)),
    }
}

/// The same; a text that is no reason code stays as it is.
fn known_or_text(text: &str) -> String {
    let Some(reason) = Reason::from_code(text) else {
        return clean_line(text).into_owned();
    };
    let sentence = reason.message().trim_end_matches('.');
    let mut letters = sentence.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_lowercase().to_string());
    let first = first.unwrap_or_default();
    format!("{first}{}; code {text}", letters.as_str())
}
