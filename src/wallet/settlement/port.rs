//! The desk as takers of payments see it.

use alloy::primitives::Bytes;

use super::{
    Deposit, Desk, Done, Foreign, Refund, Settlement, Transfer, Trouble, books::ask,
    sponsor::sponsored,
};
use crate::{
    runtime::ledger::{
        Address, Amount, Book, ChannelView, PaidRefund, SponsoredDeed, SponsoredGas, Word,
    },
    wallet::network::Network,
};

#[async_trait::async_trait]
impl Settlement for Desk {
    fn network(&self) -> &Network {
        &self.chain.network
    }

    fn is_fresh(&self) -> bool {
        self.memory.lock().is_fresh(self.options.fresh)
    }

    async fn channel(&self, channel: Word) -> Result<ChannelView, Trouble> {
        self.viewed(channel).await
    }

    async fn check_deposit(&self, deposit: &Deposit) -> Result<(), Trouble> {
        self.would_deposit(deposit).await
    }

    async fn deposit(&self, deposit: &Deposit) -> Result<Done, Trouble> {
        self.put_in(deposit).await
    }

    fn has_begun(&self, transfer: &Transfer) -> bool {
        self.begun(transfer)
    }

    async fn check_transfer(&self, transfer: &Transfer) -> Result<bool, Trouble> {
        self.would_transfer(transfer).await
    }

    async fn transfer(&self, transfer: &Transfer) -> Result<Done, Trouble> {
        self.take_payment(transfer).await
    }

    async fn refund(&self, refund: &Refund) -> Result<Done, Trouble> {
        self.give_back(refund).await
    }

    async fn accepts(
        &self,
        account: Address,
        digest: Word,
        signature: &[u8],
    ) -> Result<bool, Trouble> {
        let asked = self.asked_contract(account, digest, signature).await;
        asked.map_err(Trouble::unreachable)
    }

    async fn clearable(&self, payment: Foreign<'_>, request: Word) -> Result<bool, Trouble> {
        self.could_clear(payment, request).await
    }

    async fn clear(&self, payment: Foreign<'_>, request: Word) -> Result<Done, Trouble> {
        self.clear_payment(payment, request).await
    }

    async fn relay(&self, name: &'static str, calls: Vec<Bytes>) -> Result<Done, Trouble> {
        let sponsored = sponsored(SponsoredDeed::Clearing, None, None);
        self.pass_on(name, calls, Some(sponsored)).await
    }

    async fn claim(&self, claim: Bytes) -> Result<Done, Trouble> {
        self.pass_on("a claim before its call", vec![claim], None)
            .await
    }

    fn paid_refund(&self, channel: Word) -> Option<PaidRefund> {
        let key = self.channel_key(channel);
        let paid = |book: &Book| book.channels.get(&key).and_then(|it| it.paid_refund);
        ask(&*self.books, paid)
    }

    fn sponsored_gas(&self) -> (SponsoredGas, Option<Amount>) {
        (self.queue.gate.gas(), self.options.allowance.gas_budget)
    }

    async fn gas(&self) -> Result<Amount, Trouble> {
        let left = self.chain.balance(self.account()).await;
        let left = left.map_err(Trouble::unreachable)?;
        Ok(Amount(u128::try_from(left).unwrap_or(u128::MAX)))
    }

    async fn unsettled(&self, receiver: Address, token: Address) -> Result<Amount, Trouble> {
        self.unsettled_of(receiver, token).await
    }
}
