//! Resynchronises a channel with a server. If the server reports a different channel state, accept
//! only what our signed vouchers or the chain confirm.

use alloy::primitives::Bytes;

use super::{
    PayerError, chain,
    channel::{LeasedChannel, PayerChannel},
    offer::PaymentOffer,
    pay::{Payer, PreparedPayment, SKEW, SentPayment},
    payment_record::PaymentStatus,
};
use crate::x402::{
    digest::EscrowDomain,
    signature::recover,
    wire::{ChannelState, PaymentRequired, VoucherState},
};
use openlora_core::Amount;
use openlora_ledger::PaymentScheme;

/// The remedy for an error code of a 402 answer.
enum PaymentRemedy {
    /// Continue from the total that the server proves.
    Total,
    /// Read the channel's state from the chain.
    Balance,
    /// Pay from another channel.
    Other,
}

/// Codes of the scheme, in the order of its specification.
const REMEDIES: &[(&str, PaymentRemedy)] = &[
    (
        "invalid_batch_settlement_evm_cumulative_amount_mismatch",
        PaymentRemedy::Total,
    ),
    (
        "invalid_batch_settlement_evm_cumulative_below_claimed",
        PaymentRemedy::Total,
    ),
    (
        "invalid_batch_settlement_evm_channel_not_found",
        PaymentRemedy::Balance,
    ),
    (
        "invalid_batch_settlement_evm_missing_channel",
        PaymentRemedy::Balance,
    ),
    (
        "invalid_batch_settlement_evm_cumulative_exceeds_balance",
        PaymentRemedy::Balance,
    ),
    (
        "invalid_batch_settlement_evm_insufficient_balance",
        PaymentRemedy::Balance,
    ),
    (
        "invalid_batch_settlement_evm_withdrawal_pending",
        PaymentRemedy::Other,
    ),
    (
        "invalid_batch_settlement_evm_channel_busy",
        PaymentRemedy::Other,
    ),
];

/// The charge of a channel that was found.
#[derive(Clone, Copy)]
struct FoundCharge {
    total: Amount,
    /// The total of the signature that allows it.
    proof: Amount,
}

impl FoundCharge {
    /// A claimed amount was signed for, so it is its own proof.
    fn of_chain(total: Amount) -> Self {
        Self {
            total,
            proof: total,
        }
    }
}

/// Whether a code says that a channel has a different total.
pub(super) fn is_of_total(code: &str) -> bool {
    let found = REMEDIES.iter().find(|(known, _)| *known == code);
    matches!(found, Some((_, PaymentRemedy::Total)))
}

/// Whether the remedy for a code is to pay from another channel. The refused voucher then stays
/// claimable in addition to the one that replaces it.
pub fn leaves_channel(code: Option<&str>) -> bool {
    let found = REMEDIES.iter().find(|(known, _)| Some(*known) == code);
    matches!(found, Some((_, PaymentRemedy::Other)))
}

impl Payer {
    /// Prepares another payment after a 402 answer to one, by `offer`. A refused voucher adds no
    /// cost to the one that replaces it, because both begin at the same total. A server that counts
    /// the refused one too is not followed.
    ///
    /// # Errors
    /// No other payment can correct the error, the server does not prove its state, or the payment
    /// may have been used.
    pub async fn correct(
        &self,
        mut sent: SentPayment,
        required: &PaymentRequired,
        offer: PaymentOffer,
        free: Amount,
    ) -> Result<PreparedPayment, PayerError> {
        let code = required.error.as_deref().unwrap_or("payment_required");
        let remedy = REMEDIES.iter().find(|(known, _)| *known == code);
        let remedy = remedy.map(|(_, remedy)| remedy);
        if sent.repeated && sent.record.scheme == PaymentScheme::Exact {
            return self.correct_transfer(sent, code, offer, free).await;
        }
        let (Some(remedy), Some(mut leased)) = (remedy, sent.leased.take()) else {
            return Err(self.refused(sent, code)?);
        };
        if matches!(remedy, PaymentRemedy::Other) {
            if sent.repeated {
                return Err(self.refused(sent, code)?);
            }
            return self.elsewhere(sent, &leased, offer, free).await;
        }
        if !sent.repeated {
            sent.record.status = PaymentStatus::Void;
            self.store
                .finish_payment(sent.number, &sent.record, Some(&leased.channel))?;
        }
        let was = leased.channel.charged;
        let found = match remedy {
            PaymentRemedy::Total => self.total(&mut leased.channel, required, &offer).await?,
            PaymentRemedy::Balance | PaymentRemedy::Other => {
                self.observe(&mut leased.channel).await?;
                FoundCharge::of_chain(leased.channel.charged)
            }
        };
        leased.channel.charged = found.total;
        self.check_unused(&mut sent, &leased.channel, found, code)?;
        self.store.settle_doubts(&leased.channel, was)?;
        let prior = sent.prior;
        let order = sent.order;
        let mut prepared = self.prepare_from(leased, offer, order, free).await?;
        prepared.keep_prior(prior);
        Ok(prepared)
    }

    /// Checks that a total leaves room for the refused payment to be unused. If so, the refused
    /// payment never costs anything.
    fn check_unused(
        &self,
        sent: &mut SentPayment,
        channel: &PayerChannel,
        found: FoundCharge,
        code: &str,
    ) -> Result<(), PayerError> {
        let (before, total) = (sent.record.before, found.total);
        let server = sent.offer.server.clone();
        if !sent.repeated {
            // A signature over more than this payment allows was made earlier, with a payer store
            // that has been lost.
            let max = before.saturating_add(sent.record.quote);
            if total <= before.max(sent.prior) || found.proof > max {
                return Ok(());
            }
            sent.record.status = PaymentStatus::Charged {
                amount: total.saturating_sub(before).min(sent.record.quote),
            };
            self.store.finish_payment(sent.number, &sent.record, None)?;
            // Two payer stores that do not know of each other sign the same total.
            return Err(PayerError::Shared {
                server,
                channel: channel.id,
                reason: format!("{} more", self.money(total.saturating_sub(before))),
            });
        }
        sent.record = self.store.infer_charge(sent.number, channel, total)?;
        match sent.record.charged() {
            None => Ok(()),
            Some(charged) => {
                self.store.forget_attempt(&sent.order.request_id)?;
                Err(PayerError::Lost {
                    server,
                    charged: self.money(charged),
                    code: code.to_owned(),
                })
            }
        }
    }

    /// A transfer that was sent before is paid again only when the chain proves that it can no
    /// longer be used.
    async fn correct_transfer(
        &self,
        mut sent: SentPayment,
        code: &str,
        offer: PaymentOffer,
        free: Amount,
    ) -> Result<PreparedPayment, PayerError> {
        let record = &mut sent.record;
        let asked = chain::is_used(&self.chain, record.token, record.payer, record.word);
        let (server, code) = (sent.offer.server.clone(), code.to_owned());
        if asked.await? {
            let amount = record.quote;
            record.status = PaymentStatus::Charged { amount };
            self.store.finish_payment(sent.number, record, None)?;
            self.store.forget_attempt(&sent.order.request_id)?;
            let charged = self.money(amount);
            return Err(PayerError::Lost {
                server,
                charged,
                code,
            });
        }
        let until = record.valid_before.saturating_add(SKEW);
        if self.chain_now() <= until {
            return Err(PayerError::Undecided {
                server,
                code,
                until,
            });
        }
        record.status = PaymentStatus::Void;
        self.store.finish_payment(sent.number, record, None)?;
        self.prepare(offer, sent.order, free).await
    }

    /// Pays from another channel. The refused voucher still counts, since the server has it.
    async fn elsewhere(
        &self,
        sent: SentPayment,
        leased: &LeasedChannel,
        offer: PaymentOffer,
        free: Amount,
    ) -> Result<PreparedPayment, PayerError> {
        let wanted =
            offer.channel_requirements(self.chain_id(), self.account.address(), &sent.order.seller);
        let but = Some(leased.channel.id);
        let other = self.store.lease_for(&wanted, offer.terms.amount, but)?;
        self.prepare_from(other, offer, sent.order, free).await
    }

    /// Adopts the server's total of a channel.
    pub async fn resynchronise(
        &self,
        leased: &mut LeasedChannel,
        required: &PaymentRequired,
        offer: &PaymentOffer,
    ) -> Result<(), PayerError> {
        let channel = &mut leased.channel;
        let was = channel.charged;
        channel.charged = self.total(channel, required, offer).await?.total;
        self.store.settle_doubts(channel, was)
    }

    /// The server's total of a channel, as confirmed by our own signature or by the chain.
    async fn total(
        &self,
        channel: &mut PayerChannel,
        required: &PaymentRequired,
        offer: &PaymentOffer,
    ) -> Result<FoundCharge, PayerError> {
        self.observe(channel).await?;
        let same = required.offers().find(|(_, it)| {
            let terms = &offer.terms;
            (&it.scheme, &it.network, it.asset, it.pay_to)
                == (&terms.scheme, &terms.network, terms.asset, terms.pay_to)
        });
        let extra = same.map(|(_, terms)| terms.extra).unwrap_or_default();
        match (extra.channel_state, extra.voucher_state) {
            (Some(state), Some(voucher)) => {
                proven(channel, &state, &voucher).map_err(|reason| PayerError::Unproven {
                    server: offer.server.clone(),
                    channel: channel.id,
                    reason,
                })
            }
            // A server without a voucher has only the chain's state, and so have we.
            _ => Ok(FoundCharge::of_chain(channel.claimed)),
        }
    }
}

/// The server's total, if one of our vouchers allows it.
fn proven(
    channel: &PayerChannel,
    state: &ChannelState,
    voucher: &VoucherState,
) -> Result<FoundCharge, String> {
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
    Ok(FoundCharge {
        total: charged,
        proof: signed,
    })
}

/// Whether a voucher over `max` was signed by the channel's payer.
pub(super) fn check_voucher(
    channel: &PayerChannel,
    max: Amount,
    signature: &Bytes,
) -> Result<(), String> {
    let digest = EscrowDomain::for_chain(channel.chain_id).voucher(channel.id, max);
    let expected = channel.config.payer_authorizer;
    match recover(digest, signature) {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => Err(format!(
            "the voucher was signed by {found}, expected {expected}"
        )),
        Err(problem) => Err(format!("the voucher: {problem}")),
    }
}
