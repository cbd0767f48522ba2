//! The terms of sale, from the settings; and the opening of paid serving with them.

use std::{path::Path, time::Duration};

use crate::commands::{
    CommandContext,
    money::{amount, prices, token},
    network, notices,
    server_access::public_url,
    settings::{ContractPayerPolicy, StatedSetting},
    signer::LockedSigner,
    treasury::claim_worth,
    tx_context::limits,
};
use openlora_attribution::LogFolder;
use openlora_chain::{balance::from_units, network::Network, provider::Chain};
use openlora_core::{
    Amount,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::{SponsorAllowance, WITHDRAW_SHARE, event::ReleaseDeployment};
use openlora_payments::{
    settlement::SettleTriggers,
    x402::{ContractPayers, SponsorRules},
};
use openlora_runtime::{
    journal::{HomeJournal, check_chain},
    paid_serving::{
        ChainTerms, ChosenAdapter, PaidChain, PaidServing, SaleTerms, ServingPlan,
        release_of_weights,
    },
    rewards::{RewardSchedule, RewardSource},
};
use openlora_transparency::TransparencyView;

/// Where calls are sold, and the log that they are in.
#[derive(Clone, Copy)]
pub(super) struct SellingPlace<'a> {
    pub url: &'a str,
    pub transparency: &'a TransparencyView,
}

/// Opens paid serving of the chosen adapters on the networks, the project's own first.
///
/// # Errors
///
/// An adapter is not registered or is served by another account, a chain cannot be reached, or the
/// account cannot be unlocked.
pub(super) async fn open(
    context: &CommandContext,
    journal: &Journal,
    chosen: &[ChosenAdapter],
    networks: Vec<Network>,
    password_file: Option<&Path>,
    place: &SellingPlace<'_>,
) -> Result<PaidServing, Failure> {
    let SellingPlace { url, transparency } = *place;
    let terms = sale_terms(context, &networks)?;
    let listener = notices::listener(&context.printer);
    // Calls that a killed server left open are charged before the ledger is read.
    journal.recover("none").await?;
    let own = HomeJournal::Own(journal.clone());
    let mut connected = Vec::with_capacity(networks.len());
    for network in networks {
        let terms = chain_terms(context, &network)?;
        let network = network::reach(context, network).await?;
        let chain = Chain::connect(&network).await?;
        check_chain(&own, &chain, &listener).await?;
        connected.push((chain, terms));
    }
    let state = journal.state().await?;
    let home = &connected[0].0.network;
    let releases = chosen
        .iter()
        .map(|one| release_of_weights(&state.read(), home, one));
    let releases = releases.collect::<Result<Vec<_>, Failure>>()?;
    let known: Vec<ReleaseDeployment> = releases.iter().flatten().cloned().collect();
    let signer = LockedSigner::choose_for(context, home, &known)?;
    let mut chains = Vec::with_capacity(connected.len());
    for (chain, terms) in connected {
        let others = signer.others(context, &chain.network, &state.read())?;
        chains.push(PaidChain {
            chain,
            terms,
            others: others.all(),
        });
    }
    let plan = ServingPlan {
        journal: journal.clone(),
        account: signer.unlock(context, password_file)?,
        chains,
        releases,
        terms,
        rewards: RewardSource {
            journal: journal.clone(),
            state,
            log: LogFolder::at(&context.dirs.attribution_log()),
            address: public_url(context)?.unwrap_or_else(|| url.to_owned()),
            transparency: Some(transparency.clone()),
        },
        catalogue: context.dirs.resource_catalogue(),
        public_url: announced_url(context)?,
        listener,
    };
    plan.open(chosen).await
}

/// The address that the account states on the chain: it costs gas, and everybody reads it. So a project
/// file, which may be another's, does not decide it.
fn announced_url(context: &CommandContext) -> Result<Option<String>, Failure> {
    let url = public_url(context)?;
    if let Some(url) = &url
        && !context.settings.is_own("serve.public_url")
    {
        let file = context.settings.project_file.clone().unwrap_or_default();
        context.printer.warn(format!(
            "{}: `serve.public_url` of a project file is not stated on the chain",
            file.display()
        ));
        context.printer.hint(format!(
            "if buyers are to look this server up: openlora config set --user serve.public_url {url}"
        ));
        return Ok(None);
    }
    Ok(url)
}

/// The terms that are the same on every chain. Amounts are in the home chain's token.
fn sale_terms(context: &CommandContext, networks: &[Network]) -> Result<SaleTerms, Failure> {
    let settings = &context.settings.serve;
    let token = token(&networks[0])?;
    Ok(SaleTerms {
        limits: limits(context)?,
        prices: prices(context, token)?,
        withdraw_delay: settings.withdraw_delay,
        allowance: allowance(context)?,
        rules: rules(context),
        triggers: SettleTriggers {
            threshold: amount(&settings.settle_at, token)?,
            interval: settle_every(context)?,
        },
        rounds: RewardSchedule {
            calls: settings.anchor_at,
            interval: settings.anchor_every,
        },
    })
}

fn chain_terms(context: &CommandContext, network: &Network) -> Result<ChainTerms, Failure> {
    let settings = &context.settings.serve;
    let token = token(network)?;
    Ok(ChainTerms {
        min_deposit: amount(&settings.min_deposit, token)?,
        refund_fee: amount(&settings.refund_fee, token)?,
        min_exact: amount(&settings.min_exact, token)?,
        gas_budget: gas_budget(context, network)?,
        worth: claim_worth(context, network)?,
        token: token.clone(),
    })
}

fn rules(context: &CommandContext) -> SponsorRules {
    let settings = &context.settings.serve;
    SponsorRules {
        contract_payers: match settings.contract_payers {
            ContractPayerPolicy::Settle => ContractPayers::Settle,
            ContractPayerPolicy::Refuse => ContractPayers::Refuse,
        },
        refund_pause: settings.refund_pause,
    }
}

/// What is done for each payer in a day, besides the gas budget.
fn allowance(context: &CommandContext) -> Result<SponsorAllowance, Failure> {
    let settings = &context.settings.serve;
    Ok(SponsorAllowance {
        gas_budget: None,
        min_gas: min_gas(context)?,
        refuses_contracts: settings.contract_payers == ContractPayerPolicy::Refuse,
        deposits_daily: settings.deposits_daily,
        transfers_daily: settings.transfers_daily,
        refunds_daily: settings.refunds_daily,
        unsigned_refunds_daily: 1,
    })
}

/// Daily budget for sponsored gas, in wei. Coins of a development chain have no value.
fn gas_budget(context: &CommandContext, network: &Network) -> Result<Option<Amount>, Failure> {
    /// The default of `serve.min_gas`, for lower settings.
    const LEAST: Amount = Amount(1_000_000_000_000_000);
    const TIMES: u128 = 10;
    if let Some(stated) = &context.settings.serve.gas_budget {
        return ether(stated).map(Some);
    }
    if network.is_local() {
        return Ok(None);
    }
    let least = min_gas(context)?.max(LEAST);
    Ok(Some(Amount(least.0.saturating_mul(TIMES))))
}

/// The gas reserve that the account keeps for itself, in wei.
fn min_gas(context: &CommandContext) -> Result<Amount, Failure> {
    ether(&context.settings.serve.min_gas)
}

fn ether(stated: &StatedSetting<String>) -> Result<Amount, Failure> {
    let (key, text) = (stated.key, &stated.value);
    from_units(text, 18).map(Amount).ok_or_else(|| {
        let message = format!("`{key}` is wrong: expected ETH such as 0.001, found `{text}`");
        Failure::new(ExitClass::BadInput, message)
    })
}

/// The interval between two rounds. It is well below the delay of a payer's withdrawal, because
/// charges must be claimed before a withdrawal completes.
pub(super) fn settle_every(context: &CommandContext) -> Result<Duration, Failure> {
    let settings = &context.settings.serve;
    let delay = settings.withdraw_delay;
    let longest = delay / WITHDRAW_SHARE;
    let Some(every) = settings.settle_every else {
        return Ok(longest);
    };
    if every <= longest {
        return Ok(every);
    }
    let (every, delay, longest) = (every.as_secs(), delay.as_secs(), longest.as_secs());
    let message = format!(
        "`serve.settle_every` is {every} s and `serve.withdraw_delay` {delay} s: payers could take \
         back what calls have cost before it is claimed; expected at most a quarter of the delay, \
         {longest} s"
    );
    let least = every.saturating_mul(u64::from(WITHDRAW_SHARE));
    Err(
        Failure::new(ExitClass::BadInput, message).with_hint(format!(
            "lower `serve.settle_every` to {longest}, or raise `serve.withdraw_delay` to {least}"
        )),
    )
}
