//! Shared by settling and withdrawing: the journal's money, the account that moves it, and the
//! display of sums and rewards.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use serde::Serialize;

use super::{
    CommandContext,
    money::{amount, coin, format_network_sum, token},
    network,
    server_access::public_url,
    signer::{HomeAccounts, LockedSigner, OtherSigners},
    tx_context::{self, TxContext},
};
use crate::commands::settings::SettingOrigin;
use openlora_attribution::LogFolder;
use openlora_chain::network::Network;
use openlora_core::{Address, Amount, error::Failure};
use openlora_journal::Journal;
use openlora_ledger::{Ledger, ReceiverKey};
use openlora_payments::settlement::{
    ClaimWorth, SettlementOptions, SettlementRecords, paid_receivers,
};
use openlora_runtime::{
    journal::HomeJournal,
    rewards::{RewardRound, RewardSource, WaitingReward},
    running_server::RunningServer,
    transparency_log::existing_view,
    treasury::{ChainOperator, SigningAccounts, WaitingShare},
};
use openlora_wallet::WalletAccount;

/// The journal's money and its chain.
pub struct SettlementContext {
    pub operator: TxContext,
    /// Accounts that settle and withdraw what is theirs beside the operator's.
    pub others: OtherSigners,
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

/// The network of a home in which nothing was deployed, paid or attributed and no transaction is open: no
/// chain has to be reached, and none is started. Others may sell what was deployed here, and their calls
/// are then known to the chain only.
///
/// # Errors
///
/// The journal cannot be read, or the settings name no network, account or limit.
pub fn without_business(context: &CommandContext) -> Result<Option<Network>, Failure> {
    let state = Journal::state_at(&context.dirs.journal())?;
    let ledger = &state.ledger;
    let is_paid = !(ledger.channels.is_empty() && ledger.receivers.is_empty());
    let is_deployed = !state.deployments.is_empty();
    if is_paid || is_deployed || state.attributed > 0 || !state.unsettled.is_empty() {
        return Ok(None);
    }
    tx_context::limits(context)?;
    let network = network::chosen(context)?;
    // An account that is named wrongly is refused, though nothing is signed.
    if context.settings.wallet.account.is_some() {
        LockedSigner::choose(context, &network)?;
    }
    Ok(Some(network))
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
        let others = operator.other_signers()?;
        Ok(Self { operator, others })
    }

    pub fn network(&self) -> &Network {
        &self.operator.chain.network
    }

    /// Every account that signs here, the operator's first.
    pub fn accounts(&self) -> Vec<Address> {
        let others = self.others.all();
        let others = others.iter().map(WalletAccount::address);
        std::iter::once(self.operator.account)
            .chain(others)
            .collect()
    }

    /// Gives those without a balance some coins of a development chain.
    pub async fn fund(&self) -> Result<(), Failure> {
        for account in self.accounts() {
            self.operator.fund_account(account).await?;
        }
        Ok(())
    }

    /// The splitters from which accounts of this home may be paid.
    pub fn paid_receivers(&self) -> BTreeSet<ReceiverKey> {
        paid_receivers(&self.operator.state.read(), self.network())
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
        let accounts = SigningAccounts {
            main: self.operator.unlock()?,
            others: self.others.all(),
        };
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
            transparency: existing_view(&context.dirs)?,
        };
        let chain = self.operator.chain.clone();
        Ok(ChainOperator::new(
            chain, accounts, records, options, rewards, true,
        ))
    }

    /// A sum of the network's token in whole units; sums of other tokens in base units.
    pub fn format_sum(&self, receiver: &ReceiverKey, amount: Amount) -> String {
        self.network().token_amount(receiver.token, amount)
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

/// Shares of this home's accounts that none of the signing accounts could release.
#[derive(Default)]
pub struct HomeShares(Vec<HomeShare>);

struct HomeShare {
    account: Address,
    share: WaitingShare,
    /// The command line that releases it.
    command: String,
}

impl HomeShares {
    /// Those of some shares whose recipients are of this home.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn among(
        context: &CommandContext,
        network: &Network,
        shares: &[WaitingShare],
    ) -> Result<Self, Failure> {
        if shares.is_empty() {
            return Ok(Self::default());
        }
        let home = HomeAccounts::read(context, network)?;
        let own = shares.iter().filter_map(|share| {
            let account: Address = share.recipient.parse().ok()?;
            Some(HomeShare {
                account,
                share: share.clone(),
                command: home.command("withdraw", account)?,
            })
        });
        Ok(Self(own.collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Prints who can release how much, and how.
    pub fn print(&self, context: &CommandContext, network: &Network) {
        for it in &self.0 {
            let HomeShare {
                account,
                share,
                command,
            } = it;
            context.printer.line(format!(
                "waiting       {} for {account} from {}: {command}",
                network.token_amount(&share.token, share.amount),
                share.receiver
            ));
        }
    }
}

/// Prints a round as text.
///
/// # Errors
///
/// Something waits for an account, and the journal cannot be read to say which command uses it.
pub fn print_rewards(
    context: &CommandContext,
    network: &Network,
    rewarded: &RewardRound,
) -> Result<(), Failure> {
    let printer = &context.printer;
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
            network.token_amount(&done.token, done.total),
            done.pool,
            done.tx,
            done.gas_used
        ));
    }
    for proposed in &rewarded.proposals {
        printer.line(format!(
            "proposed      {} for {} contributors to the pool {} in {} ({} gas)",
            network.token_amount(&proposed.token, proposed.total),
            proposed.contributors,
            proposed.pool,
            proposed.tx,
            proposed.gas_used
        ));
    }
    print_waiting_rewards(context, network, &rewarded.waiting)?;
    if let Some(problem) = &rewarded.problem {
        printer.warn(format!("rewards wait for the next round: {problem}"));
    }
    Ok(())
}

/// Prints which account each reward waits for, and how it can sign.
fn print_waiting_rewards(
    context: &CommandContext,
    network: &Network,
    waiting: &[WaitingReward],
) -> Result<(), Failure> {
    if waiting.is_empty() {
        return Ok(());
    }
    let (printer, home) = (&context.printer, HomeAccounts::read(context, network)?);
    for it in waiting {
        let WaitingReward {
            adapter_id,
            name,
            action,
            account,
        } = it;
        let account = account.as_deref().and_then(|it| it.parse().ok());
        let Some(account): Option<Address> = account else {
            printer.warn(format!(
                "rewards of {name} wait: {action} needs a server of the adapter, and none is known \
                 here"
            ));
            printer.hint(format!(
                "`openlora explore {adapter_id}` lists the accounts that may serve it"
            ));
            continue;
        };
        printer.warn(format!(
            "rewards of {name} wait: {action} needs the account {account}"
        ));
        printer.hint(home.advice("settle", account));
    }
    Ok(())
}

/// The hint below money that only another account can claim.
///
/// # Errors
///
/// The journal cannot be read.
pub fn hint_claimer(
    context: &CommandContext,
    network: &Network,
    claimer: Option<&str>,
) -> Result<(), Failure> {
    if let Some(account) = claimer.and_then(|it| it.parse().ok()) {
        let home = HomeAccounts::read(context, network)?;
        context.printer.hint(home.advice("settle", account));
    }
    Ok(())
}
