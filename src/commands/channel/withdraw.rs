//! `channel withdraw`: the payer withdraws the remaining balance on the chain without the server.
//! This takes two steps with the channel's delay between them.

use serde::Serialize;

use super::{ChannelReport, ChannelRequest, chosen, confirm};
use crate::commands::{CommandContext, payer};
use openlora_core::{
    Amount,
    calendar::moment,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_payments::payer::{LeasedChannel, Payer, PayerChannelState, chain};

/// The progress of a withdrawal; sums in base units.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ChannelWithdrawal {
    /// Whether the money has been returned.
    pub done: bool,
    pub amount: Amount,
    /// Unix seconds from which the second step is possible.
    pub ready_at: Option<u64>,
    pub channel: ChannelReport,
}

pub async fn withdraw(
    context: &CommandContext,
    request: &ChannelRequest,
) -> Result<ExitStatus, Failure> {
    let payer = payer::open(context, &request.payer).await?;
    let states = [
        PayerChannelState::Open,
        PayerChannelState::Withdrawing,
        PayerChannelState::Refunding,
        // A server may have refunded less than the balance; such a channel must be named
        // explicitly.
        PayerChannelState::Refunded,
    ];
    let states = match request.channel {
        Some(_) => &states[..],
        None => &states[..3],
    };
    let mut leased = chosen(&payer, request.channel.as_deref(), states)?;
    payer.observe(&mut leased.channel).await?;
    let withdrawn = match chain::waiting(&payer.chain, leased.channel.id).await? {
        None => begin(context, &payer, &mut leased).await?,
        Some(waiting) => finish(context, &payer, &mut leased, waiting).await?,
    };
    let printer = &context.printer;
    let money = payer.money(withdrawn.amount);
    if printer.is_json() {
        printer.json(&withdrawn);
    } else if withdrawn.done {
        printer.line(format!(
            "{money} came back from channel {}",
            leased.channel.id
        ));
    } else {
        let when = match withdrawn.ready_at {
            Some(ready_at) => format!("on {}", moment(ready_at)),
            None => format!("{} seconds from now", leased.channel.config.withdraw_delay),
        };
        printer.line(format!("{money} come back {when} at the earliest"));
        printer.hint("run the same command again then");
    }
    Ok(ExitStatus::Success)
}

async fn begin(
    context: &CommandContext,
    payer: &Payer,
    leased: &mut LeasedChannel,
) -> Result<ChannelWithdrawal, Failure> {
    let channel = &mut leased.channel;
    let amount = channel.left();
    if amount.is_zero() {
        let message = format!("channel {} holds nothing that is not charged", channel.id);
        return Err(Failure::new(ExitClass::Usage, message));
    }
    let name = &payer.chain.network.name;
    let deed = format!(
        "taking {} back from channel {} on `{name}`",
        payer.money(amount),
        channel.id
    );
    confirm(context, payer, &deed)?;
    let tx_context = payer::PayerTxContext::new(context, payer)?;
    let turn = tx_context.turn().await?;
    // No further call is paid from this channel, whatever the outcome of the transaction.
    channel.state = PayerChannelState::Withdrawing;
    payer.store.keep_channel(channel)?;
    let call = chain::initiate_withdraw(channel, amount);
    tx_context.send(&turn, call, &deed).await?;
    let waiting = chain::waiting(&payer.chain, channel.id).await?;
    Ok(ChannelWithdrawal {
        done: false,
        amount,
        ready_at: waiting.map(|it| it.since + channel.config.withdraw_delay),
        channel: ChannelReport::read(&payer.store, channel, true)?,
    })
}

async fn finish(
    context: &CommandContext,
    payer: &Payer,
    leased: &mut LeasedChannel,
    waiting: chain::WaitingWithdrawal,
) -> Result<ChannelWithdrawal, Failure> {
    let channel = &mut leased.channel;
    let tx_context = payer::PayerTxContext::new(context, payer)?;
    let turn = tx_context.turn().await?;
    let before = channel.balance;
    let ready_at = waiting.since + channel.config.withdraw_delay;
    let deed = format!("ending the withdrawal from channel {}", channel.id);
    channel.state = PayerChannelState::Withdrawing;
    let sent = tx_context.send(
        &turn,
        chain::finalize_withdraw(channel, waiting.since),
        &deed,
    );
    sent.await.map_err(|failure| match failure.class {
        ExitClass::Reverted => failure.with_hint(format!(
            "it began at {} and can end at {}",
            moment(waiting.since),
            moment(ready_at)
        )),
        _ => failure,
    })?;
    channel.state = PayerChannelState::Refunded;
    payer.observe(channel).await?;
    let amount = before.saturating_sub(channel.balance);
    payer.store.returned(channel, amount)?;
    Ok(ChannelWithdrawal {
        done: true,
        amount,
        ready_at: None,
        channel: ChannelReport::read(&payer.store, channel, true)?,
    })
}
