//! Journal data about transactions that a server sponsors.

use serde::{Deserialize, Serialize};

use openlora_core::{Address, Amount, Word};

/// Kinds of sponsored transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SponsoredDeed {
    Deposit,
    /// A payment of the `exact` scheme to ourselves.
    Transfer,
    /// Of a voucher that a contract decides about, before its call.
    PrepaidClaim,
    /// By a request that the payer's side signed for this refund.
    SignedRefund,
    /// A refund requested by a voucher alone, which others than the payer may have.
    UnsignedRefund,
    /// For another seller.
    Clearing,
}

/// The requesting party of a sponsored transaction, its kind and its day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sponsored {
    pub deed: SponsoredDeed,
    /// The account whose limits apply; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Word>,
    /// Days since 1970 (UTC) by the server's clock.
    pub day: u64,
    /// The maximum cost of the transaction in wei.
    pub reserve: Amount,
}
