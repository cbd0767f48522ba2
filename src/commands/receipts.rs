//! `receipts`: what calls have cost, from the payer's own purse, and whether servers' receipts
//! say so too.

mod explain;

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::{Context, network};
use crate::{
    error::{ExitClass, ExitStatus, Failure},
    printer::harmless,
    runtime::{
        ledger::{Amount, Charge},
        package::verify::Status,
        serve::PublishedReceipt,
    },
    wallet::{
        provider::Chain,
        purse::{
            Channel, Fate, Purse, Spending,
            audit::{Finding, Line, against_chain, against_signature, agreed},
        },
    },
};

/// A paid call as the payer has it; sums in base units.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Kept {
    /// The request id.
    pub id: String,
    /// Unix time in milliseconds.
    pub time_ms: u64,
    pub server: String,
    pub adapter: String,
    /// The most that was signed for.
    pub quote: Amount,
    /// What it cost; null while the server has not said.
    pub paid: Option<Amount>,
    /// Null while the server has not said.
    pub payment: Option<Charge>,
    /// The server's receipt; null where it keeps none.
    pub receipt: Option<PublishedReceipt>,
}

/// How one comparison ended.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Check {
    pub name: &'static str,
    pub status: Status,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
}

/// All comparisons of a receipt.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Verified {
    /// None failed.
    pub ok: bool,
    pub id: String,
    pub checks: Vec<Check>,
}

impl Kept {
    fn of(spending: &Spending) -> Self {
        let receipt = spending.receipt.clone();
        Self {
            id: spending.request_id.clone(),
            time_ms: spending.time_ms,
            server: spending.server.clone(),
            adapter: spending.adapter.clone(),
            quote: spending.quote,
            paid: match spending.fate {
                Fate::Void => Some(Amount::ZERO),
                Fate::Open | Fate::Charged { .. } => spending.charged(),
            },
            payment: spending.charge(),
            receipt: receipt.and_then(|receipt| serde_json::from_value(receipt).ok()),
        }
    }
}

/// Shows what a call cost, or why it paid whom.
pub async fn show(
    context: &Context,
    id: &str,
    why: bool,
    url: Option<&str>,
) -> Result<ExitStatus, Failure> {
    if why {
        return explain::run(context, id, url).await;
    }
    let purse = Purse::open(&context.dirs.data)?;
    let spending = purse.spending(id)?.ok_or_else(|| unknown(id))?;
    let kept = Kept::of(&spending);
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&kept);
        return Ok(ExitStatus::Success);
    }
    let paid = kept
        .paid
        .map_or_else(|| "not said yet".to_owned(), |paid| paid.to_string());
    printer.line(format!(
        "{} from {} at {}",
        kept.id,
        harmless(&kept.adapter),
        kept.server
    ));
    printer.line(format!(
        "paid {paid} of {} base units of {} signed for, to {}",
        kept.quote, spending.token, spending.receiver
    ));
    if purse.attempts()?.iter().any(|it| it.order.request_id == id) {
        printer.hint(format!(
            "its answer has not come; ask again: openlora call --again {id}"
        ));
    }
    Ok(ExitStatus::Success)
}

/// A call that was paid and not answered.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Waiting {
    /// The request id.
    pub id: String,
    /// Unix time in milliseconds.
    pub time_ms: u64,
    pub server: String,
    pub adapter: String,
    pub chain_id: u64,
    /// The most that it costs, in base units.
    pub quote: Amount,
}

/// Lists the calls whose answers have not come, and how to have them.
pub fn pending(context: &Context) -> Result<ExitStatus, Failure> {
    let attempts = Purse::open(&context.dirs.data)?.attempts()?;
    let waiting: Vec<Waiting> = attempts
        .into_iter()
        .map(|it| Waiting {
            id: it.order.request_id,
            time_ms: it.time_ms,
            server: it.order.seller.server,
            adapter: it.order.seller.adapter,
            chain_id: it.chain_id,
            quote: it.quote,
        })
        .collect();
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&waiting);
        return Ok(ExitStatus::Success);
    }
    for it in &waiting {
        printer.line(format!(
            "{}  {} at {}, at most {} base units",
            it.id,
            harmless(&it.adapter),
            it.server,
            it.quote
        ));
    }
    printer.hint(match waiting.is_empty() {
        true => "every paid call has been answered",
        false => "ask for an answer again, with the same payment: openlora call --again ID",
    });
    Ok(ExitStatus::Success)
}

pub(super) fn unknown(id: &str) -> Failure {
    Failure::new(
        ExitClass::Usage,
        format!("the purse has no payment for request {id}"),
    )
    .with_hint("a call prints its request id when it ends")
}

/// Compares a receipt, by its id or in a file, with what was signed and with the chain.
pub async fn verify(context: &Context, what: &str) -> Result<ExitStatus, Failure> {
    let purse = Purse::open(&context.dirs.data)?;
    let file = context.settings.working_dir.join(what);
    let given = match file.is_file() {
        true => Some(read(&file)?),
        false => None,
    };
    let id = given
        .as_ref()
        .map_or(what, |receipt| &receipt.id)
        .to_owned();
    let spending = purse.spending(&id)?.ok_or_else(|| unknown(&id))?;
    let receipt = given.or_else(|| Kept::of(&spending).receipt);
    let charge = match &receipt {
        Some(receipt) => receipt.payment.clone(),
        None => spending.charge(),
    };
    let Some(charge) = charge else {
        let message = format!("the receipt of {id} names no payment");
        return Err(Failure::new(ExitClass::Verification, message));
    };
    let channel = channel(&purse, &charge)?;
    let mut lines = against_signature(&charge, &spending, channel.as_ref());
    let agreed = agreed(&purse.spendings()?, &charge);
    lines.push(on_chain(context, &charge, (&spending, agreed)).await?);
    let checks: Vec<Check> = lines.into_iter().map(check).collect();
    let verified = Verified {
        ok: checks.iter().all(|check| check.status != Status::Fail),
        id,
        checks,
    };
    Ok(report(context, &verified))
}

fn read(path: &Path) -> Result<PublishedReceipt, Failure> {
    let text = std::fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    // What `call --json` prints has the receipt inside.
    let receipt = match &value["receipt"] {
        Value::Null => &value,
        inner => inner,
    };
    serde_json::from_value(receipt.clone()).map_err(|error| {
        let message = format!("{} is no receipt: {error}", path.display());
        Failure::new(ExitClass::BadInput, message)
    })
}

fn channel(purse: &Purse, charge: &Charge) -> Result<Option<Channel>, Failure> {
    let all = purse.channels()?;
    let is = |it: &Channel| it.chain_id == charge.chain_id && it.id == charge.id;
    Ok(all.into_iter().find(is))
}

async fn on_chain(
    context: &Context,
    charge: &Charge,
    expected: (&Spending, Amount),
) -> Result<Line, Failure> {
    let network = network::chosen(context)?;
    if network.chain_id != charge.chain_id {
        let reason = format!(
            "it was paid on chain {}, and `{}` is chain {}",
            charge.chain_id, network.name, network.chain_id
        );
        return Ok(("chain", Finding::Unknown(reason)));
    }
    let network = network::reached(context).await?;
    let chain = Chain::connect(&network).await?;
    Ok(against_chain(charge, expected, &chain).await?)
}

fn check((name, finding): Line) -> Check {
    let (status, reason) = match finding {
        Finding::Fits => (Status::Pass, None),
        Finding::Differs(reason) => (Status::Fail, Some(reason)),
        Finding::Unknown(reason) => (Status::Skipped, Some(reason)),
    };
    Check {
        name,
        status,
        reason,
    }
}

fn report(context: &Context, verified: &Verified) -> ExitStatus {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(verified);
    } else {
        for Check {
            name,
            status,
            reason,
        } in &verified.checks
        {
            let word = match status {
                Status::Pass => "ok",
                Status::Fail => "FAILED",
                Status::Skipped => "skipped",
            };
            let reason = reason
                .as_ref()
                .map_or_else(String::new, |it| format!(": {it}"));
            printer.line(format!("{word:<8}{name}{reason}"));
        }
    }
    match verified.ok {
        true => ExitStatus::Success,
        false => ExitStatus::Verdict(ExitClass::Verification),
    }
}
