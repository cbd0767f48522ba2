//! Refunds the rest of a channel at its payer's request.

use std::sync::Arc;

use alloy::{hex, primitives::Bytes};
use serde_json::json;

use super::{
    batch::channel_owner,
    binding::{LONGEST_REFUND_REQUEST, RefundRequest, is_marked},
    channel_session::ChannelSession,
    checks::{authorised, check_voucher, now},
    lane::PaymentMethod,
    reason::Reason,
    refusal::{PaymentRefusal, UnpaidRefund},
    terms::{SellerState, TakenOffer},
    wire::{BatchPayload, ResponseExtra, SettleResponse, Voucher, VoucherAction, network},
};
use crate::settlement::{ChannelRefund, MinedResult};
use openlora_core::Amount;
use openlora_ledger::{
    ChannelKey, ChannelTerms, ReceiverKey,
    event::{ChannelObserved, ChannelOpened, Event, RefundCharged},
};
use openlora_ports::RefundAnswer;

impl SellerState {
    /// Claims what is charged and returns the rest. A signed request is known to be the payer's own
    /// and recent, and it pays for the transaction: its fee is charged and claimed together with
    /// the cost of calls. A voucher alone cannot pay, so the fee stays in the channel, and the
    /// number of such refunds is limited.
    ///
    /// A voucher for the charged amount may have paid a call, so other parties may know it. In that
    /// case the refund waits, and a payment from the channel during this pause cancels it.
    pub async fn give_back(
        self: &Arc<Self>,
        taken: &TakenOffer,
        batch: &BatchPayload,
        request: Option<&RefundRequest>,
    ) -> Result<RefundAnswer, PaymentRefusal> {
        let VoucherAction::Refund { amount } = batch.action else {
            return Err(Reason::PayloadType.into());
        };
        match self.is_earlier(taken, batch) {
            true => taken.check_voucher_of(batch).await?,
            false => taken.check_signer(batch).await?,
        }
        let mut line = self.seen(taken, batch).await?;
        let method = &taken.method;
        let (fee, amount) = match request {
            Some(request) => {
                taken.check_request(&line, request).await?;
                taken.paid(&line, request).await?
            }
            None if is_marked(batch.config.salt) => return Err(Reason::RefundRequest.into()),
            None => {
                line.check_charged(&batch.voucher)?;
                if !line.is_fresh() {
                    line = self.waited(taken, batch, line).await?;
                }
                (None, line.rest(amount, method.chain_offer.refund_fee)?)
            }
        };
        let refund = ChannelRefund {
            // A contract's signature may be invalid when its fee is claimed.
            is_signed: request.is_some() && !line.channel.config.payer_authorizer.is_zero(),
            ..line.refund(&batch.voucher, amount, fee)?
        };
        let (state, method) = (Arc::clone(self), Arc::clone(method));
        // Runs in its own task with the channel's lock. The caller may disconnect, and no call may
        // be paid with money that is being refunded.
        let sent = tokio::spawn(async move { state.send_refund(&method, line, refund).await });
        sent.await.unwrap_or_else(|_| Err(PaymentRefusal::Busy))
    }

    async fn send_refund(
        &self,
        method: &PaymentMethod,
        mut line: ChannelSession,
        refund: ChannelRefund,
    ) -> Result<RefundAnswer, PaymentRefusal> {
        self.opened(&mut line).await?;
        let settlement = method.settlement_of(refund.config.receiver_authorizer);
        let done = settlement.refund(&refund).await;
        let done = done.map_err(PaymentRefusal::from_failure(Reason::RefundRefused))?;
        if let Some(recorded) = self.channel(&line.key) {
            line.channel = recorded;
        }
        method.look_again(&mut line, &done).await?;
        self.sponsor.end(line.key);
        let fee = refund.fee.as_ref().map_or(Amount::ZERO, |fee| fee.amount);
        refunded(&line, refund.amount, fee, &done)
    }

    /// Whether a channel was opened on earlier terms of this seller, with a release before this one
    /// or with an account before the current one, and can be refunded: its account's key is at hand.
    fn is_earlier(&self, taken: &TakenOffer, batch: &BatchPayload) -> bool {
        let config = ChannelTerms::from(batch.config.clone());
        let key = ChannelKey {
            chain_id: taken.method.chain_id,
            channel: batch.voucher.channel_id,
        };
        let known = self.channel(&key);
        known.is_some_and(|known| known.config == config)
            && config.token == taken.offer.asset
            && self.signs_for(&taken.method, config.receiver_authorizer)
    }

    /// The channel with its current state on the chain.
    async fn seen(
        &self,
        taken: &TakenOffer,
        batch: &BatchPayload,
    ) -> Result<ChannelSession, PaymentRefusal> {
        let mut session = self.line(taken, batch).await?;
        let view = taken
            .method
            .settlement()
            .channel(session.key.channel)
            .await?;
        session.channel.observe(view);
        Ok(session)
    }

    /// The channel after the pause, if no call was paid from it meanwhile.
    async fn waited(
        &self,
        taken: &TakenOffer,
        batch: &BatchPayload,
        session: ChannelSession,
    ) -> Result<ChannelSession, PaymentRefusal> {
        let (key, calls) = (session.key, session.channel.calls);
        let (left, _turn) = self.sponsor.wait(key, calls)?;
        drop(session);
        tokio::time::sleep(left).await;
        let session = self.seen(taken, batch).await?;
        if session.channel.calls != calls {
            self.sponsor.end(key);
            let own = !session.is_public(batch.voucher.max_claimable_amount);
            return Err(session.stale(Reason::RefundCancelled, own));
        }
        session.check_charged(&batch.voucher)?;
        Ok(session)
    }

    /// Records a channel that is not in the journal. Also records its state on the chain, if the
    /// ledger's total would start elsewhere. Both happen before any other event of the channel. For
    /// channels in the journal, the settlement client records every other change.
    pub async fn opened(&self, session: &mut ChannelSession) -> Result<(), PaymentRefusal> {
        let key = session.key;
        if !session.known {
            let config = session.channel.config.clone();
            let opened = ChannelOpened { key, config };
            self.append_event(Event::ChannelOpened(Box::new(opened)))
                .await?;
            session.known = true;
        }
        let recorded = self.channel(&key);
        let (viewed, charged) = recorded.map_or((false, Amount::ZERO), |it| {
            (it.view.is_some(), it.charged.amount())
        });
        let view = session.channel.view.clone();
        if let Some(view) = view.filter(|view| !view.balance.is_zero())
            && (!viewed || charged != session.channel.charged.amount())
        {
            let observed = ChannelObserved { key, view };
            self.append_event(Event::ChannelObserved(Box::new(observed)))
                .await?;
        }
        Ok(())
    }

    pub async fn append_event(&self, event: Event) -> Result<(), PaymentRefusal> {
        self.facts
            .keep(event)
            .await
            .map_err(PaymentRefusal::Unwritable)
    }
}

impl PaymentMethod {
    /// The channel after a transaction.
    pub async fn look_again(
        &self,
        session: &mut ChannelSession,
        done: &MinedResult,
    ) -> Result<(), PaymentRefusal> {
        let view = match &done.view {
            Some(view) => view.clone(),
            None => self.settlement().channel(session.key.channel).await?,
        };
        session.channel.observe(view);
        Ok(())
    }
}

impl TakenOffer {
    /// Checks that the payer's signer requests the next refund, and that the request is valid now.
    async fn check_request(
        &self,
        session: &ChannelSession,
        request: &RefundRequest,
    ) -> Result<(), PaymentRefusal> {
        let (method, channel) = (&self.method, session.key.channel);
        let view = session.channel.view.clone().unwrap_or_default();
        let (nonce, until) = (request.refund_nonce, request.valid_before);
        let digest = request.digest(method.binding, channel);
        let now = now();
        let timely = until > now && until <= now.saturating_add(LONGEST_REFUND_REQUEST);
        let (config, signature) = (&session.channel.config, &request.signature);
        let good = timely
            && nonce == view.refund_nonce
            && authorised(method.settlement(), config, digest, signature).await?;
        match good {
            true => Ok(()),
            false => Err(Reason::RefundRequest.into()),
        }
    }

    /// The fee and the returned amount of a signed refund request. A refund that was paid for and
    /// not made costs nothing the second time. A payer with a contract pays no fee, because the
    /// contract may reject the voucher when it is claimed.
    async fn paid(
        &self,
        session: &ChannelSession,
        request: &RefundRequest,
    ) -> Result<(Option<RefundCharged>, Amount), PaymentRefusal> {
        let (channel, quoted) = (&session.channel, self.method.chain_offer.refund_fee);
        if quoted.is_zero() || channel.has_paid_refund(request.refund_nonce) {
            return Ok((None, session.rest(request.amount, Amount::ZERO)?));
        }
        let amount = session.rest(request.amount, quoted)?;
        if channel.config.payer_authorizer.is_zero() {
            return Ok((None, amount));
        }
        let charged = channel.charged.amount();
        let total = charged.checked_add(quoted).ok_or(Reason::Cumulative)?;
        let Some(fee) = request.fee.as_ref().filter(|fee| fee.amount == quoted) else {
            return Err(session.unpaid_fee(quoted));
        };
        if fee.max_claimable_amount != total {
            return Err(session.stale(Reason::Cumulative, true));
        }
        let voucher = Voucher {
            channel_id: session.key.channel,
            max_claimable_amount: total,
            signature: fee.signature.clone(),
        };
        let (settlement, escrow) = (self.method.settlement(), &self.method.escrow);
        check_voucher(settlement, escrow, &channel.config, &voucher).await?;
        let charge = RefundCharged {
            key: session.key,
            receiver: ReceiverKey {
                chain_id: session.key.chain_id,
                receiver: channel.config.receiver,
                token: channel.config.token,
            },
            refund_nonce: request.refund_nonce,
            amount: quoted,
            cumulative: total,
            signature: hex::encode_prefixed(&fee.signature),
        };
        Ok((Some(charge), amount))
    }
}

impl ChannelSession {
    /// The voucher of a refund request is for the charged amount, so it pays for nothing. A voucher
    /// that was published on the chain proves no request.
    fn check_charged(&self, voucher: &Voucher) -> Result<(), PaymentRefusal> {
        let max = voucher.max_claimable_amount;
        let public = self.is_public(max);
        if max != self.channel.charged.amount() {
            return Err(self.stale(Reason::Cumulative, !public));
        }
        match public {
            true => Err(Reason::RefundClaimed.into()),
            false => Ok(()),
        }
    }

    /// Whether a voucher for the charged amount has never been disclosed before.
    fn is_fresh(&self) -> bool {
        let view = self.channel.view.clone().unwrap_or_default();
        let known = self.known || (view.claimed.is_zero() && view.refund_nonce == 0);
        known
            && !self
                .channel
                .used
                .contains_key(&self.channel.charged.amount())
    }

    /// The refund's claim uses the highest voucher, which the payer of every charged channel has
    /// signed.
    fn refund(
        &self,
        voucher: &Voucher,
        amount: Amount,
        fee: Option<RefundCharged>,
    ) -> Result<ChannelRefund, PaymentRefusal> {
        // The channel's state after the fee is charged.
        let mut channel = self.channel.clone();
        if let Some(fee) = &fee
            && let Err(breach) = channel.charge_refund(fee)
        {
            tracing::error!(channel = %self.key, %breach, "a refund's fee does not fit");
            return Err(Reason::Cumulative.into());
        }
        let signature: Bytes = channel.signature.parse().unwrap_or_default();
        let (voucher_max, voucher_signature) = match signature.is_empty() {
            true => (voucher.max_claimable_amount, voucher.signature.clone()),
            false => (channel.authorised.amount(), signature),
        };
        Ok(ChannelRefund {
            channel: self.key.channel,
            party: channel_owner(&channel.config),
            charged: channel.charged.amount(),
            refund_nonce: channel.view.as_ref().map_or(0, |view| view.refund_nonce),
            config: channel.config,
            amount,
            voucher_max,
            voucher_signature,
            is_signed: false,
            fee,
        })
    }

    /// The balance that is not charged.
    fn left(&self) -> Amount {
        let balance = self.channel.view.clone().unwrap_or_default().balance;
        balance.saturating_sub(self.channel.charged.amount())
    }

    fn unpaid_fee(&self, fee: Amount) -> PaymentRefusal {
        PaymentRefusal::RefundFee(Box::new(UnpaidRefund {
            chain_id: self.key.chain_id,
            fee,
            rest: self.left(),
            total: self.channel.charged.amount().saturating_add(fee),
        }))
    }

    /// The part of the requested amount that can be refunded, after the fee.
    fn rest(&self, asked: Option<Amount>, fee: Amount) -> Result<Amount, PaymentRefusal> {
        let rest = self.left();
        let above = rest.saturating_sub(fee);
        match asked {
            Some(Amount::ZERO) => Err(Reason::RefundAmount.into()),
            _ if rest.is_zero() => Err(Reason::RefundEmpty.into()),
            _ if above.is_zero() => Err(self.unpaid_fee(fee)),
            asked => Ok(asked.unwrap_or(above).min(above)),
        }
    }
}

fn refunded(
    session: &ChannelSession,
    amount: Amount,
    fee: Amount,
    done: &MinedResult,
) -> Result<RefundAnswer, PaymentRefusal> {
    let charged = session.channel.charged.amount();
    let response = SettleResponse {
        success: true,
        payer: Some(session.channel.config.payer.to_string()),
        transaction: done.tx.clone(),
        network: network(session.key.chain_id),
        amount: Some(amount.to_string()),
        extra: Some(ResponseExtra {
            channel_state: Some(session.state(charged)),
            ..ResponseExtra::default()
        }),
        ..SettleResponse::default()
    };
    Ok(RefundAnswer {
        response: response.encode()?,
        body: json!({
            "message": "What was left in the channel is returned to its payer.",
            "channelId": session.key.channel,
            "amount": amount,
            "fee": fee,
            "transaction": done.tx,
        }),
    })
}
