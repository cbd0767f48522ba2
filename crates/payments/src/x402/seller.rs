//! Takes payments for calls. This module reads a header and finds the offer that it takes; each
//! scheme has its own module.

use std::sync::Arc;

use serde_json::Value;

use super::{
    binding::{RefundRequest, RequestBinding, extension},
    reason::Reason,
    refusal::PaymentRefusal,
    terms::{SellerConfig, SellerState, TakenOffer},
    wire::{PaymentPayload, SchemePayload},
};
use openlora_core::Address;
use openlora_ledger::ChannelKey;
use openlora_ports::{
    OfferedCall, PaymentDemand, PaymentGateway, PaymentGuard, RefundAnswer, Sponsorship,
};

/// Takes payments by x402 on a seller's chains.
pub struct X402Seller {
    state: Arc<SellerState>,
}

impl X402Seller {
    pub fn new(seller: SellerConfig) -> Self {
        Self {
            state: Arc::new(SellerState::new(seller)),
        }
    }

    /// Offers calls of an adapter from now on, paid to this splitter.
    pub fn offer_adapter(&self, adapter_digest: &str, splitter: Address) {
        self.state.offer_adapter(adapter_digest, splitter);
    }

    /// Whom calls of an adapter pay; `None` if it was never offered.
    pub fn splitter_of(&self, adapter_digest: &str) -> Option<Address> {
        self.state.splitter_of(adapter_digest)
    }

    async fn opened(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<Box<dyn PaymentGuard>, PaymentRefusal> {
        let (taken, payload, extensions) = self.state.read(sale, payment, true)?;
        let binding: Option<RequestBinding> = extension(extensions.as_ref())?;
        let binding = binding.as_ref();
        match payload {
            SchemePayload::Batch(batch) => {
                let tab = self.state.open_batch(sale, &taken, &batch, binding);
                Ok(Box::new(tab.await?))
            }
            SchemePayload::Exact(exact) => {
                let tab = self.state.open_exact(sale, &taken, &exact, binding);
                Ok(Box::new(tab.await?))
            }
        }
    }

    async fn refunded(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<RefundAnswer, PaymentRefusal> {
        let (taken, payload, extensions) = self.state.read(sale, payment, false)?;
        let request: Option<RefundRequest> = extension(extensions.as_ref())?;
        match payload {
            SchemePayload::Batch(batch) => {
                let key = ChannelKey {
                    chain_id: taken.method.chain_id,
                    channel: batch.voucher.channel_id,
                };
                if sale.presenter.is_limited && self.state.channel(&key).is_none() {
                    return Err(PaymentRefusal::Limited);
                }
                let refunded = self.state.give_back(&taken, &batch, request.as_ref());
                refunded.await
            }
            SchemePayload::Exact(_) => Err(Reason::PayloadType.into()),
        }
    }
}

impl SellerState {
    /// Decodes a whole header, and compares the offer that it takes with ours.
    fn read(
        &self,
        sale: &OfferedCall,
        payment: &str,
        priced: bool,
    ) -> Result<(TakenOffer, SchemePayload, Option<Value>), PaymentRefusal> {
        let payment = PaymentPayload::decode(payment)?;
        let accepted = payment.accepted()?;
        let payload = SchemePayload::parse(&accepted.scheme, &payment.payload)?;
        let payload = payload.ok_or(Reason::UnsupportedScheme)?;
        let taken = self.match_offer(sale, accepted, priced)?;
        Ok((taken, payload, payment.extensions))
    }
}

#[async_trait::async_trait]
impl PaymentGateway for X402Seller {
    fn terms(&self, sale: &OfferedCall) -> PaymentDemand {
        self.state.unpaid(sale, Reason::PaymentRequired.into())
    }

    fn offers(&self, sale: &OfferedCall) -> Vec<Value> {
        self.state.listed_offers(sale)
    }

    async fn open(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<Box<dyn PaymentGuard>, PaymentDemand> {
        let opened = self.opened(sale, payment).await;
        opened.map_err(|refused| self.state.unpaid(sale, refused))
    }

    fn ready(&self) -> Result<(), String> {
        match self.state.is_fresh() {
            true => Ok(()),
            false => Err("No chain that calls are paid on was heard of lately.".to_owned()),
        }
    }

    async fn refund(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<RefundAnswer, PaymentDemand> {
        let refunded = self.refunded(sale, payment).await;
        refunded.map_err(|refused| self.state.unpaid(sale, refused))
    }

    fn warnings(&self) -> Vec<String> {
        self.state.warnings()
    }

    fn sponsorships(&self) -> Vec<Sponsorship> {
        self.state.sponsorships()
    }
}
