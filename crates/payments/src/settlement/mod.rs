//! Settlement on the chain: the state of channels, and the transactions that move money.
//!
//! Code that takes payments uses a chain only through [`ChainSettlement`]. HTTP and the formats of
//! payment headers are unknown here.

mod accounts;
pub mod audit;
mod claim_worth;
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
mod purpose;
mod questions;
mod queue;
mod refund;
mod relay;
mod settle;
mod shares;
mod sponsor;
mod view;
mod watch;

use alloy::primitives::{Bytes, U256};

pub use accounts::SettlementAccounts;
pub use claim_worth::ClaimWorth;
pub use claims::{ClaimRow, LeftOut, ROWS, paid_receivers, receivers_of, select};
pub use client::{FRESH, SettlementClient, SettlementOptions, SettlementRecords};
pub use deposit::deposit_nonce;
pub use error::SettleError;
pub use foreign::ForeignPayment;
pub use identity::{check_genesis, identify};
pub use ledger_view::LedgerView;
pub(crate) use ledger_view::ask;
pub use purpose::TxPurpose;
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

/// A refund of the rest of a channel. Everything charged is claimed first, in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRefund {
    pub channel: Word,
    pub config: ChannelTerms,
    pub amount: Amount,
    /// The escrow's number of the refund. Nothing is sent if the escrow has made it.
    pub refund_nonce: u64,
    /// The charged amount, and a voucher of the payer that covers it.
    pub charged: Amount,
    pub voucher_max: Amount,
    pub voucher_signature: Bytes,
    /// The account whose limits apply.
    pub party: Address,
    /// Whether the payer signed for this specific refund.
    pub is_signed: bool,
    /// The fee that the payer is charged, included in `charged`. It is recorded before anything is
    /// sent.
    pub fee: Option<RefundCharged>,
}

/// A mined transaction that is deep enough to rely on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinedResult {
    /// Hash of the transaction; empty if the chain had the result already.
    pub tx: String,
    /// The channel after it, if it concerned one.
    pub view: Option<ChannelView>,
}

/// The reason why a settlement operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFailure {
    /// Not sent: the chain would reject it.
    #[error("{deed} would fail: {reason}")]
    Rejected { deed: &'static str, reason: String },
    /// Not sent: the chain cannot be read, or its state is too old.
    #[error("the chain cannot be asked now: {reason}")]
    Unreachable { reason: String },
    /// Not sent: the authorization was cancelled, or it was used for something else.
    #[error("the authorization {nonce} was used or cancelled before")]
    Spent { nonce: Word },
    /// Not sent: the daily limit for sponsored transactions is reached.
    #[error("{0}")]
    Limited(SponsorLimit),
    /// A transaction is pending or no longer tracked. Repeating the request continues it.
    #[error("it is not known yet what became of transaction {tx}")]
    Unknown { tx: String },
}

/// One chain, as used by code that takes payments.
#[async_trait::async_trait]
pub trait ChainSettlement: Send + Sync {
    fn network(&self) -> &Network;

    /// Whether the last answer of the chain is recent enough to take payments.
    fn is_fresh(&self) -> bool;

    /// A channel's state, from a view that is recent enough to serve on. A changed state is written
    /// to the journal.
    async fn channel(&self, channel: Word) -> Result<ChannelView, ChainFailure>;

    /// Checks whether the chain would accept a deposit now. Sends nothing.
    async fn check_deposit(&self, deposit: &DepositPermit) -> Result<(), ChainFailure>;

    /// Submits a deposit. If the same deposit comes again, it is found and not repeated.
    async fn deposit(&self, deposit: &DepositPermit) -> Result<MinedResult, ChainFailure>;

    /// Whether this server has submitted this transfer, or has begun to. Does not read the chain.
    fn has_begun(&self, transfer: &TransferPermit) -> bool;

    /// Checks whether the chain would accept a transfer now. Sends nothing. `Ok(true)` if this
    /// server has already made it, or has begun to.
    async fn check_transfer(&self, transfer: &TransferPermit) -> Result<bool, ChainFailure>;

    /// Submits a transfer and writes `PaymentReceived`. If the same authorization comes again, its
    /// transfer is found and not repeated. An authorization that another party has used is spent,
    /// whatever it moved. This ensures that one transfer pays one call of one server.
    async fn transfer(&self, transfer: &TransferPermit) -> Result<MinedResult, ChainFailure>;

    /// Claims the charged amount of a channel and returns the rest, or a part of it, to the payer.
    async fn refund(&self, refund: &ChannelRefund) -> Result<MinedResult, ChainFailure>;

    /// Whether an account's contract (ERC-1271) accepts a signature over a digest. `false` for an
    /// account without code.
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

    /// Submits another seller's payment. Returns once, and for this request only, that it was made.
    async fn clear(
        &self,
        payment: ForeignPayment<'_>,
        request: Word,
    ) -> Result<MinedResult, ChainFailure>;

    /// Submits calls to the escrow that other parties have signed for themselves, all or none.
    /// `name` describes them.
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

    /// Whether our account can pay for the claims from all channels that are due, and from one more
    /// unless that one `is_due` itself.
    fn affords_claim(&self, is_due: bool) -> bool;

    /// The amount that was claimed for a receiver and not yet sent to it.
    async fn unsettled(&self, receiver: Address, token: Address) -> Result<Amount, ChainFailure>;
}
