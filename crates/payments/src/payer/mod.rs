//! The payer's side of x402: a store of channels, signatures and budgets that many processes
//! share, and the payments made from it.
//!
//! HTTP is unknown here: headers are passed as texts. Every signature is stored before it is sent.
//! A server's statement is accepted only if our signature or the chain confirms it.

mod attempt;
pub mod audit;
mod budget;
pub mod chain;
mod channel;
mod deposit;
mod error;
mod facts;
mod identity;
mod lease;
mod money;
mod offer;
mod open;
mod pay;
mod payment_outcome;
mod payment_record;
mod payment_response;
mod refund;
mod resync;
mod store;

pub use attempt::{CallOrder, PaymentAttempt};
pub use budget::{CallerAllowance, DailyBudget};
pub use channel::{
    ChannelRequirements, LeasedChannel, PayerChannel, PayerChannelState, PendingDeposit,
    SellerRoute, SignedVoucher, TokenName,
};
pub use deposit::{DepositRecord, DepositStage};
pub use error::PayerError;
pub use lease::ChannelLease;
pub use money::TokenAmount;
pub use offer::{PaymentOffer, SchemeChoice, choose};
pub use pay::{FinishedPayment, Payer, PreparedPayment, SentPayment};
pub use payment_record::{DisputedCharge, PaymentEntry, PaymentRecord, PaymentStatus};
pub use resync::leaves_channel;
pub use store::{PayerStore, PaymentNumber};
