//! `settle`: claims the charges of calls, and has the escrow transfer them to the splitters.

use serde::{Deserialize, Serialize};

use super::{
    CommandContext,
    money::format_token_sum,
    network,
    rewards::{self, RewardRound},
    running_server::RunningServer,
    treasury::{
        OF_SERVER, ReceiverAmount, SettlementContext, TransactionReport, TreasuryRequest,
        claim_worth,
    },
};
use openlora_chain::network::Network;
use openlora_core::{
    Amount,
    error::{ExitStatus, Failure},
};
use openlora_ledger::event::DeferredClaim;
use openlora_payments::settlement::{AccountDue, LeftOut, SettleRound, due};

/// What `--json` prints.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SettleReport {
    network: String,
    chain_id: u64,
    /// Claims: vouchers redeemed for the receiver's balance in the escrow.
    claims: Vec<TransactionReport>,
    /// Transfers from the escrow to the splitter.
    settles: Vec<TransactionReport>,
    left_out: Vec<UnclaimableSum>,
    /// Not claimed for now: that would cost more gas than it brings.
    #[serde(default)]
    deferred: Vec<DeferredSum>,
    /// Roots over attributed calls and over contributions.
    #[serde(default)]
    rewards: RewardRound,
}

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

/// Charges of a channel that are not worth claiming yet.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct DeferredSum {
    channel: String,
    amount: Amount,
}

impl DeferredSum {
    fn all(deferred: &[DeferredClaim]) -> Vec<Self> {
        let sum = |it: &DeferredClaim| Self {
            channel: it.channel.to_string(),
            amount: it.amount,
        };
        deferred.iter().map(sum).collect()
    }
}

/// Money of a channel that cannot be claimed.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct UnclaimableSum {
    channel: String,
    amount: Amount,
    reason: String,
}

impl UnclaimableSum {
    fn all(left_out: &[LeftOut]) -> Vec<Self> {
        let stuck = |out: &LeftOut| Self {
            channel: out.channel.to_string(),
            amount: out.amount,
            reason: out.reason.clone(),
        };
        left_out.iter().map(stuck).collect()
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

pub async fn run(
    context: &CommandContext,
    request: TreasuryRequest,
) -> Result<ExitStatus, Failure> {
    if let Some(server) = RunningServer::find(context).await? {
        server.refuse_flags(context, &OF_SERVER)?;
        let settled = server.ask("/operator/settle", request.dry_run).await?;
        return each(context, settled);
    }
    let mut treasury = SettlementContext::open(context, &request).await?;
    let office = &treasury.operator;
    let worth = claim_worth(context, treasury.network())?;
    let expected = due(&office.chain, office.account, treasury.ledger(), worth).await?;
    if request.dry_run {
        forecast(context, &treasury, &expected);
        return Ok(ExitStatus::Success);
    }
    let nothing = expected.claims.is_empty() && expected.settles.is_empty();
    let nothing = nothing && expected.deferred.is_empty();
    if nothing && !treasury.is_open() && !treasury.has_rewards()? {
        let nothing = SettleRound {
            left_out: expected.left_out,
            ..SettleRound::default()
        };
        report(
            context,
            treasury.network(),
            &nothing,
            RewardRound::default(),
        );
        return Ok(ExitStatus::Success);
    }
    let network = treasury.network().clone();
    treasury
        .operator
        .confirm(&network.name, "claiming and settling")?;
    treasury.operator.fund().await?;
    let (settler, rewarder) = treasury.chain_settler(context)?;
    let settled = settler.settle_now().await?;
    let rewards = rewarder.round().await;
    report(context, &network, &settled, rewards);
    Ok(ExitStatus::Success)
}

/// The results of a running server, of which those of the project's network are shown.
fn each(context: &CommandContext, settled: Vec<SettleReport>) -> Result<ExitStatus, Failure> {
    let network = network::chosen(context)?;
    let mut here = settled.into_iter();
    let here = here.find(|it| it.chain_id == network.chain_id);
    let here = here.ok_or_else(|| RunningServer::network_mismatch(&network))?;
    print_report(context, &network, &here);
    Ok(ExitStatus::Success)
}

fn forecast(context: &CommandContext, treasury: &SettlementContext, due: &AccountDue) {
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
        return context.printer.json(&SettleForecast {
            network: network.name.clone(),
            chain_id: network.chain_id,
            claims: claims.collect(),
            settles: settles
                .map(|(key, amount)| ReceiverAmount::from_amount(key, *amount))
                .collect(),
            left_out: UnclaimableSum::all(&due.left_out),
            deferred: DeferredSum::all(&due.deferred),
        });
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
    warn(context, &due.left_out);
    print_deferred(context, &DeferredSum::all(&due.deferred));
    if due.claims.is_empty() && due.settles.is_empty() {
        context.printer.line("there is nothing to settle");
    }
}

fn report(
    context: &CommandContext,
    network: &Network,
    settled: &SettleRound,
    rewards: RewardRound,
) {
    print_report(
        context,
        network,
        &SettleReport::from_round(network, settled, rewards),
    );
}

fn print_report(context: &CommandContext, network: &Network, settlement: &SettleReport) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(settlement);
    }
    for claim in &settlement.claims {
        printer.line(format!(
            "claimed       {} from {} channels in {} ({} gas)",
            format_token_sum(network, &claim.token, claim.amount),
            claim.channels.unwrap_or_default(),
            claim.tx,
            claim.gas_used
        ));
    }
    for settle in &settlement.settles {
        printer.line(format!(
            "settled       {} to {} in {} ({} gas)",
            format_token_sum(network, &settle.token, settle.amount),
            settle.receiver,
            settle.tx,
            settle.gas_used
        ));
    }
    for out in &settlement.left_out {
        printer.warn(format!(
            "{} of channel {} cannot be claimed: {}",
            out.amount, out.channel, out.reason
        ));
    }
    print_deferred(context, &settlement.deferred);
    rewards::print_round(printer, network, &settlement.rewards);
    if settlement.claims.is_empty() && settlement.settles.is_empty() {
        return printer.line("there is nothing to settle");
    }
    printer.hint("fetch your share with `openlora withdraw`");
}

fn warn(context: &CommandContext, left_out: &[LeftOut]) {
    for out in left_out {
        context.printer.warn(format!(
            "{} of channel {} cannot be claimed: {}",
            out.amount, out.channel, out.reason
        ));
    }
}

fn print_deferred(context: &CommandContext, deferred: &[DeferredSum]) {
    if deferred.is_empty() {
        return;
    }
    let amount: Amount = deferred.iter().map(|it| it.amount).sum();
    context.printer.line(format!(
        "deferred      {amount} base units in {} channels: a claim would cost more gas than it brings",
        deferred.len()
    ));
}
