//! Getting back what a channel holds and calls have not cost: from its server, or from the chain
//! when the server is gone.

use alloy::primitives::hex;

use super::{
    PurseError, chain,
    channel::{Channel, ChannelState, Leased, Signed},
    offer::Offer,
    pay::{Payer, header},
    store::now_ms,
};
use crate::{
    runtime::ledger::Amount,
    wallet::{
        contracts::ESCROW,
        x402::{
            binding::{BindingDomain, RefundRequest},
            digest::EscrowDomain,
            wire::{Batch, Deed, Payload, PaymentRequired, SettleResponse, Voucher},
        },
    },
};

/// How long a signed wish for a refund is good, in seconds; servers take no more than 600.
const GOOD_FOR: u64 = 300;

impl Payer {
    /// Asks for the whole rest of a channel: the value of `PAYMENT-SIGNATURE`. The channel is not
    /// used again from here on.
    pub async fn ask_refund(
        &self,
        leased: &mut Leased,
        required: &PaymentRequired,
        offer: &Offer,
    ) -> Result<String, PurseError> {
        let channel = &mut leased.channel;
        let max = channel.charged;
        let domain = EscrowDomain::of(channel.chain_id);
        let signature = self.sign(domain.voucher(channel.id, max))?;
        if channel
            .signed
            .as_ref()
            .is_none_or(|signed| signed.max < max)
        {
            channel.signed = Some(Signed {
                max,
                signature: hex::encode_prefixed(&signature),
            });
        }
        let request = self.refund_request(channel).await?;
        channel.state = ChannelState::Refunding;
        channel.used_ms = now_ms();
        self.purse.keep_channel(channel)?;
        let payload = Payload::Batch(Box::new(Batch {
            config: channel.config.clone().into(),
            voucher: Voucher {
                channel_id: channel.id,
                max_claimable_amount: max,
                signature,
            },
            deed: Deed::Refund { amount: None },
        }));
        header(required, offer, &payload, &request)
    }

    /// Says that the payer itself wants the rest, now and once: vouchers are public after a claim,
    /// and anybody could present one.
    async fn refund_request(&self, channel: &Channel) -> Result<RefundRequest, PurseError> {
        let refund_nonce = chain::refund_nonce(&self.chain, channel.id).await?;
        let valid_before = self.now() + GOOD_FOR;
        let domain = BindingDomain::of(channel.chain_id, ESCROW.into());
        let digest = domain.refund(channel.id, None, refund_nonce, valid_before);
        Ok(RefundRequest {
            amount: None,
            refund_nonce,
            valid_before,
            signature: self.sign(digest)?,
        })
    }

    /// The server's answer to it: what came back, by the chain.
    pub async fn refunded(
        &self,
        leased: &mut Leased,
        offer: &Offer,
        text: &str,
    ) -> Result<(Amount, String), PurseError> {
        let response = SettleResponse::decode(text).map_err(|problem| PurseError::Wire {
            server: offer.server.clone(),
            problem,
        })?;
        let channel = &mut leased.channel;
        if !response.success {
            self.keep_open(channel)?;
            return Err(PurseError::Refused {
                server: offer.server.clone(),
                code: response.error_reason.unwrap_or_else(|| "unknown".into()),
            });
        }
        let before = channel.balance;
        channel.state = ChannelState::Refunded;
        self.observe(channel).await?;
        let amount = before.saturating_sub(channel.balance);
        self.purse.returned(channel, amount)?;
        Ok((amount, response.transaction))
    }

    /// A server that plainly refuses has given nothing back.
    pub fn keep_open(&self, channel: &mut Channel) -> Result<(), PurseError> {
        channel.state = ChannelState::Open;
        self.purse.keep_channel(channel)
    }
}
