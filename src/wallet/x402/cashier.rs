//! The till: takes payments for calls. Here a header is read and the offer that it takes is found;
//! each scheme goes on by itself.

use std::sync::Arc;

use serde_json::Value;

use super::{
    binding::{RefundRequest, RequestBinding, extension},
    reason::Reason,
    refused::Refused,
    terms::{Back, Shop, Taken},
    wire::{Payload, PaymentPayload},
};
use crate::runtime::{
    ledger::Book,
    ports::{Cashier, Refunded, Sale, Sponsorship, Tab, Unpaid},
};

/// Takes payments by x402 on the chains of a shop.
pub struct Till {
    back: Arc<Back>,
}

impl Till {
    /// One that knows what the journal says of channels and payments.
    pub fn new(shop: Shop, book: Book) -> Self {
        Self {
            back: Arc::new(Back::new(shop, book)),
        }
    }

    async fn opened(&self, sale: &Sale, payment: &str) -> Result<Box<dyn Tab>, Refused> {
        let (taken, payload, extensions) = self.back.read(sale, payment, true)?;
        let binding: Option<RequestBinding> = extension(extensions.as_ref())?;
        let binding = binding.as_ref();
        match payload {
            Payload::Batch(batch) => {
                let tab = self.back.open_batch(sale, &taken, (&batch, binding));
                Ok(Box::new(tab.await?))
            }
            Payload::Exact(exact) => {
                let tab = self
                    .back
                    .open_exact(sale, &taken, (&exact, binding))
                    .await?;
                Ok(Box::new(tab))
            }
        }
    }

    async fn refunded(&self, sale: &Sale, payment: &str) -> Result<Refunded, Refused> {
        let (taken, payload, extensions) = self.back.read(sale, payment, false)?;
        let request: Option<RefundRequest> = extension(extensions.as_ref())?;
        match payload {
            Payload::Batch(batch) => {
                let asked = (&*batch, request.as_ref());
                self.back.give_back(&taken, asked).await
            }
            Payload::Exact(_) => Err(Reason::PayloadType.into()),
        }
    }
}

impl Back {
    /// Reads a header whole, and compares the offer that it takes with ours.
    fn read(
        &self,
        sale: &Sale,
        payment: &str,
        priced: bool,
    ) -> Result<(Taken, Payload, Option<Value>), Refused> {
        let payment = PaymentPayload::decode(payment)?;
        let accepted = payment.accepted()?;
        let payload = Payload::of(&accepted.scheme, &payment.payload)?;
        let payload = payload.ok_or(Reason::UnsupportedScheme)?;
        let taken = self.taken(sale, accepted, priced)?;
        Ok((taken, payload, payment.extensions))
    }
}

#[async_trait::async_trait]
impl Cashier for Till {
    fn terms(&self, sale: &Sale) -> Unpaid {
        self.back.unpaid(sale, Reason::PaymentRequired.into())
    }

    async fn open(&self, sale: &Sale, payment: &str) -> Result<Box<dyn Tab>, Unpaid> {
        let opened = self.opened(sale, payment).await;
        opened.map_err(|refused| self.back.unpaid(sale, refused))
    }

    fn ready(&self) -> Result<(), String> {
        match self.back.is_fresh() {
            true => Ok(()),
            false => Err("No chain that calls are paid on was heard of lately.".to_owned()),
        }
    }

    async fn refund(&self, sale: &Sale, payment: &str) -> Result<Refunded, Unpaid> {
        let refunded = self.refunded(sale, payment).await;
        refunded.map_err(|refused| self.back.unpaid(sale, refused))
    }

    fn warnings(&self) -> Vec<String> {
        self.back.warnings()
    }

    fn sponsorships(&self) -> Vec<Sponsorship> {
        self.back.sponsorships()
    }
}
