//! `withdraw`: pays the account's share, and the contributor pools', out of the splitters.

use serde::{Deserialize, Serialize};

use super::{
    Context,
    money::shown,
    network,
    rewards::{self, Rewarded},
    running_server::Running,
    treasury::{OF_SERVER, Sum, Transaction, Treasury, TreasuryRequest},
};
use crate::{
    error::{ExitClass, ExitStatus, Failure},
    runtime::ledger::Address,
    wallet::{
        development::check_payee,
        network::Network,
        settlement::{Moved, Share, receivers_of, shares},
    },
};

/// What `--json` prints.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Withdrawal {
    network: String,
    chain_id: u64,
    /// One per share that was paid out.
    releases: Vec<Transaction>,
    /// Roots over attributed calls, and over what contributors are owed.
    #[serde(default)]
    rewards: Rewarded,
}

/// What `--dry-run --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Withdrawable {
    network: String,
    chain_id: u64,
    /// One per share that would be paid out.
    releases: Vec<Sum>,
}

pub async fn run(
    context: &Context,
    request: TreasuryRequest,
    to: Option<String>,
) -> Result<ExitStatus, Failure> {
    let to = destination(to.as_deref())?;
    if let Some(to) = to {
        check_payee(&network::chosen(context)?, "--to", to)?;
    }
    if let Some(server) = Running::find(context).await? {
        if to.is_some() {
            return Err(Running::busy("--to", &server));
        }
        server.refuse_flags(context, &OF_SERVER)?;
        let moved = server.ask("/operator/withdraw", request.dry_run).await?;
        return each(context, moved);
    }
    let mut treasury = Treasury::open(context, &request).await?;
    let due = due(&treasury).await?;
    if request.dry_run {
        forecast(context, &treasury, &due);
        return Ok(ExitStatus::Success);
    }
    if due.is_empty() && !treasury.is_open() && !treasury.has_rewards()? {
        report(context, treasury.network(), &[], Rewarded::default());
        return Ok(ExitStatus::Success);
    }
    let network = treasury.network().clone();
    treasury.office.confirm(&network.name, "withdrawing")?;
    treasury.office.fund().await?;
    let (treasurer, rewarder) = treasury.treasurer(context)?;
    let moved = treasurer.withdraw(to).await?;
    let rewards = rewarder.round().await;
    report(context, &network, &moved, rewards);
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

/// The shares that this account can have paid out.
async fn due(treasury: &Treasury) -> Result<Vec<Share>, Failure> {
    let office = &treasury.office;
    let mut due = Vec::new();
    for receiver in receivers_of(treasury.book(), treasury.network().chain_id) {
        let found = shares(&office.chain, office.account, receiver).await?;
        let payable = |share: &Share| (share.own || share.pool) && !share.pending.is_zero();
        due.extend(found.into_iter().filter(payable));
    }
    Ok(due)
}

fn forecast(context: &Context, treasury: &Treasury, due: &[Share]) {
    let network = treasury.network();
    if context.printer.is_json() {
        let sum = |share: &Share| Sum {
            recipient: Some(share.recipient.to_string()),
            ..Sum::of(&share.receiver, share.pending)
        };
        return context.printer.json(&Withdrawable {
            network: network.name.clone(),
            chain_id: network.chain_id,
            releases: due.iter().map(sum).collect(),
        });
    }
    for share in due {
        context.printer.line(format!(
            "to release    {} for {} from {}",
            treasury.shown(&share.receiver, share.pending),
            share.recipient,
            share.receiver.receiver
        ));
    }
    if due.is_empty() {
        context.printer.line("there is nothing to withdraw");
    }
}

impl Withdrawal {
    pub fn of(network: &Network, moved: &[Moved], rewards: Rewarded) -> Self {
        Self {
            rewards,
            network: network.name.clone(),
            chain_id: network.chain_id,
            releases: moved.iter().map(Transaction::of).collect(),
        }
    }
}

/// What a running server paid out, of which the project's network is shown.
fn each(context: &Context, moved: Vec<Withdrawal>) -> Result<ExitStatus, Failure> {
    let network = network::chosen(context)?;
    let mut here = moved.into_iter();
    let here = here.find(|it| it.chain_id == network.chain_id);
    let here = here.ok_or_else(|| Running::elsewhere(&network))?;
    show(context, &network, &here);
    Ok(ExitStatus::Success)
}

fn report(context: &Context, network: &Network, moved: &[Moved], rewards: Rewarded) {
    show(context, network, &Withdrawal::of(network, moved, rewards));
}

fn show(context: &Context, network: &Network, withdrawal: &Withdrawal) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(withdrawal);
    }
    for release in &withdrawal.releases {
        printer.line(format!(
            "released      {} for {} in {} ({} gas)",
            shown(network, &release.token, release.amount),
            release.recipient.as_deref().unwrap_or("?"),
            release.tx,
            release.gas_used
        ));
    }
    rewards::show(printer, network, &withdrawal.rewards);
    if withdrawal.releases.is_empty() {
        printer.line("there is nothing to withdraw");
    }
}
