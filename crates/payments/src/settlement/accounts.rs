//! The accounts through which the money of one chain is moved: the one that serves, and the other
//! accounts of the home whose keys are at hand. A channel is claimed by the account that it names, a
//! share is released by its recipient, and a root is anchored by a server of its adapter, so a home
//! that has changed its account needs more than one.

use std::sync::Arc;

use super::client::SettlementClient;
use openlora_chain::transaction::TransactionError;
use openlora_core::Address;
use openlora_wallet::WalletAccount;

/// One settlement client per account of a chain.
#[derive(Clone)]
pub struct SettlementAccounts {
    main: Arc<SettlementClient>,
    others: Vec<Arc<SettlementClient>>,
}

impl From<Arc<SettlementClient>> for SettlementAccounts {
    fn from(main: Arc<SettlementClient>) -> Self {
        let others = Vec::new();
        Self { main, others }
    }
}

impl SettlementAccounts {
    pub fn new(main: Arc<SettlementClient>, others: Vec<WalletAccount>) -> Self {
        let others = others.into_iter();
        let others = others.filter(|it| it.address() != main.account());
        let others = others.map(|it| Arc::new(main.of_account(it))).collect();
        Self { main, others }
    }

    /// The client of the account that serves. It alone watches the chain.
    pub fn main(&self) -> &Arc<SettlementClient> {
        &self.main
    }

    /// The main one first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<SettlementClient>> {
        std::iter::once(&self.main).chain(&self.others)
    }

    pub fn addresses(&self) -> Vec<Address> {
        self.all().map(|it| it.account()).collect()
    }

    /// The client of an account whose key is at hand.
    pub fn find(&self, account: Address) -> Option<&Arc<SettlementClient>> {
        self.all().find(|it| it.account() == account)
    }

    /// Looks up the outcome of the transactions that an earlier process left open. An account other
    /// than the main one that cannot be recovered stops only its own transactions.
    pub async fn recover(&self) -> Result<(), TransactionError> {
        self.main.recover().await?;
        for client in &self.others {
            if let Err(error) = client.recover().await {
                let network = &client.chain().network.name;
                tracing::warn!(%network, account = %client.account(), "{error}");
            }
        }
        Ok(())
    }
}
