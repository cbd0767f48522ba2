//! Stateless checks: terms of channels, signatures, times.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::U256;

use super::{
    digest::EscrowDomain,
    reason::Reason,
    refusal::PaymentRefusal,
    signature::recover,
    wire::{PaymentRequirements, Voucher},
};
use crate::settlement::{ChainFailure, ChainSettlement};
use openlora_core::{Address, Word};
use openlora_ledger::{ChannelTerms, WITHDRAW_DELAY};

/// The least remaining validity of an authorization, in seconds, so that it can be mined.
const MARGIN_SECONDS: u64 = 6;

/// Whether a channel's terms are those of an offer, and its id that of its terms.
pub(super) fn check_terms(
    escrow: &EscrowDomain,
    config: &ChannelTerms,
    channel: Word,
    offer: &PaymentRequirements,
) -> Result<(), Reason> {
    let extra = &offer.extra;
    let authorizer = Some(config.receiver_authorizer);
    let rules = [
        (escrow.channel_id(config) == channel, Reason::ChannelId),
        (config.receiver == offer.pay_to, Reason::Receiver),
        (
            extra.receiver_authorizer == authorizer && !config.receiver_authorizer.is_zero(),
            Reason::ReceiverAuthorizer,
        ),
        (config.token == offer.asset, Reason::Token),
        (
            WITHDRAW_DELAY.contains(&config.withdraw_delay),
            Reason::WithdrawDelayRange,
        ),
        (
            extra.withdraw_delay == Some(config.withdraw_delay),
            Reason::WithdrawDelay,
        ),
    ];
    let broken = rules.into_iter().find(|(kept, _)| !kept);
    broken.map_or(Ok(()), |(_, reason)| Err(reason))
}

/// Whether the payer's signer signed a voucher. Without an authorizer, the payer's contract
/// decides.
pub(super) async fn check_voucher(
    settlement: &dyn ChainSettlement,
    escrow: &EscrowDomain,
    config: &ChannelTerms,
    voucher: &Voucher,
) -> Result<(), PaymentRefusal> {
    let digest = escrow.voucher(voucher.channel_id, voucher.max_claimable_amount);
    match authorised(settlement, config, digest, &voucher.signature).await? {
        true => Ok(()),
        false => Err(Reason::VoucherSignature.into()),
    }
}

/// Whether the signer for a channel's payer signed a digest. This follows the escrow's rule: if the
/// channel names an authorizer, no contract is asked, even if the authorizer's account has code.
pub(super) async fn authorised(
    settlement: &dyn ChainSettlement,
    config: &ChannelTerms,
    digest: Word,
    signature: &[u8],
) -> Result<bool, ChainFailure> {
    match config.payer_authorizer {
        Address::ZERO => accepted(settlement, config.payer, digest, signature).await,
        authorizer => Ok(recover(digest, signature) == Ok(authorizer)),
    }
}

/// Whether an account signed a digest, with its key or by the answer of its contract.
pub(super) async fn signed(
    settlement: &dyn ChainSettlement,
    account: Address,
    digest: Word,
    signature: &[u8],
) -> Result<bool, ChainFailure> {
    if recover(digest, signature) == Ok(account) {
        return Ok(true);
    }
    accepted(settlement, account, digest, signature).await
}

/// A contract call that fails counts as a rejection.
async fn accepted(
    settlement: &dyn ChainSettlement,
    account: Address,
    digest: Word,
    signature: &[u8],
) -> Result<bool, ChainFailure> {
    match settlement.accepts(account, digest, signature).await {
        Err(ChainFailure::Rejected { .. }) => Ok(false),
        answer => answer,
    }
}

/// Checks that an authorization is valid now and for a margin after. Otherwise returns the reason
/// for too late or too early.
pub(super) fn check_window(
    valid_after: U256,
    valid_before: U256,
    late: Reason,
    early: Reason,
) -> Result<(), Reason> {
    let now = now();
    if valid_before < U256::from(now + MARGIN_SECONDS) {
        return Err(late);
    }
    if valid_after > U256::from(now) {
        return Err(early);
    }
    Ok(())
}

/// Unix seconds.
pub(super) fn now() -> u64 {
    now_ms() / 1_000
}

/// Unix time in milliseconds.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
