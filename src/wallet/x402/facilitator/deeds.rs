//! Deeds on the escrow that another seller's authorizer has signed: claims, refunds, and sending a
//! receiver what is claimed, which needs nobody's word.

use alloy::{
    primitives::{Bytes, U256},
    sol_types::SolCall,
};

use super::super::{
    lane::Lane,
    line::state,
    reason::Reason,
    refused::Refused,
    wire::{Config, ResponseExtra, Row, SettleResponse, Signed, SignedRefund, network},
};
use crate::{
    runtime::ledger::{Address, Amount, ChannelConfig, ChannelView, Word},
    wallet::registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim},
};

/// Puts a signed deed on the chain.
pub(super) async fn passed_on(lane: &Lane, signed: &Signed) -> Result<SettleResponse, Refused> {
    match signed {
        Signed::Claim {
            claims,
            claim_authorizer_signature,
        } => {
            lane.check_tokens(claims)?;
            let call = claim(claims, claim_authorizer_signature.as_ref())?;
            let done = lane.settlement().relay("a claim", vec![call]).await;
            let done = done.map_err(Refused::of(Reason::ClaimRefused))?;
            Ok(lane.response(done.tx, None))
        }
        Signed::Settle { receiver, token } => lane.settle(*receiver, *token).await,
        Signed::Refund(refund) => {
            lane.check_tokens(&refund.claims)?;
            let mut calls = Vec::new();
            if !refund.claims.is_empty() {
                let signature = refund.claim_authorizer_signature.as_ref();
                calls.push(claim(&refund.claims, signature)?);
            }
            calls.push(give_back(refund)?);
            lane.refund(&refund.channel_config, calls).await
        }
    }
}

impl Lane {
    fn check_tokens(&self, rows: &[Row]) -> Result<(), Reason> {
        let ours = |row: &Row| row.voucher.channel.token == self.counter.token;
        match rows.iter().all(ours) {
            true => Ok(()),
            false => Err(Reason::Token),
        }
    }

    async fn settle(&self, receiver: Address, token: Address) -> Result<SettleResponse, Refused> {
        if token != self.counter.token {
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
        let done = done.map_err(Refused::of(Reason::SettleRefused))?;
        Ok(self.response(done.tx, Some(amount)))
    }

    async fn refund(&self, config: &Config, calls: Vec<Bytes>) -> Result<SettleResponse, Refused> {
        let config = ChannelConfig::from(config.clone());
        if config.token != self.counter.token {
            return Err(Reason::Token.into());
        }
        let channel = self.escrow.channel_id(&config);
        let before = self.settlement().channel(channel).await?;
        if before.balance <= before.claimed {
            return Err(Reason::RefundEmpty.into());
        }
        let done = self.settlement().relay("a refund", calls).await;
        let done = done.map_err(Refused::of(Reason::RefundRefused))?;
        let view = self.settlement().channel(channel).await?;
        let amount = before.balance.saturating_sub(view.balance);
        Ok(SettleResponse {
            payer: Some(config.payer.to_string()),
            extra: Some(after(channel, &view)),
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

/// A channel after what was done.
pub(super) fn after(channel: Word, view: &ChannelView) -> ResponseExtra {
    ResponseExtra {
        channel_state: Some(state(channel, view)),
        ..ResponseExtra::default()
    }
}

fn claim(rows: &[Row], signature: Option<&Bytes>) -> Result<Bytes, Reason> {
    let signature = signature.ok_or(Reason::AuthorizerMissing)?;
    let row = |row: &Row| VoucherClaim {
        voucher: ChannelVoucher {
            channel: (&ChannelConfig::from(row.voucher.channel.clone())).into(),
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
        config: (&ChannelConfig::from(refund.channel_config.clone())).into(),
        amount: refund.amount.0,
        nonce: U256::from(refund.refund_nonce),
        receiverAuthorizerSignature: signature.clone(),
    };
    Ok(call.abi_encode().into())
}
