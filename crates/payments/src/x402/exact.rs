//! Payments of the `exact` scheme: one transfer for one call. After a transfer that was mined and
//! not charged, the server still owes its payer a call.

use std::sync::Arc;

use alloy::primitives::hex;

use super::{
    binding::{BindingDomain, RequestBinding, is_marked},
    checks::{check_window, signed},
    lane::PaymentMethod,
    payment_guard::TransferGuard,
    reason::Reason,
    refusal::PaymentRefusal,
    terms::{SellerState, TakenOffer},
    wire::{ExactPayload, PaymentRequirements, TransferAuthorization},
};
use crate::settlement::TransferPermit;
use openlora_core::Amount;
use openlora_ledger::{CheckedPayment, ExactKey, ExactPayment, PaymentScheme, UsedVoucher};
use openlora_ports::OfferedCall;

impl SellerState {
    /// Steps 3 to 7 for a transfer.
    pub async fn open_exact(
        self: &Arc<Self>,
        sale: &OfferedCall,
        taken: &TakenOffer,
        exact: &ExactPayload,
        binding: Option<&RequestBinding>,
    ) -> Result<TransferGuard, PaymentRefusal> {
        let method = &taken.method;
        let said = &exact.authorization;
        check_offer(said, &taken.offer)?;
        if sale.presenter.is_limited && self.paid(&method.exact_key(said)).is_none() {
            return Err(PaymentRefusal::Limited);
        }
        method.check_signature(exact).await?;
        match binding {
            Some(binding) => method.check_bound(exact, binding, sale).await?,
            None if is_marked(said.nonce) => return Err(Reason::RequestBinding.into()),
            None => {}
        }
        let key = method.exact_key(said);
        let lock = self.exact.take(key).await.ok_or(PaymentRefusal::Busy)?;
        let mined = self.paid(&key);
        let paid = mined.is_some();
        // A payment is public on its chain, and the request that it paid for can be guessed.
        let own = binding.is_some() || self.is_own_retry(&key, &sale.presenter);
        if let Some(used) = mined.as_ref().and_then(used) {
            return Err(match own {
                true => PaymentRefusal::Used(used, Box::new(Reason::ExactUsed.into())),
                false => PaymentRefusal::UsedByName(used, key.payer),
            });
        }
        // Only the payer can use an authorization for this request if it is bound to another one.
        let owner = self.bound(&key);
        let others = owner.as_ref().is_some_and(|it| *it != sale.request_hash);
        if (others && binding.is_none()) || ((paid || owner.is_some()) && !own) {
            return Err(Reason::ExactUsed.into());
        }
        let transfer = method.transfer(exact);
        // A transfer that we have submitted is found again before the call.
        if !paid {
            method.check_transfer(&transfer).await?;
        }
        let payment = payment(sale, method, exact);
        Ok(TransferGuard::new(
            Arc::clone(self),
            Arc::clone(method),
            sale,
            lock,
            transfer,
            payment,
            binding.is_some(),
        ))
    }
}

/// Whether an authorization pays the required amount to the required receiver.
pub(super) fn check_offer(
    said: &TransferAuthorization,
    offer: &PaymentRequirements,
) -> Result<(), Reason> {
    if said.to != offer.pay_to {
        return Err(Reason::ExactRecipient);
    }
    if said.value != offer.amount {
        return Err(Reason::ExactValue);
    }
    Ok(())
}

impl PaymentMethod {
    fn exact_key(&self, said: &TransferAuthorization) -> ExactKey {
        ExactKey {
            chain_id: self.chain_id,
            token: self.chain_offer.token,
            payer: said.from,
            nonce: said.nonce,
        }
    }

    pub fn transfer(&self, exact: &ExactPayload) -> TransferPermit {
        let said = &exact.authorization;
        TransferPermit {
            token: self.chain_offer.token,
            from: said.from,
            to: said.to,
            value: said.value,
            valid_after: said.valid_after,
            valid_before: said.valid_before,
            nonce: said.nonce,
            signature: exact.signature.clone(),
        }
    }

    pub async fn check_signature(&self, exact: &ExactPayload) -> Result<(), PaymentRefusal> {
        let said = &exact.authorization;
        let digest = self.token.transfer(said);
        match signed(self.settlement(), said.from, digest, &exact.signature).await? {
            true => Ok(()),
            false => Err(Reason::ExactSignature.into()),
        }
    }

    /// Whether a payment that names its request names this request.
    async fn check_bound(
        &self,
        exact: &ExactPayload,
        binding: &RequestBinding,
        sale: &OfferedCall,
    ) -> Result<(), PaymentRefusal> {
        let said = &exact.authorization;
        let domain = BindingDomain::for_contract(self.chain_id, self.chain_offer.token);
        let digest = domain.request(said.nonce, said.value, binding.request_hash);
        let (settlement, signature) = (self.settlement(), &binding.signature);
        let ours = binding.request_hash == sale.request
            && signed(settlement, said.from, digest, signature).await?;
        match ours {
            true => Ok(()),
            false => Err(Reason::RequestBinding.into()),
        }
    }

    /// Checks that a transfer can be made now, or that we have already made it. In the second case
    /// its validity time does not matter.
    pub async fn check_transfer(&self, transfer: &TransferPermit) -> Result<(), PaymentRefusal> {
        if !self.settlement().has_begun(transfer) {
            let (after, before) = (transfer.valid_after, transfer.valid_before);
            check_window(after, before, Reason::ExactExpired, Reason::ExactEarly)?;
        }
        let checked = self.settlement().check_transfer(transfer).await;
        checked
            .map(drop)
            .map_err(PaymentRefusal::from_failure(Reason::ExactRefused))
    }
}

/// The call that a payment has paid for.
fn used(paid: &ExactPayment) -> Option<UsedVoucher> {
    Some(UsedVoucher {
        max: paid.amount,
        request_id: paid.request_id.clone()?,
        request_hash: paid.request_hash.clone()?,
    })
}

fn payment(sale: &OfferedCall, method: &PaymentMethod, exact: &ExactPayload) -> CheckedPayment {
    let said = &exact.authorization;
    CheckedPayment {
        scheme: PaymentScheme::Exact,
        chain_id: method.chain_id,
        token: method.chain_offer.token,
        receiver: said.to,
        payer: said.from,
        id: said.nonce,
        before: Amount::ZERO,
        quote: sale.quote,
        signature: hex::encode_prefixed(&exact.signature),
        prices: sale.prices,
        work: sale.work,
        collected: false,
        party: None,
    }
}
