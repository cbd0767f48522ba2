//! Shared by settling and withdrawing: the journal's money, the account that moves it, and the
//! display of sums and rewards.

use std::{path::PathBuf, sync::Arc};

use serde::Serialize;

use super::{
    CommandContext,
    money::{amount, coin, format_network_sum, format_token_sum, token},
    printer::Printer,
    server_access::public_url,
    tx_context::TxContext,
};
use crate::commands::settings::SettingOrigin;
use openlora_attribution::LogFolder;
use openlora_chain::network::Network;
use openlora_core::{Amount, error::Failure};
use openlora_ledger::{Ledger, ReceiverKey};
use openlora_payments::settlement::{ClaimWorth, SettlementOptions, SettlementRecords};
use openlora_runtime::{
    journal::HomeJournal,
    rewards::{RewardRound, RewardSource},
    running_server::RunningServer,
    treasury::ChainOperator,
};

/// The journal's money and its chain.
pub struct SettlementContext {
    pub operator: TxContext,
}

/// Settings that a running server does not accept from a client.
const SERVER_SETTINGS: [&str; 2] = ["wallet.account", "deploy.max_fee"];

/// Refuses flags that would override the server's own account and limits.
pub fn refuse_server_flags(
    context: &CommandContext,
    server: &RunningServer,
) -> Result<(), Failure> {
    for name in SERVER_SETTINGS {
        if let Some((_, SettingOrigin::Flag { flag })) = context.settings.get(name) {
            return Err(RunningServer::busy(flag, server));
        }
    }
    Ok(())
}

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
    let coin = coin(context, token.decimals)?;
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
        let operator = TxContext::open(context, request.password_file.clone()).await?;
        Ok(Self { operator })
    }

    pub fn network(&self) -> &Network {
        &self.operator.chain.network
    }

    pub fn ledger(&self) -> Ledger {
        self.operator.state.read().ledger.clone()
    }

    /// Whether calls were attributed, so that roots may have to be sent.
    pub fn has_rewards(&self) -> bool {
        self.operator.state.read().attributed > 0
    }

    /// Whether an earlier process left transactions with an unknown outcome.
    pub fn is_open(&self) -> bool {
        !self.operator.state.read().unsettled.is_empty()
    }

    /// The chain's operator, after the account was unlocked.
    pub fn chain_operator(&mut self, context: &CommandContext) -> Result<ChainOperator, Failure> {
        let account = self.operator.unlock()?;
        let journal = match &self.operator.journal {
            HomeJournal::Own(journal) => journal.clone(),
            HomeJournal::Served { server, .. } => {
                return Err(RunningServer::busy("this", server));
            }
        };
        let state = Arc::clone(&self.operator.state);
        let records = SettlementRecords {
            facts: Arc::new(journal.clone()),
            ledger: Arc::clone(&state) as _,
        };
        let mut options = SettlementOptions::for_network(self.network(), self.operator.limits);
        options.progress = self.operator.progress_listener();
        options.worth = claim_worth(context, self.network())?;
        let rewards = RewardSource {
            journal,
            state,
            log: LogFolder::at(&context.dirs.attribution_log()),
            address: public_url(context)?.unwrap_or_default(),
        };
        let chain = self.operator.chain.clone();
        Ok(ChainOperator::new(
            chain, account, records, options, rewards, true,
        ))
    }

    /// A sum of the network's token in whole units; sums of other tokens in base units.
    pub fn format_sum(&self, receiver: &ReceiverKey, amount: Amount) -> String {
        format_token_sum(self.network(), &receiver.token.to_string(), amount)
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

/// Prints a round as text.
pub fn print_rewards(printer: &Printer, network: &Network, rewarded: &RewardRound) {
    let money = |amount: Amount| format_network_sum(network, amount);
    for anchored in &rewarded.anchors {
        printer.line(format!(
            "anchored      {} calls of {}, as this server states, in {} ({} gas)",
            anchored.calls,
            money(anchored.charged),
            anchored.tx,
            anchored.gas_used
        ));
    }
    for done in &rewarded.pools {
        printer.line(format!(
            "{:<13} {} of the pool {} in {} ({} gas)",
            done.deed,
            format_token_sum(network, &done.token, done.total),
            done.pool,
            done.tx,
            done.gas_used
        ));
    }
    for proposed in &rewarded.proposals {
        printer.line(format!(
            "proposed      {} for {} contributors to the pool {} in {} ({} gas)",
            format_token_sum(network, &proposed.token, proposed.total),
            proposed.contributors,
            proposed.pool,
            proposed.tx,
            proposed.gas_used
        ));
    }
    if let Some(problem) = &rewarded.problem {
        printer.warn(format!("rewards wait for the next round: {problem}"));
    }
}
