//! The operator of one chain's money: its settlement client, settler and reward publisher, and the
//! results of what they did.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rewards::{RewardPublisher, RewardRound, RewardSource};
use openlora_chain::{network::Network, provider::Chain};
use openlora_core::{Address, Amount, error::Failure};
use openlora_ledger::event::DeferredClaim;
use openlora_payments::{
    rewards::server_facts,
    settlement::{
        ChainSettler, LeftOut, MovedMoney, SettleRound, SettlementClient, SettlementOptions,
        SettlementRecords,
    },
};
use openlora_wallet::WalletAccount;

/// The settlement client, the settler and the reward publisher of a chain.
#[derive(Clone)]
pub struct ChainOperator {
    pub client: Arc<SettlementClient>,
    pub settler: Arc<ChainSettler>,
    pub rewarder: Arc<RewardPublisher>,
}

impl ChainOperator {
    /// `is_home` says whether roots over calls are anchored on this chain.
    pub fn new(
        chain: Chain,
        account: WalletAccount,
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
        let client = Arc::new(SettlementClient::new(chain, account, records, options));
        let settler = Arc::new(ChainSettler::new(Arc::clone(&client)));
        let rewarder = RewardPublisher::new(rewards, Arc::clone(&client), is_home);
        Self {
            client,
            settler,
            rewarder: Arc::new(rewarder),
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

    /// Releases the shares of the account and of the pools, then publishes rewards.
    pub async fn withdraw_and_reward(
        &self,
        to: Option<Address>,
    ) -> Result<WithdrawReport, Failure> {
        let moved = self.settler.withdraw(to).await?;
        let rewards = self.rewarder.round().await;
        Ok(WithdrawReport::from_moved(self.network(), &moved, rewards))
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
    /// Roots over attributed calls and over contributions.
    #[serde(default)]
    pub rewards: RewardRound,
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
}

impl UnclaimableSum {
    pub fn all(left_out: &[LeftOut]) -> Vec<Self> {
        let stuck = |out: &LeftOut| Self {
            channel: out.channel.to_string(),
            amount: out.amount,
            reason: out.reason.clone(),
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
        }
    }
}
