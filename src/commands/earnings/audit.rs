//! The ledger beside the chains: every relation between sums, with its numbers.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    commands::{Context, network},
    error::Failure,
    printer::Printer,
    runtime::{
        journal::Journal,
        ledger::{Address, Amount, FormerChain},
    },
    wallet::{
        balance::shown_amount,
        network::Network,
        provider::Chain,
        settlement::{
            audit::{Audit, Check, Relation, audit},
            check_genesis,
        },
    },
};

/// One receiver on one chain.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Audited {
    pub network: String,
    pub chain_id: u64,
    #[schemars(with = "String")]
    pub receiver: Address,
    #[schemars(with = "String")]
    pub token: Address,
    pub decimals: u8,
    /// The block at which the chain was asked.
    pub block: u64,
    pub checks: Vec<Checked>,
    pub ok: bool,
}

/// One relation; sums in base units.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checked {
    /// Such as "charged ≥ claimed".
    pub name: String,
    pub left: Amount,
    /// `=` or `≥`.
    pub relation: &'static str,
    pub right: Amount,
    pub ok: bool,
}

/// Asks every chain on which calls are paid.
pub(super) async fn all(context: &Context) -> Result<Vec<Audited>, Failure> {
    let snapshot = Journal::snapshot_at(&context.dirs.journal())?;
    let mut audited = Vec::new();
    for network in network::paid_on(context)? {
        let network = network::reach(context, network).await?;
        let chain = Chain::connect(&network).await?;
        check_genesis(&chain, &snapshot.book).await?;
        let found = audit(&chain, &snapshot.book, 0).await?;
        audited.extend(found.iter().map(|audit| of(&network, audit)));
    }
    for gone in &snapshot.book.former {
        context.printer.note(former(gone));
    }
    for breach in &snapshot.book.breaches {
        context.printer.warn(breach);
    }
    Ok(audited)
}

/// A chain that is gone has nothing to be held against.
fn former(gone: &FormerChain) -> String {
    let genesis = gone
        .genesis
        .map_or_else(String::new, |it| format!(" ({it})"));
    format!(
        "an earlier chain with id {}{genesis} is gone, with {} channels and {} base units charged",
        gone.chain_id, gone.channels, gone.charged
    )
}

fn of(network: &Network, audit: &Audit) -> Audited {
    let token = network.token.as_ref();
    let known = token.filter(|token| token.address == audit.receiver.token);
    Audited {
        network: network.name.clone(),
        chain_id: network.chain_id,
        receiver: audit.receiver.receiver,
        token: audit.receiver.token,
        decimals: known.map_or(0, |token| token.decimals),
        block: audit.block,
        checks: audit.checks.iter().map(checked).collect(),
        ok: audit.holds(),
    }
}

fn checked(check: &Check) -> Checked {
    Checked {
        name: check.name.to_owned(),
        left: check.left,
        relation: match check.relation {
            Relation::Equal => "=",
            Relation::AtLeast => "≥",
        },
        right: check.right,
        ok: check.holds(),
    }
}

pub(super) fn show(printer: &Printer, audited: &[Audited]) {
    for one in audited {
        printer.line(format!(
            "audit of {} on {} ({}), block {}",
            one.receiver, one.network, one.chain_id, one.block
        ));
        for check in &one.checks {
            let amount = |amount: Amount| shown_amount(&amount.to_string(), one.decimals);
            printer.line(format!(
                "  {:<4}{:<44}{} {} {}",
                if check.ok { "ok" } else { "BAD" },
                check.name,
                amount(check.left),
                check.relation,
                amount(check.right)
            ));
        }
    }
    if audited.is_empty() {
        printer.line("there is nothing to audit: no call was charged");
    }
}
