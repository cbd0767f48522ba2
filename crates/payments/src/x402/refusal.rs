//! Refusals of payments, with what the payer needs to pay correctly next time.

use super::{
    reason::Reason,
    wire::{ChannelState, VoucherState, WireProblem},
};
use crate::settlement::ChainFailure;
use openlora_core::{Address, Amount, error::Failure};
use openlora_ledger::{SponsorLimit, UsedVoucher};

/// A refund whose fee is not paid. Amounts are in base units of the chain's token.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnpaidRefund {
    pub chain_id: u64,
    pub fee: Amount,
    /// The rest of the channel.
    pub rest: Amount,
    /// The total for the fee's voucher.
    pub total: Amount,
}

/// A refused payment.
#[derive(Clone, Debug)]
pub(super) enum PaymentRefusal {
    Malformed(WireProblem),
    Because(Reason),
    /// The accepted offer differs from the current one in this field.
    Differs(&'static str),
    /// The payer's channel state differs from ours; this is ours.
    Stale(Reason, Box<ChannelCorrection>),
    /// The payment was used before. The second value is the refusal if it was for another call.
    Used(UsedVoucher, Box<PaymentRefusal>),
    /// As `Used`, for a payment that may be a copy from its chain; with its payer.
    UsedByName(UsedVoucher, Address),
    Trouble(ChainFailure),
    /// Another call uses the channel for too long.
    Busy,
    /// The chain is not asked about another payment from this address for now.
    Limited,
    /// Too little gas is left for sponsored transactions.
    GasLow,
    /// Too little gas is left to claim what the call would cost.
    GasShort,
    /// The daily gas budget for sponsored transactions is spent.
    GasSpent,
    /// A refund that does not cover its fee.
    RefundFee(Box<UnpaidRefund>),
    /// The journal cannot be written.
    Unwritable(Failure),
}

/// What a payer needs to continue with its channel.
#[derive(Clone, Debug)]
pub(super) struct ChannelCorrection {
    pub chain_id: u64,
    pub channel: ChannelState,
    /// The amount above the price that the next voucher must add.
    pub step: Amount,
    /// The highest voucher; `None` if only the chain has the channel's state.
    pub voucher: Option<VoucherState>,
}

impl From<Reason> for PaymentRefusal {
    fn from(reason: Reason) -> Self {
        Self::Because(reason)
    }
}

impl From<WireProblem> for PaymentRefusal {
    fn from(problem: WireProblem) -> Self {
        Self::Malformed(problem)
    }
}

impl From<ChainFailure> for PaymentRefusal {
    fn from(trouble: ChainFailure) -> Self {
        match trouble {
            ChainFailure::Limited(limit) => limit.into(),
            trouble => Self::Trouble(trouble),
        }
    }
}

impl From<SponsorLimit> for PaymentRefusal {
    fn from(limit: SponsorLimit) -> Self {
        match limit {
            SponsorLimit::GasBudget { .. } => Self::GasSpent,
            SponsorLimit::Floor { .. } => Self::GasLow,
            SponsorLimit::Contract => Reason::ContractPayer.into(),
            SponsorLimit::Transfers => Reason::TransferLimit.into(),
            SponsorLimit::Deposits => Reason::DepositLimit.into(),
            SponsorLimit::Refunds => Reason::RefundLimit.into(),
            SponsorLimit::ChannelRefunds => Reason::ChannelRefundLimit.into(),
        }
    }
}

impl PaymentRefusal {
    /// Maps a chain's rejection to this reason. Other failures keep their own.
    pub fn from_failure(reason: Reason) -> impl FnOnce(ChainFailure) -> Self {
        move |trouble| match trouble {
            ChainFailure::Rejected { deed, reason: why } => {
                tracing::info!(deed, %why, "the chain refuses a payment");
                Self::Because(reason)
            }
            ChainFailure::Spent { .. } => Self::Because(Reason::ExactUsed),
            trouble => trouble.into(),
        }
    }
}
