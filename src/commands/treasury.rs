//! Shared by settling and withdrawing: the journal's money, the settlement client, and the display
//! of sums.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    CommandContext, earnings,
    money::{amount, format_token_sum, token},
    published::LOG,
    rewards::RewardPublisher,
    server_access::public_url,
    tx_context::TxContext as Office,
};
use openlora_attribution::LogFolder;
use openlora_chain::network::Network;
use openlora_core::{Amount, error::Failure};
use openlora_journal::Journal;
use openlora_ledger::{Ledger, ReceiverKey, event::Event};
use openlora_payments::{
    rewards::server_facts,
    settlement::{
        ChainSettler, ClaimWorth, LedgerLog, MovedMoney, SettlementClient, SettlementOptions,
        SettlementRecords, TxHistory,
    },
};

/// The journal's money and its chain.
pub struct SettlementContext {
    pub operator: Office,
    history: TxHistory,
}

/// Settings that a running server does not accept from a client.
pub const OF_SERVER: [&str; 2] = ["wallet.account", "deploy.max_fee"];

/// The claims that are worth their gas. Coins of a development chain have no value.
///
/// # Errors
///
/// A setting is no amount.
pub fn claim_worth(context: &CommandContext, network: &Network) -> Result<ClaimWorth, Failure> {
    // Without a token, there are no amounts to compare.
    let Ok(token) = token(network) else {
        return Ok(ClaimWorth::default());
    };
    let coin = earnings::coin(context, token.decimals)?;
    let serve = &context.settings.serve;
    let least = match &serve.min_claim {
        Some(stated) => amount(stated, token)?,
        None if coin.is_some() || network.is_local() => Amount::ZERO,
        None => amount(&serve.min_exact, token)?,
    };
    Ok(ClaimWorth { least, coin })
}

/// The command-line request besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreasuryRequest {
    pub dry_run: bool,
    pub password_file: Option<PathBuf>,
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

/// Sums of one receiver, as printed by `--dry-run --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ReceiverAmount {
    /// The splitter.
    pub receiver: String,
    /// ERC-20 contract of the token.
    pub token: String,
    pub amount: Amount,
    /// The number of channels that it would be claimed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// The recipient of the share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
}

impl SettlementContext {
    /// Opens the journal, and connects.
    ///
    /// # Errors
    ///
    /// Another process writes the journal: a running server settles by itself.
    pub async fn open(
        context: &CommandContext,
        request: &TreasuryRequest,
    ) -> Result<Self, Failure> {
        let operator = Office::open(context, request.password_file.clone()).await?;
        let mut history = TxHistory::default();
        operator
            .journal
            .replay(1, |record| history.apply(&record.event))?;
        Ok(Self { operator, history })
    }

    pub fn network(&self) -> &Network {
        &self.operator.chain.network
    }

    pub fn ledger(&self) -> &Ledger {
        &self.operator.snapshot.ledger
    }

    /// Whether calls were attributed, so that roots may have to be sent.
    pub fn has_rewards(&self) -> Result<bool, Failure> {
        let mut found = false;
        self.operator.journal.replay(1, |record| {
            found |= matches!(&record.event, Event::Attributed(it) if it.amounts.is_some());
        })?;
        Ok(found)
    }

    /// Whether an earlier process left transactions with an unknown outcome.
    pub fn is_open(&self) -> bool {
        !self.history.open().is_empty()
    }

    /// The settler and the reward publisher, after the account was unlocked.
    pub fn chain_settler(
        &mut self,
        context: &CommandContext,
    ) -> Result<(ChainSettler, RewardPublisher), Failure> {
        let account = self.operator.unlock()?;
        let book = self.ledger().clone();
        let journal: Journal = self.operator.journal.clone();
        let ledger = Arc::new(LedgerLog::new(journal, book));
        let records = SettlementRecords {
            facts: Arc::clone(&ledger) as _,
            ledger,
            history: std::mem::take(&mut self.history),
        };
        let mut options = SettlementOptions::for_network(self.network(), self.operator.limits);
        options.progress = self.operator.progress_listener();
        options.worth = claim_worth(context, self.network())?;
        let log = LogFolder::at(&context.dirs.data.join(LOG));
        let chain_id = self.network().chain_id;
        options.reader = Some(server_facts(chain_id, Arc::new(log.clone())));
        let client = SettlementClient::new(self.operator.chain.clone(), account, records, options);
        let client = Arc::new(client);
        let address = public_url(context)?.unwrap_or_default();
        let journal = self.operator.journal.clone();
        let rewarder = RewardPublisher::new(journal, Arc::clone(&client), log, address, true);
        Ok((ChainSettler::new(client), rewarder))
    }

    /// A sum of the network's token in whole units; sums of other tokens in base units.
    pub fn format_sum(&self, receiver: &ReceiverKey, amount: Amount) -> String {
        format_token_sum(self.network(), &receiver.token.to_string(), amount)
    }
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

impl ReceiverAmount {
    pub fn from_amount(receiver: &ReceiverKey, amount: Amount) -> Self {
        Self {
            receiver: receiver.receiver.to_string(),
            token: receiver.token.to_string(),
            amount,
            channels: None,
            recipient: None,
        }
    }
}
