//! A channel under its lock: checks what a voucher pays for, and states the channel to its payer.

use alloy::primitives::Bytes;

use super::{
    keyed_locks::HeldLock,
    reason::Reason,
    refusal::{ChannelCorrection, PaymentRefusal},
    terms::LARGEST_STEP,
    wire::{ChannelState, Voucher, VoucherState},
};
use openlora_core::{Amount, Word};
use openlora_ledger::{ChannelKey, ChannelView, LedgerChannel};
use openlora_ports::OfferedCall;

/// A channel under its lock. The ledger has the only copy of its state. This copy is read from the
/// ledger under the lock, is read again after each event, and is never written back.
pub(super) struct ChannelSession {
    pub key: ChannelKey,
    pub _lock: HeldLock<ChannelKey>,
    pub channel: LedgerChannel,
    /// Whether it is in the journal.
    pub known: bool,
}

/// How many totals are kept per channel.
const MOST_TOTALS: usize = 1024;

/// A payer's payment for a call.
#[derive(Clone, Copy)]
pub(super) struct PaymentBid {
    /// The total that the payer signed.
    pub max: Amount,
    /// The amount of the offer that the payer took.
    pub amount: Amount,
    /// Whether the payment names its request.
    pub bound: bool,
}

impl ChannelSession {
    /// The amount that a voucher pays for a call. The voucher must be for the charged amount plus
    /// this call, neither more nor less. A used total belongs to the request that used it. The same
    /// request is recognised again, and another request is directed to a total that is one or a few
    /// units higher. A request that is already paid and was not answered costs nothing.
    pub fn check_total(
        &self,
        bid: PaymentBid,
        sale: &OfferedCall,
    ) -> Result<Amount, PaymentRefusal> {
        let (channel, hash) = (&self.channel, &sale.request_hash);
        if channel.owed.get(&bid.max) == Some(hash) {
            return Ok(Amount::ZERO);
        }
        let charged = channel.charged.amount();
        let plain = charged.checked_add(sale.quote).ok_or(Reason::Cumulative)?;
        let other = |total: &Amount| {
            let spending = channel.used.get(total);
            spending.is_some_and(|it| it.spent || it.request_hash != *hash)
        };
        let taken = !sale.quote.is_zero() && other(&plain);
        let stepped = taken && charged.checked_add(bid.amount) == Some(bid.max);
        let own = bid.bound || !self.is_public(bid.max);
        let mut recent = channel.recent.iter();
        let again = recent.rfind(|it| it.max == bid.max && it.request_hash == *hash);
        let again = again.filter(|_| own);
        if bid.amount != sale.quote && !stepped {
            // The step was in the price of a call that is charged by now, and the same bytes come
            // again.
            let otherwise = PaymentRefusal::Differs("amount");
            return Err(match again {
                Some(used) => PaymentRefusal::Used(used.clone(), Box::new(otherwise)),
                None => otherwise,
            });
        }
        let most = plain.saturating_add(Amount(LARGEST_STEP));
        let fits = match taken {
            true => bid.max > plain && bid.max <= most && !other(&bid.max),
            false => bid.max == plain,
        };
        if fits {
            return Ok(bid.max.saturating_sub(charged));
        }
        let stale = match taken {
            true => self.led_on(plain, own, &other, bid.bound),
            false => self.stale(Reason::Cumulative, own),
        };
        match again {
            Some(used) => Err(PaymentRefusal::Used(used.clone(), Box::new(stale))),
            None => Err(stale),
        }
    }

    /// Totals that are allowed and not charged are kept, so their number is limited.
    pub fn check_room(&self, max: Amount) -> Result<(), Reason> {
        let used = &self.channel.used;
        match used.len() < MOST_TOTALS || used.contains_key(&max) {
            true => Ok(()),
            false => Err(Reason::Crowded),
        }
    }

    /// Directs the payer to an unused total. Stock clients repeat a call with the price that they
    /// read first and with the total in this answer, so the step is in both. A client whose payment
    /// names its request reads the price again.
    fn led_on(
        &self,
        plain: Amount,
        own: bool,
        other: &impl Fn(&Amount) -> bool,
        bound: bool,
    ) -> PaymentRefusal {
        let free = |step: u128| !other(&plain.saturating_add(Amount(step)));
        let step = (1..=LARGEST_STEP / 2).find(|step| free(*step) && free(2 * step));
        let step = Amount(step.unwrap_or_default());
        let charged = self.channel.charged.amount();
        let told = match bound {
            true => charged,
            false => charged.saturating_add(step),
        };
        self.correction(Reason::Cumulative, told, step, own)
    }

    pub fn covers(&self, voucher: &Voucher) -> bool {
        self.check_balance(voucher, Amount::ZERO).is_ok()
    }

    /// Checks that the voucher is within the channel's balance and above the claimed amount.
    pub fn check_balance(&self, voucher: &Voucher, arriving: Amount) -> Result<(), PaymentRefusal> {
        let view = self.channel.view.clone().unwrap_or_default();
        let max = voucher.max_claimable_amount;
        match covers(&view, arriving, max) {
            Err(Reason::BelowClaimed) => {
                Err(self.stale(Reason::BelowClaimed, !self.is_public(max)))
            }
            covered => Ok(covered?),
        }
    }

    /// Checks that a deposit has arrived in full.
    pub fn check_held(&self, max: Amount) -> Result<(), Reason> {
        let view = self.channel.view.as_ref();
        match view.is_some_and(|view| view.balance >= max) {
            true => Ok(()),
            false => Err(Reason::AboveBalance),
        }
    }

    /// Whether a voucher may have been published in the calldata of a claim. This holds for any
    /// voucher up to the highest published one, even if less was claimed with it.
    pub fn is_public(&self, max: Amount) -> bool {
        let published = self.channel.published();
        !published.is_zero() && max <= published
    }

    /// The refusal for a payer whose channel state differs from ours. It includes the highest
    /// voucher only if the client has shown that it is the channel's `own` payer.
    pub fn stale(&self, reason: Reason, own: bool) -> PaymentRefusal {
        let charged = self.channel.charged.amount();
        self.correction(reason, charged, Amount::ZERO, own)
    }

    fn correction(
        &self,
        reason: Reason,
        charged: Amount,
        step: Amount,
        own: bool,
    ) -> PaymentRefusal {
        let correction = ChannelCorrection {
            chain_id: self.key.chain_id,
            channel: self.state(charged),
            step,
            voucher: self.voucher().filter(|_| own),
        };
        PaymentRefusal::Stale(reason, Box::new(correction))
    }

    /// The channel state that is sent to payers.
    pub fn state(&self, charged: Amount) -> ChannelState {
        let view = self.channel.view.clone().unwrap_or_default();
        ChannelState {
            charged_cumulative_amount: Some(charged),
            ..state(self.key.channel, &view)
        }
    }

    fn voucher(&self) -> Option<VoucherState> {
        let signature: Bytes = self.channel.signature.parse().ok()?;
        (!signature.is_empty()).then(|| VoucherState {
            signed_max_claimable: self.channel.authorised.amount(),
            signature,
        })
    }
}

/// Whether a channel's balance, with an arriving deposit, covers a voucher.
pub(super) fn covers(view: &ChannelView, arriving: Amount, max: Amount) -> Result<(), Reason> {
    let balance = view.balance.checked_add(arriving);
    let balance = balance.ok_or(Reason::DepositRefused)?;
    if balance.is_zero() {
        return Err(Reason::ChannelNotFound);
    }
    if max > balance {
        return Err(Reason::AboveBalance);
    }
    if max <= view.claimed {
        return Err(Reason::BelowClaimed);
    }
    Ok(())
}

/// The channel state that is sent to other parties.
pub(super) fn state(channel: Word, view: &ChannelView) -> ChannelState {
    let withdrawal = view.withdrawal;
    ChannelState {
        channel_id: channel,
        balance: view.balance,
        total_claimed: view.claimed,
        withdraw_requested_at: withdrawal.map_or(0, |withdrawal| withdrawal.started),
        refund_nonce: view.refund_nonce,
        charged_cumulative_amount: None,
    }
}
