//! When a server knows a channel otherwise: what it says is believed as far as our own signature
//! or the chain proves it.

use alloy::primitives::Bytes;

use super::{
    PurseError, chain,
    channel::{Channel, Leased},
    offer::Offer,
    pay::{Payer, Prepared, SKEW, Sent},
    spending::Fate,
};
use crate::{
    runtime::ledger::{Amount, Scheme},
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

/// What a channel is found to have been charged.
#[derive(Clone, Copy)]
struct Found {
    total: Amount,
    /// The total of the signature that allows it.
    proof: Amount,
}

impl Found {
    /// What was claimed was signed for.
    fn of_chain(total: Amount) -> Self {
        Self {
            total,
            proof: total,
        }
    }
}

/// Whether a code says that a channel's total is another.
pub(super) fn is_of_total(code: &str) -> bool {
    let found = REMEDIES.iter().find(|(known, _)| *known == code);
    matches!(found, Some((_, Remedy::Total)))
}

/// Whether a code is answered from another channel. The voucher that was refused stays claimable
/// then, beside the one that follows it.
pub fn leaves_channel(code: Option<&str>) -> bool {
    let found = REMEDIES.iter().find(|(known, _)| Some(*known) == code);
    matches!(found, Some((_, Remedy::Other)))
}

impl Payer {
    /// Thinks out another payment after a 402 to one, by `offer`. A voucher that was refused costs
    /// nothing beside the one that takes its place, because both begin at the same total; so a
    /// server that counts the refused one too is not followed.
    ///
    /// # Errors
    /// The reason is none that another payment could mend, the server does not prove it, or the
    /// payment may have been used.
    pub async fn correct(
        &self,
        mut sent: Sent,
        required: &PaymentRequired,
        (offer, free): (Offer, Amount),
    ) -> Result<Prepared, PurseError> {
        let code = required.error.as_deref().unwrap_or("payment_required");
        let remedy = REMEDIES.iter().find(|(known, _)| *known == code);
        let remedy = remedy.map(|(_, remedy)| remedy);
        if sent.repeated && sent.spending.scheme == Scheme::Exact {
            return self.correct_transfer(sent, code, (offer, free)).await;
        }
        let (Some(remedy), Some(mut leased)) = (remedy, sent.leased.take()) else {
            return Err(self.refused(sent, code)?);
        };
        if matches!(remedy, Remedy::Other) {
            if sent.repeated {
                return Err(self.refused(sent, code)?);
            }
            return self.elsewhere(sent, &leased, (offer, free)).await;
        }
        if !sent.repeated {
            sent.spending.fate = Fate::Void;
            self.purse
                .settle(sent.number, &sent.spending, Some(&leased.channel))?;
        }
        let was = leased.channel.charged;
        let found = match remedy {
            Remedy::Total => self.total(&mut leased.channel, required, &offer).await?,
            Remedy::Balance | Remedy::Other => {
                self.observe(&mut leased.channel).await?;
                Found::of_chain(leased.channel.charged)
            }
        };
        leased.channel.charged = found.total;
        self.check_unused(&mut sent, &leased.channel, (found, code))?;
        self.purse.settle_doubts(&leased.channel, was)?;
        let prior = sent.prior;
        let order = sent.order;
        let mut prepared = self.prepare_from(leased, (offer, order), free).await?;
        prepared.keep_prior(prior);
        Ok(prepared)
    }

    /// Whether a total leaves room for the refused payment not to have been used; if so, it never
    /// costs anything.
    fn check_unused(
        &self,
        sent: &mut Sent,
        channel: &Channel,
        (found, code): (Found, &str),
    ) -> Result<(), PurseError> {
        let (before, total) = (sent.spending.before, found.total);
        let server = sent.offer.server.clone();
        if !sent.repeated {
            // A signature over more than this payment allows was made before it, by a purse whose
            // memory is lost.
            let max = before.saturating_add(sent.spending.quote);
            if total <= before.max(sent.prior) || found.proof > max {
                return Ok(());
            }
            sent.spending.fate = Fate::Charged {
                amount: total.saturating_sub(before).min(sent.spending.quote),
            };
            self.purse.settle(sent.number, &sent.spending, None)?;
            // Two homes that do not know of each other sign the same total.
            return Err(PurseError::Shared {
                server,
                channel: channel.id,
                reason: format!("{} more", self.money(total.saturating_sub(before))),
            });
        }
        match sent.spending.fate {
            Fate::Void => return Ok(()),
            Fate::Open if total <= before => sent.spending.fate = Fate::Void,
            Fate::Open => {
                let amount = total.saturating_sub(before).min(sent.spending.quote);
                sent.spending.fate = Fate::Charged { amount };
            }
            Fate::Charged { .. } => {}
        }
        self.purse
            .settle(sent.number, &sent.spending, Some(channel))?;
        match sent.spending.charged() {
            None => Ok(()),
            Some(charged) => {
                self.purse.forget_attempt(&sent.order.request_id)?;
                Err(PurseError::Lost {
                    server,
                    charged: self.money(charged),
                    code: code.to_owned(),
                })
            }
        }
    }

    /// A transfer that was sent before is paid anew once the chain proves that it can no longer be
    /// used.
    async fn correct_transfer(
        &self,
        mut sent: Sent,
        code: &str,
        (offer, free): (Offer, Amount),
    ) -> Result<Prepared, PurseError> {
        let spending = &mut sent.spending;
        let asked = chain::is_used(&self.chain, spending.token, spending.payer, spending.word);
        let (server, code) = (sent.offer.server.clone(), code.to_owned());
        if asked.await? {
            let amount = spending.quote;
            spending.fate = Fate::Charged { amount };
            self.purse.settle(sent.number, spending, None)?;
            self.purse.forget_attempt(&sent.order.request_id)?;
            let charged = self.money(amount);
            return Err(PurseError::Lost {
                server,
                charged,
                code,
            });
        }
        let until = spending.valid_before.saturating_add(SKEW);
        if self.now() <= until {
            return Err(PurseError::Undecided {
                server,
                code,
                until,
            });
        }
        spending.fate = Fate::Void;
        self.purse.settle(sent.number, spending, None)?;
        self.prepare(offer, sent.order, free).await
    }

    /// From another channel: the refused voucher counts on, since the server has it.
    async fn elsewhere(
        &self,
        sent: Sent,
        leased: &Leased,
        (offer, free): (Offer, Amount),
    ) -> Result<Prepared, PurseError> {
        let wanted = offer.wanted(self.chain_id(), self.account.address(), &sent.order.seller);
        let but = Some(leased.channel.id);
        let other = self.purse.lease_for(&wanted, offer.terms.amount, but)?;
        self.prepare_from(other, (offer, sent.order), free).await
    }

    /// Takes over the server's total of a channel.
    pub async fn resynchronise(
        &self,
        leased: &mut Leased,
        required: &PaymentRequired,
        offer: &Offer,
    ) -> Result<(), PurseError> {
        let channel = &mut leased.channel;
        let was = channel.charged;
        channel.charged = self.total(channel, required, offer).await?.total;
        self.purse.settle_doubts(channel, was)
    }

    /// The server's total of a channel, as far as our own signature or the chain proves it.
    async fn total(
        &self,
        channel: &mut Channel,
        required: &PaymentRequired,
        offer: &Offer,
    ) -> Result<Found, PurseError> {
        self.observe(channel).await?;
        let same = required.offers().find(|(_, it)| {
            let terms = &offer.terms;
            (&it.scheme, &it.network, it.asset, it.pay_to)
                == (&terms.scheme, &terms.network, terms.asset, terms.pay_to)
        });
        let extra = same.map(|(_, terms)| terms.extra).unwrap_or_default();
        match (extra.channel_state, extra.voucher_state) {
            (Some(state), Some(voucher)) => {
                proven(channel, &state, &voucher).map_err(|reason| PurseError::Unproven {
                    server: offer.server.clone(),
                    channel: channel.id,
                    reason,
                })
            }
            // A server without a voucher has nothing but the chain to go by, and so have we.
            _ => Ok(Found::of_chain(channel.claimed)),
        }
    }
}

/// The server's total, if a voucher of ours allows it.
fn proven(
    channel: &Channel,
    state: &ChannelState,
    voucher: &VoucherState,
) -> Result<Found, String> {
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
    Ok(Found {
        total: charged,
        proof: signed,
    })
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
