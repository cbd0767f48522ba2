//! Escrow actions for another seller: claims and refunds that its authorizer has signed, and
//! settling claimed money to a receiver, which needs no signature.

use alloy::{
    primitives::{Bytes, U256},
    sol_types::SolCall,
};

use super::super::{
    channel_session::state,
    lane::PaymentMethod,
    reason::Reason,
    refusal::PaymentRefusal,
    wire::{
        ResponseExtra, SettleResponse, SignedAction, SignedRefund, WireClaimRow, WireConfig,
        network,
    },
};
use openlora_chain::registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{ChannelTerms, ChannelView};

/// Submits an action to the chain.
pub(super) async fn passed_on(
    method: &PaymentMethod,
    signed: &SignedAction,
) -> Result<SettleResponse, PaymentRefusal> {
    match signed {
        SignedAction::Claim {
            claims,
            claim_authorizer_signature,
        } => {
            method.check_tokens(claims)?;
            let call = claim(claims, claim_authorizer_signature.as_ref())?;
            let done = method.settlement().relay("a claim", vec![call]).await;
            let done = done.map_err(PaymentRefusal::from_failure(Reason::ClaimRefused))?;
            Ok(method.response(done.tx, None))
        }
        SignedAction::Settle { receiver, token } => method.settle_receiver(*receiver, *token).await,
        SignedAction::Refund(refund) => {
            method.check_tokens(&refund.claims)?;
            let mut calls = Vec::new();
            if !refund.claims.is_empty() {
                let signature = refund.claim_authorizer_signature.as_ref();
                calls.push(claim(&refund.claims, signature)?);
            }
            calls.push(give_back(refund)?);
            method.refund(&refund.channel_config, calls).await
        }
    }
}

impl PaymentMethod {
    fn check_tokens(&self, rows: &[WireClaimRow]) -> Result<(), Reason> {
        let ours = |row: &WireClaimRow| row.voucher.channel.token == self.chain_offer.token;
        match rows.iter().all(ours) {
            true => Ok(()),
            false => Err(Reason::Token),
        }
    }

    async fn settle_receiver(
        &self,
        receiver: Address,
        token: Address,
    ) -> Result<SettleResponse, PaymentRefusal> {
        if token != self.chain_offer.token {
            return Err(Reason::Token.into());
        }
        let amount = self.settlement().unsettled(receiver, token).await?;
        if amount.is_zero() {
            return Err(Reason::NothingToSettle.into());
        }
        let call = Escrow::settleCall {
            receiver: receiver.into(),
            token: token.into(),
        };
        let calls = vec![call.abi_encode().into()];
        let done = self.settlement().relay("a settlement", calls).await;
        let done = done.map_err(PaymentRefusal::from_failure(Reason::SettleRefused))?;
        Ok(self.response(done.tx, Some(amount)))
    }

    async fn refund(
        &self,
        config: &WireConfig,
        calls: Vec<Bytes>,
    ) -> Result<SettleResponse, PaymentRefusal> {
        let config = ChannelTerms::from(config.clone());
        if config.token != self.chain_offer.token {
            return Err(Reason::Token.into());
        }
        let channel = self.escrow.channel_id(&config);
        let before = self.settlement().channel(channel).await?;
        if before.balance <= before.claimed {
            return Err(Reason::RefundEmpty.into());
        }
        let done = self.settlement().relay("a refund", calls).await;
        let done = done.map_err(PaymentRefusal::from_failure(Reason::RefundRefused))?;
        let view = self.settlement().channel(channel).await?;
        let amount = before.balance.saturating_sub(view.balance);
        Ok(SettleResponse {
            payer: Some(config.payer.to_string()),
            extra: Some(channel_extra(channel, &view)),
            ..self.response(done.tx, Some(amount))
        })
    }

    fn response(&self, transaction: String, amount: Option<Amount>) -> SettleResponse {
        SettleResponse {
            success: true,
            transaction,
            network: network(self.chain_id),
            amount: amount.map(|amount| amount.to_string()),
            ..SettleResponse::default()
        }
    }
}

/// A channel after the action.
pub(super) fn channel_extra(channel: Word, view: &ChannelView) -> ResponseExtra {
    ResponseExtra {
        channel_state: Some(state(channel, view)),
        ..ResponseExtra::default()
    }
}

fn claim(rows: &[WireClaimRow], signature: Option<&Bytes>) -> Result<Bytes, Reason> {
    let signature = signature.ok_or(Reason::AuthorizerMissing)?;
    let row = |row: &WireClaimRow| VoucherClaim {
        voucher: ChannelVoucher {
            channel: (&ChannelTerms::from(row.voucher.channel.clone())).into(),
            maxClaimableAmount: row.voucher.max_claimable_amount.0,
        },
        signature: row.signature.clone(),
        totalClaimed: row.total_claimed.0,
    };
    let call = Escrow::claimWithSignatureCall {
        voucherClaims: rows.iter().map(row).collect(),
        authorizerSignature: signature.clone(),
    };
    Ok(call.abi_encode().into())
}

fn give_back(refund: &SignedRefund) -> Result<Bytes, Reason> {
    let signature = refund.refund_authorizer_signature.as_ref();
    let signature = signature.ok_or(Reason::AuthorizerMissing)?;
    let call = Escrow::refundWithSignatureCall {
        config: (&ChannelTerms::from(refund.channel_config.clone())).into(),
        amount: refund.amount.0,
        nonce: U256::from(refund.refund_nonce),
        receiverAuthorizerSignature: signature.clone(),
    };
    Ok(call.abi_encode().into())
}
