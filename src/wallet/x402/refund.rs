//! Giving back what is left in a channel, at its payer's wish.

use alloy::{hex, primitives::Bytes};
use serde_json::json;

use super::{
    batch::party,
    binding::{LONGEST_REFUND_REQUEST, RefundRequest, is_marked},
    checks::{authorised, check_voucher, now},
    lane::Lane,
    line::Line,
    reason::Reason,
    refused::Refused,
    terms::{Back, Taken},
    wire::{Batch, Deed, ResponseExtra, SettleResponse, Voucher, network},
};
use crate::{
    runtime::{
        event::{ChannelObserved, ChannelOpened, Event, RefundCharged},
        ledger::{Amount, ReceiverKey},
        ports::Refunded,
    },
    wallet::settlement::{Done, Refund},
};

impl Back {
    /// Claims what is charged and returns the rest. A signed request is the payer's own and of now,
    /// and pays for the transaction: its fee is charged and claimed with what calls have cost. A
    /// voucher alone cannot pay, so the fee stays in the channel, and refunds are few. A voucher for what is charged may be one that
    /// paid a call, which others can know: then whoever pays from the channel within a pause ends
    /// the refund.
    pub async fn give_back(
        &self,
        taken: &Taken,
        (batch, request): (&Batch, Option<&RefundRequest>),
    ) -> Result<Refunded, Refused> {
        let Deed::Refund { amount } = batch.deed else {
            return Err(Reason::PayloadType.into());
        };
        taken.check_signer(batch).await?;
        let mut line = self.seen(taken, batch).await?;
        let lane = &taken.lane;
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
                (None, line.rest(amount, lane.counter.refund_fee)?)
            }
        };
        self.funded(lane).await?;
        self.opened(&mut line).await?;
        let refund = Refund {
            // A contract's signature may be worth nothing when its fee is claimed.
            is_signed: request.is_some() && !line.channel.config.payer_authorizer.is_zero(),
            ..line.refund(&batch.voucher, amount, fee)
        };
        let done = lane.settlement().refund(&refund).await;
        line.take_fee(lane, &refund);
        let done = done.map_err(Refused::of(Reason::RefundRefused))?;
        lane.look_again(&mut line, &done).await?;
        line.channel.give_away();
        line.held.put(line.channel.clone());
        self.sponsor.end(line.key);
        let fee = refund.fee.as_ref().map_or(Amount::ZERO, |fee| fee.amount);
        refunded(&line, (amount, fee), &done)
    }

    /// The channel with what the chain has of it now.
    async fn seen(&self, taken: &Taken, batch: &Batch) -> Result<Line, Refused> {
        let mut line = self.line(taken, batch).await?;
        let view = taken.lane.settlement().channel(line.key.channel).await?;
        line.channel.observe(view);
        Ok(line)
    }

    /// The channel after the pause, if nobody has paid from it meanwhile.
    async fn waited(&self, taken: &Taken, batch: &Batch, line: Line) -> Result<Line, Refused> {
        let (key, calls) = (line.key, line.channel.calls);
        let (left, _turn) = self.sponsor.wait(key, calls)?;
        drop(line);
        tokio::time::sleep(left).await;
        let line = self.seen(taken, batch).await?;
        if line.channel.calls != calls {
            self.sponsor.end(key);
            let own = !line.is_public(batch.voucher.max_claimable_amount);
            return Err(line.stale(Reason::RefundCancelled, own));
        }
        line.check_charged(&batch.voucher)?;
        Ok(line)
    }

    /// Writes down a channel that the journal does not have, and what it holds, before anything
    /// happens to it. Of channels in the journal the chain's side writes down every change.
    pub async fn opened(&self, line: &mut Line) -> Result<(), Refused> {
        if line.known {
            return Ok(());
        }
        let key = line.key;
        let config = line.channel.config.clone();
        let opened = ChannelOpened { key, config };
        self.keep(Event::ChannelOpened(Box::new(opened))).await?;
        let view = line.channel.view.clone();
        if let Some(view) = view.filter(|view| !view.balance.is_zero()) {
            let observed = ChannelObserved { key, view };
            self.keep(Event::ChannelObserved(Box::new(observed)))
                .await?;
        }
        line.known = true;
        line.held.put(line.channel.clone());
        Ok(())
    }

    pub async fn keep(&self, event: Event) -> Result<(), Refused> {
        self.facts.keep(event).await.map_err(Refused::Unwritable)
    }
}

impl Lane {
    /// The channel after a transaction.
    pub async fn look_again(&self, line: &mut Line, done: &Done) -> Result<(), Refused> {
        let view = match &done.view {
            Some(view) => view.clone(),
            None => self.settlement().channel(line.key.channel).await?,
        };
        line.channel.observe(view);
        Ok(())
    }
}

impl Taken {
    /// Whether the payer's side asks for the refund that is next, now.
    async fn check_request(&self, line: &Line, request: &RefundRequest) -> Result<(), Refused> {
        let (lane, channel) = (&self.lane, line.key.channel);
        let view = line.channel.view.clone().unwrap_or_default();
        let (nonce, until) = (request.refund_nonce, request.valid_before);
        let digest = request.digest(lane.binding, channel);
        let now = now();
        let timely = until > now && until <= now.saturating_add(LONGEST_REFUND_REQUEST);
        let (config, signature) = (&line.channel.config, &request.signature);
        let good = timely
            && nonce == view.refund_nonce
            && authorised(lane.settlement(), config, digest, signature).await?;
        match good {
            true => Ok(()),
            false => Err(Reason::RefundRequest.into()),
        }
    }

    /// What a signed request pays for its refund, and what it gets back. A refund that is paid for
    /// and was not made costs nothing again. A payer's contract pays nothing: it may say otherwise
    /// when its voucher is claimed.
    async fn paid(
        &self,
        line: &Line,
        request: &RefundRequest,
    ) -> Result<(Option<RefundCharged>, Amount), Refused> {
        let (channel, quoted) = (&line.channel, self.lane.counter.refund_fee);
        if quoted.is_zero() || channel.has_paid_refund(request.refund_nonce) {
            return Ok((None, line.rest(request.amount, Amount::ZERO)?));
        }
        let amount = line.rest(request.amount, quoted)?;
        if channel.config.payer_authorizer.is_zero() {
            return Ok((None, amount));
        }
        let charged = channel.charged.amount();
        let total = charged.checked_add(quoted).ok_or(Reason::Cumulative)?;
        let Some(fee) = request.fee.as_ref().filter(|fee| fee.amount == quoted) else {
            return Err(line.unpaid_fee(quoted));
        };
        if fee.max_claimable_amount != total {
            return Err(line.stale(Reason::Cumulative, true));
        }
        let voucher = Voucher {
            channel_id: line.key.channel,
            max_claimable_amount: total,
            signature: fee.signature.clone(),
        };
        let (settlement, escrow) = (self.lane.settlement(), &self.lane.escrow);
        check_voucher(settlement, escrow, &channel.config, &voucher).await?;
        let charge = RefundCharged {
            key: line.key,
            receiver: ReceiverKey {
                chain_id: line.key.chain_id,
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

impl Line {
    /// A voucher that asks for a refund is for what is charged, so nothing is paid with it. One
    /// that everybody can have found on the chain asks for nothing.
    fn check_charged(&self, voucher: &Voucher) -> Result<(), Refused> {
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

    /// Whether a voucher for what is charged was never seen before, by anybody.
    fn is_fresh(&self) -> bool {
        let view = self.channel.view.clone().unwrap_or_default();
        let known = self.known || (view.claimed.is_zero() && view.refund_nonce == 0);
        known
            && !self
                .channel
                .used
                .contains_key(&self.channel.charged.amount())
    }

    /// What is charged is claimed with the highest voucher, which every payer has signed that was
    /// charged.
    fn refund(&self, voucher: &Voucher, amount: Amount, fee: Option<RefundCharged>) -> Refund {
        // As it is once the fee is charged.
        let mut channel = self.channel.clone();
        if let Some(fee) = &fee
            && let Err(breach) = channel.charge_refund(fee)
        {
            tracing::error!(channel = %self.key, %breach, "a refund's fee is out of order");
        }
        let signature: Bytes = channel.signature.parse().unwrap_or_default();
        let (voucher_max, voucher_signature) = match signature.is_empty() {
            true => (voucher.max_claimable_amount, voucher.signature.clone()),
            false => (channel.authorised.amount(), signature),
        };
        Refund {
            channel: self.key.channel,
            party: party(&channel.config),
            charged: channel.charged.amount(),
            config: channel.config,
            amount,
            voucher_max,
            voucher_signature,
            is_signed: false,
            fee,
        }
    }

    /// Takes over a fee that was written down, whatever became of its refund.
    fn take_fee(&mut self, lane: &Lane, refund: &Refund) {
        let Some(fee) = &refund.fee else { return };
        let paid = lane.settlement().paid_refund(self.key.channel);
        if paid.is_some_and(|it| it.nonce == fee.refund_nonce)
            && let Err(breach) = self.channel.charge_refund(fee)
        {
            tracing::error!(channel = %self.key, %breach, "a refund's fee is out of order");
        }
        self.held.put(self.channel.clone());
    }

    /// What is held and not charged.
    fn left(&self) -> Amount {
        let balance = self.channel.view.clone().unwrap_or_default().balance;
        balance.saturating_sub(self.channel.charged.amount())
    }

    fn unpaid_fee(&self, fee: Amount) -> Refused {
        Refused::RefundFee {
            fee,
            rest: self.left(),
            total: self.channel.charged.amount().saturating_add(fee),
        }
    }

    /// What can be given back of what is asked for, beside the fee.
    fn rest(&self, asked: Option<Amount>, fee: Amount) -> Result<Amount, Refused> {
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
    line: &Line,
    (amount, fee): (Amount, Amount),
    done: &Done,
) -> Result<Refunded, Refused> {
    let charged = line.channel.charged.amount();
    let response = SettleResponse {
        success: true,
        payer: Some(line.channel.config.payer.to_string()),
        transaction: done.tx.clone(),
        network: network(line.key.chain_id),
        amount: Some(amount.to_string()),
        extra: Some(ResponseExtra {
            channel_state: Some(line.state(charged)),
            ..ResponseExtra::default()
        }),
        ..SettleResponse::default()
    };
    Ok(Refunded {
        response: response.encode()?,
        body: json!({
            "message": "What was left in the channel is returned to its payer.",
            "channelId": line.key.channel,
            "amount": amount,
            "fee": fee,
            "transaction": done.tx,
        }),
    })
}
