//! What came of a payment, as the server says it and our own signature allows.

use super::{
    PurseError,
    pay::{Paid, Payer, Sent},
    resync::is_of_total,
    spending::Fate,
    store::now_ms,
};
use crate::{
    runtime::ledger::{Amount, Scheme},
    wallet::x402::wire::{SettleResponse, WireProblem},
};

impl Payer {
    /// Reads the server's `PAYMENT-RESPONSE`. What it says beyond what was signed is not believed:
    /// the call then counts with its whole quote.
    pub async fn settle(&self, sent: Sent, text: &str) -> Result<Paid, PurseError> {
        let server = sent.offer.server.clone();
        let response = SettleResponse::decode(text).map_err(|problem| PurseError::Wire {
            server: server.clone(),
            problem,
        })?;
        self.settle_with(sent, response).await
    }

    /// The same for a response that came as JSON, at the end of a stream.
    pub async fn settle_json(&self, sent: Sent, text: &str) -> Result<Paid, PurseError> {
        let response = serde_json::from_str(text).map_err(|_| PurseError::Wire {
            server: sent.offer.server.clone(),
            problem: WireProblem::Json,
        })?;
        self.settle_with(sent, response).await
    }

    async fn settle_with(
        &self,
        mut sent: Sent,
        response: SettleResponse,
    ) -> Result<Paid, PurseError> {
        if !response.success {
            let code = response.error_reason.unwrap_or_else(|| "unknown".into());
            return Err(self.refused(sent, &code)?);
        }
        let amount = self.charged(&sent, &response)?;
        sent.spending.fate = Fate::Charged { amount };
        let had_deposit = !sent.spending.deposit.is_zero();
        if let Some(leased) = &mut sent.leased {
            // An answer that was asked for again may be older than what calls have cost since.
            let total = sent.spending.before.saturating_add(amount);
            leased.channel.charged = leased.channel.charged.max(total);
            leased.channel.used_ms = now_ms();
        }
        let channel = sent.leased.as_ref().map(|leased| &leased.channel);
        self.purse.settle(sent.number, &sent.spending, channel)?;
        if let Some(leased) = sent.leased.as_mut().filter(|_| had_deposit) {
            // A chain that does not answer now is asked before the channel's next call.
            let _ = self.observe(&mut leased.channel).await;
        }
        Ok(Paid {
            number: sent.number,
            spending: sent.spending,
        })
    }

    fn charged(&self, sent: &Sent, response: &SettleResponse) -> Result<Amount, PurseError> {
        let spending = &sent.spending;
        if sent.leased.is_none() {
            return Ok(spending.quote);
        }
        let extra = response.extra.clone().unwrap_or_default();
        let state = extra.channel_state.as_ref();
        let total = state.and_then(|state| state.charged_cumulative_amount);
        let grown = total.map(|total| total.saturating_sub(spending.before));
        let charged = extra.charged_amount.or(grown).unwrap_or(spending.quote);
        let server = || sent.offer.server.clone();
        if charged > spending.quote {
            return Err(PurseError::Overcharged {
                server: server(),
                charged: self.money(charged),
                quote: self.money(spending.quote),
            });
        }
        let expected = spending.before.saturating_add(charged);
        match total {
            Some(found) if found != expected => Err(PurseError::Inconsistent {
                server: server(),
                found: self.money(found),
                expected: self.money(expected),
            }),
            _ => Ok(charged),
        }
    }

    /// The server took no money: a voucher's next one takes its place. An `exact` authorization
    /// counts until it ends, since whoever has it may still use it.
    pub fn refused(&self, mut sent: Sent, code: &str) -> Result<PurseError, PurseError> {
        // A refusal of what was sent before proves nothing: it may have been answered then.
        if !sent.repeated {
            if sent.spending.scheme == Scheme::BatchSettlement {
                sent.spending.fate = Fate::Void;
                self.purse.settle(sent.number, &sent.spending, None)?;
            }
            self.purse.forget_attempt(&sent.order.request_id)?;
        }
        let (server, code) = (sent.offer.server.clone(), code.to_owned());
        Ok(match is_of_total(&code) {
            true => PurseError::Shared {
                server,
                channel: sent.spending.word,
                reason: code,
            },
            false => PurseError::Refused { server, code },
        })
    }
}
