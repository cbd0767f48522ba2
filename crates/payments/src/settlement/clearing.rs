//! Clears payments of other sellers. Each authorization belongs to the first request that clears
//! it. That request is answered once with the result that the payment was made.
//!
//! `Started` is durable before anything is sent, and `Confirmed` before the answer leaves. A
//! request may be repeated until it gets this answer, for example after a crash or after an answer
//! of "not known yet". Every later request, with the same content or not, finds the authorization
//! used.

use super::{
    ChainFailure, MinedResult, client::SettlementClient, foreign::ForeignPayment, ledger_view::ask,
    sponsor::sponsored,
};
use openlora_core::{Address, Word};
use openlora_ledger::{
    ExactKey, SponsoredDeed,
    event::{ClearingStage, Event, PaymentClearing},
};

impl SettlementClient {
    pub(super) fn key_of(&self, token: Address, payer: Address, nonce: Word) -> ExactKey {
        ExactKey {
            chain_id: self.chain.network.chain_id,
            token,
            payer,
            nonce,
        }
    }

    fn foreign_key(&self, payment: ForeignPayment<'_>) -> ExactKey {
        let (token, payer, nonce) = payment.authorization();
        self.key_of(token, payer, nonce)
    }

    /// Whether this request began to clear a payment and has not been answered with the outcome.
    /// Fails if the authorization is not for this request to clear.
    pub(super) async fn could_clear(
        &self,
        payment: ForeignPayment<'_>,
        request: Word,
    ) -> Result<bool, ChainFailure> {
        let key = self.foreign_key(payment);
        let (cleared, ours) = ask(&*self.ledger, |ledger| {
            let ours = ledger.exact.contains_key(&key);
            (ledger.clearings.get(&key).copied(), ours)
        });
        let spent = || ChainFailure::Spent { nonce: key.nonce };
        match cleared {
            Some(it) if it.request == request && !it.confirmed => return Ok(true),
            None if !ours => {}
            // It paid a call of ours, or was cleared by the rules of an earlier version.
            _ => return Err(spent()),
        }
        self.in_sight().await?;
        match self.used(key.token, key.payer, key.nonce).await? {
            true => Err(spent()),
            false => Ok(false),
        }
    }

    pub(super) async fn clear_payment(
        &self,
        payment: ForeignPayment<'_>,
        request: Word,
    ) -> Result<MinedResult, ChainFailure> {
        let key = self.foreign_key(payment);
        let _turn = self.turn(key.nonce).await;
        let has_begun = self.could_clear(payment, request).await?;
        let note = |stage, tx: &str| {
            let tx = tx.to_owned();
            let clearing = PaymentClearing {
                key,
                request,
                stage,
                tx,
            };
            self.append_event(Event::Clearing(Box::new(clearing)))
        };
        if !has_begun {
            note(ClearingStage::Started, "").await?;
        }
        let done = match payment {
            ForeignPayment::Transfer(transfer) => {
                let purpose = transfer.purpose(&self.chain.network, Some(request));
                let asked = sponsored(SponsoredDeed::Clearing, Some(transfer.from), None);
                self.make_transfer(transfer, purpose, asked).await
            }
            ForeignPayment::Deposit(deposit) => {
                let purpose = deposit.purpose(&self.chain.network, Some(request));
                self.make_deposit(deposit, purpose).await
            }
        };
        match &done {
            Ok(done) => note(ClearingStage::Confirmed, &done.tx).await?,
            Err(ChainFailure::Rejected { .. }) => note(ClearingStage::Dropped, "").await?,
            Err(ChainFailure::Unreachable { .. } | ChainFailure::Limited(_)) if !has_begun => {
                note(ClearingStage::Dropped, "").await?;
            }
            Err(_) => {}
        }
        done
    }
}
