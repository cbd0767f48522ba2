//! Open tabs: calls that are allowed for. A tab holds its channel or its authorization until it is
//! closed or dropped; dropped, it charges nothing.

use std::{sync::Arc, time::Duration};

use alloy::{hex, sol_types::SolCall};

use super::{
    lane::Lane,
    line::Line,
    reason::Reason,
    refused::Refused,
    retry::retry,
    shelf::Held,
    terms::Back,
    wire::{ResponseExtra, SettleResponse, network},
};
use crate::{
    runtime::{
        event::{Event, PaymentBound},
        ledger::{Amount, Charge, ExactKey, ExactPayment, Payment, WITHDRAW_SHARE},
        ports::{Sale, Tab, Unpaid},
    },
    wallet::{
        registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim},
        settlement::{Deposit, Transfer, Trouble},
    },
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
        self.back.funded(&self.lane).await?;
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

    /// Claims what the call may cost: later the payer's contract might say no.
    async fn collect(&mut self) -> Result<(), Refused> {
        let config = &self.line.channel.config;
        let row = VoucherClaim {
            voucher: ChannelVoucher {
                channel: config.into(),
                maxClaimableAmount: self.payment.authorised().0,
            },
            signature: hex::decode(&self.payment.signature)
                .unwrap_or_default()
                .into(),
            totalClaimed: self.payment.authorised().0,
        };
        let call = Escrow::claimCall {
            voucherClaims: vec![row],
        };
        let done = self.lane.settlement().claim(call.abi_encode().into()).await;
        let done = done.map_err(Refused::of(Reason::ClaimRefused))?;
        self.lane.look_again(&mut self.line, &done).await?;
        self.line.held.put(self.line.channel.clone());
        Ok(())
    }
}

#[async_trait::async_trait]
impl Tab for BatchTab {
    fn name(&mut self, request_id: &str) {
        request_id.clone_into(&mut self.sale.request_id);
    }

    async fn secure(&mut self) -> Result<(), Unpaid> {
        let settled = self.settle().await;
        settled.map_err(|refused| self.back.unpaid(&self.sale, refused))
    }

    fn payment(&self) -> &Payment {
        &self.payment
    }

    async fn reserved(&mut self) -> Result<(), Unpaid> {
        let (id, hash) = (&self.sale.request_id, &self.sale.request_hash);
        self.line.channel.reserve(id, hash, &self.payment);
        self.line.held.put(self.line.channel.clone());
        if !self.payment.collected {
            return Ok(());
        }
        let collected = self.collect().await;
        // What may have happened has: the call is owed then.
        let unknown = matches!(
            &collected,
            Err(Refused::Trouble(
                Trouble::Unknown { .. } | Trouble::Unreachable { .. }
            ))
        );
        self.payment.collected = collected.is_ok() || unknown;
        collected.map_err(|refused| self.back.unpaid(&self.sale, refused))
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

    fn close(mut self: Box<Self>, charge: &Charge, answered: bool) {
        let id = &self.sale.request_id;
        if let Err(breach) = self.line.channel.charge(id, charge, answered) {
            tracing::error!(channel = %self.line.key, %breach, "a charge is out of order");
        }
        self.line.held.put(self.line.channel.clone());
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
    /// Whether the payment names its request.
    named: bool,
}

impl ExactTab {
    pub fn new(
        (back, lane): (Arc<Back>, Arc<Lane>),
        sale: &Sale,
        held: Held<ExactKey, ExactPayment>,
        (transfer, payment, named): (Transfer, Payment, bool),
    ) -> Self {
        Self {
            back,
            sale: sale.clone(),
            lane,
            held,
            paid: None,
            transfer,
            payment,
            named,
        }
    }

    async fn settle(&mut self) -> Result<(), Refused> {
        if self.held.get().is_none() {
            self.back.funded(&self.lane).await?;
        }
        self.bind().await?;
        let done = self.lane.settlement().transfer(&self.transfer).await;
        let done = done.map_err(Refused::of(Reason::ExactFailed))?;
        let paid = ExactPayment {
            amount: self.transfer.value,
            tx: done.tx,
            request_id: None,
            request_hash: Some(self.sale.request_hash.clone()),
        };
        self.held.put(paid.clone());
        self.back.release(&self.payment.exact_key());
        self.paid = Some(paid);
        Ok(())
    }

    /// From its first sight on a chain anybody can repeat the payment: it is this request's.
    async fn bind(&self) -> Result<(), Refused> {
        let key = self.payment.exact_key();
        let request_hash = self.sale.request_hash.clone();
        if self.back.bound(&key, self.held.get()).as_ref() == Some(&request_hash) {
            return Ok(());
        }
        let bound = PaymentBound {
            key,
            request_hash,
            retry: (!self.named).then(|| retry(&self.sale.presenter)),
        };
        let fact = Event::PaymentBound(Box::new(bound.clone()));
        self.back.keep(fact).await?;
        self.back.bind(bound);
        Ok(())
    }
}

#[async_trait::async_trait]
impl Tab for ExactTab {
    fn name(&mut self, request_id: &str) {
        request_id.clone_into(&mut self.sale.request_id);
    }

    async fn secure(&mut self) -> Result<(), Unpaid> {
        let settled = self.settle().await;
        settled.map_err(|refused| self.back.unpaid(&self.sale, refused))
    }

    fn payment(&self) -> &Payment {
        &self.payment
    }

    async fn reserved(&mut self) -> Result<(), Unpaid> {
        Ok(())
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

    fn close(mut self: Box<Self>, charge: &Charge, _answered: bool) {
        // Without a charge the payment still owes its payer the call.
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
