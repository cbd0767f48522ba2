//! `receipts`: shows the cost of calls from the payer's own payment store, and compares it with the
//! servers' receipts.

mod explain;

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::{CommandContext, network};
use openlora_chain::provider::Chain;
use openlora_core::{
    Amount,
    error::{ExitClass, ExitStatus, Failure, describe_decoding},
};
use openlora_ledger::CallCharge;
use openlora_package::verify::CheckStatus;
use openlora_payments::payer::{
    DisputedCharge, PayerChannel, PayerStore, PaymentRecord, PaymentStatus,
    audit::{
        ComparisonLine, ComparisonResult, against_chain, against_signature, against_statement,
        agreed,
    },
};
use openlora_serve::PublishedReceipt;

/// A paid call as stored by the payer; sums in base units.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct StoredReceipt {
    /// The request id.
    pub id: String,
    /// Unix time in milliseconds.
    pub time_ms: u64,
    pub server: String,
    pub adapter: String,
    /// The maximum that was signed for.
    pub quote: Amount,
    /// The charge; null until the server has reported it.
    pub paid: Option<Amount>,
    /// Null until the server has reported it.
    pub payment: Option<CallCharge>,
    /// The server's receipt; null if the server issues none.
    pub receipt: Option<PublishedReceipt>,
    /// A charge or total that the server stated and our signatures do not allow for.
    pub disputed: Option<DisputedCharge>,
}

/// The result of one comparison.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ReceiptCheck {
    pub name: &'static str,
    pub status: CheckStatus,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
}

/// All comparisons of a receipt.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ReceiptVerification {
    /// None failed.
    pub ok: bool,
    pub id: String,
    pub checks: Vec<ReceiptCheck>,
}

impl StoredReceipt {
    fn from_record(record: &PaymentRecord) -> Self {
        let receipt = record.receipt.clone();
        Self {
            id: record.request_id.clone(),
            time_ms: record.time_ms,
            server: record.server.clone(),
            adapter: record.adapter.clone(),
            quote: record.quote,
            paid: match record.status {
                PaymentStatus::Void => Some(Amount::ZERO),
                PaymentStatus::Open | PaymentStatus::Charged { .. } => record.charged(),
            },
            payment: record.charge(),
            receipt: receipt.and_then(|receipt| serde_json::from_value(receipt).ok()),
            disputed: record.disputed,
        }
    }
}

/// Shows the charge of a call, or the explanation of its shares.
pub async fn show_receipt(
    context: &CommandContext,
    id: &str,
    why: bool,
    url: Option<&str>,
) -> Result<ExitStatus, Failure> {
    if why {
        return explain::run(context, id, url).await;
    }
    let store = PayerStore::open(&context.dirs.data)?;
    let record = store.payment_record(id)?.ok_or_else(|| unknown(id))?;
    let kept = StoredReceipt::from_record(&record);
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
        kept.id, kept.adapter, kept.server
    ));
    printer.line(format!(
        "paid {paid} of {} base units of {} signed for, to {}",
        kept.quote, record.token, record.receiver
    ));
    if let Some(disputed) = &kept.disputed {
        printer.line(format!("disputed: {}", disputed_charge(disputed)));
    }
    if store.attempts()?.iter().any(|it| it.order.request_id == id) {
        printer.hint(format!(
            "its answer has not come; ask again: openlora call --again {id}"
        ));
    }
    Ok(ExitStatus::Success)
}

/// What a server stated, and what our signatures allow for.
pub(super) fn disputed_charge(disputed: &DisputedCharge) -> String {
    let stated = |amount: Option<Amount>| amount.map_or("none".to_owned(), |it| it.to_string());
    format!(
        "the server stated a charge of {} and a channel total of {}; expected a total of at most {} \
         base units",
        stated(disputed.charged),
        stated(disputed.total),
        disputed.expected_total
    )
}

/// A call that was paid but not answered.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct UnansweredCall {
    /// The request id.
    pub id: String,
    /// Unix time in milliseconds.
    pub time_ms: u64,
    pub server: String,
    pub adapter: String,
    pub chain_id: u64,
    /// The maximum charge in base units.
    pub quote: Amount,
}

/// Lists calls without an answer, and how to request them again.
pub fn pending(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let attempts = PayerStore::open(&context.dirs.data)?.attempts()?;
    let waiting: Vec<UnansweredCall> = attempts
        .into_iter()
        .map(|it| UnansweredCall {
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
            it.id, it.adapter, it.server, it.quote
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

/// Compares a receipt, given by id or as a file, with the signed payment and with the chain.
pub async fn verify(context: &CommandContext, what: &str) -> Result<ExitStatus, Failure> {
    let store = PayerStore::open(&context.dirs.data)?;
    let file = context.settings.working_dir.join(what);
    let given = match file.is_file() {
        true => Some(read(&file)?),
        false => None,
    };
    let id = given
        .as_ref()
        .map_or(what, |receipt| &receipt.id)
        .to_owned();
    let record = store.payment_record(&id)?.ok_or_else(|| unknown(&id))?;
    let receipt = given.or_else(|| StoredReceipt::from_record(&record).receipt);
    let charge = match &receipt {
        Some(receipt) => receipt.payment.clone(),
        None => record.charge(),
    };
    let mut lines: Vec<ComparisonLine> = against_statement(&record).into_iter().collect();
    match &charge {
        Some(charge) => {
            let channel = channel(&store, charge)?;
            lines.extend(against_signature(charge, &record, channel.as_ref()));
            let agreed = agreed(&store.payment_records()?, charge);
            lines.push(on_chain(context, charge, &record, agreed).await?);
        }
        None if lines.is_empty() => {
            let message = format!("the receipt of {id} names no payment");
            return Err(Failure::new(ExitClass::Verification, message));
        }
        None => {}
    }
    let checks: Vec<ReceiptCheck> = lines.into_iter().map(check).collect();
    let verified = ReceiptVerification {
        ok: checks.iter().all(|check| check.status != CheckStatus::Fail),
        id,
        checks,
    };
    Ok(report(context, &verified))
}

fn read(path: &Path) -> Result<PublishedReceipt, Failure> {
    let text = std::fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    // The output of `call --json` contains the receipt.
    let receipt = match &value["receipt"] {
        Value::Null => &value,
        inner => inner,
    };
    serde_json::from_value(receipt.clone()).map_err(|error| {
        let message = format!(
            "{} is no receipt: {}",
            path.display(),
            describe_decoding(&error)
        );
        Failure::new(ExitClass::BadInput, message)
    })
}

fn channel(store: &PayerStore, charge: &CallCharge) -> Result<Option<PayerChannel>, Failure> {
    let all = store.channels()?;
    let is = |it: &PayerChannel| it.chain_id == charge.chain_id && it.id == charge.id;
    Ok(all.into_iter().find(is))
}

async fn on_chain(
    context: &CommandContext,
    charge: &CallCharge,
    record: &PaymentRecord,
    agreed: Amount,
) -> Result<ComparisonLine, Failure> {
    let network = network::chosen(context)?;
    if network.chain_id != charge.chain_id {
        let reason = format!(
            "it was paid on chain {}, and `{}` is chain {}",
            charge.chain_id, network.name, network.chain_id
        );
        return Ok(("chain", ComparisonResult::Unknown(reason)));
    }
    let network = network::reached(context).await?;
    let chain = Chain::connect(&network).await?;
    Ok(against_chain(charge, record, agreed, &chain).await?)
}

fn check(line: ComparisonLine) -> ReceiptCheck {
    let (name, finding) = line;
    let (status, reason) = match finding {
        ComparisonResult::Fits => (CheckStatus::Pass, None),
        ComparisonResult::Differs(reason) => (CheckStatus::Fail, Some(reason)),
        ComparisonResult::Unknown(reason) => (CheckStatus::Skipped, Some(reason)),
    };
    ReceiptCheck {
        name,
        status,
        reason,
    }
}

fn report(context: &CommandContext, verified: &ReceiptVerification) -> ExitStatus {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(verified);
    } else {
        for ReceiptCheck {
            name,
            status,
            reason,
        } in &verified.checks
        {
            let word = match status {
                CheckStatus::Pass => "ok",
                CheckStatus::Fail => "FAILED",
                CheckStatus::Skipped => "skipped",
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
