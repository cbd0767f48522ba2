//! What a journal says of transactions that a server pays for at a stranger's request.

use serde::{Deserialize, Serialize};

use openlora_core::{Address, Amount, Word};

/// What is done at a stranger's request.
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
    /// By a voucher alone, which others than the payer may know.
    UnsignedRefund,
    /// For another seller.
    Clearing,
}

/// Who asked a server for a transaction, for what, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sponsored {
    pub deed: SponsoredDeed,
    /// Whose limits it is under; absent where nobody is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Word>,
    /// Days since 1970 (UTC) by the server's clock.
    pub day: u64,
    /// The most that the transaction may cost, in wei.
    pub reserve: Amount,
}
