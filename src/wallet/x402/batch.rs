//! Payments from channels: the voucher against what is charged, signed for, and held on the chain.

use std::sync::Arc;

use alloy::primitives::{Bytes, hex};

use super::{
    checks::{check_terms, check_voucher, check_window, signed},
    digest::deposit_nonce,
    reason::Reason,
    refused::{Correction, Refused},
    shelf::Held,
    tab::BatchTab,
    terms::{Back, Lane, Taken},
    wire::{Authorization, Batch, ChannelState, Deed, DepositPart, Erc3009, Voucher, VoucherState},
};
use crate::{
    runtime::{
        ledger::{
            Amount, Channel, ChannelConfig, ChannelKey, ChannelView, Claimed, Payment, Scheme,
            Total, Word,
        },
        ports::Sale,
    },
    wallet::{
        contracts::COLLECTOR,
        settlement::{Deposit, Trouble},
    },
};

/// A channel in our hands, as far as it is known.
pub(super) struct Line {
    pub key: ChannelKey,
    pub held: Held<ChannelKey, Channel>,
    pub channel: Channel,
    /// Whether it is in the journal.
    pub known: bool,
}

impl Back {
    /// Steps 3 to 7 for a voucher, with or without a deposit.
    pub async fn open_batch(
        self: &Arc<Self>,
        sale: &Sale,
        taken: &Taken,
        batch: &Batch,
    ) -> Result<BatchTab, Refused> {
        let part = match &batch.deed {
            Deed::Voucher => None,
            Deed::Deposit(part) => Some(part),
            Deed::Refund { .. } => return Err(Reason::PayloadType.into()),
        };
        let lane = &taken.lane;
        let mut line = self.line(taken, batch).await?;
        let check = |line: &Line| line.check_total(&batch.voucher, sale.quote, Some(sale));
        if line.known {
            check(&line)?;
        }
        check_voucher(
            lane.settlement(),
            &lane.escrow,
            &line.channel.config,
            &batch.voucher,
        )
        .await?;
        let view = lane.settlement().channel(line.key.channel).await?;
        line.observe(view.clone());
        check(&line)?;
        if view.withdrawal.is_some() {
            return Err(Reason::Withdrawal.into());
        }
        let deposit = match part {
            None => None,
            Some(part) => {
                self.arriving(taken, &mut line, part, &batch.voucher)
                    .await?
            }
        };
        let arriving = deposit.as_ref().map_or(Amount::ZERO, |it| it.amount);
        line.check_balance(&batch.voucher, arriving)?;
        let payment = payment(sale, &line, &batch.voucher);
        let behind = (Arc::clone(self), Arc::clone(lane));
        Ok(BatchTab::new(behind, sale, line, deposit, payment))
    }

    /// Takes a channel that fits the offer into our hands.
    pub async fn line(&self, taken: &Taken, batch: &Batch) -> Result<Line, Refused> {
        let config = ChannelConfig::from(batch.config.clone());
        let channel = batch.voucher.channel_id;
        check_terms(&taken.lane.escrow, &config, channel, &taken.offer)?;
        let key = ChannelKey {
            chain_id: taken.lane.chain_id,
            channel,
        };
        let held = self.channels.take(key).await.ok_or(Refused::Busy)?;
        let known = held.get().cloned();
        Ok(Line {
            key,
            held,
            known: known.is_some(),
            channel: known.unwrap_or_else(|| Channel::new(config)),
        })
    }

    /// The deposit, if it is still to be made. One that the chain has already, from an attempt
    /// whose end the payer did not see, is refused there and may be too late by now, but its money
    /// covers the voucher.
    async fn arriving(
        &self,
        taken: &Taken,
        line: &mut Line,
        part: &DepositPart,
        voucher: &Voucher,
    ) -> Result<Option<Deposit>, Refused> {
        let (lane, id) = (&taken.lane, line.key.channel);
        let minimum = taken.offer.extra.min_deposit.unwrap_or_default();
        let config = &line.channel.config;
        let deposit = match lane.deposit(id, config, part, minimum).await {
            Err(Refused::Because(Reason::DepositExpired)) if line.covers(voucher) => {
                return Ok(None);
            }
            deposit => deposit?,
        };
        match lane.settlement().check_deposit(&deposit).await {
            Ok(()) => Ok(Some(deposit)),
            Err(trouble @ Trouble::Rejected { .. }) => {
                line.observe(lane.settlement().channel(id).await?);
                match line.covers(voucher) {
                    true => Ok(None),
                    false => Err(Refused::of(Reason::DepositRefused)(trouble)),
                }
            }
            Err(trouble) => Err(trouble.into()),
        }
    }
}

impl Lane {
    /// A deposit whose terms and signature are in order.
    pub async fn deposit(
        &self,
        channel: Word,
        config: &ChannelConfig,
        part: &DepositPart,
        minimum: Amount,
    ) -> Result<Deposit, Refused> {
        let signed_part = part.authorization.erc3009.as_ref();
        let signed_part = signed_part.ok_or(Reason::DepositMethod)?;
        if part.amount < minimum {
            return Err(Reason::DepositTooSmall.into());
        }
        let (after, before) = (signed_part.valid_after, signed_part.valid_before);
        check_window(
            after,
            before,
            (Reason::DepositExpired, Reason::DepositEarly),
        )?;
        let authorization = receiving(config, channel, part.amount, signed_part);
        let digest = self.token.receive(&authorization);
        let (payer, signature) = (config.payer, &signed_part.signature);
        if !signed(self.settlement(), payer, digest, signature).await? {
            return Err(Reason::DepositSignature.into());
        }
        Ok(Deposit {
            channel,
            config: config.clone(),
            amount: part.amount,
            valid_after: after,
            valid_before: before,
            salt: signed_part.salt,
            signature: signature.clone(),
        })
    }
}

/// What a deposit's signature is over.
pub(super) fn receiving(
    config: &ChannelConfig,
    channel: Word,
    value: Amount,
    part: &Erc3009,
) -> Authorization {
    Authorization {
        from: config.payer,
        to: COLLECTOR.into(),
        value,
        valid_after: part.valid_after,
        valid_before: part.valid_before,
        nonce: deposit_nonce(channel, part.salt),
    }
}

impl Line {
    /// Takes over what the chain says. It remembers more than the journal where that was lost.
    pub fn observe(&mut self, view: ChannelView) {
        if view.claimed > self.channel.charged.amount() {
            self.channel.charged = Total::lost(Total::<Claimed>::observed(view.claimed));
        }
        self.channel.view = Some(view);
    }

    /// The voucher is for what is charged and this call, neither more nor less. One that was used
    /// is known again first; one for another amount is answered with what we have. Calls that cost
    /// less than they could may share a voucher: then the one that is repeated counts.
    pub fn check_total(
        &self,
        voucher: &Voucher,
        price: Amount,
        call: Option<&Sale>,
    ) -> Result<(), Refused> {
        let charged = self.channel.charged.amount();
        let expected = charged.checked_add(price);
        if expected == Some(voucher.max_claimable_amount) {
            return Ok(());
        }
        let stale = self.stale(Reason::Cumulative);
        let Some(call) = call else { return Err(stale) };
        let max = voucher.max_claimable_amount;
        let used = || self.channel.recent.iter().rev().filter(|it| it.max == max);
        let same = used().find(|it| it.request_hash == call.request_hash);
        match same.or_else(|| used().next()) {
            Some(used) => Err(Refused::Used(used.clone(), Box::new(stale))),
            None => Err(stale),
        }
    }

    fn covers(&self, voucher: &Voucher) -> bool {
        self.check_balance(voucher, Amount::ZERO).is_ok()
    }

    /// The voucher is within what the channel holds, and above what is claimed.
    fn check_balance(&self, voucher: &Voucher, arriving: Amount) -> Result<(), Refused> {
        let view = self.channel.view.clone().unwrap_or_default();
        let max = voucher.max_claimable_amount;
        match covers(&view, arriving, max) {
            Err(Reason::BelowClaimed) => Err(self.stale(Reason::BelowClaimed)),
            covered => Ok(covered?),
        }
    }

    /// A deposit has arrived, and whole.
    pub fn check_held(&self, max: Amount) -> Result<(), Reason> {
        let view = self.channel.view.as_ref();
        match view.is_some_and(|view| view.balance >= max) {
            true => Ok(()),
            false => Err(Reason::AboveBalance),
        }
    }

    pub fn stale(&self, reason: Reason) -> Refused {
        let correction = Correction {
            chain_id: self.key.chain_id,
            channel: self.state(self.channel.charged.amount()),
            voucher: self.voucher(),
        };
        Refused::Stale(reason, Box::new(correction))
    }

    /// The channel as payers are told of it.
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

/// Whether what a channel holds, with what is arriving, covers a voucher.
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

/// A channel as others are told of it.
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

fn payment(sale: &Sale, line: &Line, voucher: &Voucher) -> Payment {
    let config = &line.channel.config;
    Payment {
        scheme: Scheme::BatchSettlement,
        chain_id: line.key.chain_id,
        token: config.token,
        receiver: config.receiver,
        payer: config.payer,
        id: line.key.channel,
        before: line.channel.charged.amount(),
        quote: sale.quote,
        signature: hex::encode_prefixed(&voucher.signature),
        prices: sale.prices,
        work: sale.work,
    }
}
