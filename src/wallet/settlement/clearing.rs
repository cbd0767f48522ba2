//! Payments of other sellers: each authorization belongs to the first request that it is cleared
//! for, and that request is told once that the payment was made.
//!
//! `Started` is durable before anything is sent, and `Confirmed` before the answer leaves. So a
//! request whose end nobody knew, because of a crash or an answer of "not known yet", may come
//! again until it is told; whoever comes after that, with whatever request, finds the
//! authorization used.

use super::{Deposit, Done, Transfer, Trouble, books::ask, desk::Desk};
use crate::runtime::{
    event::{Clearing, ClearingStage, Event},
    ledger::{Address, ExactKey, Word},
};

/// What another seller is paid with.
#[derive(Clone, Copy, Debug)]
pub enum Foreign<'a> {
    Transfer(&'a Transfer),
    Deposit(&'a Deposit),
}

impl Foreign<'_> {
    fn authorization(&self) -> (Address, Address, Word) {
        match self {
            Self::Transfer(it) => (it.token, it.from, it.nonce),
            Self::Deposit(it) => (it.config.token, it.config.payer, it.nonce()),
        }
    }
}

impl Desk {
    pub(super) fn key_of(&self, token: Address, payer: Address, nonce: Word) -> ExactKey {
        ExactKey {
            chain_id: self.chain.network.chain_id,
            token,
            payer,
            nonce,
        }
    }

    fn foreign_key(&self, payment: Foreign<'_>) -> ExactKey {
        let (token, payer, nonce) = payment.authorization();
        self.key_of(token, payer, nonce)
    }

    /// Whether this very request began to clear a payment and was never told of its end. Fails
    /// when the authorization is not for this request to clear.
    pub(super) async fn could_clear(
        &self,
        payment: Foreign<'_>,
        request: Word,
    ) -> Result<bool, Trouble> {
        let key = self.foreign_key(payment);
        let (cleared, ours) = ask(&*self.books, |book| {
            let ours = book.exact.contains_key(&key);
            (book.clearings.get(&key).copied(), ours)
        });
        let spent = || Trouble::Spent { nonce: key.nonce };
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
        payment: Foreign<'_>,
        request: Word,
    ) -> Result<Done, Trouble> {
        let key = self.foreign_key(payment);
        let _turn = self.turn(key.nonce).await;
        let has_begun = self.could_clear(payment, request).await?;
        let note = |stage, tx: &str| {
            let tx = tx.to_owned();
            let clearing = Clearing {
                key,
                request,
                stage,
                tx,
            };
            self.keep(Event::Clearing(Box::new(clearing)))
        };
        if !has_begun {
            note(ClearingStage::Started, "").await?;
        }
        let done = match payment {
            Foreign::Transfer(transfer) => {
                let deed = format!("{} for the request {request}", transfer.deed());
                self.make_transfer(transfer, deed).await
            }
            Foreign::Deposit(deposit) => {
                let deed = format!("{} for the request {request}", deposit.deed());
                self.make_deposit(deposit, deed).await
            }
        };
        match &done {
            Ok(done) => note(ClearingStage::Confirmed, &done.tx).await?,
            Err(Trouble::Rejected { .. }) => note(ClearingStage::Dropped, "").await?,
            Err(Trouble::Unreachable { .. }) if !has_begun => {
                note(ClearingStage::Dropped, "").await?;
            }
            Err(_) => {}
        }
        done
    }
}
