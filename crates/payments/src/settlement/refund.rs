//! Refunds: the charged amount is claimed and the rest is returned, in one transaction.

use alloy::{primitives::Bytes, sol_types::SolCall};

use super::{
    ChainFailure, ChannelRefund, MinedResult, client::SettlementClient, purpose::TxPurpose,
    sponsor::sponsored,
};
use openlora_chain::{
    network::Network,
    registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim},
};
use openlora_contracts::ESCROW;
use openlora_ledger::{
    ChannelView, SponsoredDeed, TxKey,
    event::{Event, PublishedVoucher},
};

const NAME: &str = "the refund";

impl ChannelRefund {
    fn purpose(&self, network: &Network) -> TxPurpose {
        let sum = |amount| network.token_amount(self.config.token, amount);
        TxPurpose {
            key: TxKey::Refund {
                channel: self.channel,
                amount: self.amount,
                refund_nonce: Some(self.refund_nonce),
            },
            label: format!(
                "a refund of {} from channel {}, {} of which is charged",
                sum(self.amount),
                self.channel,
                sum(self.charged)
            ),
        }
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
        let purpose = refund.purpose(&self.chain.network);
        if let Some(mined) = self.earlier(&purpose.key).await? {
            self.counted(&mined).await?;
            return self
                .channel_after(mined.tx.to_string(), refund.channel)
                .await;
        }
        let views = self.advance(&[refund.channel]).await?;
        let view = views.get(&refund.channel).cloned().unwrap_or_default();
        let charged = refund.charged.max(view.claimed);
        if view.balance <= charged && view.claimed >= refund.charged {
            // The chain has already returned everything.
            return Ok(MinedResult {
                tx: String::new(),
                view: Some(view),
            });
        }
        if view.refund_nonce != refund.refund_nonce {
            return Err(ChainFailure::Rejected {
                deed: NAME,
                reason: format!(
                    "the escrow has made refund {} of the channel: its next one is {}",
                    refund.refund_nonce, view.refund_nonce
                ),
            });
        }
        let deed = match refund.is_signed {
            true => SponsoredDeed::SignedRefund,
            false => SponsoredDeed::UnsignedRefund,
        };
        let asked = sponsored(deed, Some(refund.party), Some(refund.channel));
        let data = refund.data(&view);
        let call = self.prepared_for(NAME, asked, ESCROW.into(), data, purpose);
        let call = call.await?;
        let fee = refund.fee.clone();
        let fee = fee.map(|fee| Event::RefundCharged(Box::new(fee)));
        let claims = refund.charged > view.claimed;
        let voucher = claims.then_some(PublishedVoucher {
            channel: refund.channel,
            maximum: refund.voucher_max,
        });
        let first = fee.into_iter().chain(self.publishing(voucher)).collect();
        let mined = self.done(NAME, call, first).await?;
        self.channel_after(mined.tx.to_string(), refund.channel)
            .await
    }
}
