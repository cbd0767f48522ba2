//! Payment channels as x402's batch-settlement scheme has them, and what is known of one.
//!
//! Every sum is a running total since the channel began, and the totals stand in one order:
//! authorised ≥ charged ≥ claimed. [`StageTotal`] keeps them from being mixed up; the only ways from
//! one to the next are the functions here.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use openlora_core::{Address, Amount, Word};

/// Shortest and longest delay between starting and ending a payer's withdrawal, in seconds.
pub const WITHDRAW_DELAY: std::ops::RangeInclusive<u64> = 900..=2_592_000;

/// What part of a withdrawal's delay a running call, and a round of claims, may take: together they
/// leave half of it for whatever goes wrong.
pub const WITHDRAW_SHARE: u32 = 4;

/// A channel's terms; its id is their EIP-712 digest on a chain, so they never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelTerms {
    pub payer: Address,
    /// Whose key signs vouchers; the zero address means the payer's contract decides (ERC-1271).
    pub payer_authorizer: Address,
    pub receiver: Address,
    /// Who claims and refunds.
    pub receiver_authorizer: Address,
    pub token: Address,
    /// Seconds between the start and the end of a withdrawal by the payer.
    pub withdraw_delay: u64,
    pub salt: Word,
}

/// What the payer has signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorisedStage {}
/// What calls have cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargedStage {}
/// What the receiver's side has claimed of the channel on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimedStage {}
/// What the escrow has sent to the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettledStage {}
/// What the receiver has paid out to recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleasedStage {}

/// A running total of one stage.
pub struct StageTotal<Stage> {
    amount: Amount,
    stage: PhantomData<Stage>,
}

/// A step that would break the order of totals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotalBreach {
    #[error("{charged} charged is more than {authorised} authorised")]
    ChargedAboveAuthorised { charged: Amount, authorised: Amount },
    #[error("{claimed} claimed is more than {charged} charged")]
    ClaimedAboveCharged { claimed: Amount, charged: Amount },
    #[error("{settled} settled is more than {claimed} claimed")]
    SettledAboveClaimed { settled: Amount, claimed: Amount },
    #[error("{released} released is more than {settled} settled")]
    ReleasedAboveSettled { released: Amount, settled: Amount },
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
    /// What a voucher says.
    pub fn signed(max: Amount) -> Self {
        Self::from_amount(max)
    }
}

impl StageTotal<ChargedStage> {
    /// One call more, within what is signed for.
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

    /// The total of a channel of which only the chain's memory is left.
    pub fn lost(claimed: StageTotal<ClaimedStage>) -> Self {
        Self::from_amount(claimed.amount)
    }
}

impl StageTotal<ClaimedStage> {
    /// What the chain says, which can be no more than was charged.
    pub fn within(claimed: Amount, charged: StageTotal<ChargedStage>) -> Result<Self, TotalBreach> {
        let charged = charged.amount;
        if claimed > charged {
            return Err(TotalBreach::ClaimedAboveCharged { claimed, charged });
        }
        Ok(Self::from_amount(claimed))
    }

    /// What the chain says of a channel that nobody here has charged.
    pub fn observed(claimed: Amount) -> Self {
        Self::from_amount(claimed)
    }
}

impl StageTotal<SettledStage> {
    pub fn within(settled: Amount, claimed: StageTotal<ClaimedStage>) -> Result<Self, TotalBreach> {
        let claimed = claimed.amount;
        if settled > claimed {
            return Err(TotalBreach::SettledAboveClaimed { settled, claimed });
        }
        Ok(Self::from_amount(settled))
    }
}

impl StageTotal<ReleasedStage> {
    pub fn within(
        released: Amount,
        settled: StageTotal<SettledStage>,
    ) -> Result<Self, TotalBreach> {
        let settled = settled.amount;
        if released > settled {
            return Err(TotalBreach::ReleasedAboveSettled { released, settled });
        }
        Ok(Self::from_amount(released))
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

/// Reads back what this program wrote; a stored snapshot is no place where totals are made.
impl<'de, Stage> Deserialize<'de> for StageTotal<Stage> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Amount::deserialize(deserializer).map(Self::from_amount)
    }
}
