//! Coins of a development chain for accounts without a balance.

use super::notice::{NoticeListener, RuntimeNotice, transaction_listener};
use openlora_chain::{
    development,
    provider::Chain,
    transaction::{TxLimits, TxSender, no_facts},
};
use openlora_core::{Address, error::Failure};
use openlora_ports::FactLog;
use openlora_release::deploy::funding;

/// The faucet of a development chain.
pub struct DevFaucet<'a> {
    pub chain: &'a Chain,
    pub facts: &'a dyn FactLog,
    pub limits: TxLimits,
    pub listener: &'a NoticeListener,
}

impl DevFaucet<'_> {
    /// Native coins for gas.
    pub async fn fund(&self, account: Address) -> Result<(), Failure> {
        let empty = self.chain.balance(account).await?.is_zero();
        if !self.chain.network.is_local() || !empty {
            return Ok(());
        }
        let source = development::account(&self.chain.network, 0)?;
        if source.address() == account {
            return Ok(());
        }
        let sender = TxSender {
            chain: self.chain,
            account: &source,
            facts: self.facts,
            limits: self.limits,
            progress: &*transaction_listener(self.listener),
            harvest: &no_facts,
        };
        sender.send(&funding(account)).await?;
        (self.listener)(RuntimeNotice::Funded { account });
        Ok(())
    }
}
