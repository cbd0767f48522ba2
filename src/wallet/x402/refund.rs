//! Giving back what is left in a channel, at its payer's wish.

use serde_json::json;

use super::{
    batch::Line,
    checks::check_voucher,
    reason::Reason,
    refused::Refused,
    terms::{Back, Lane, Taken},
    wire::{Batch, Deed, ResponseExtra, SettleResponse, network},
};
use crate::{
    runtime::{
        event::{ChannelObserved, ChannelOpened, Event},
        ledger::Amount,
        ports::Refunded,
    },
    wallet::settlement::{Done, Refund},
};

impl Back {
    /// Claims what is charged and returns the rest. The voucher that asks for it is for what is
    /// charged, so nothing is paid with it.
    pub async fn give_back(&self, taken: &Taken, batch: &Batch) -> Result<Refunded, Refused> {
        let Deed::Refund { amount } = batch.deed else {
            return Err(Reason::PayloadType.into());
        };
        let lane = &taken.lane;
        let mut line = self.line(taken, batch).await?;
        let check = |line: &Line| line.check_total(&batch.voucher, Amount::ZERO, None);
        if line.known {
            check(&line)?;
        }
        let config = &line.channel.config;
        check_voucher(lane.settlement(), &lane.escrow, config, &batch.voucher).await?;
        line.observe(lane.settlement().channel(line.key.channel).await?);
        check(&line)?;
        let amount = line.rest(amount)?;
        self.opened(&mut line).await?;
        let refund = Refund {
            channel: line.key.channel,
            config: line.channel.config.clone(),
            amount,
            charged: line.channel.charged.amount(),
            voucher_max: batch.voucher.max_claimable_amount,
            voucher_signature: batch.voucher.signature.clone(),
        };
        let done = lane.settlement().refund(&refund).await;
        let done = done.map_err(Refused::of(Reason::RefundRefused))?;
        lane.look_again(&mut line, &done).await?;
        line.held.put(line.channel.clone());
        refunded(&line, amount, &done)
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

    async fn keep(&self, event: Event) -> Result<(), Refused> {
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
        line.observe(view);
        Ok(())
    }
}

impl Line {
    /// What can be given back of what is asked for.
    fn rest(&self, asked: Option<Amount>) -> Result<Amount, Reason> {
        let balance = self.channel.view.clone().unwrap_or_default().balance;
        let rest = balance.saturating_sub(self.channel.charged.amount());
        match asked {
            Some(Amount::ZERO) => Err(Reason::RefundAmount),
            _ if rest.is_zero() => Err(Reason::RefundEmpty),
            asked => Ok(asked.unwrap_or(rest).min(rest)),
        }
    }
}

fn refunded(line: &Line, amount: Amount, done: &Done) -> Result<Refunded, Refused> {
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
            "transaction": done.tx,
        }),
    })
}
