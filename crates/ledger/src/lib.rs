//! The ledger's domain: accounts, integer amounts and shares, channels, events and the folds over
//! them.
//!
//! Pure: no files, clock, randomness or floats. It does not know chains, keys or the terminal.
//!
//! ```
//! use openlora_core::Amount;
//! use openlora_ledger::{CallWork, PriceList, apportion};
//!
//! let prices = PriceList {
//!     prompt: Amount(10),
//!     completion: Amount(40),
//!     ..PriceList::default()
//! };
//! let (prompt, completion) = (500, 250);
//! let charge = prices.price_of(CallWork::Tokens { prompt, completion });
//! assert_eq!(charge, Amount(15));
//! // Parts sum to the whole; the largest remainder gets the rest.
//! assert_eq!(apportion(15, &[1, 1, 2]), [4, 4, 7]);
//! ```

pub mod disclosure;
pub mod state;

mod chain_facts;
mod channel;
mod collected_sums;
mod computation;
mod contributions;
mod days;
mod earnings;
pub mod event;
mod fallback;
pub mod findings;
mod key;
mod ledger_state;
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
mod tx_key;
mod tx_sentences;
mod usage;
mod view;

pub use chain_facts::{
    ChainFact, ChainFacts, EventLocation, ExactIncome, ExactTransfer, MoneyMovement,
};
pub use channel::{
    AuthorisedStage, ChannelTerms, ChargedStage, ClaimedStage, StageTotal, TotalBreach,
    WITHDRAW_DELAY, WITHDRAW_SHARE,
};
pub use collected_sums::{CollectedSums, collected_of};
pub use computation::{CallComputation, PictureRecord, SamplingRecord};
pub use contributions::{AttributedCall, PoolAllotment, StatedContributions};
pub use days::{DAY_MS, DayRange};
pub use earnings::{CallsKey, ChargedCalls, Earnings, EarningsSums, RecipientAccrual};
pub use fallback::fallback_reason;
pub use key::{ChannelKey, ExactKey, KeyProblem, ReceiverKey};
pub use ledger_state::{
    ClearedPayment, ExactPayment, FormerChain, Ledger, LedgerChannel, PaidRefund, RECENT_VOUCHERS,
    ReceiverTotals, UsedVoucher, VoucherUse,
};
pub use payment::{CallCharge, CheckedPayment, PaymentScheme, RetryProof, request_digest};
pub use payout::divide;
pub use period::{EarningsPeriod, gas_in_token};
pub use price::{CallWork, PriceList, TOKENS};
pub use shares::{RevenueShare, SplitProblem, WHOLE_PPM, apportion, check_split};
pub use sponsored::{COIN_DECIMALS, SponsorAllowance, SponsorLimit, SponsoredBook, SponsoredGas};
pub use sponsorship::{Sponsored, SponsoredDeed};
pub use tranche::{MOST_ENTRIES, next_tranche};
pub use tx_key::{PoolTxAction, TxKey, UnknownTxLabel};
pub use usage::{FinishReason, TokenUsage};
pub use view::{ChannelView, PayerWithdrawal, ReceiverView};
