//! When a server knows a channel otherwise: what it says is believed as far as our own signature
//! or the chain proves it.

use alloy::primitives::Bytes;

use super::{
    PurseError,
    channel::{Channel, Leased},
    offer::Offer,
    pay::{Payer, Sent},
    spending::Fate,
};
use crate::{
    runtime::ledger::Amount,
    wallet::x402::{
        digest::EscrowDomain,
        signature::recover,
        wire::{ChannelState, PaymentRequired, VoucherState},
    },
};

/// What can be done about a code of a 402.
enum Remedy {
    /// Go on from the total that the server proves.
    Total,
    /// Ask the chain what the channel holds.
    Balance,
    /// Another channel.
    Other,
}

/// Codes of the scheme, in the order of its specification.
const REMEDIES: &[(&str, Remedy)] = &[
    (
        "invalid_batch_settlement_evm_cumulative_amount_mismatch",
        Remedy::Total,
    ),
    (
        "invalid_batch_settlement_evm_cumulative_below_claimed",
        Remedy::Total,
    ),
    (
        "invalid_batch_settlement_evm_channel_not_found",
        Remedy::Balance,
    ),
    (
        "invalid_batch_settlement_evm_missing_channel",
        Remedy::Balance,
    ),
    (
        "invalid_batch_settlement_evm_cumulative_exceeds_balance",
        Remedy::Balance,
    ),
    (
        "invalid_batch_settlement_evm_insufficient_balance",
        Remedy::Balance,
    ),
    (
        "invalid_batch_settlement_evm_withdrawal_pending",
        Remedy::Other,
    ),
    ("invalid_batch_settlement_evm_channel_busy", Remedy::Other),
];

impl Payer {
    /// Pays again after a 402 to a payment.
    ///
    /// # Errors
    /// The reason is none that another payment could mend, or the server does not prove it.
    pub async fn correct(
        &self,
        mut sent: Sent,
        required: &PaymentRequired,
    ) -> Result<Sent, PurseError> {
        let code = required.error.as_deref().unwrap_or("payment_required");
        let remedy = REMEDIES.iter().find(|(known, _)| *known == code);
        let (Some((_, remedy)), Some(mut leased)) = (remedy, sent.leased.take()) else {
            return Err(self.refused(sent, code)?);
        };
        // The server took nothing for it, and the next voucher takes its place.
        sent.spending.fate = Fate::Void;
        self.purse
            .settle(sent.number, &sent.spending, Some(&leased.channel))?;
        match remedy {
            Remedy::Total => {
                self.resynchronise(&mut leased, required, &sent.offer)
                    .await?
            }
            Remedy::Balance => self.observe(&mut leased.channel).await?,
            Remedy::Other => {
                let payer = self.account.address();
                let seller = &sent.order.seller;
                let wanted = sent.offer.wanted(self.chain_id(), payer, seller);
                let quote = sent.offer.terms.amount;
                leased = self
                    .purse
                    .lease_for(&wanted, quote, Some(leased.channel.id))?;
            }
        }
        self.pay_from(leased, required, sent.offer, sent.order)
            .await
    }

    /// Takes over the server's total of a channel.
    pub async fn resynchronise(
        &self,
        leased: &mut Leased,
        required: &PaymentRequired,
        offer: &Offer,
    ) -> Result<(), PurseError> {
        let channel = &mut leased.channel;
        self.observe(channel).await?;
        let same = required.offers().find(|(_, it)| {
            let terms = &offer.terms;
            (&it.scheme, &it.network, it.asset, it.pay_to)
                == (&terms.scheme, &terms.network, terms.asset, terms.pay_to)
        });
        let extra = same.map(|(_, terms)| terms.extra).unwrap_or_default();
        let charged = match (extra.channel_state, extra.voucher_state) {
            (Some(state), Some(voucher)) => {
                proven(channel, &state, &voucher).map_err(|reason| PurseError::Unproven {
                    server: offer.server.clone(),
                    channel: channel.id,
                    reason,
                })?
            }
            // A server without a voucher has nothing but the chain to go by, and so have we.
            _ => channel.claimed,
        };
        let was = std::mem::replace(&mut channel.charged, charged);
        self.purse.settle_doubts(channel, was)
    }
}

/// The server's total, if a voucher of ours allows it.
fn proven(
    channel: &Channel,
    state: &ChannelState,
    voucher: &VoucherState,
) -> Result<Amount, String> {
    if state.channel_id != channel.id {
        return Err(format!("it speaks of channel {}", state.channel_id));
    }
    let Some(charged) = state.charged_cumulative_amount else {
        return Err("it names no total".to_owned());
    };
    let signed = voucher.signed_max_claimable;
    if charged > signed {
        return Err(format!("{charged} charged is more than {signed} signed"));
    }
    if charged < channel.claimed {
        let claimed = channel.claimed;
        return Err(format!("{charged} charged is less than {claimed} claimed"));
    }
    check_voucher(channel, signed, &voucher.signature)?;
    Ok(charged)
}

/// Whether a voucher over `max` was signed by the channel's payer.
pub(super) fn check_voucher(
    channel: &Channel,
    max: Amount,
    signature: &Bytes,
) -> Result<(), String> {
    let digest = EscrowDomain::of(channel.chain_id).voucher(channel.id, max);
    let expected = channel.config.payer_authorizer;
    match recover(digest, signature) {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => Err(format!(
            "the voucher was signed by {found}, expected {expected}"
        )),
        Err(problem) => Err(format!("the voucher: {problem}")),
    }
}
