//! The chain's side of payments: what channels hold, and the transactions that move money.
//!
//! Code that takes payments uses a chain only through [`ChainSettlement`]. HTTP and the formats of
//! payment headers are unknown here.

pub mod audit;
mod claims;
mod clearing;
mod client;
mod deposit;
mod error;
mod exact;
mod facts;
mod failure;
mod foreign;
mod identity;
mod ledger_view;
mod memory;
mod port;
mod queue;
mod refund;
mod relay;
mod settle;
mod shares;
mod sponsor;
mod view;
mod watch;

use alloy::primitives::{Bytes, U256};

pub use claims::{ClaimRow, LeftOut, ROWS, receivers_of, select};
pub use client::{FRESH, SettlementClient, SettlementOptions, SettlementRecords};
pub use error::SettleError;
pub use foreign::ForeignPayment;
pub use identity::{check_genesis, identify};
pub(crate) use ledger_view::ask;
pub use ledger_view::{LedgerLog, LedgerView, TxHistory};
pub use queue::ProgressListener;
pub use settle::{ChainSettler, MovedMoney, SettleRound, SettleTriggers};
pub use shares::{AccountDue, SplitterShare, due, shares};
pub use sponsor::until_tomorrow;
pub use view::{channels as channel_views, receiver as receiver_view};

use openlora_chain::network::Network;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    ChannelTerms, ChannelView, SponsorLimit, SponsoredGas,
    event::{PublishedVoucher, RefundCharged},
};

/// A payer's signed permission (ERC-3009 `receiveWithAuthorization`) to put money into a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositPermit {
    pub channel: Word,
    pub config: ChannelTerms,
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
pub struct TransferPermit {
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
pub struct ChannelRefund {
    pub channel: Word,
    pub config: ChannelTerms,
    pub amount: Amount,
    /// What is charged, and a voucher of the payer's that covers it.
    pub charged: Amount,
    pub voucher_max: Amount,
    pub voucher_signature: Bytes,
    /// The account whose limits apply.
    pub party: Address,
    /// Whether the payer's side signed for this very refund.
    pub is_signed: bool,
    /// What it costs the payer, as part of what is charged: written down before anything is sent.
    pub fee: Option<RefundCharged>,
}

/// Something mined, deep enough to count on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinedResult {
    /// Hash of the transaction; empty when the chain had it already.
    pub tx: String,
    /// The channel after it, where it was about one.
    pub view: Option<ChannelView>,
}

/// Why the chain's side cannot do or say something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFailure {
    /// Nothing happened, and nothing will: the chain would refuse it.
    #[error("{deed} would fail: {reason}")]
    Rejected { deed: &'static str, reason: String },
    /// Nothing happened: the chain cannot be asked, or what it says is too old.
    #[error("the chain cannot be asked now: {reason}")]
    Unreachable { reason: String },
    /// Nothing happened: the authorization was used or cancelled, and not by this server for this.
    #[error("the authorization {nonce} was used or cancelled before")]
    Spent { nonce: Word },
    /// Not sent: the daily limit for sponsored transactions is reached.
    #[error("{0}")]
    Limited(SponsorLimit),
    /// A transaction is pending or no longer tracked. Repeating the request continues it.
    #[error("it is not known yet what became of transaction {tx}")]
    Unknown { tx: String },
}

/// One chain as takers of payments see it.
#[async_trait::async_trait]
pub trait ChainSettlement: Send + Sync {
    fn network(&self) -> &Network;

    /// Whether the last answer of the chain is recent enough to take payments.
    fn is_fresh(&self) -> bool;

    /// What a channel holds, by a view of the chain that is fresh enough to serve on; written to
    /// the journal when it changed.
    async fn channel(&self, channel: Word) -> Result<ChannelView, ChainFailure>;

    /// Whether the chain would take a deposit now; nothing is sent.
    async fn check_deposit(&self, deposit: &DepositPermit) -> Result<(), ChainFailure>;

    /// Puts a deposit on the chain. The same deposit a second time is found, not repeated.
    async fn deposit(&self, deposit: &DepositPermit) -> Result<MinedResult, ChainFailure>;

    /// Whether this server has put this very transfer on the chain, or has begun to. No chain is
    /// asked.
    fn has_begun(&self, transfer: &TransferPermit) -> bool;

    /// Whether the chain would take a transfer now; nothing is sent. `Ok(true)` when this server
    /// has made it already, or has begun to.
    async fn check_transfer(&self, transfer: &TransferPermit) -> Result<bool, ChainFailure>;

    /// Submits a transfer and writes `PaymentReceived`. If the same authorization comes again, its
    /// transfer is found and not repeated. An authorization that another party has used is spent,
    /// whatever it moved. This ensures that one transfer pays one call of one server.
    async fn transfer(&self, transfer: &TransferPermit) -> Result<MinedResult, ChainFailure>;

    /// Claims what is charged to a channel and returns the rest, or a part of it, to the payer.
    async fn refund(&self, refund: &ChannelRefund) -> Result<MinedResult, ChainFailure>;

    /// Whether an account's contract (ERC-1271) accepts a signature over a digest; for an account
    /// without code the answer is no.
    async fn accepts(
        &self,
        account: Address,
        digest: Word,
        signature: &[u8],
    ) -> Result<bool, ChainFailure>;

    /// Whether a request for another seller's payment began to clear it and has not been answered
    /// with the outcome. `Spent` if its authorization is not for this request to clear.
    async fn clearable(
        &self,
        payment: ForeignPayment<'_>,
        request: Word,
    ) -> Result<bool, ChainFailure>;

    /// Puts another seller's payment on the chain and returns once, for this request alone, that
    /// it was made.
    async fn clear(
        &self,
        payment: ForeignPayment<'_>,
        request: Word,
    ) -> Result<MinedResult, ChainFailure>;

    /// Puts calls to the escrow that others have signed, for themselves, on the chain, all or none;
    /// `name` says what they are.
    async fn relay(
        &self,
        name: &'static str,
        calls: Vec<Bytes>,
    ) -> Result<MinedResult, ChainFailure>;

    /// Claims a voucher of our own before its call runs, at the request of `payer`. The claim makes
    /// the voucher public.
    async fn claim(
        &self,
        claim: Bytes,
        payer: Address,
        voucher: PublishedVoucher,
    ) -> Result<MinedResult, ChainFailure>;

    /// The gas that was paid today for sponsored transactions, and its daily limit, in wei.
    fn sponsored_gas(&self) -> (SponsoredGas, Option<Amount>);

    /// Whether our account has too little gas left for sponsored transactions.
    fn is_gas_low(&self) -> bool;

    /// What was claimed for a receiver and not yet sent to it.
    async fn unsettled(&self, receiver: Address, token: Address) -> Result<Amount, ChainFailure>;
}
