//! Implements the settlement interface for code that takes payments.

use alloy::primitives::{Bytes, keccak256};

use super::{
    ChainFailure, ChainSettlement, ChannelRefund, DepositPermit, ForeignPayment, MinedResult,
    SettlementClient, TransferPermit, ledger_view::ask, questions::QuestionKind, relay::joined,
    sponsor::sponsored,
};
use openlora_chain::network::Network;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{ChannelView, SponsoredDeed, SponsoredGas, TxKey, event::PublishedVoucher};

#[async_trait::async_trait]
impl ChainSettlement for SettlementClient {
    fn network(&self) -> &Network {
        &self.chain.network
    }

    fn is_fresh(&self) -> bool {
        self.memory.lock().is_fresh(self.options.fresh)
    }

    async fn channel(&self, channel: Word) -> Result<ChannelView, ChainFailure> {
        let key = self.channel_key(channel);
        if ask(&*self.ledger, |ledger| ledger.channels.contains_key(&key)) {
            return self.viewed(channel).await;
        }
        self.questions
            .ask(QuestionKind::Payment, channel, self.viewed(channel))
            .await
    }

    async fn check_deposit(&self, deposit: &DepositPermit) -> Result<(), ChainFailure> {
        let (key, question) = (deposit.question(), self.would_deposit(deposit));
        self.questions
            .ask(QuestionKind::Payment, key, question)
            .await
    }

    async fn deposit(&self, deposit: &DepositPermit) -> Result<MinedResult, ChainFailure> {
        self.put_in(deposit).await
    }

    fn has_begun(&self, transfer: &TransferPermit) -> bool {
        self.begun(transfer)
    }

    async fn check_transfer(&self, transfer: &TransferPermit) -> Result<bool, ChainFailure> {
        let (key, question) = (transfer.question(), self.would_transfer(transfer));
        self.questions
            .ask(QuestionKind::Payment, key, question)
            .await
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
        match self.asked_contract(account, digest, signature).await {
            Ok(()) => Ok(true),
            Err(ChainFailure::Rejected { .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
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
        let data = joined(calls);
        let calls = Word(keccak256(&data).0);
        self.pass_on(name, TxKey::Relay { calls }, data, sponsored, Vec::new())
            .await
    }

    async fn claim(
        &self,
        claim: Bytes,
        payer: Address,
        voucher: PublishedVoucher,
    ) -> Result<MinedResult, ChainFailure> {
        let asked = sponsored(
            SponsoredDeed::PrepaidClaim,
            Some(payer),
            Some(voucher.channel),
        );
        let key = TxKey::PrepaidClaim {
            channel: voucher.channel,
            maximum: voucher.maximum,
        };
        let first = self.publishing([voucher]).into_iter().collect();
        self.pass_on("a claim before its call", key, claim, asked, first)
            .await
    }

    fn sponsored_gas(&self) -> (SponsoredGas, Option<Amount>) {
        (self.queue.gate.gas(), self.options.allowance.gas_budget)
    }

    fn is_gas_low(&self) -> bool {
        self.queue.is_low()
    }

    fn affords_claim(&self, is_due: bool) -> bool {
        self.queue.affords_claim(is_due)
    }

    async fn unsettled(&self, receiver: Address, token: Address) -> Result<Amount, ChainFailure> {
        self.unsettled_of(receiver, token).await
    }
}
