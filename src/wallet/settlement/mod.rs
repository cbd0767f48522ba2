//! The chain's side of payments: what channels hold, and the transactions that move money.
//!
//! Whoever takes payments knows a chain through [`Settlement`] alone. HTTP and the forms of
//! payment headers are unknown here.

pub mod audit;
mod books;
mod claims;
mod clearing;
mod deposit;
mod desk;
mod error;
mod exact;
mod facts;
mod identity;
mod memory;
mod queue;
mod refund;
mod relay;
mod settle;
mod shares;
mod trouble;
mod view;
mod watch;

use alloy::primitives::{Bytes, U256};

pub use books::{Books, History, Ledger};
pub use claims::{LeftOut, ROWS, Row, select};
pub use clearing::Foreign;
pub use desk::{Desk, Options, Records};
pub use error::SettleError;
pub use identity::{check_genesis, identify};
pub use queue::Teller;
pub use settle::{Moved, Settled, Treasurer, Triggers, receivers_of};
pub use shares::{Due, Share, due, shares};
pub use view::{channels as channel_views, receiver as receiver_view};
pub use watch::FRESH;

use super::network::Network;
use crate::runtime::ledger::{Address, Amount, ChannelConfig, ChannelView, Word};

/// A payer's signed permission (ERC-3009 `receiveWithAuthorization`) to put money into a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    pub channel: Word,
    pub config: ChannelConfig,
    pub amount: Amount,
    /// Unix seconds, as signed.
    pub valid_after: U256,
    pub valid_before: U256,
    /// The authorization's nonce is keccak256(abi.encode(channel, salt)).
    pub salt: Word,
    pub signature: Bytes,
}

/// A payer's signed permission (ERC-3009 `transferWithAuthorization`) to move money once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub token: Address,
    pub from: Address,
    pub to: Address,
    pub value: Amount,
    pub valid_after: U256,
    pub valid_before: U256,
    pub nonce: Word,
    pub signature: Bytes,
}

/// The rest of a channel, given back; everything charged is claimed first, in the same
/// transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub channel: Word,
    pub config: ChannelConfig,
    pub amount: Amount,
    /// What is charged, and a voucher of the payer's that covers it.
    pub charged: Amount,
    pub voucher_max: Amount,
    pub voucher_signature: Bytes,
}

/// Something mined, deep enough to count on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Hash of the transaction; empty when the chain had it already.
    pub tx: String,
    /// The channel after it, where it was about one.
    pub view: Option<ChannelView>,
}

/// Why the chain's side cannot do or say something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing happened, and nothing will: the chain would refuse it.
    #[error("{deed} would fail: {reason}")]
    Rejected { deed: &'static str, reason: String },
    /// Nothing happened: the chain cannot be asked, or what it says is too old.
    #[error("the chain cannot be asked now: {reason}")]
    Unreachable { reason: String },
    /// Nothing happened: the authorization was used or cancelled, and not by this server for this.
    #[error("the authorization {nonce} was used or cancelled before")]
    Spent { nonce: Word },
    /// A transaction is under way or lost from sight; asking again with the same thing goes on.
    #[error("it is not known yet what became of transaction {tx}")]
    Unknown { tx: String },
}

/// One chain as takers of payments see it.
#[async_trait::async_trait]
pub trait Settlement: Send + Sync {
    fn network(&self) -> &Network;

    /// Whether the chain was heard of lately enough to take payments.
    fn is_fresh(&self) -> bool;

    /// What a channel holds, by a view of the chain that is fresh enough to serve on; written to
    /// the journal when it changed.
    async fn channel(&self, channel: Word) -> Result<ChannelView, Trouble>;

    /// Whether the chain would take a deposit now; nothing is sent.
    async fn check_deposit(&self, deposit: &Deposit) -> Result<(), Trouble>;

    /// Puts a deposit on the chain. The same deposit a second time is found, not repeated.
    async fn deposit(&self, deposit: &Deposit) -> Result<Done, Trouble>;

    /// Whether this server has put this very transfer on the chain, or has begun to. No chain is
    /// asked.
    fn has_begun(&self, transfer: &Transfer) -> bool;

    /// Whether the chain would take a transfer now; nothing is sent. `Ok(true)` when this server
    /// has made it already, or has begun to.
    async fn check_transfer(&self, transfer: &Transfer) -> Result<bool, Trouble>;

    /// Puts a transfer on the chain and writes `PaymentReceived`. The same authorization a second
    /// time is found, not repeated; one that somebody else has used is spent, whatever it moved:
    /// only so does one transfer pay one call of one server.
    async fn transfer(&self, transfer: &Transfer) -> Result<Done, Trouble>;

    /// Claims what is charged to a channel and returns the rest, or a part of it, to the payer.
    async fn refund(&self, refund: &Refund) -> Result<Done, Trouble>;

    /// Whether an account's contract (ERC-1271) accepts a signature over a digest; for an account
    /// without code the answer is no.
    async fn accepts(
        &self,
        account: Address,
        digest: Word,
        signature: &[u8],
    ) -> Result<bool, Trouble>;

    /// Whether a request for another seller's payment began to clear it and was never told of its
    /// end. `Spent` where its authorization is not for this request to clear.
    async fn clearable(&self, payment: Foreign<'_>, request: Word) -> Result<bool, Trouble>;

    /// Puts another seller's payment on the chain and returns once, for this request alone, that
    /// it was made.
    async fn clear(&self, payment: Foreign<'_>, request: Word) -> Result<Done, Trouble>;

    /// Puts calls to the escrow that others have signed on the chain, all or none; `name` says
    /// what they are.
    async fn relay(&self, name: &'static str, calls: Vec<Bytes>) -> Result<Done, Trouble>;

    /// What our account has left for gas, in wei.
    async fn gas(&self) -> Result<Amount, Trouble>;

    /// What was claimed for a receiver and not yet sent to it.
    async fn unsettled(&self, receiver: Address, token: Address) -> Result<Amount, Trouble>;
}
