//! Payments that are checked and not yet charged. A guard holds the lock of its channel or
//! authorization until it is dropped. It changes no state: the journal's events are the record of
//! reserved and charged amounts, and the ledger folds them before the lock can be taken again.

use std::{sync::Arc, time::Duration};

use alloy::{hex, sol_types::SolCall};

use super::{
    channel_session::ChannelSession,
    keyed_locks::HeldLock,
    lane::PaymentMethod,
    reason::Reason,
    refusal::PaymentRefusal,
    repeat_proof::proof_for,
    terms::SellerState,
    wire::{ResponseExtra, SettleResponse, network},
};
use crate::settlement::{ChainFailure, DepositPermit, TransferPermit};
use openlora_chain::registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim};
use openlora_core::Amount;
use openlora_ledger::{
    CallCharge, CheckedPayment, ExactKey, LedgerChannel, WITHDRAW_SHARE,
    event::{Event, PaymentBound, PublishedVoucher},
};
use openlora_ports::{OfferedCall, PaymentDemand, PaymentGuard};

/// A call that a voucher pays for.
pub(super) struct ChannelGuard {
    state: Arc<SellerState>,
    sale: OfferedCall,
    method: Arc<PaymentMethod>,
    session: ChannelSession,
    /// Still to be made.
    deposit: Option<DepositPermit>,
    /// The amount deposited for this call, and its transaction.
    deposited: Option<(Amount, String)>,
    payment: CheckedPayment,
}

impl ChannelGuard {
    pub fn new(
        state: Arc<SellerState>,
        method: Arc<PaymentMethod>,
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
        // The call may have waited a long time for its turn.
        let is_due = !self.session.channel.unclaimed().is_zero();
        let adds = !self.payment.quote.is_zero();
        if adds && !self.method.settlement().affords_claim(is_due) {
            return Err(PaymentRefusal::GasShort);
        }
        let view = self.method.settlement().channel(self.session.key.channel);
        if view.await?.withdrawal.is_some() {
            return Err(Reason::Withdrawal.into());
        }
        self.state.opened(&mut self.session).await?;
        let Some(deposit) = &self.deposit else {
            return Ok(());
        };
        let done = self.method.settlement().deposit(deposit).await;
        let done = done.map_err(PaymentRefusal::from_failure(Reason::DepositFailed))?;
        self.deposited = Some((deposit.amount, done.tx.clone()));
        self.deposit = None;
        self.method.look_again(&mut self.session, &done).await?;
        // A token that keeps a transfer fee has not deposited the full amount.
        self.session.check_held(self.payment.authorised())?;
        Ok(())
    }

    /// Claims the maximum cost of the call, because the payer's contract might reject it later.
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
        let voucher = PublishedVoucher {
            channel: self.session.key.channel,
            maximum: self.payment.authorised(),
        };
        let claim = call.abi_encode().into();
        let settlement = self.method.settlement();
        let done = settlement.claim(claim, config.payer, voucher).await;
        let done = done.map_err(PaymentRefusal::from_failure(Reason::ClaimRefused))?;
        self.method.look_again(&mut self.session, &done).await
    }

    /// The ledger's current channel.
    fn recorded(&self) -> Option<LedgerChannel> {
        self.state.channel(&self.session.key)
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
        let most = self.payment.charge_of(self.payment.quote);
        if let Err((breach, _)) = self.check_charge(&most) {
            // If nothing is collected, nothing is charged.
            self.payment.collected = false;
            return Err(self.state.unrecorded(&self.session.key, &breach));
        }
        if let Some(channel) = self.recorded() {
            self.session.channel = channel;
        }
        if !self.payment.collected {
            return Ok(());
        }
        let collected = self.collect().await;
        // If the outcome is unknown, the voucher counts as collected: the call is owed then.
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

    fn check_charge(&self, charge: &CallCharge) -> Result<(), (String, Box<CallCharge>)> {
        let (breach, charged) = match self.recorded() {
            None => ("the channel is unknown".to_owned(), self.payment.before),
            Some(channel) => match channel.check_charge(&self.sale.request_id, charge) {
                Ok(()) => return Ok(()),
                Err(breach) => (breach.to_string(), channel.charged.amount()),
            },
        };
        let nothing = CallCharge {
            amount: Amount::ZERO,
            cumulative: charged,
            ..charge.clone()
        };
        Err((breach, Box::new(nothing)))
    }

    /// The cost of the call can be claimed until the channel's delay has passed after the start of
    /// a withdrawal. A withdrawal may start at any time.
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
    /// Held until the guard is dropped.
    _lock: HeldLock<ExactKey>,
    /// The transaction, once it is mined and paid the right receiver.
    paid: Option<String>,
    transfer: TransferPermit,
    payment: CheckedPayment,
    /// Whether the payment names its request.
    named: bool,
}

impl TransferGuard {
    pub fn new(
        state: Arc<SellerState>,
        method: Arc<PaymentMethod>,
        sale: &OfferedCall,
        lock: HeldLock<ExactKey>,
        transfer: TransferPermit,
        payment: CheckedPayment,
        named: bool,
    ) -> Self {
        Self {
            state,
            sale: sale.clone(),
            method,
            _lock: lock,
            paid: None,
            transfer,
            payment,
            named,
        }
    }

    async fn finish(&mut self) -> Result<(), PaymentRefusal> {
        self.bind().await?;
        let done = self.method.settlement().transfer(&self.transfer).await;
        let done = done.map_err(PaymentRefusal::from_failure(Reason::ExactFailed))?;
        self.paid = Some(done.tx);
        Ok(())
    }

    /// Once a payment is on a chain, others can repeat it. This binds it to its request.
    async fn bind(&self) -> Result<(), PaymentRefusal> {
        let key = self.payment.exact_key();
        let request_hash = self.sale.request_hash.clone();
        if self.state.bound(&key).as_ref() == Some(&request_hash) {
            return Ok(());
        }
        let bound = PaymentBound {
            key,
            request_hash,
            retry: (!self.named).then(|| proof_for(&self.sale.presenter)),
        };
        let fact = Event::PaymentBound(Box::new(bound));
        self.state.append_event(fact).await
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
        let most = self.payment.charge_of(self.payment.quote);
        let checked = self.check_charge(&most);
        checked.map_err(|(breach, _)| self.state.unrecorded(&self.payment.exact_key(), &breach))
    }

    fn response(&self, charge: &CallCharge) -> String {
        let tx = self.paid.clone();
        let extra = ResponseExtra {
            charged_amount: Some(charge.amount),
            ..ResponseExtra::default()
        };
        let amount = self.transfer.value.to_string();
        written(charge, tx.unwrap_or_default(), amount, extra)
    }

    fn check_charge(&self, charge: &CallCharge) -> Result<(), (String, Box<CallCharge>)> {
        let paid = self.state.paid(&self.payment.exact_key());
        let pays = paid.and_then(|paid| paid.request_id);
        if charge.amount.is_zero() || pays.as_ref() == Some(&self.sale.request_id) {
            return Ok(());
        }
        let nothing = CallCharge {
            amount: Amount::ZERO,
            cumulative: Amount::ZERO,
            ..charge.clone()
        };
        Err((
            "no call is reserved for the payment".to_owned(),
            Box::new(nothing),
        ))
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
