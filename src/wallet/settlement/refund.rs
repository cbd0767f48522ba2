//! Refunds: what is charged is claimed and the rest goes back, in one transaction.

use alloy::{primitives::Bytes, sol_types::SolCall};

use super::{
    ChainFailure, ChannelRefund, MinedResult, client::SettlementClient, sponsor::sponsored,
};
use crate::{
    runtime::{
        event::Event,
        ledger::{ChannelView, SponsoredDeed},
    },
    wallet::{
        contracts::ESCROW,
        registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim},
        transaction::TxSubmission,
    },
};

const NAME: &str = "the refund";

impl ChannelRefund {
    fn label(&self) -> String {
        format!(
            "a refund of {} from channel {}, {} of which is charged",
            self.amount, self.channel, self.charged
        )
    }

    fn data(&self, view: &ChannelView) -> Bytes {
        let refund = Escrow::refundCall {
            config: (&self.config).into(),
            amount: self.amount.0,
        };
        if self.charged <= view.claimed {
            return refund.abi_encode().into();
        }
        let row = VoucherClaim {
            voucher: ChannelVoucher {
                channel: (&self.config).into(),
                maxClaimableAmount: self.voucher_max.0,
            },
            signature: self.voucher_signature.clone(),
            totalClaimed: self.charged.0,
        };
        let claim = Escrow::claimCall {
            voucherClaims: vec![row],
        };
        let data = vec![claim.abi_encode().into(), refund.abi_encode().into()];
        Escrow::multicallCall { data }.abi_encode().into()
    }
}

impl SettlementClient {
    pub(super) async fn give_back(
        &self,
        refund: &ChannelRefund,
    ) -> Result<MinedResult, ChainFailure> {
        let _turn = self.turn(refund.channel).await;
        let label = refund.label();
        if let Some(mined) = self.earlier(&label).await? {
            self.counted(&mined).await?;
            return self
                .channel_after(mined.tx.to_string(), refund.channel)
                .await;
        }
        let views = self.advance(&[refund.channel]).await?;
        let view = views.get(&refund.channel).cloned().unwrap_or_default();
        let charged = refund.charged.max(view.claimed);
        if view.balance <= charged && view.claimed >= refund.charged {
            // The chain gave everything back before.
            return Ok(MinedResult {
                tx: String::new(),
                view: Some(view),
            });
        }
        let call = self
            .prepared(ESCROW.into(), refund.data(&view), label)
            .await;
        let call = call.map_err(|error| ChainFailure::of_read(NAME, &error))?;
        let label = match refund.is_signed {
            true => SponsoredDeed::SignedRefund,
            false => SponsoredDeed::UnsignedRefund,
        };
        let asked = sponsored(label, Some(refund.party), Some(refund.channel));
        let call = TxSubmission {
            sponsored: Some(asked),
            ..call
        };
        let fee = refund.fee.clone();
        let fee = fee.map(|fee| Event::RefundCharged(Box::new(fee)));
        let mined = self.done(NAME, call, fee).await?;
        self.channel_after(mined.tx.to_string(), refund.channel)
            .await
    }
}
