//! Reliable sending of transactions: none is lost, and none takes effect twice.
//!
//! A transaction is signed here, so its hash is known, and it is recorded in the write-ahead log
//! before it is submitted. One that stays pending too long is replaced by one with the same nonce
//! and higher fees. Before anything new is signed, the transactions that an earlier process left
//! open are looked up, and submitted again byte for byte or settled.

mod error;
mod recover;
mod sender;

pub use error::TransactionError;
pub use recover::{greatest_cost, recover};
pub use sender::{
    FactReader, LogFacts, MinedTx, SentTx, TxEvent, TxLimits, TxSender, TxSubmission, no_facts,
};
