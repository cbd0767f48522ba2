//! Who is paid how much: accounts, integer amounts and shares, channels, and the ledger.
//!
//! Pure: no files, clock, randomness or floats. Chains, keys and the terminal are unknown here.

mod address;
mod amount;
mod anchors;
mod book;
mod channel;
mod collected;
mod contributions;
mod earnings;
pub mod event;
pub mod findings;
mod key;
pub mod pairs;
mod payment;
mod payout;
mod period;
mod price;
pub mod publication;
pub mod reconcile;
mod shares;
mod sponsored;
mod sponsorship;
pub mod trail;
mod tranche;
mod units;
mod usage;
mod view;
mod word;

pub use address::{Address, AddressProblem};
pub use amount::{Amount, AmountProblem};
pub use anchors::Anchors;
pub use book::{
    Book, Channel, Cleared, ExactPayment, FormerChain, PaidRefund, RECENT_VOUCHERS, Receiver,
    Spending, UsedVoucher,
};
pub use channel::{
    Authorised, Breach, ChannelConfig, Charged, Claimed, Released, Settled, Total, WITHDRAW_DELAY,
    WITHDRAW_SHARE,
};
pub use collected::{Collected, collected_of};
pub use contributions::{Allotment, AttributedCall, Stated};
pub use earnings::{Accrual, Calls, CallsKey, DAY_MS, Days, Earnings, Sums};
pub use key::{ChannelKey, ExactKey, KeyProblem, ReceiverKey};
pub use payment::{Charge, Payment, RetryProof, Scheme, request_digest};
pub use payout::divide;
pub use period::Period;
pub use price::{Prices, TOKENS, Work};
pub use shares::{Share, SplitProblem, WHOLE_PPM, apportion, check_split};
pub use sponsored::{SponsorAllowance, SponsorLimit, SponsoredBook, SponsoredGas};
pub use sponsorship::{Sponsored, SponsoredDeed};
pub use tranche::{MOST_ENTRIES, tranche};
pub use units::{from_units, in_units};
pub use usage::{Finish, Usage};
pub use view::{ChannelView, ReceiverView, Withdrawal};
pub use word::{Word, WordProblem};
