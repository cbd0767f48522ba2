//! Payments from channels: the voucher against what is charged, signed for, and held on the chain.

use std::sync::Arc;

use alloy::primitives::{Bytes, hex, keccak256};

use super::{
    binding::{RequestBinding, is_marked},
    checks::{authorised, check_terms, check_voucher, check_window, signed},
    digest::deposit_nonce,
    reason::Reason,
    refused::{Correction, Refused},
    shelf::Held,
    sponsor::ContractPayers,
    tab::BatchTab,
    terms::{Back, LARGEST_STEP, Lane, Taken},
    wire::{Authorization, Batch, ChannelState, Deed, DepositPart, Erc3009, Voucher, VoucherState},
};
use crate::{
    runtime::{
        ledger::{
            Address, Amount, Channel, ChannelConfig, ChannelKey, ChannelView, Payment, Scheme, Word,
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

/// Totals of one channel that are remembered.
const MOST_TOTALS: usize = 1024;

impl Back {
    /// Steps 3 to 7 for a voucher, with or without a deposit. Whose voucher it is is known before
    /// anything of the channel is compared or told.
    pub async fn open_batch(
        self: &Arc<Self>,
        sale: &Sale,
        taken: &Taken,
        (batch, binding): (&Batch, Option<&RequestBinding>),
    ) -> Result<BatchTab, Refused> {
        let part = match &batch.deed {
            Deed::Voucher => None,
            Deed::Deposit(part) => Some(part),
            Deed::Refund { .. } => return Err(Reason::PayloadType.into()),
        };
        let (lane, voucher) = (&taken.lane, &batch.voucher);
        let by_contract = batch.config.payer_authorizer.is_zero();
        if by_contract && self.sponsor.rules.contract_payers == ContractPayers::Refuse {
            return Err(Reason::ContractPayer.into());
        }
        taken.check_signer(batch).await?;
        match binding {
            Some(binding) => taken.check_bound(batch, binding, sale).await?,
            None if is_marked(batch.config.salt) => return Err(Reason::RequestBinding.into()),
            None => {}
        }
        let mut line = self.line(taken, batch).await?;
        let bid = Bid {
            max: voucher.max_claimable_amount,
            amount: taken.offer.amount,
            bound: binding.is_some(),
        };
        if line.known {
            match line.price(bid, sale) {
                // What may be told depends on what the chain shows of the channel now.
                Err(Refused::Used(..) | Refused::Stale(..)) if !bid.bound => {}
                priced => _ = priced?,
            }
        }
        let view = lane.settlement().channel(line.key.channel).await?;
        line.channel.observe(view.clone());
        let quote = line.price(bid, sale)?;
        if view.withdrawal.is_some() {
            return Err(Reason::Withdrawal.into());
        }
        line.check_room(bid.max)?;
        let owed = quote.is_zero() && !sale.quote.is_zero();
        let deposit = match part {
            Some(part) if !owed => self.arriving(taken, &mut line, part, voucher).await?,
            _ => None,
        };
        if !owed {
            let arriving = deposit.as_ref().map_or(Amount::ZERO, |it| it.amount);
            line.check_balance(voucher, arriving)?;
        }
        let payment = Payment {
            collected: by_contract && !owed,
            ..payment(sale, &line, voucher, quote)
        };
        let behind = (Arc::clone(self), Arc::clone(lane));
        Ok(BatchTab::new(behind, sale, line, deposit, payment))
    }

    /// Takes the channel of a payer who was heard into our hands.
    pub async fn line(&self, taken: &Taken, batch: &Batch) -> Result<Line, Refused> {
        let config = ChannelConfig::from(batch.config.clone());
        let key = ChannelKey {
            chain_id: taken.lane.chain_id,
            channel: batch.voucher.channel_id,
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
                line.channel.observe(lane.settlement().channel(id).await?);
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

impl Taken {
    /// Whether a channel fits the offer, and its voucher is signed by whoever signs for its payer.
    pub async fn check_signer(&self, batch: &Batch) -> Result<(), Refused> {
        let (lane, voucher) = (&self.lane, &batch.voucher);
        let config = ChannelConfig::from(batch.config.clone());
        check_terms(&lane.escrow, &config, voucher.channel_id, &self.offer)?;
        check_voucher(lane.settlement(), &lane.escrow, &config, voucher).await
    }

    async fn check_bound(
        &self,
        batch: &Batch,
        binding: &RequestBinding,
        sale: &Sale,
    ) -> Result<(), Refused> {
        let (settlement, voucher) = (self.lane.settlement(), &batch.voucher);
        let config = ChannelConfig::from(batch.config.clone());
        let max = voucher.max_claimable_amount;
        let digest = self
            .lane
            .binding
            .request(voucher.channel_id, max, binding.request_hash);
        let ours = binding.request_hash == sale.request
            && authorised(settlement, &config, digest, &binding.signature).await?;
        match ours {
            true => Ok(()),
            false => Err(Reason::RequestBinding.into()),
        }
    }
}

/// What a payer offers for a call.
#[derive(Clone, Copy)]
pub(super) struct Bid {
    /// The total that it signed for.
    pub max: Amount,
    /// Of the offer that it took.
    pub amount: Amount,
    /// Whether the payment names its request.
    pub bound: bool,
}

impl Line {
    /// What a voucher pays for a call: it is for what is charged and this call, neither more nor
    /// less. A total that was used belongs to the request that used it: the same one is known
    /// again, and another one is led to a total that is above it by a unit or a few. Nothing is to
    /// be paid for a request that is paid already and was not answered.
    pub fn price(&self, bid: Bid, sale: &Sale) -> Result<Amount, Refused> {
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
            // A step was in the price of a call that is charged by now: the same bytes come again.
            let otherwise = Refused::Differs("amount");
            return Err(match again {
                Some(used) => Refused::Used(used.clone(), Box::new(otherwise)),
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
            true => self.led_on((plain, own), &other, bid.bound),
            false => self.stale(Reason::Cumulative, own),
        };
        match again {
            Some(used) => Err(Refused::Used(used.clone(), Box::new(stale))),
            None => Err(stale),
        }
    }

    /// Totals that are allowed and not charged are kept, so there are only so many.
    fn check_room(&self, max: Amount) -> Result<(), Reason> {
        let used = &self.channel.used;
        match used.len() < MOST_TOTALS || used.contains_key(&max) {
            true => Ok(()),
            false => Err(Reason::Crowded),
        }
    }

    /// To a total that nobody has. Stock clients repeat a call with the price that they read first
    /// and the total that they are told now, so the step is in both; a client whose payment names
    /// its request reads the price again.
    fn led_on(
        &self,
        (plain, own): (Amount, bool),
        other: &impl Fn(&Amount) -> bool,
        bound: bool,
    ) -> Refused {
        let free = |step: u128| !other(&plain.saturating_add(Amount(step)));
        let step = (1..=LARGEST_STEP / 2).find(|step| free(*step) && free(2 * step));
        let step = Amount(step.unwrap_or_default());
        let charged = self.channel.charged.amount();
        let told = match bound {
            true => charged,
            false => charged.saturating_add(step),
        };
        self.correction(Reason::Cumulative, (told, step), own)
    }

    fn covers(&self, voucher: &Voucher) -> bool {
        self.check_balance(voucher, Amount::ZERO).is_ok()
    }

    /// The voucher is within what the channel holds, and above what is claimed.
    fn check_balance(&self, voucher: &Voucher, arriving: Amount) -> Result<(), Refused> {
        let view = self.channel.view.clone().unwrap_or_default();
        let max = voucher.max_claimable_amount;
        match covers(&view, arriving, max) {
            Err(Reason::BelowClaimed) => {
                Err(self.stale(Reason::BelowClaimed, !self.is_public(max)))
            }
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

    /// Whether a voucher may be one that a claim has put on the chain, where everybody finds it.
    pub fn is_public(&self, max: Amount) -> bool {
        let view = self.channel.view.as_ref();
        view.is_some_and(|view| !view.claimed.is_zero() && max <= view.claimed)
    }

    /// Where we have the channel otherwise than its payer. The highest voucher is told to whoever
    /// has shown to be its `own` side.
    pub fn stale(&self, reason: Reason, own: bool) -> Refused {
        let charged = self.channel.charged.amount();
        self.correction(reason, (charged, Amount::ZERO), own)
    }

    fn correction(&self, reason: Reason, (charged, step): (Amount, Amount), own: bool) -> Refused {
        let correction = Correction {
            chain_id: self.key.chain_id,
            channel: self.state(charged),
            step,
            voucher: self.voucher().filter(|_| own),
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

/// Whose channel it is: its payer's where that signs its vouchers, and of payer and signer
/// together otherwise, because the payer may know nothing of it.
pub(super) fn party(config: &ChannelConfig) -> Address {
    let (payer, signer) = (config.payer, config.payer_authorizer);
    if signer.is_zero() || signer == payer {
        return payer;
    }
    let hash = keccak256([payer.0, signer.0].concat());
    let mut both = [0; 20];
    both.copy_from_slice(&hash[12..]);
    Address(both)
}

fn payment(sale: &Sale, line: &Line, voucher: &Voucher, quote: Amount) -> Payment {
    let config = &line.channel.config;
    Payment {
        scheme: Scheme::BatchSettlement,
        chain_id: line.key.chain_id,
        token: config.token,
        receiver: config.receiver,
        payer: config.payer,
        id: line.key.channel,
        before: line.channel.charged.amount(),
        quote,
        signature: hex::encode_prefixed(&voucher.signature),
        prices: sale.prices,
        work: sale.work,
        collected: false,
        party: Some(party(config)).filter(|party| *party != config.payer),
    }
}
