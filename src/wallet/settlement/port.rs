//! The desk as takers of payments see it.

use alloy::primitives::Bytes;

use super::{
    ChainFailure, ChainSettlement, ChannelRefund, DepositPermit, ForeignPayment, MinedResult,
    SettlementClient, TransferPermit, ledger_view::ask, sponsor::sponsored,
};
use crate::{
    runtime::ledger::{
        Address, Amount, ChannelView, Ledger, PaidRefund, SponsoredDeed, SponsoredGas, Word,
    },
    wallet::network::Network,
};

#[async_trait::async_trait]
impl ChainSettlement for SettlementClient {
    fn network(&self) -> &Network {
        &self.chain.network
    }

    fn is_fresh(&self) -> bool {
        self.memory.lock().is_fresh(self.options.fresh)
    }

    async fn channel(&self, channel: Word) -> Result<ChannelView, ChainFailure> {
        self.viewed(channel).await
    }

    async fn check_deposit(&self, deposit: &DepositPermit) -> Result<(), ChainFailure> {
        self.would_deposit(deposit).await
    }

    async fn deposit(&self, deposit: &DepositPermit) -> Result<MinedResult, ChainFailure> {
        self.put_in(deposit).await
    }

    fn has_begun(&self, transfer: &TransferPermit) -> bool {
        self.begun(transfer)
    }

    async fn check_transfer(&self, transfer: &TransferPermit) -> Result<bool, ChainFailure> {
        self.would_transfer(transfer).await
    }

    async fn transfer(&self, transfer: &TransferPermit) -> Result<MinedResult, ChainFailure> {
        self.take_payment(transfer).await
    }

    async fn refund(&self, refund: &ChannelRefund) -> Result<MinedResult, ChainFailure> {
        self.give_back(refund).await
    }

    async fn accepts(
        &self,
        account: Address,
        digest: Word,
        signature: &[u8],
    ) -> Result<bool, ChainFailure> {
        let asked = self.asked_contract(account, digest, signature).await;
        asked.map_err(ChainFailure::unreachable)
    }

    async fn clearable(
        &self,
        payment: ForeignPayment<'_>,
        request: Word,
    ) -> Result<bool, ChainFailure> {
        self.could_clear(payment, request).await
    }

    async fn clear(
        &self,
        payment: ForeignPayment<'_>,
        request: Word,
    ) -> Result<MinedResult, ChainFailure> {
        self.clear_payment(payment, request).await
    }

    async fn relay(
        &self,
        name: &'static str,
        calls: Vec<Bytes>,
    ) -> Result<MinedResult, ChainFailure> {
        let sponsored = sponsored(SponsoredDeed::Clearing, None, None);
        self.pass_on(name, calls, Some(sponsored)).await
    }

    async fn claim(&self, claim: Bytes) -> Result<MinedResult, ChainFailure> {
        self.pass_on("a claim before its call", vec![claim], None)
            .await
    }

    fn paid_refund(&self, channel: Word) -> Option<PaidRefund> {
        let key = self.channel_key(channel);
        let paid = |ledger: &Ledger| ledger.channels.get(&key).and_then(|it| it.paid_refund);
        ask(&*self.ledger, paid)
    }

    fn sponsored_gas(&self) -> (SponsoredGas, Option<Amount>) {
        (self.queue.gate.gas(), self.options.allowance.gas_budget)
    }

    async fn gas(&self) -> Result<Amount, ChainFailure> {
        let left = self.chain.balance(self.account()).await;
        let left = left.map_err(ChainFailure::unreachable)?;
        Ok(Amount(u128::try_from(left).unwrap_or(u128::MAX)))
    }

    async fn unsettled(&self, receiver: Address, token: Address) -> Result<Amount, ChainFailure> {
        self.unsettled_of(receiver, token).await
    }
}
