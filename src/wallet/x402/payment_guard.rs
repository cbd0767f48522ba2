//! Open tabs: calls that are allowed for. A tab holds its channel or its authorization until it is
//! closed or dropped; dropped, it charges nothing.

use std::{sync::Arc, time::Duration};

use alloy::{hex, sol_types::SolCall};

use super::{
    keyed_locks::HeldLock,
    lane::PaymentMethod,
    line::ChannelSession,
    reason::Reason,
    refusal::PaymentRefusal,
    retry::retry,
    terms::SellerState,
    wire::{ResponseExtra, SettleResponse, network},
};
use crate::{
    runtime::{
        event::{Event, PaymentBound},
        ledger::{Amount, CallCharge, CheckedPayment, ExactKey, ExactPayment, WITHDRAW_SHARE},
        ports::{OfferedCall, PaymentDemand, PaymentGuard},
    },
    wallet::{
        registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim},
        settlement::{ChainFailure, DepositPermit, TransferPermit},
    },
};

/// A call that a voucher pays for.
pub(super) struct ChannelGuard {
    state: Arc<SellerState>,
    sale: OfferedCall,
    method: Arc<PaymentMethod>,
    session: ChannelSession,
    /// Still to be made.
    deposit: Option<DepositPermit>,
    /// What was deposited for this call, and its transaction.
    deposited: Option<(Amount, String)>,
    payment: CheckedPayment,
}

impl ChannelGuard {
    pub fn new(
        (state, method): (Arc<SellerState>, Arc<PaymentMethod>),
        sale: &OfferedCall,
        session: ChannelSession,
        deposit: Option<DepositPermit>,
        payment: CheckedPayment,
    ) -> Self {
        Self {
            state,
            sale: sale.clone(),
            method,
            session,
            deposit,
            deposited: None,
            payment,
        }
    }

    async fn finish(&mut self) -> Result<(), PaymentRefusal> {
        // A call may have waited for its turn for long.
        let view = self.method.settlement().channel(self.session.key.channel);
        if view.await?.withdrawal.is_some() {
            return Err(Reason::Withdrawal.into());
        }
        self.state.opened(&mut self.session).await?;
        let Some(deposit) = &self.deposit else {
            return Ok(());
        };
        self.state.funded(&self.method).await?;
        let done = self.method.settlement().deposit(deposit).await;
        let done = done.map_err(PaymentRefusal::from_failure(Reason::DepositFailed))?;
        self.deposited = Some((deposit.amount, done.tx.clone()));
        self.deposit = None;
        self.method.look_again(&mut self.session, &done).await?;
        self.session.held.put(self.session.channel.clone());
        // A token that keeps a part for itself has not paid in what it was asked to.
        self.session.check_held(self.payment.authorised())?;
        Ok(())
    }

    /// Claims what the call may cost: later the payer's contract might say no.
    async fn collect(&mut self) -> Result<(), PaymentRefusal> {
        let config = &self.session.channel.config;
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
        let done = self
            .method
            .settlement()
            .claim(call.abi_encode().into())
            .await;
        let done = done.map_err(PaymentRefusal::from_failure(Reason::ClaimRefused))?;
        self.method.look_again(&mut self.session, &done).await?;
        self.session.held.put(self.session.channel.clone());
        Ok(())
    }
}

#[async_trait::async_trait]
impl PaymentGuard for ChannelGuard {
    fn name(&mut self, request_id: &str) {
        request_id.clone_into(&mut self.sale.request_id);
    }

    async fn commit(&mut self) -> Result<(), PaymentDemand> {
        let settled = self.finish().await;
        settled.map_err(|refused| self.state.unpaid(&self.sale, refused))
    }

    fn payment(&self) -> &CheckedPayment {
        &self.payment
    }

    async fn reserved(&mut self) -> Result<(), PaymentDemand> {
        let (id, hash) = (&self.sale.request_id, &self.sale.request_hash);
        self.session.channel.reserve(id, hash, &self.payment);
        self.session.held.put(self.session.channel.clone());
        if !self.payment.collected {
            return Ok(());
        }
        let collected = self.collect().await;
        // What may have happened has: the call is owed then.
        let unknown = matches!(
            &collected,
            Err(PaymentRefusal::Trouble(
                ChainFailure::Unknown { .. } | ChainFailure::Unreachable { .. }
            ))
        );
        self.payment.collected = collected.is_ok() || unknown;
        collected.map_err(|refused| self.state.unpaid(&self.sale, refused))
    }

    fn response(&self, charge: &CallCharge) -> String {
        let (amount, tx) = match &self.deposited {
            Some((amount, tx)) => (amount.to_string(), tx.clone()),
            None => (String::new(), String::new()),
        };
        let extra = ResponseExtra {
            charged_amount: Some(charge.amount),
            channel_state: Some(self.session.state(charge.cumulative)),
            voucher_state: None,
        };
        written(charge, tx, amount, extra)
    }

    fn capture(mut self: Box<Self>, charge: &CallCharge, answered: bool) {
        let id = &self.sale.request_id;
        if let Err(breach) = self.session.channel.charge(id, charge, answered) {
            tracing::error!(channel = %self.session.key, %breach, "a charge is out of order");
        }
        self.session.held.put(self.session.channel.clone());
    }

    /// What the call costs can be claimed until the channel's delay after the start of a
    /// withdrawal, which may come at once.
    fn time_limit(&self) -> Option<Duration> {
        let delay = self.session.channel.config.withdraw_delay;
        Some(Duration::from_secs(delay) / WITHDRAW_SHARE)
    }
}

/// A call that a transfer pays for.
pub(super) struct TransferGuard {
    state: Arc<SellerState>,
    sale: OfferedCall,
    method: Arc<PaymentMethod>,
    held: HeldLock<ExactKey, ExactPayment>,
    /// Once the transfer is mined, and to the right receiver.
    paid: Option<ExactPayment>,
    transfer: TransferPermit,
    payment: CheckedPayment,
    /// Whether the payment names its request.
    named: bool,
}

impl TransferGuard {
    pub fn new(
        (state, method): (Arc<SellerState>, Arc<PaymentMethod>),
        sale: &OfferedCall,
        held: HeldLock<ExactKey, ExactPayment>,
        (transfer, payment, named): (TransferPermit, CheckedPayment, bool),
    ) -> Self {
        Self {
            state,
            sale: sale.clone(),
            method,
            held,
            paid: None,
            transfer,
            payment,
            named,
        }
    }

    async fn finish(&mut self) -> Result<(), PaymentRefusal> {
        if self.held.get().is_none() {
            self.state.funded(&self.method).await?;
        }
        self.bind().await?;
        let done = self.method.settlement().transfer(&self.transfer).await;
        let done = done.map_err(PaymentRefusal::from_failure(Reason::ExactFailed))?;
        let paid = ExactPayment {
            amount: self.transfer.value,
            tx: done.tx,
            request_id: None,
            request_hash: Some(self.sale.request_hash.clone()),
        };
        self.held.put(paid.clone());
        self.state.release(&self.payment.exact_key());
        self.paid = Some(paid);
        Ok(())
    }

    /// From its first sight on a chain anybody can repeat the payment: it is this request's.
    async fn bind(&self) -> Result<(), PaymentRefusal> {
        let key = self.payment.exact_key();
        let request_hash = self.sale.request_hash.clone();
        if self.state.bound(&key, self.held.get()).as_ref() == Some(&request_hash) {
            return Ok(());
        }
        let bound = PaymentBound {
            key,
            request_hash,
            retry: (!self.named).then(|| retry(&self.sale.presenter)),
        };
        let fact = Event::PaymentBound(Box::new(bound.clone()));
        self.state.append_event(fact).await?;
        self.state.bind(bound);
        Ok(())
    }
}

#[async_trait::async_trait]
impl PaymentGuard for TransferGuard {
    fn name(&mut self, request_id: &str) {
        request_id.clone_into(&mut self.sale.request_id);
    }

    async fn commit(&mut self) -> Result<(), PaymentDemand> {
        let settled = self.finish().await;
        settled.map_err(|refused| self.state.unpaid(&self.sale, refused))
    }

    fn payment(&self) -> &CheckedPayment {
        &self.payment
    }

    async fn reserved(&mut self) -> Result<(), PaymentDemand> {
        Ok(())
    }

    fn response(&self, charge: &CallCharge) -> String {
        let tx = self.paid.as_ref().map(|paid| paid.tx.clone());
        let extra = ResponseExtra {
            charged_amount: Some(charge.amount),
            ..ResponseExtra::default()
        };
        let amount = self.transfer.value.to_string();
        written(charge, tx.unwrap_or_default(), amount, extra)
    }

    fn capture(mut self: Box<Self>, charge: &CallCharge, _answered: bool) {
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

fn written(
    charge: &CallCharge,
    transaction: String,
    amount: String,
    extra: ResponseExtra,
) -> String {
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
