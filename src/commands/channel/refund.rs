//! `channel refund`: asks the server to refund the remaining balance.

use serde::Serialize;

use super::{ChannelReport, ChannelRequest, chosen, read, terms};
use crate::commands::{
    CommandContext,
    call::client::{CallReply, ServerClient},
};
use openlora_core::{
    Amount,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_payments::{
    payer::{PayerChannelState, PayerError},
    x402::wire::{PAYMENT_RESPONSE, PaymentRequired},
};

/// Error codes that are resolved by reading the channel total again.
const BEHIND: [&str; 2] = [
    "invalid_batch_settlement_evm_cumulative_amount_mismatch",
    "invalid_batch_settlement_evm_cumulative_below_claimed",
];

/// Error codes of a server that does not answer for the channel any more.
const OTHER_TERMS: [&str; 3] = [
    "invalid_batch_settlement_evm_receiver_mismatch",
    "invalid_batch_settlement_evm_receiver_authorizer_mismatch",
    "invalid_batch_settlement_evm_withdraw_delay_mismatch",
];

/// The refund; sums in base units.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct RefundReport {
    pub amount: Amount,
    /// The server's fee for the gas of the refund.
    pub fee: Amount,
    /// Further amounts that the server did not refund.
    pub kept: Amount,
    /// Hash of the transaction.
    pub tx: String,
    pub channel: ChannelReport,
}

pub async fn refund(
    context: &CommandContext,
    request: &ChannelRequest,
) -> Result<ExitStatus, Failure> {
    let seller = super::seller(context, request)?;
    let client = ServerClient::new(context, Some(&seller.server))?;
    let asked = terms(context, &client, &seller, &request.payer).await;
    let (payer, mut required, offer) = asked.map_err(gone)?;
    let states = [PayerChannelState::Open, PayerChannelState::Refunding];
    let mut leased = chosen(&payer, request.channel.as_deref(), &states)?;
    payer.observe(&mut leased.channel).await?;
    let route = super::probe(&seller);
    let fee = payer.refund_price(&leased.channel, &offer).await?;
    if !fee.is_zero() {
        let (fee, server) = (payer.money(fee), &offer.server);
        context
            .printer
            .note(format!("{server} takes {fee} for the refund"));
    }
    for attempt in 0..2 {
        let (rest, before) = (leased.channel.left(), leased.channel.charged);
        let header = payer.ask_refund(&mut leased, &required, &offer).await?;
        let reply = client.probe(&route, Some(&header)).await;
        match reply.map_err(gone)? {
            CallReply::Answer(response) => {
                let said = response.headers().get(PAYMENT_RESPONSE);
                let text = said.and_then(|value| value.to_str().ok());
                let (amount, tx) = payer
                    .refunded(&mut leased, &offer, text.unwrap_or_default())
                    .await?;
                let fee = leased.channel.charged.saturating_sub(before);
                let refunded = RefundReport {
                    amount,
                    fee,
                    kept: rest.saturating_sub(amount.saturating_add(fee)),
                    tx,
                    channel: ChannelReport::read(&payer.store, &leased.channel, true)?,
                };
                if context.printer.is_json() {
                    context.printer.json(&refunded);
                } else {
                    let back = payer.money(amount);
                    let id = leased.channel.id;
                    context
                        .printer
                        .line(format!("{back} came back from channel {id}"));
                    if !refunded.kept.is_zero() {
                        let kept = payer.money(refunded.kept);
                        context
                            .printer
                            .note(format!("the server kept {kept} of the rest"));
                    }
                }
                return Ok(ExitStatus::Success);
            }
            CallReply::Unpaid(terms) => {
                required = read(&client, &terms)?;
                let code = code(&required);
                if attempt == 1 || !BEHIND.contains(&code.as_str()) {
                    payer.keep_open(&mut leased.channel)?;
                    let server = offer.server.clone();
                    let id = leased.channel.id;
                    let refused = Failure::from(PayerError::Refused {
                        server,
                        code: code.clone(),
                    });
                    return Err(match OTHER_TERMS.contains(&code.as_str()) {
                        true => refused.with_hint(format!(
                            "take the rest back from the chain, and finish it with the same command \
                             after the channel's delay: openlora channel withdraw {id}"
                        )),
                        false => gone(refused),
                    });
                }
                payer.resynchronise(&mut leased, &required, &offer).await?;
            }
            CallReply::Later(pause, failure) => {
                return Err(failure.with_hint(format!(
                    "the channel pays for no more calls; run the same command again in {} \
                     seconds, or take the rest back from the chain: openlora channel withdraw",
                    pause.as_secs()
                )));
            }
        }
    }
    Err(Failure::new(
        ExitClass::Network,
        "the server gave no answer",
    ))
}

fn code(required: &PaymentRequired) -> String {
    required.error.clone().unwrap_or_else(|| "unknown".into())
}

fn gone(failure: Failure) -> Failure {
    match failure.class {
        ExitClass::Network => failure.with_hint(
            "where the server is gone for good, take the rest back from the chain: \
             openlora channel withdraw",
        ),
        _ => failure,
    }
}
