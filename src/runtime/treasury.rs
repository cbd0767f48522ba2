//! The operator of one chain's money: its settlement clients, settler and reward publisher, and the
//! results of what they did.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::rewards::{RewardPublisher, RewardRound, RewardSource};
use openlora_chain::{network::Network, provider::Chain};
use openlora_core::{Address, Amount, error::Failure};
use openlora_ledger::{
    event::{DeferredClaim, SplitRead},
    state::LedgerState,
};
use openlora_payments::{
    rewards::server_facts,
    settlement::{
        ChainSettler, LeftOut, MovedMoney, SettleRound, SettlementAccounts, SettlementClient,
        SettlementOptions, SettlementRecords, SplitterShare,
    },
};
use openlora_wallet::WalletAccount;

/// The accounts that sign for this home.
#[derive(Clone)]
pub struct SigningAccounts {
    /// The one that serves.
    pub main: WalletAccount,
    /// Others that this home has used and whose keys are at hand.
    pub others: Vec<WalletAccount>,
}

/// The accounts that a journal names on a chain as a publisher, as a server, or as a recipient of a
/// splitter. Those of this home sign there, whichever account it uses now.
pub fn accounts_in_use(state: &LedgerState, chain_id: u64) -> BTreeSet<Address> {
    let releases = state.deployments.iter();
    let releases = releases.filter(|it| it.chain_id == chain_id);
    let publishers = releases.filter_map(|it| it.publisher.parse().ok());
    let channels = state.ledger.channels.iter();
    let channels = channels.filter(|(key, _)| key.chain_id == chain_id);
    let servers = channels.map(|(_, channel)| channel.config.receiver_authorizer);
    let splits = state.facts.splits().iter();
    let splits = splits.filter(|(receiver, _)| receiver.chain_id == chain_id);
    let parts = splits.flat_map(|(_, split): (_, &SplitRead)| &split.parts);
    let recipients = parts.map(|part| part.recipient);
    publishers.chain(servers).chain(recipients).collect()
}

/// The settlement client of the main account, the settler and the reward publisher of a chain.
#[derive(Clone)]
pub struct ChainOperator {
    pub client: Arc<SettlementClient>,
    pub settler: Arc<ChainSettler>,
    pub rewarder: Arc<RewardPublisher>,
    /// The main account's client, and those of the others.
    pub accounts: SettlementAccounts,
}

impl ChainOperator {
    /// `is_home` says whether roots over calls are anchored on this chain.
    pub fn new(
        chain: Chain,
        accounts: SigningAccounts,
        records: SettlementRecords,
        options: SettlementOptions,
        rewards: RewardSource,
        is_home: bool,
    ) -> Self {
        let log = Arc::new(rewards.log.clone());
        let reader = server_facts(chain.network.chain_id, log);
        let options = SettlementOptions {
            reader: Some(reader),
            ..options
        };
        let SigningAccounts { main, others } = accounts;
        let client = Arc::new(SettlementClient::new(chain, main, records, options));
        let accounts = SettlementAccounts::new(Arc::clone(&client), others);
        let settler = Arc::new(ChainSettler::new(accounts.clone()));
        let rewarder = RewardPublisher::new(rewards, accounts.clone(), is_home);
        Self {
            client,
            settler,
            rewarder: Arc::new(rewarder),
            accounts,
        }
    }

    fn network(&self) -> &Network {
        &self.client.chain().network
    }

    /// Claims and transfers what is due, then publishes rewards.
    pub async fn settle_and_reward(&self) -> Result<SettleReport, Failure> {
        let round = self.settler.settle_now().await?;
        let rewards = self.rewarder.round().await;
        Ok(SettleReport::from_round(self.network(), &round, rewards))
    }

    /// Releases the shares of the accounts and of the pools, then publishes rewards.
    pub async fn withdraw_and_reward(
        &self,
        to: Option<Address>,
    ) -> Result<WithdrawReport, Failure> {
        let moved = self.settler.withdraw(to).await?;
        let rewards = self.rewarder.round().await;
        let waiting = self.settler.unreleased().await?;
        Ok(WithdrawReport {
            waiting: WaitingShare::all(&waiting),
            ..WithdrawReport::from_moved(self.network(), &moved, rewards)
        })
    }
}

/// The result of settling, as printed by `settle --json`.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SettleReport {
    pub network: String,
    pub chain_id: u64,
    /// Claims: vouchers redeemed for the receiver's balance in the escrow.
    pub claims: Vec<TransactionReport>,
    /// Transfers from the escrow to the splitter.
    pub settles: Vec<TransactionReport>,
    pub left_out: Vec<UnclaimableSum>,
    /// Not claimed for now: that would cost more gas than it brings.
    #[serde(default)]
    pub deferred: Vec<DeferredSum>,
    /// Roots over attributed calls and over contributions.
    #[serde(default)]
    pub rewards: RewardRound,
}

/// The result of withdrawing, as printed by `withdraw --json`.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WithdrawReport {
    pub network: String,
    pub chain_id: u64,
    /// One per released share.
    pub releases: Vec<TransactionReport>,
    /// Shares of other accounts, which only they can release.
    #[serde(default)]
    pub waiting: Vec<WaitingShare>,
    /// Roots over attributed calls and over contributions.
    #[serde(default)]
    pub rewards: RewardRound,
}

/// A share at a splitter that only its recipient can release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WaitingShare {
    pub recipient: String,
    /// The splitter.
    pub receiver: String,
    /// ERC-20 contract of the token.
    pub token: String,
    pub amount: Amount,
}

impl WaitingShare {
    pub fn all(shares: &[SplitterShare]) -> Vec<Self> {
        let share = |it: &SplitterShare| Self {
            recipient: it.recipient.to_string(),
            receiver: it.receiver.receiver.to_string(),
            token: it.receiver.token.to_string(),
            amount: it.pending,
        };
        shares.iter().map(share).collect()
    }
}

/// Charges of a channel that are not worth claiming yet.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeferredSum {
    pub channel: String,
    pub amount: Amount,
}

impl DeferredSum {
    pub fn all(deferred: &[DeferredClaim]) -> Vec<Self> {
        let sum = |it: &DeferredClaim| Self {
            channel: it.channel.to_string(),
            amount: it.amount,
        };
        deferred.iter().map(sum).collect()
    }
}

/// Money of a channel that cannot be claimed.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UnclaimableSum {
    pub channel: String,
    pub amount: Amount,
    pub reason: String,
    /// The account that could claim it, if only its key is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimer: Option<String>,
}

impl UnclaimableSum {
    pub fn all(left_out: &[LeftOut]) -> Vec<Self> {
        let stuck = |out: &LeftOut| Self {
            channel: out.channel.to_string(),
            amount: out.amount,
            reason: out.reason.clone(),
            claimer: out.claimer.map(|it| it.to_string()),
        };
        left_out.iter().map(stuck).collect()
    }
}

/// A transaction that moved money, as printed by `--json`.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TransactionReport {
    pub tx: String,
    /// The splitter.
    pub receiver: String,
    /// ERC-20 contract of the token.
    pub token: String,
    pub amount: Amount,
    /// The number of channels that it was claimed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// The recipient of the share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    pub gas_used: u64,
    pub fee_wei: Amount,
}

impl TransactionReport {
    pub fn from_moved(moved: &MovedMoney) -> Self {
        Self {
            tx: moved.tx.clone(),
            receiver: moved.receiver.receiver.to_string(),
            token: moved.receiver.token.to_string(),
            amount: moved.amount,
            channels: (moved.channels > 0).then_some(moved.channels),
            recipient: moved.recipient.map(|it| it.to_string()),
            gas_used: moved.gas_used,
            fee_wei: Amount(moved.fee),
        }
    }
}

impl SettleReport {
    pub fn from_round(network: &Network, settled: &SettleRound, rewards: RewardRound) -> Self {
        Self {
            rewards,
            network: network.name.clone(),
            chain_id: network.chain_id,
            claims: settled
                .claims
                .iter()
                .map(TransactionReport::from_moved)
                .collect(),
            settles: settled
                .settles
                .iter()
                .map(TransactionReport::from_moved)
                .collect(),
            left_out: UnclaimableSum::all(&settled.left_out),
            deferred: DeferredSum::all(&settled.deferred),
        }
    }
}

impl WithdrawReport {
    pub fn from_moved(network: &Network, moved: &[MovedMoney], rewards: RewardRound) -> Self {
        Self {
            rewards,
            network: network.name.clone(),
            chain_id: network.chain_id,
            releases: moved.iter().map(TransactionReport::from_moved).collect(),
            waiting: Vec::new(),
        }
    }
}
