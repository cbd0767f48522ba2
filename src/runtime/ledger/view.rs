//! What a chain said of channels and receivers at one block.

use serde::{Deserialize, Serialize};

use super::{Amount, Word};

/// A waiting withdrawal by the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayerWithdrawal {
    pub amount: Amount,
    /// Unix time in seconds, by the chain's clock.
    pub started: u64,
}

/// What the chain said of a channel at one block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// Deposits less withdrawals and refunds.
    pub balance: Amount,
    pub claimed: Amount,
    pub withdrawal: Option<PayerWithdrawal>,
    pub refund_nonce: u64,
    pub block: u64,
    pub block_hash: Word,
}

/// What the chain said of a receiver of one token at one block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverView {
    /// Of all channels, whoever claimed.
    pub claimed: Amount,
    pub settled: Amount,
    /// Paid out to recipients.
    pub released: Amount,
    /// The receiver's balance.
    pub held: Amount,
    pub block: u64,
    pub block_hash: Word,
}
