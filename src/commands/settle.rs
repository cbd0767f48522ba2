//! `settle`: claims what calls have cost, and has the escrow send it to the splitters.

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
    error::{ExitStatus, Failure},
    runtime::ledger::Amount,
    wallet::{
        network::Network,
        settlement::{Due, LeftOut, Settled, due},
    },
};

/// What `--json` prints.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Settlement {
    network: String,
    chain_id: u64,
    /// Vouchers turned into the receiver's money in the escrow.
    claims: Vec<Transaction>,
    /// Money sent from the escrow to the splitter.
    settles: Vec<Transaction>,
    left_out: Vec<Stuck>,
    /// Roots over attributed calls, and over what contributors are owed.
    #[serde(default)]
    rewards: Rewarded,
}

/// What `--dry-run --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Forecast {
    network: String,
    chain_id: u64,
    claims: Vec<Sum>,
    /// Claimed before and not yet sent.
    settles: Vec<Sum>,
    left_out: Vec<Stuck>,
}

/// Money of a channel that cannot be claimed.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct Stuck {
    channel: String,
    amount: Amount,
    reason: String,
}

impl Stuck {
    fn all(left_out: &[LeftOut]) -> Vec<Self> {
        let stuck = |out: &LeftOut| Self {
            channel: out.channel.to_string(),
            amount: out.amount,
            reason: out.reason.clone(),
        };
        left_out.iter().map(stuck).collect()
    }
}

impl Settlement {
    pub fn of(network: &Network, settled: &Settled, rewards: Rewarded) -> Self {
        Self {
            rewards,
            network: network.name.clone(),
            chain_id: network.chain_id,
            claims: settled.claims.iter().map(Transaction::of).collect(),
            settles: settled.settles.iter().map(Transaction::of).collect(),
            left_out: Stuck::all(&settled.left_out),
        }
    }
}

pub async fn run(context: &Context, request: TreasuryRequest) -> Result<ExitStatus, Failure> {
    if let Some(server) = Running::find(context).await? {
        server.refuse_flags(context, &OF_SERVER)?;
        let settled = server.ask("/operator/settle", request.dry_run).await?;
        return each(context, settled);
    }
    let mut treasury = Treasury::open(context, &request).await?;
    let office = &treasury.office;
    let expected = due(&office.chain, office.account, treasury.book()).await?;
    if request.dry_run {
        forecast(context, &treasury, &expected);
        return Ok(ExitStatus::Success);
    }
    let nothing = expected.claims.is_empty() && expected.settles.is_empty();
    if nothing && !treasury.is_open() && !treasury.has_rewards()? {
        let nothing = Settled {
            left_out: expected.left_out,
            ..Settled::default()
        };
        report(context, treasury.network(), &nothing, Rewarded::default());
        return Ok(ExitStatus::Success);
    }
    let network = treasury.network().clone();
    treasury
        .office
        .confirm(&network.name, "claiming and settling")?;
    treasury.office.fund().await?;
    let (treasurer, rewarder) = treasury.treasurer(context)?;
    let settled = treasurer.settle_now().await?;
    let rewards = rewarder.round().await;
    report(context, &network, &settled, rewards);
    Ok(ExitStatus::Success)
}

/// What a running server settled, of which the project's network is shown.
fn each(context: &Context, settled: Vec<Settlement>) -> Result<ExitStatus, Failure> {
    let network = network::chosen(context)?;
    let mut here = settled.into_iter();
    let here = here.find(|it| it.chain_id == network.chain_id);
    let here = here.ok_or_else(|| Running::elsewhere(&network))?;
    show(context, &network, &here);
    Ok(ExitStatus::Success)
}

fn forecast(context: &Context, treasury: &Treasury, due: &Due) {
    let network = treasury.network();
    if context.printer.is_json() {
        let claims = due.claims.iter().map(|(receiver, (amount, channels))| Sum {
            channels: Some(*channels),
            ..Sum::of(receiver, *amount)
        });
        let settles = due.settles.iter();
        return context.printer.json(&Forecast {
            network: network.name.clone(),
            chain_id: network.chain_id,
            claims: claims.collect(),
            settles: settles.map(|(key, amount)| Sum::of(key, *amount)).collect(),
            left_out: Stuck::all(&due.left_out),
        });
    }
    for (receiver, (amount, channels)) in &due.claims {
        context.printer.line(format!(
            "to claim      {} from {channels} channels for {}",
            treasury.shown(receiver, *amount),
            receiver.receiver
        ));
    }
    for (receiver, amount) in &due.settles {
        context.printer.line(format!(
            "to settle     {} claimed before for {}",
            treasury.shown(receiver, *amount),
            receiver.receiver
        ));
    }
    warn(context, &due.left_out);
    if due.claims.is_empty() && due.settles.is_empty() {
        context.printer.line("there is nothing to settle");
    }
}

fn report(context: &Context, network: &Network, settled: &Settled, rewards: Rewarded) {
    show(context, network, &Settlement::of(network, settled, rewards));
}

fn show(context: &Context, network: &Network, settlement: &Settlement) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(settlement);
    }
    for claim in &settlement.claims {
        printer.line(format!(
            "claimed       {} from {} channels in {} ({} gas)",
            shown(network, &claim.token, claim.amount),
            claim.channels.unwrap_or_default(),
            claim.tx,
            claim.gas_used
        ));
    }
    for settle in &settlement.settles {
        printer.line(format!(
            "settled       {} to {} in {} ({} gas)",
            shown(network, &settle.token, settle.amount),
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
    rewards::show(printer, network, &settlement.rewards);
    if settlement.claims.is_empty() && settlement.settles.is_empty() {
        return printer.line("there is nothing to settle");
    }
    printer.hint("fetch your share with `openlora withdraw`");
}

fn warn(context: &Context, left_out: &[LeftOut]) {
    for out in left_out {
        context.printer.warn(format!(
            "{} of channel {} cannot be claimed: {}",
            out.amount, out.channel, out.reason
        ));
    }
}
