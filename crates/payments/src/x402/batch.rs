//! Payments from channels: checks a voucher against the charged amount, its signature, and the
//! balance on the chain.

use std::sync::Arc;

use alloy::primitives::{hex, keccak256};

use super::{
    binding::{RequestBinding, is_marked},
    channel_session::{ChannelSession, PaymentBid},
    checks::{authorised, check_terms, check_voucher, check_window, signed},
    digest::deposit_nonce,
    lane::PaymentMethod,
    payment_guard::ChannelGuard,
    reason::Reason,
    refusal::PaymentRefusal,
    sponsor::ContractPayers,
    terms::{SellerState, TakenOffer},
    wire::{BatchPayload, DepositPart, Erc3009, TransferAuthorization, Voucher, VoucherAction},
};
use crate::settlement::{ChainFailure, DepositPermit};
use openlora_contracts::COLLECTOR;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{ChannelKey, ChannelTerms, CheckedPayment, LedgerChannel, PaymentScheme};
use openlora_ports::OfferedCall;

impl SellerState {
    /// Steps 3 to 7 for a voucher, with or without a deposit. The voucher's signer is verified
    /// before any state of the channel is compared or disclosed.
    pub async fn open_batch(
        self: &Arc<Self>,
        sale: &OfferedCall,
        taken: &TakenOffer,
        batch: &BatchPayload,
        binding: Option<&RequestBinding>,
    ) -> Result<ChannelGuard, PaymentRefusal> {
        let part = match &batch.action {
            VoucherAction::Voucher => None,
            VoucherAction::Deposit(part) => Some(part),
            VoucherAction::Refund { .. } => return Err(Reason::PayloadType.into()),
        };
        let (method, voucher) = (&taken.method, &batch.voucher);
        let by_contract = batch.config.payer_authorizer.is_zero();
        if by_contract && self.sponsor.rules.contract_payers == ContractPayers::Refuse {
            return Err(Reason::ContractPayer.into());
        }
        // Such a voucher is claimed in a transaction of its own.
        if by_contract && sale.quote < method.chain_offer.min_exact {
            return Err(Reason::ContractTooSmall.into());
        }
        if by_contract && sale.presenter.is_limited {
            return Err(PaymentRefusal::Limited);
        }
        taken.check_signer(batch).await?;
        match binding {
            Some(binding) => taken.check_bound(batch, binding, sale).await?,
            None if is_marked(batch.config.salt) => return Err(Reason::RequestBinding.into()),
            None => {}
        }
        let mut session = self.line(taken, batch).await?;
        if sale.presenter.is_limited && (part.is_some() || !session.known) {
            return Err(PaymentRefusal::Limited);
        }
        let bid = PaymentBid {
            max: voucher.max_claimable_amount,
            amount: taken.offer.amount,
            bound: binding.is_some(),
        };
        if session.known {
            match session.check_total(bid, sale) {
                // What may be disclosed depends on the channel's current state on the chain.
                Err(PaymentRefusal::Used(..) | PaymentRefusal::Stale(..)) if !bid.bound => {}
                priced => _ = priced?,
            }
        }
        let view = method.settlement().channel(session.key.channel).await?;
        session.channel.observe(view.clone());
        let quote = session.check_total(bid, sale)?;
        if view.withdrawal.is_some() {
            return Err(Reason::Withdrawal.into());
        }
        session.check_room(bid.max)?;
        let owed = quote.is_zero() && !sale.quote.is_zero();
        let is_due = !session.channel.unclaimed().is_zero();
        if !owed && !method.settlement().affords_claim(is_due) {
            return Err(PaymentRefusal::GasShort);
        }
        let deposit = match part {
            Some(part) if !owed => self.arriving(taken, &mut session, part, voucher).await?,
            _ => None,
        };
        if !owed {
            let arriving = deposit.as_ref().map_or(Amount::ZERO, |it| it.amount);
            session.check_balance(voucher, arriving)?;
        }
        let payment = CheckedPayment {
            collected: by_contract && !owed,
            ..payment(sale, &session, voucher, quote)
        };
        Ok(ChannelGuard::new(
            Arc::clone(self),
            Arc::clone(method),
            sale,
            session,
            deposit,
            payment,
        ))
    }

    /// Locks the channel of a payer whose voucher was checked.
    pub async fn line(
        &self,
        taken: &TakenOffer,
        batch: &BatchPayload,
    ) -> Result<ChannelSession, PaymentRefusal> {
        let config = ChannelTerms::from(batch.config.clone());
        let key = ChannelKey {
            chain_id: taken.method.chain_id,
            channel: batch.voucher.channel_id,
        };
        let lock = self.channels.take(key).await.ok_or(PaymentRefusal::Busy)?;
        let known = self.channel(&key);
        Ok(ChannelSession {
            key,
            _lock: lock,
            known: known.is_some(),
            channel: known.unwrap_or_else(|| LedgerChannel::new(config)),
        })
    }

    /// The deposit, if it is still to be made. The chain may already have it from an attempt whose
    /// outcome the payer did not see. It would then be refused there, and it may have expired, but
    /// its money covers the voucher.
    async fn arriving(
        &self,
        taken: &TakenOffer,
        session: &mut ChannelSession,
        part: &DepositPart,
        voucher: &Voucher,
    ) -> Result<Option<DepositPermit>, PaymentRefusal> {
        let (method, id) = (&taken.method, session.key.channel);
        let minimum = taken.offer.extra.min_deposit.unwrap_or_default();
        let config = &session.channel.config;
        let deposit = match method.deposit(id, config, part, minimum).await {
            Err(PaymentRefusal::Because(Reason::DepositExpired)) if session.covers(voucher) => {
                return Ok(None);
            }
            deposit => deposit?,
        };
        match method.settlement().check_deposit(&deposit).await {
            Ok(()) => Ok(Some(deposit)),
            Err(trouble @ ChainFailure::Rejected { .. }) => {
                session
                    .channel
                    .observe(method.settlement().channel(id).await?);
                match session.covers(voucher) {
                    true => Ok(None),
                    false => Err(PaymentRefusal::from_failure(Reason::DepositRefused)(
                        trouble,
                    )),
                }
            }
            Err(trouble) => Err(trouble.into()),
        }
    }
}

impl PaymentMethod {
    /// A deposit with valid terms and a valid signature.
    pub async fn deposit(
        &self,
        channel: Word,
        config: &ChannelTerms,
        part: &DepositPart,
        minimum: Amount,
    ) -> Result<DepositPermit, PaymentRefusal> {
        let signed_part = part.authorization.erc3009.as_ref();
        let signed_part = signed_part.ok_or(Reason::DepositMethod)?;
        if part.amount < minimum {
            return Err(Reason::DepositTooSmall.into());
        }
        let (after, before) = (signed_part.valid_after, signed_part.valid_before);
        check_window(after, before, Reason::DepositExpired, Reason::DepositEarly)?;
        let authorization = receiving(config, channel, part.amount, signed_part);
        let digest = self.token.receive(&authorization);
        let (payer, signature) = (config.payer, &signed_part.signature);
        if !signed(self.settlement(), payer, digest, signature).await? {
            return Err(Reason::DepositSignature.into());
        }
        Ok(DepositPermit {
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

/// The authorization that a deposit's payer signs.
pub(super) fn receiving(
    config: &ChannelTerms,
    channel: Word,
    value: Amount,
    part: &Erc3009,
) -> TransferAuthorization {
    TransferAuthorization {
        from: config.payer,
        to: COLLECTOR.into(),
        value,
        valid_after: part.valid_after,
        valid_before: part.valid_before,
        nonce: deposit_nonce(channel, part.salt),
    }
}

impl TakenOffer {
    /// Checks that a channel fits the offer and that its payer's signer signed the voucher.
    pub async fn check_signer(&self, batch: &BatchPayload) -> Result<(), PaymentRefusal> {
        let config = ChannelTerms::from(batch.config.clone());
        let channel = batch.voucher.channel_id;
        check_terms(&self.method.escrow, &config, channel, &self.offer)?;
        self.check_voucher_of(batch).await
    }

    /// Checks that the signer of a channel's payer signed the voucher.
    pub async fn check_voucher_of(&self, batch: &BatchPayload) -> Result<(), PaymentRefusal> {
        let method = &self.method;
        let config = ChannelTerms::from(batch.config.clone());
        check_voucher(method.settlement(), &method.escrow, &config, &batch.voucher).await
    }

    async fn check_bound(
        &self,
        batch: &BatchPayload,
        binding: &RequestBinding,
        sale: &OfferedCall,
    ) -> Result<(), PaymentRefusal> {
        let (settlement, voucher) = (self.method.settlement(), &batch.voucher);
        let config = ChannelTerms::from(batch.config.clone());
        let max = voucher.max_claimable_amount;
        let digest = self
            .method
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

/// The account that a channel belongs to: the payer if it signs its own vouchers. Otherwise it is
/// derived from payer and signer together, because the payer may not know about the channel.
pub(super) fn channel_owner(config: &ChannelTerms) -> Address {
    let (payer, signer) = (config.payer, config.payer_authorizer);
    if signer.is_zero() || signer == payer {
        return payer;
    }
    let hash = keccak256([payer.0, signer.0].concat());
    let mut both = [0; 20];
    both.copy_from_slice(&hash[12..]);
    Address(both)
}

fn payment(
    sale: &OfferedCall,
    session: &ChannelSession,
    voucher: &Voucher,
    quote: Amount,
) -> CheckedPayment {
    let config = &session.channel.config;
    CheckedPayment {
        scheme: PaymentScheme::BatchSettlement,
        chain_id: session.key.chain_id,
        token: config.token,
        receiver: config.receiver,
        payer: config.payer,
        id: session.key.channel,
        before: session.channel.charged.amount(),
        quote,
        signature: hex::encode_prefixed(&voucher.signature),
        prices: sale.prices,
        work: sale.work,
        collected: false,
        party: Some(channel_owner(config)).filter(|party| *party != config.payer),
    }
}
