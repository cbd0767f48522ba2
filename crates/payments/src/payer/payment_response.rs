//! Reads the outcome of a payment from the server's answer, within the limits of our own signature.

use super::{
    PayerError,
    pay::{FinishedPayment, Payer, SentPayment},
    payment_record::{DisputedCharge, PaymentRecord, PaymentStatus},
    resync::is_of_total,
    store::now_ms,
};
use crate::x402::wire::{ChannelState, ResponseExtra, SettleResponse, WireProblem};
use openlora_core::Amount;
use openlora_ledger::{CallCharge, PaymentScheme};

impl Payer {
    /// Reads the server's `PAYMENT-RESPONSE`. A charge or a total that our signatures do not allow for
    /// is not accepted: it is recorded as disputed, and the call counts with its whole quote until a
    /// later call of the channel settles it.
    pub async fn read_response(
        &self,
        sent: SentPayment,
        text: &str,
    ) -> Result<FinishedPayment, PayerError> {
        let server = sent.offer.server.clone();
        let response = SettleResponse::decode(text).map_err(|problem| PayerError::Wire {
            server: server.clone(),
            problem,
        })?;
        self.settle_with(sent, response).await
    }

    /// The same for a response that came as JSON, at the end of a stream.
    pub async fn settle_json(
        &self,
        sent: SentPayment,
        text: &str,
    ) -> Result<FinishedPayment, PayerError> {
        let response = serde_json::from_str(text).map_err(|_| PayerError::Wire {
            server: sent.offer.server.clone(),
            problem: WireProblem::Json,
        })?;
        self.settle_with(sent, response).await
    }

    /// The same from a receipt of the call, if the answer broke off before the server stated its
    /// charge.
    pub async fn settle_receipt(
        &self,
        sent: SentPayment,
        charge: &CallCharge,
    ) -> Result<FinishedPayment, PayerError> {
        let record = &sent.record;
        let (expected, found) = (record.word, charge.id);
        if (record.scheme, record.chain_id, expected) != (charge.scheme, charge.chain_id, found) {
            return Err(PayerError::Terms {
                server: sent.offer.server.clone(),
                field: "receipt.payment.id",
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
        let state = ChannelState {
            channel_id: charge.id,
            balance: Amount::ZERO,
            total_claimed: Amount::ZERO,
            withdraw_requested_at: 0,
            refund_nonce: 0,
            charged_cumulative_amount: Some(charge.cumulative),
        };
        let response = SettleResponse {
            success: true,
            extra: Some(ResponseExtra {
                charged_amount: Some(charge.amount),
                channel_state: Some(state),
                voucher_state: None,
            }),
            ..SettleResponse::default()
        };
        self.settle_with(sent, response).await
    }

    async fn settle_with(
        &self,
        mut sent: SentPayment,
        response: SettleResponse,
    ) -> Result<FinishedPayment, PayerError> {
        if !response.success {
            let code = response.error_reason.unwrap_or_else(|| "unknown".into());
            return Err(self.refused(sent, &code)?);
        }
        let amount = match self.charged(&sent, &response) {
            Ok(amount) => amount,
            Err(problem) => {
                sent.record.disputed = Some(disputed(&sent.record, &response));
                self.store.finish_payment(sent.number, &sent.record, None)?;
                return Err(problem);
            }
        };
        sent.record.status = PaymentStatus::Charged { amount };
        sent.record.inferred = false;
        sent.record.disputed = None;
        let had_deposit = !sent.record.deposit.is_zero();
        if let Some(leased) = &mut sent.leased {
            // A repeated answer may be older than the channel's current total.
            let total = sent.record.before.saturating_add(amount);
            leased.channel.charged = leased.channel.charged.max(total);
            leased.channel.used_ms = now_ms();
        }
        let channel = sent.leased.as_ref().map(|leased| &leased.channel);
        match sent.repeated {
            true => self
                .store
                .finish_repeated(sent.number, &sent.record, channel)?,
            false => self
                .store
                .finish_payment(sent.number, &sent.record, channel)?,
        }
        if let Some(leased) = sent.leased.as_mut().filter(|_| had_deposit) {
            // If the chain does not answer now, it is read before the channel's next call.
            let _ = self.observe(&mut leased.channel).await;
        }
        Ok(FinishedPayment {
            number: sent.number,
            record: sent.record,
        })
    }

    fn charged(&self, sent: &SentPayment, response: &SettleResponse) -> Result<Amount, PayerError> {
        let record = &sent.record;
        if sent.leased.is_none() {
            return Ok(record.quote);
        }
        let (stated, total) = stated(response);
        let grown = total.map(|total| total.saturating_sub(record.before));
        let charged = stated.or(grown).unwrap_or(record.quote);
        let server = || sent.offer.server.clone();
        if charged > record.quote {
            return Err(PayerError::Overcharged {
                server: server(),
                charged: self.money(charged),
                quote: self.money(record.quote),
            });
        }
        let expected = record.before.saturating_add(charged);
        match total {
            Some(found) if found != expected => Err(PayerError::Inconsistent {
                server: server(),
                found: self.money(found),
                expected: self.money(expected),
            }),
            _ => Ok(charged),
        }
    }

    /// The server took no money. A refused voucher is replaced by the next one. An `exact`
    /// authorization counts until it expires, since the server may still use it.
    pub fn refused(&self, mut sent: SentPayment, code: &str) -> Result<PayerError, PayerError> {
        // A refusal of a repeated payment proves nothing: it may have been answered the first time.
        if !sent.repeated {
            if sent.record.scheme == PaymentScheme::BatchSettlement {
                sent.record.status = PaymentStatus::Void;
                self.store.finish_payment(sent.number, &sent.record, None)?;
            }
            self.store.forget_attempt(&sent.order.request_id)?;
        }
        let (server, code) = (sent.offer.server.clone(), code.to_owned());
        Ok(match is_of_total(&code) {
            true => PayerError::Shared {
                server,
                channel: sent.record.word,
                reason: code,
            },
            false => PayerError::Refused { server, code },
        })
    }
}

/// The charge and the channel's total that a server states.
fn stated(response: &SettleResponse) -> (Option<Amount>, Option<Amount>) {
    let extra = response.extra.clone().unwrap_or_default();
    let total = extra
        .channel_state
        .and_then(|state| state.charged_cumulative_amount);
    (extra.charged_amount, total)
}

fn disputed(record: &PaymentRecord, response: &SettleResponse) -> DisputedCharge {
    let (charged, total) = stated(response);
    let allowed = charged.unwrap_or(record.quote).min(record.quote);
    DisputedCharge {
        charged,
        total,
        expected_total: record.before.saturating_add(allowed),
    }
}
