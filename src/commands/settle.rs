//! `settle`: claims what calls have cost, and has the escrow send it to the splitters.

use serde::Serialize;

use super::{
    Context,
    treasury::{Sum, Transaction, Treasury, TreasuryRequest},
};
use crate::{
    error::{ExitStatus, Failure},
    runtime::ledger::Amount,
    wallet::settlement::{Due, LeftOut, Settled, due},
};

/// What `--json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Settlement {
    network: String,
    chain_id: u64,
    /// Vouchers turned into the receiver's money in the escrow.
    claims: Vec<Transaction>,
    /// Money sent from the escrow to the splitter.
    settles: Vec<Transaction>,
    left_out: Vec<Stuck>,
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
#[derive(Debug, Serialize, schemars::JsonSchema)]
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

pub async fn run(context: &Context, request: TreasuryRequest) -> Result<ExitStatus, Failure> {
    let mut treasury = Treasury::open(context, &request).await?;
    let office = &treasury.office;
    let expected = due(&office.chain, office.account, treasury.book()).await?;
    if request.dry_run {
        forecast(context, &treasury, &expected);
        return Ok(ExitStatus::Success);
    }
    let nothing = expected.claims.is_empty() && expected.settles.is_empty();
    if nothing && !treasury.is_open() {
        let nothing = Settled {
            left_out: expected.left_out,
            ..Settled::default()
        };
        report(context, &treasury, &nothing);
        return Ok(ExitStatus::Success);
    }
    let network = treasury.network().name.clone();
    treasury.office.confirm(&network, "claiming and settling")?;
    treasury.office.fund().await?;
    let settled = treasury.treasurer()?.settle_now().await?;
    report(context, &treasury, &settled);
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

fn report(context: &Context, treasury: &Treasury, settled: &Settled) {
    let network = treasury.network();
    if context.printer.is_json() {
        return context.printer.json(&Settlement {
            network: network.name.clone(),
            chain_id: network.chain_id,
            claims: settled.claims.iter().map(Transaction::of).collect(),
            settles: settled.settles.iter().map(Transaction::of).collect(),
            left_out: Stuck::all(&settled.left_out),
        });
    }
    for claim in &settled.claims {
        context.printer.line(format!(
            "claimed       {} from {} channels in {} ({} gas)",
            treasury.shown(&claim.receiver, claim.amount),
            claim.channels,
            claim.tx,
            claim.gas_used
        ));
    }
    for settle in &settled.settles {
        context.printer.line(format!(
            "settled       {} to {} in {} ({} gas)",
            treasury.shown(&settle.receiver, settle.amount),
            settle.receiver.receiver,
            settle.tx,
            settle.gas_used
        ));
    }
    warn(context, &settled.left_out);
    if settled.claims.is_empty() && settled.settles.is_empty() {
        context.printer.line("there is nothing to settle");
        return;
    }
    context
        .printer
        .hint("fetch your share with `openlora withdraw`");
}

fn warn(context: &Context, left_out: &[LeftOut]) {
    for out in left_out {
        context.printer.warn(format!(
            "{} of channel {} cannot be claimed: {}",
            out.amount, out.channel, out.reason
        ));
    }
}
