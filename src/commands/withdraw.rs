//! `withdraw`: releases the shares of this home's accounts, and those of the contributor pools, from
//! the splitters.

use serde::Serialize;

use super::{
    CommandContext, network,
    treasury::{
        self, HomeShares, ReceiverAmount, SettlementContext, TreasuryRequest, print_rewards,
        refuse_server_flags,
    },
};
use openlora_chain::{development::check_payee, network::Network};
use openlora_core::{
    Address,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_payments::settlement::{SplitterShare, shares};
use openlora_runtime::{
    rewards::RewardRound,
    running_server::RunningServer,
    treasury::{WaitingShare, WithdrawReport},
};

/// What `--dry-run --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct WithdrawForecast {
    network: String,
    chain_id: u64,
    /// One per share that would be released.
    releases: Vec<ReceiverAmount>,
    /// Shares of other accounts, which only they can release.
    waiting: Vec<WaitingShare>,
}

/// The shares that splitters hold.
struct HeldShares {
    /// This home's, as far as its accounts can sign, and those of contributor pools.
    payable: Vec<SplitterShare>,
    waiting: Vec<WaitingShare>,
}

pub async fn run(
    context: &CommandContext,
    request: TreasuryRequest,
    to: Option<String>,
) -> Result<ExitStatus, Failure> {
    let to = destination(to.as_deref())?;
    if let Some(to) = to {
        check_payee(&network::chosen(context)?, "--to", to)?;
    }
    // A forecast only reads, which it can beside the server.
    if !request.dry_run
        && let Some(server) = RunningServer::find(&context.dirs).await?
    {
        if to.is_some() {
            return Err(RunningServer::busy("--to", &server));
        }
        refuse_server_flags(context, &server)?;
        return each(context, server.ask("/operator/withdraw").await?);
    }
    if let Some(network) = treasury::without_business(context)? {
        return print_nothing(context, &request, &network);
    }
    let mut treasury = SettlementContext::open(context, &request).await?;
    if to.is_some() {
        // Another account of the wallet is paid elsewhere only if it is named itself.
        treasury.others.unlocked.clear();
    }
    let held = held_shares(&treasury).await?;
    if request.dry_run {
        forecast(context, &treasury, &held)?;
        return Ok(ExitStatus::Success);
    }
    if held.payable.is_empty() && !treasury.is_open() && !treasury.has_rewards() {
        let network = treasury.network();
        let nothing = WithdrawReport {
            waiting: held.waiting,
            ..WithdrawReport::from_moved(network, &[], RewardRound::default())
        };
        print_report(context, network, &nothing)?;
        return Ok(ExitStatus::Success);
    }
    let network = treasury.network().clone();
    treasury.operator.confirm(&network.name, "withdrawing")?;
    treasury.fund().await?;
    let withdrawal = treasury
        .chain_operator(context)?
        .withdraw_and_reward(to)
        .await?;
    print_report(context, &network, &withdrawal)?;
    Ok(ExitStatus::Success)
}

/// The result where no chain has to be asked.
fn print_nothing(
    context: &CommandContext,
    request: &TreasuryRequest,
    network: &Network,
) -> Result<ExitStatus, Failure> {
    match request.dry_run && context.printer.is_json() {
        true => context.printer.json(&WithdrawForecast {
            network: network.name.clone(),
            chain_id: network.chain_id,
            releases: Vec::new(),
            waiting: Vec::new(),
        }),
        false => {
            let nothing = WithdrawReport::from_moved(network, &[], RewardRound::default());
            print_report(context, network, &nothing)?;
        }
    }
    Ok(ExitStatus::Success)
}

fn destination(to: Option<&str>) -> Result<Option<Address>, Failure> {
    let usage = |message: String| Failure::new(ExitClass::Usage, message);
    let to = to.map(str::parse::<Address>).transpose();
    let to = to.map_err(|problem| usage(format!("--to is wrong: {problem}")))?;
    if to.is_some_and(|to| to.is_zero()) {
        let message = "--to is the zero address, which nobody can spend from";
        return Err(usage(message.to_owned()));
    }
    Ok(to)
}

async fn held_shares(treasury: &SettlementContext) -> Result<HeldShares, Failure> {
    let (chain, accounts) = (&treasury.operator.chain, treasury.accounts());
    let mut all = Vec::new();
    for receiver in treasury.paid_receivers() {
        let found = shares(chain, &accounts, receiver).await?.into_iter();
        all.extend(found.filter(|share| !share.pending.is_zero()));
    }
    let is_payable = |share: &SplitterShare| share.own || share.pool;
    let (payable, waiting): (Vec<_>, Vec<_>) = all.into_iter().partition(is_payable);
    Ok(HeldShares {
        payable,
        waiting: WaitingShare::all(&waiting),
    })
}

fn forecast(
    context: &CommandContext,
    treasury: &SettlementContext,
    held: &HeldShares,
) -> Result<(), Failure> {
    let HeldShares {
        payable: due,
        waiting,
    } = held;
    let network = treasury.network();
    if context.printer.is_json() {
        let sum = |share: &SplitterShare| ReceiverAmount {
            recipient: Some(share.recipient.to_string()),
            ..ReceiverAmount::from_amount(&share.receiver, share.pending)
        };
        context.printer.json(&WithdrawForecast {
            network: network.name.clone(),
            chain_id: network.chain_id,
            releases: due.iter().map(sum).collect(),
            waiting: waiting.clone(),
        });
        return Ok(());
    }
    for share in due {
        context.printer.line(format!(
            "to release    {} for {} from {}",
            treasury.format_sum(&share.receiver, share.pending),
            share.recipient,
            share.receiver.receiver
        ));
    }
    let waiting = HomeShares::among(context, network, waiting)?;
    waiting.print(context, network);
    if due.is_empty() && waiting.is_empty() {
        context.printer.line("there is nothing to withdraw");
    }
    Ok(())
}

/// The results of a running server, of which those of the project's network are shown.
fn each(context: &CommandContext, moved: Vec<WithdrawReport>) -> Result<ExitStatus, Failure> {
    let network = network::chosen(context)?;
    let mut here = moved.into_iter();
    let here = here.find(|it| it.chain_id == network.chain_id);
    let here = here.ok_or_else(|| RunningServer::network_mismatch(&network))?;
    print_report(context, &network, &here)?;
    Ok(ExitStatus::Success)
}

fn print_report(
    context: &CommandContext,
    network: &Network,
    withdrawal: &WithdrawReport,
) -> Result<(), Failure> {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(withdrawal);
        return Ok(());
    }
    for release in &withdrawal.releases {
        printer.line(format!(
            "released      {} for {} in {} ({} gas)",
            network.token_amount(&release.token, release.amount),
            release.recipient.as_deref().unwrap_or("?"),
            release.tx,
            release.gas_used
        ));
    }
    print_rewards(context, network, &withdrawal.rewards)?;
    let waiting = HomeShares::among(context, network, &withdrawal.waiting)?;
    waiting.print(context, network);
    if withdrawal.releases.is_empty() && waiting.is_empty() {
        printer.line("there is nothing to withdraw");
    }
    Ok(())
}
