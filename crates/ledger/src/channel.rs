//! Payment channels of the x402 batch-settlement scheme, and their state.
//!
//! Every sum is a running total since the channel was opened, and the totals are ordered:
//! authorised ≥ charged ≥ claimed. [`StageTotal`] keeps the stages apart in the type system; only
//! the functions here convert between them.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use openlora_core::{Address, Amount, Word};

/// Shortest and longest delay between the start and the end of a payer's withdrawal, in seconds.
pub const WITHDRAW_DELAY: std::ops::RangeInclusive<u64> = 900..=2_592_000;

/// A running call and a round of claims may each take this fraction of the withdrawal delay; half
/// of the delay remains as a reserve.
pub const WITHDRAW_SHARE: u32 = 4;

/// A channel's terms; its id is their EIP-712 digest on a chain, so they never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelTerms {
    pub payer: Address,
    /// The account that signs vouchers. The zero address means that the payer's contract verifies
    /// them (ERC-1271).
    pub payer_authorizer: Address,
    pub receiver: Address,
    /// The account that claims and refunds.
    pub receiver_authorizer: Address,
    pub token: Address,
    /// Seconds between the start and the end of a withdrawal by the payer.
    pub withdraw_delay: u64,
    pub salt: Word,
}

/// The amount that the payer has signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorisedStage {}
/// The charges of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargedStage {}
/// The amount claimed from the channel on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimedStage {}
/// The running total of one stage.
pub struct StageTotal<Stage> {
    amount: Amount,
    stage: PhantomData<Stage>,
}

/// A step that would violate the order of the totals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotalBreach {
    #[error("{charged} charged is more than {authorised} authorised")]
    ChargedAboveAuthorised { charged: Amount, authorised: Amount },
    #[error("a charge begins at {begins}, and {charged} are charged")]
    BeginsElsewhere { begins: Amount, charged: Amount },
    #[error("no call is reserved for the charge")]
    NotReserved,
    #[error("the total {total} cannot grow by {amount}")]
    Overflow { total: Amount, amount: Amount },
}

impl<Stage> StageTotal<Stage> {
    const fn from_amount(amount: Amount) -> Self {
        Self {
            amount,
            stage: PhantomData,
        }
    }

    pub const ZERO: Self = Self::from_amount(Amount::ZERO);

    pub fn amount(self) -> Amount {
        self.amount
    }
}

impl StageTotal<AuthorisedStage> {
    /// The total that a voucher authorises.
    pub fn signed(max: Amount) -> Self {
        Self::from_amount(max)
    }
}

impl StageTotal<ChargedStage> {
    /// Adds the charge of one call, within the authorised total.
    pub fn charge(
        self,
        amount: Amount,
        ceiling: StageTotal<AuthorisedStage>,
    ) -> Result<Self, TotalBreach> {
        let total = self.amount.checked_add(amount);
        let charged = total.ok_or(TotalBreach::Overflow {
            total: self.amount,
            amount,
        })?;
        let authorised = ceiling.amount;
        if charged > authorised {
            return Err(TotalBreach::ChargedAboveAuthorised {
                charged,
                authorised,
            });
        }
        Ok(Self::from_amount(charged))
    }

    /// The total of a channel of which only the on-chain state is left.
    pub fn lost(claimed: StageTotal<ClaimedStage>) -> Self {
        Self::from_amount(claimed.amount)
    }
}

impl StageTotal<ClaimedStage> {
    /// The on-chain total of a channel that has no charges here.
    pub fn observed(claimed: Amount) -> Self {
        Self::from_amount(claimed)
    }
}

impl<Stage> Clone for StageTotal<Stage> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Stage> Copy for StageTotal<Stage> {}

impl<Stage> Default for StageTotal<Stage> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<Stage> PartialEq for StageTotal<Stage> {
    fn eq(&self, other: &Self) -> bool {
        self.amount == other.amount
    }
}

impl<Stage> Eq for StageTotal<Stage> {}

impl<Stage> fmt::Debug for StageTotal<Stage> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.amount, f)
    }
}

impl<Stage> Serialize for StageTotal<Stage> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.amount.serialize(serializer)
    }
}

/// Deserializes a total that this program wrote; new totals are created only by the functions
/// above.
impl<'de, Stage> Deserialize<'de> for StageTotal<Stage> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Amount::deserialize(deserializer).map(Self::from_amount)
    }
}
