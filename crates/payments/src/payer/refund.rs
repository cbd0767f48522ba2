//! Refunds the part of a channel that calls have not used: through its server, or through the chain
//! if the server is gone.

use alloy::primitives::{Bytes, hex};

use super::{
    PayerError, chain,
    channel::{LeasedChannel, PayerChannel, PayerChannelState, SignedVoucher},
    offer::PaymentOffer,
    pay::{Payer, header},
    payment_record::{PaymentRecord, PaymentStatus, fee_id},
    store::now_ms,
};
use crate::x402::{
    binding::{BindingDomain, RefundFee, RefundRequest},
    digest::EscrowDomain,
    wire::{BatchPayload, PaymentRequired, SchemePayload, SettleResponse, Voucher, VoucherAction},
};
use openlora_contracts::ESCROW;
use openlora_core::Amount;

/// Validity of a signed refund request, in seconds. Servers accept at most 600.
const GOOD_FOR: u64 = 300;

/// The fee of a refund.
struct Fee {
    spending: PaymentRecord,
    /// An earlier request for the same refund recorded this fee in the store.
    is_recorded: bool,
}

impl Payer {
    /// The fee of the next refund from a channel, by the offer. It is shown before the refund is
    /// requested.
    ///
    /// # Errors
    /// It is above the limit, or the refund is not worth it.
    pub async fn refund_price(
        &self,
        channel: &PayerChannel,
        offer: &PaymentOffer,
    ) -> Result<Amount, PayerError> {
        let nonce = chain::refund_nonce(&self.chain, channel.id).await?;
        let fee = self.fee(channel, offer, nonce)?;
        Ok(fee.map_or(Amount::ZERO, |fee| fee.spending.quote))
    }

    /// Requests the whole rest of a channel: the value of `PAYMENT-SIGNATURE`. The channel is not
    /// used again after this.
    pub async fn ask_refund(
        &self,
        leased: &mut LeasedChannel,
        required: &PaymentRequired,
        offer: &PaymentOffer,
    ) -> Result<String, PayerError> {
        let channel = &mut leased.channel;
        let nonce = chain::refund_nonce(&self.chain, channel.id).await?;
        let fee = self.fee(channel, offer, nonce)?;
        let max = channel.charged;
        let signature = self.sign_total(channel, max)?;
        channel.state = PayerChannelState::Refunding;
        channel.used_ms = now_ms();
        let paid = match fee {
            Some(fee) => Some(self.pay_fee(channel, fee)?),
            None => None,
        };
        self.store.keep_channel(channel)?;
        let request = self.refund_request(channel, nonce, paid)?;
        let payload = SchemePayload::Batch(Box::new(BatchPayload {
            config: channel.config.clone().into(),
            voucher: Voucher {
                channel_id: channel.id,
                max_claimable_amount: max,
                signature,
            },
            action: VoucherAction::Refund { amount: None },
        }));
        header(required, offer, &payload, &request)
    }

    /// Signs a voucher over a total and keeps the highest one.
    fn sign_total(&self, channel: &mut PayerChannel, max: Amount) -> Result<Bytes, PayerError> {
        let domain = EscrowDomain::for_chain(channel.chain_id);
        let signature = self.sign(domain.voucher(channel.id, max))?;
        let highest = channel.signed.as_ref();
        if highest.is_none_or(|signed| signed.max < max) {
            channel.signed = Some(SignedVoucher {
                max,
                signature: hex::encode_prefixed(&signature),
            });
        }
        Ok(signature)
    }

    /// The fee of a refund, within the limit and the rest of the channel. A fee that was signed for
    /// this refund before is signed again and not counted twice.
    fn fee(
        &self,
        channel: &PayerChannel,
        offer: &PaymentOffer,
        nonce: u64,
    ) -> Result<Option<Fee>, PayerError> {
        let quote = offer.terms.extra.refund_fee.unwrap_or_default();
        if quote.is_zero() {
            return Ok(None);
        }
        let id = fee_id(channel, nonce);
        let earlier = self.store.payment_record(&id)?;
        let stands = |it: &PaymentRecord| match it.status {
            PaymentStatus::Charged { .. } => true,
            PaymentStatus::Open => it.quote == quote && it.before == channel.charged,
            PaymentStatus::Void => false,
        };
        if let Some(record) = earlier.filter(stands) {
            let is_recorded = true;
            return Ok(Some(Fee {
                spending: record,
                is_recorded,
            }));
        }
        let (server, left) = (offer.server.clone(), channel.left());
        if quote > self.max_refund_fee {
            return Err(PayerError::RefundFee {
                server,
                fee: self.money(quote),
                limit: self.money(self.max_refund_fee),
            });
        }
        if quote >= left {
            return Err(PayerError::RefundRest {
                server,
                fee: self.money(quote),
                rest: self.money(left),
            });
        }
        let record = PaymentRecord {
            server,
            ..PaymentRecord::from_channel(channel, id, quote)
        };
        Ok(Some(Fee {
            spending: record,
            is_recorded: false,
        }))
    }

    /// Signs a fee and records it.
    fn pay_fee(&self, channel: &mut PayerChannel, mut fee: Fee) -> Result<RefundFee, PayerError> {
        let amount = fee.spending.quote;
        let total = fee.spending.before.saturating_add(amount);
        let signature = self.sign_total(channel, total)?;
        if !fee.is_recorded {
            fee.spending.signature = hex::encode_prefixed(&signature);
            self.store.record_fee(&fee.spending, channel, self.day())?;
        }
        Ok(RefundFee {
            amount,
            max_claimable_amount: total,
            signature,
        })
    }

    /// States that the payer itself requests the refund, now and once. Vouchers are public after a
    /// claim, so another party could present one.
    fn refund_request(
        &self,
        channel: &PayerChannel,
        refund_nonce: u64,
        fee: Option<RefundFee>,
    ) -> Result<RefundRequest, PayerError> {
        let domain = BindingDomain::for_contract(channel.chain_id, ESCROW.into());
        let mut request = RefundRequest {
            amount: None,
            refund_nonce,
            valid_before: self.now() + GOOD_FOR,
            fee,
            signature: Bytes::new(),
        };
        request.signature = self.sign(request.digest(domain, channel.id))?;
        Ok(request)
    }

    /// Reads the server's answer to a refund request. The returned amount is read from the chain.
    pub async fn refunded(
        &self,
        leased: &mut LeasedChannel,
        offer: &PaymentOffer,
        text: &str,
    ) -> Result<(Amount, String), PayerError> {
        let response = SettleResponse::decode(text).map_err(|problem| PayerError::Wire {
            server: offer.server.clone(),
            problem,
        })?;
        let channel = &mut leased.channel;
        if !response.success {
            self.keep_open(channel)?;
            return Err(PayerError::Refused {
                server: offer.server.clone(),
                code: response.error_reason.unwrap_or_else(|| "unknown".into()),
            });
        }
        let (before, was) = (channel.balance, channel.charged);
        channel.state = PayerChannelState::Refunded;
        self.observe(channel).await?;
        // A refund claims everything that was charged, including its own fee.
        self.store.settle_doubts(channel, was)?;
        let amount = before.saturating_sub(channel.balance);
        self.store.returned(channel, amount)?;
        Ok((amount, response.transaction))
    }

    /// A server that clearly refuses has returned nothing.
    pub fn keep_open(&self, channel: &mut PayerChannel) -> Result<(), PayerError> {
        channel.state = PayerChannelState::Open;
        self.store.void_fees(channel)
    }
}
