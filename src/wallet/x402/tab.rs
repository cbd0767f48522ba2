//! Open tabs: calls that are allowed for. A tab holds its channel or its authorization until it is
//! closed or dropped; dropped, it charges nothing.

use std::{sync::Arc, time::Duration};

use super::{
    batch::Line,
    reason::Reason,
    refused::Refused,
    shelf::Held,
    terms::{Back, Lane},
    wire::{ResponseExtra, SettleResponse, network},
};
use crate::{
    runtime::{
        ledger::{
            Amount, Charge, ExactKey, ExactPayment, Payment, RECENT_VOUCHERS, Total, UsedVoucher,
            WITHDRAW_SHARE,
        },
        ports::{Sale, Tab, Unpaid},
    },
    wallet::settlement::{Deposit, Transfer},
};

/// A call that a voucher pays for.
pub(super) struct BatchTab {
    back: Arc<Back>,
    sale: Sale,
    lane: Arc<Lane>,
    line: Line,
    /// Still to be made.
    deposit: Option<Deposit>,
    /// What was deposited for this call, and its transaction.
    deposited: Option<(Amount, String)>,
    payment: Payment,
}

impl BatchTab {
    pub fn new(
        (back, lane): (Arc<Back>, Arc<Lane>),
        sale: &Sale,
        line: Line,
        deposit: Option<Deposit>,
        payment: Payment,
    ) -> Self {
        Self {
            back,
            sale: sale.clone(),
            lane,
            line,
            deposit,
            deposited: None,
            payment,
        }
    }

    async fn settle(&mut self) -> Result<(), Refused> {
        // A call may have waited for its turn for long.
        let view = self.lane.settlement().channel(self.line.key.channel);
        if view.await?.withdrawal.is_some() {
            return Err(Reason::Withdrawal.into());
        }
        self.back.opened(&mut self.line).await?;
        let Some(deposit) = &self.deposit else {
            return Ok(());
        };
        let done = self.lane.settlement().deposit(deposit).await;
        let done = done.map_err(Refused::of(Reason::DepositFailed))?;
        self.deposited = Some((deposit.amount, done.tx.clone()));
        self.deposit = None;
        self.lane.look_again(&mut self.line, &done).await?;
        self.line.held.put(self.line.channel.clone());
        // A token that keeps a part for itself has not paid in what it was asked to.
        self.line.check_held(self.payment.authorised())?;
        Ok(())
    }

    /// The channel after the call.
    fn charge(&mut self, charge: &Charge) {
        let max = self.payment.authorised();
        let channel = &mut self.line.channel;
        if max > channel.authorised.amount() || channel.signature.is_empty() {
            channel.authorised = Total::signed(max);
            channel.signature.clone_from(&self.payment.signature);
        }
        match channel.charged.charge(charge.amount, channel.authorised) {
            Ok(charged) => channel.charged = charged,
            Err(breach) => {
                tracing::error!(channel = %self.line.key, %breach, "a charge is out of order");
            }
        }
        channel.calls = channel.calls.saturating_add(1);
        if channel.recent.len() >= RECENT_VOUCHERS {
            channel.recent.pop_front();
        }
        channel.recent.push_back(UsedVoucher {
            max,
            request_id: self.sale.request_id.clone(),
            request_hash: self.sale.request_hash.clone(),
        });
        self.line.held.put(self.line.channel.clone());
    }
}

#[async_trait::async_trait]
impl Tab for BatchTab {
    async fn secure(&mut self) -> Result<(), Unpaid> {
        let settled = self.settle().await;
        settled.map_err(|refused| self.back.unpaid(&self.sale, refused))
    }

    fn payment(&self) -> &Payment {
        &self.payment
    }

    fn response(&self, charge: &Charge) -> String {
        let (amount, tx) = match &self.deposited {
            Some((amount, tx)) => (amount.to_string(), tx.clone()),
            None => (String::new(), String::new()),
        };
        let extra = ResponseExtra {
            charged_amount: Some(charge.amount),
            channel_state: Some(self.line.state(charge.cumulative)),
            voucher_state: None,
        };
        written(charge, tx, amount, extra)
    }

    fn close(mut self: Box<Self>, charge: &Charge) {
        self.charge(charge);
    }

    /// What the call costs can be claimed until the channel's delay after the start of a
    /// withdrawal, which may come at once.
    fn time_limit(&self) -> Option<Duration> {
        let delay = self.line.channel.config.withdraw_delay;
        Some(Duration::from_secs(delay) / WITHDRAW_SHARE)
    }
}

/// A call that a transfer pays for.
pub(super) struct ExactTab {
    back: Arc<Back>,
    sale: Sale,
    lane: Arc<Lane>,
    held: Held<ExactKey, ExactPayment>,
    /// Once the transfer is mined, and to the right receiver.
    paid: Option<ExactPayment>,
    transfer: Transfer,
    payment: Payment,
}

impl ExactTab {
    pub fn new(
        (back, lane): (Arc<Back>, Arc<Lane>),
        sale: &Sale,
        held: Held<ExactKey, ExactPayment>,
        (transfer, payment): (Transfer, Payment),
    ) -> Self {
        Self {
            back,
            sale: sale.clone(),
            lane,
            held,
            paid: None,
            transfer,
            payment,
        }
    }

    async fn settle(&mut self) -> Result<(), Refused> {
        let done = self.lane.settlement().transfer(&self.transfer).await;
        let done = done.map_err(Refused::of(Reason::ExactFailed))?;
        let paid = ExactPayment {
            amount: self.transfer.value,
            tx: done.tx,
            request_id: None,
            request_hash: None,
        };
        self.held.put(paid.clone());
        self.paid = Some(paid);
        Ok(())
    }
}

#[async_trait::async_trait]
impl Tab for ExactTab {
    async fn secure(&mut self) -> Result<(), Unpaid> {
        let settled = self.settle().await;
        settled.map_err(|refused| self.back.unpaid(&self.sale, refused))
    }

    fn payment(&self) -> &Payment {
        &self.payment
    }

    fn response(&self, charge: &Charge) -> String {
        let tx = self.paid.as_ref().map(|paid| paid.tx.clone());
        let extra = ResponseExtra {
            charged_amount: Some(charge.amount),
            ..ResponseExtra::default()
        };
        let amount = self.transfer.value.to_string();
        written(charge, tx.unwrap_or_default(), amount, extra)
    }

    fn close(mut self: Box<Self>, charge: &Charge) {
        // Without a charge the payment still owes its payer a call.
        if let Some(paid) = self.paid.take()
            && !charge.amount.is_zero()
        {
            self.held.put(ExactPayment {
                request_id: Some(self.sale.request_id.clone()),
                request_hash: Some(self.sale.request_hash.clone()),
                ..paid
            });
        }
    }
}

fn written(charge: &Charge, transaction: String, amount: String, extra: ResponseExtra) -> String {
    let response = SettleResponse {
        success: true,
        payer: Some(charge.payer.to_string()),
        transaction,
        network: network(charge.chain_id),
        amount: Some(amount),
        extra: Some(extra),
        ..SettleResponse::default()
    };
    response.encode().unwrap_or_else(|problem| {
        tracing::error!(%problem, "a payment's response cannot be written");
        String::new()
    })
}
