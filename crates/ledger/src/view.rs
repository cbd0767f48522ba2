//! The on-chain state of channels and receivers at one block.

use serde::{Deserialize, Serialize};

use openlora_core::{Amount, Word};

/// A pending withdrawal by the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayerWithdrawal {
    pub amount: Amount,
    /// Unix time in seconds, by the chain's clock.
    pub started: u64,
}

/// The on-chain state of a channel at one block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// Deposits minus withdrawals and refunds.
    pub balance: Amount,
    pub claimed: Amount,
    pub withdrawal: Option<PayerWithdrawal>,
    pub refund_nonce: u64,
    pub block: u64,
    pub block_hash: Word,
}

/// The on-chain state of a receiver of one token at one block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverView {
    /// Claimed from all channels, by any server.
    pub claimed: Amount,
    pub settled: Amount,
    /// Released to recipients.
    pub released: Amount,
    /// The receiver's balance.
    pub held: Amount,
    pub block: u64,
    pub block_hash: Word,
}
