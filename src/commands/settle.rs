//! `settle`: claims the charges of calls, and has the escrow transfer them to the splitters.

use serde::Serialize;

use super::{
    CommandContext,
    money::format_network_sum,
    network,
    treasury::{
        self, ReceiverAmount, SettlementContext, TreasuryRequest, claim_worth, hint_claimer,
        print_rewards, refuse_server_flags,
    },
};
use openlora_chain::network::Network;
use openlora_core::{
    Amount,
    error::{ExitStatus, Failure},
};
use openlora_payments::settlement::{AccountDue, SettleRound, due};
use openlora_runtime::{
    rewards::RewardRound,
    running_server::RunningServer,
    treasury::{DeferredSum, SettleReport, UnclaimableSum},
};

/// What `--dry-run --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct SettleForecast {
    network: String,
    chain_id: u64,
    claims: Vec<ReceiverAmount>,
    /// Claimed earlier and not yet transferred.
    settles: Vec<ReceiverAmount>,
    left_out: Vec<UnclaimableSum>,
    /// Not claimed for now: that would cost more gas than it brings.
    deferred: Vec<DeferredSum>,
}

pub async fn run(
    context: &CommandContext,
    request: TreasuryRequest,
) -> Result<ExitStatus, Failure> {
    // A forecast only reads, which it can beside the server.
    if !request.dry_run
        && let Some(server) = RunningServer::find(&context.dirs).await?
    {
        refuse_server_flags(context, &server)?;
        return each(context, server.ask("/operator/settle").await?);
    }
    if let Some(network) = treasury::without_business(context)? {
        return print_nothing(context, &request, &network);
    }
    let mut treasury = SettlementContext::open(context, &request).await?;
    let chain = &treasury.operator.chain;
    let worth = claim_worth(context, treasury.network())?;
    let expected = due(chain, &treasury.accounts(), &treasury.ledger(), worth).await?;
    if request.dry_run {
        forecast(context, &treasury, &expected)?;
        return Ok(ExitStatus::Success);
    }
    let nothing = expected.claims.is_empty() && expected.settles.is_empty();
    let nothing = nothing && expected.deferred.is_empty();
    if nothing && !treasury.is_open() && !treasury.has_rewards() {
        let nothing = SettleRound {
            left_out: expected.left_out,
            ..SettleRound::default()
        };
        let network = treasury.network();
        let nothing = SettleReport::from_round(network, &nothing, RewardRound::default());
        print_report(context, network, &nothing)?;
        return Ok(ExitStatus::Success);
    }
    let network = treasury.network().clone();
    treasury
        .operator
        .confirm(&network.name, "claiming and settling")?;
    treasury.fund().await?;
    let settled = treasury
        .chain_operator(context)?
        .settle_and_reward()
        .await?;
    print_report(context, &network, &settled)?;
    Ok(ExitStatus::Success)
}

/// The result where no chain has to be asked.
fn print_nothing(
    context: &CommandContext,
    request: &TreasuryRequest,
    network: &Network,
) -> Result<ExitStatus, Failure> {
    match request.dry_run && context.printer.is_json() {
        true => context.printer.json(&SettleForecast {
            network: network.name.clone(),
            chain_id: network.chain_id,
            claims: Vec::new(),
            settles: Vec::new(),
            left_out: Vec::new(),
            deferred: Vec::new(),
        }),
        false => {
            let (round, rewards) = (SettleRound::default(), RewardRound::default());
            let nothing = SettleReport::from_round(network, &round, rewards);
            print_report(context, network, &nothing)?;
        }
    }
    Ok(ExitStatus::Success)
}

/// The results of a running server, of which those of the project's network are shown.
fn each(context: &CommandContext, settled: Vec<SettleReport>) -> Result<ExitStatus, Failure> {
    let network = network::chosen(context)?;
    let mut here = settled.into_iter();
    let here = here.find(|it| it.chain_id == network.chain_id);
    let here = here.ok_or_else(|| RunningServer::network_mismatch(&network))?;
    print_report(context, &network, &here)?;
    Ok(ExitStatus::Success)
}

fn forecast(
    context: &CommandContext,
    treasury: &SettlementContext,
    due: &AccountDue,
) -> Result<(), Failure> {
    let network = treasury.network();
    if context.printer.is_json() {
        let claims = due
            .claims
            .iter()
            .map(|(receiver, (amount, channels))| ReceiverAmount {
                channels: Some(*channels),
                ..ReceiverAmount::from_amount(receiver, *amount)
            });
        let settles = due.settles.iter();
        context.printer.json(&SettleForecast {
            network: network.name.clone(),
            chain_id: network.chain_id,
            claims: claims.collect(),
            settles: settles
                .map(|(key, amount)| ReceiverAmount::from_amount(key, *amount))
                .collect(),
            left_out: UnclaimableSum::all(&due.left_out),
            deferred: DeferredSum::all(&due.deferred),
        });
        return Ok(());
    }
    for (receiver, (amount, channels)) in &due.claims {
        context.printer.line(format!(
            "to claim      {} from {channels} channels for {}",
            treasury.format_sum(receiver, *amount),
            receiver.receiver
        ));
    }
    for (receiver, amount) in &due.settles {
        context.printer.line(format!(
            "to settle     {} claimed before for {}",
            treasury.format_sum(receiver, *amount),
            receiver.receiver
        ));
    }
    warn(context, network, &UnclaimableSum::all(&due.left_out))?;
    print_deferred(context, network, &DeferredSum::all(&due.deferred));
    if due.claims.is_empty() && due.settles.is_empty() {
        context.printer.line("there is nothing to settle");
    }
    Ok(())
}

fn print_report(
    context: &CommandContext,
    network: &Network,
    settlement: &SettleReport,
) -> Result<(), Failure> {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(settlement);
        return Ok(());
    }
    for claim in &settlement.claims {
        printer.line(format!(
            "claimed       {} from {} channels in {} ({} gas)",
            network.token_amount(&claim.token, claim.amount),
            claim.channels.unwrap_or_default(),
            claim.tx,
            claim.gas_used
        ));
    }
    for settle in &settlement.settles {
        printer.line(format!(
            "settled       {} to {} in {} ({} gas)",
            network.token_amount(&settle.token, settle.amount),
            settle.receiver,
            settle.tx,
            settle.gas_used
        ));
    }
    warn(context, network, &settlement.left_out)?;
    print_deferred(context, network, &settlement.deferred);
    print_rewards(context, network, &settlement.rewards)?;
    if settlement.claims.is_empty() && settlement.settles.is_empty() {
        printer.line("there is nothing to settle");
        return Ok(());
    }
    printer.hint("fetch your share with `openlora withdraw`");
    Ok(())
}

fn warn(
    context: &CommandContext,
    network: &Network,
    left_out: &[UnclaimableSum],
) -> Result<(), Failure> {
    for out in left_out {
        context.printer.warn(format!(
            "{} of channel {} cannot be claimed: {}",
            format_network_sum(network, out.amount),
            out.channel,
            out.reason
        ));
        hint_claimer(context, network, out.claimer.as_deref())?;
    }
    Ok(())
}

fn print_deferred(context: &CommandContext, network: &Network, deferred: &[DeferredSum]) {
    if deferred.is_empty() {
        return;
    }
    let amount: Amount = deferred.iter().map(|it| it.amount).sum();
    context.printer.line(format!(
        "deferred      {} in {} channels: a claim would cost more gas than it brings",
        format_network_sum(network, amount),
        deferred.len()
    ));
}
