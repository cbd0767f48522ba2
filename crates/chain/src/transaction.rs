//! Sending transactions so that nothing is lost and nothing happens twice.
//!
//! A transaction is signed here, so its hash is known, and it is written down before anyone sees
//! it. One that waits too long is replaced by one with the same nonce and higher fees. What an
//! earlier process left open is looked up, sent again byte for byte, or settled, before anything
//! new is signed.

mod error;
mod recover;
mod sender;

pub use error::TransactionError;
pub use recover::{greatest_cost, recover};
pub use sender::{
    FactReader, LogFacts, MinedTx, SentTx, TxEvent, TxLimits, TxSender, TxSubmission, no_facts,
};
