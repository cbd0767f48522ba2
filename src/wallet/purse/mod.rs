//! The payer's side of x402: a store of channels, signatures and budgets that many processes
//! share, and the payments made from it.
//!
//! HTTP is unknown here: headers come and go as texts. Nothing signed leaves before it is written
//! down, and of what a server says only that is believed which we signed or the chain shows.

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
mod refund;
mod resync;
mod settle;
mod spending;
mod store;

pub use attempt::{Attempt, Order};
pub use budget::Budget;
pub use channel::{Channel, ChannelState, Leased, Pending, Seller, Signed, TokenName, Wanted};
pub use deposit::{Deposit, Stage};
pub use error::PurseError;
pub use lease::Lease;
pub use money::Money;
pub use offer::{Offer, Wish, choose};
pub use pay::{Paid, Payer, Prepared, Sent};
pub use resync::leaves_channel;
pub use spending::{Fate, Record, Spending};
pub use store::{Number, Purse};
