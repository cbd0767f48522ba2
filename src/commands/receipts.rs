//! `receipts`: shows the cost of calls from the payer's own payment store, and compares it with the
//! servers' receipts.

pub mod explain;
mod logged;
mod replay;

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::{
    CommandContext,
    call::{client::ServerClient, work_of},
    money::KnownTokens,
    named_paths, network,
    printer::Printer,
};
use openlora_chain::provider::Chain;
use openlora_core::{
    Address, Amount,
    calendar::moment,
    error::{ExitClass, ExitStatus, Failure, describe_decoding},
};
use openlora_ledger::CallCharge;
use openlora_package::verify::CheckStatus;
use openlora_payments::payer::{
    DisputedCharge, PayerChannel, PayerStore, PaymentAttempt, PaymentRecord, PaymentStatus,
    audit::{
        AmountFormat, ComparisonLine, ComparisonResult, against_chain, against_signature,
        against_statement, agreed,
    },
};
use openlora_runtime::running_server::RunningServer;
use openlora_serve::PublishedReceipt;
pub use replay::{AnswerDifference, ReplayReport, ReplayRequest, run as replay};

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
    let record = match url {
        Some(_) => None,
        None => find(&store, id)?,
    };
    let Some(record) = record else {
        return show_free_call(context, id, url).await;
    };
    let kept = StoredReceipt::from_record(&record);
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&kept);
        return Ok(ExitStatus::Success);
    }
    let tokens = KnownTokens::read(context);
    let money = |sum: Amount| tokens.format(record.chain_id, record.token, sum);
    let paid = kept.paid.map_or_else(|| NOT_STATED.to_owned(), money);
    printer.line(format!(
        "{} from {} at {}, {}",
        kept.id,
        kept.adapter,
        kept.server,
        moment(kept.time_ms / 1000)
    ));
    printer.line(format!(
        "paid {paid}, of at most {} signed for, to {}",
        money(kept.quote),
        record.receiver
    ));
    if let Some(disputed) = &kept.disputed {
        printer.line(format!("disputed: {}", disputed_charge(disputed, money)));
    }
    let waiting = store.attempts()?;
    if waiting.iter().any(|it| it.order.request_id == kept.id) {
        let id = &kept.id;
        printer.hint(format!(
            "its answer has not come; ask again: openlora call --again {id}"
        ));
    }
    Ok(ExitStatus::Success)
}

/// Writes the proof that a call is in the log of its server, after checking it.
pub async fn keep_proof(
    context: &CommandContext,
    id: &str,
    url: Option<&str>,
    file: &Path,
) -> Result<(), Failure> {
    let record = find(&PayerStore::open(&context.dirs.data)?, id)?;
    let server = match (url, &record) {
        (Some(url), _) => Some(url.to_owned()),
        (None, Some(record)) => Some(record.server.clone()),
        (None, None) => own_server(context).await?,
    };
    let id = record.as_ref().map_or(id, |record| &record.request_id);
    let server = server.ok_or_else(|| unknown(id))?;
    logged::keep_proof(context, id, &server, file).await
}

/// Shows the receipt of a free call, which only its server keeps: the named one, or the one that runs
/// in this home.
async fn show_free_call(
    context: &CommandContext,
    id: &str,
    url: Option<&str>,
) -> Result<ExitStatus, Failure> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => own_server(context).await?.ok_or_else(|| unknown(id))?,
    };
    let client = ServerClient::new(context, Some(&url))?;
    let found = client.receipt(id).await?;
    let receipt = found.filter(|receipt| receipt.payment.is_none());
    let receipt = receipt.ok_or_else(|| unknown(id))?;
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&StoredReceipt {
            id: receipt.id.clone(),
            time_ms: receipt.journal.time_ms,
            server: client.place(),
            adapter: receipt.adapter.clone(),
            quote: Amount::ZERO,
            paid: Some(Amount::ZERO),
            payment: None,
            receipt: Some(receipt),
            disputed: None,
        });
        return Ok(ExitStatus::Success);
    }
    printer.line(format!(
        "{} from {} at {}, {}",
        receipt.id,
        receipt.adapter,
        client.place(),
        moment(receipt.journal.time_ms / 1000)
    ));
    printer.line(format!("{}, free of charge", work_of(&receipt.usage)));
    Ok(ExitStatus::Success)
}

/// The address of the server that runs in this home.
async fn own_server(context: &CommandContext) -> Result<Option<String>, Failure> {
    let running = RunningServer::find(&context.dirs).await?;
    Ok(running.map(|server| server.url().to_owned()))
}

/// The charge of a call that the server has not reported.
const NOT_STATED: &str = "not stated yet";

/// The payment with this request id, or with the only one that begins with it.
///
/// # Errors
///
/// Several ids begin with it.
pub(super) fn find(store: &PayerStore, text: &str) -> Result<Option<PaymentRecord>, Failure> {
    if let Some(record) = store.payment_record(text)? {
        return Ok(Some(record));
    }
    let mut meant = store.payment_records()?;
    meant.retain(|record| !text.is_empty() && record.request_id.starts_with(text));
    let last = meant.pop();
    let other = |it: &PaymentRecord| Some(&it.request_id) != last.as_ref().map(|it| &it.request_id);
    match meant.iter().any(other) {
        false => Ok(last),
        true => {
            let message = format!("{} request ids begin with `{text}`", meant.len() + 1);
            Err(Failure::new(ExitClass::Usage, message)
                .with_hint("give more of the id: openlora receipts list"))
        }
    }
}

/// What a server stated, and what our signatures allow for.
pub(super) fn disputed_charge(
    disputed: &DisputedCharge,
    money: impl Fn(Amount) -> String,
) -> String {
    let stated = |amount: Option<Amount>| amount.map_or_else(|| "none".to_owned(), &money);
    format!(
        "the server stated a charge of {} and a channel total of {}; expected a total of at most {}",
        stated(disputed.charged),
        stated(disputed.total),
        money(disputed.expected_total)
    )
}

/// The state of a paid call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Paid, and the answer has not come: `call --again` asks for it.
    Unanswered,
    /// Answered, and the server has not stated the charge.
    Open,
    Paid,
    /// The server stated a charge or total that was not signed for.
    Disputed,
    /// Nothing was charged.
    Void,
}

impl ReceiptState {
    fn name(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Disputed => "disputed",
            Self::Void => "not charged",
        }
    }
}

/// A paid call in the list of them; sums in base units.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ReceiptEntry {
    /// The request id.
    pub id: String,
    /// Unix time in milliseconds.
    pub time_ms: u64,
    pub server: String,
    pub adapter: String,
    pub chain_id: u64,
    /// ERC-20 contract of the token.
    #[schemars(with = "String")]
    pub token: Address,
    /// Null where the token is not configured.
    pub symbol: Option<String>,
    /// Null where the token is not configured.
    pub decimals: Option<u8>,
    /// The maximum that was signed for.
    pub quote: Amount,
    /// The charge; null until the server has reported it.
    pub paid: Option<Amount>,
    pub state: ReceiptState,
}

/// Lists all paid calls, oldest first.
pub fn list(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let store = PayerStore::open(&context.dirs.data)?;
    let waiting = store.attempts()?;
    let tokens = KnownTokens::read(context);
    let entry = |record: &PaymentRecord| {
        let kept = StoredReceipt::from_record(record);
        let is_waiting = waiting.iter().any(|it| it.order.request_id == kept.id);
        let token = tokens.find(record.chain_id, record.token);
        ReceiptEntry {
            state: match (&record.status, is_waiting) {
                _ if record.disputed.is_some() => ReceiptState::Disputed,
                (PaymentStatus::Void, _) => ReceiptState::Void,
                (_, true) => ReceiptState::Unanswered,
                (PaymentStatus::Open, false) => ReceiptState::Open,
                (PaymentStatus::Charged { .. }, false) => ReceiptState::Paid,
            },
            id: kept.id,
            time_ms: kept.time_ms,
            server: kept.server,
            adapter: kept.adapter,
            chain_id: record.chain_id,
            token: record.token,
            symbol: token.map(|it| it.symbol.clone()),
            decimals: token.map(|it| it.decimals),
            quote: kept.quote,
            paid: kept.paid,
        }
    };
    let entries: Vec<ReceiptEntry> = store.payment_records()?.iter().map(entry).collect();
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&entries);
        return Ok(ExitStatus::Success);
    }
    let length = short_length(entries.iter().map(|entry| entry.id.as_str()));
    for entry in &entries {
        let money = |sum: Amount| tokens.format(entry.chain_id, entry.token, sum);
        let paid = match entry.paid {
            Some(paid) => money(paid),
            None => format!("at most {}", money(entry.quote)),
        };
        printer.line(format!(
            "{}  {:<length$}  {:<12} {paid:>18}  {} at {}",
            moment(entry.time_ms / 1000),
            shortened(&entry.id, length),
            entry.state.name(),
            entry.adapter,
            entry.server
        ));
    }
    printer.hint(match entries.is_empty() {
        true => "no call was paid from here; pay for one: openlora call \"hello\" --url URL",
        false => "more about one: openlora receipts show ID",
    });
    Ok(ExitStatus::Success)
}

/// The first characters of an id.
pub(super) fn shortened(id: &str, length: usize) -> String {
    id.chars().take(length).collect()
}

/// The fewest characters, from 8, that tell ids apart.
pub(super) fn short_length<'a>(ids: impl Iterator<Item = &'a str>) -> usize {
    const LEAST: usize = 8;
    let mut sorted: Vec<&str> = ids.collect();
    sorted.sort_unstable();
    sorted.dedup();
    let common = |pair: &[&str]| {
        let letters = pair[0].chars().zip(pair[1].chars());
        letters.take_while(|(one, other)| one == other).count() + 1
    };
    sorted.windows(2).map(common).fold(LEAST, usize::max)
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
    /// ERC-20 contract of the token.
    #[schemars(with = "String")]
    pub token: Address,
    /// The maximum charge in base units.
    pub quote: Amount,
}

impl UnansweredCall {
    fn from_attempt(attempt: PaymentAttempt) -> Self {
        Self {
            id: attempt.order.request_id,
            time_ms: attempt.time_ms,
            server: attempt.order.seller.server,
            adapter: attempt.order.seller.adapter,
            chain_id: attempt.chain_id,
            token: attempt.offer.terms.asset,
            quote: attempt.quote,
        }
    }

    /// As a line for people.
    fn line(&self, tokens: &KnownTokens) -> String {
        let at_most = tokens.format(self.chain_id, self.token, self.quote);
        let time = moment(self.time_ms / 1000);
        let (id, adapter, server) = (&self.id, &self.adapter, &self.server);
        format!("{id}  {time}  {adapter} at {server}, at most {at_most}")
    }
}

/// Lists calls without an answer, and how to request them again.
pub fn pending(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let attempts = PayerStore::open(&context.dirs.data)?.attempts()?;
    let waiting = attempts.into_iter().map(UnansweredCall::from_attempt);
    let waiting: Vec<UnansweredCall> = waiting.collect();
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&waiting);
        return Ok(ExitStatus::Success);
    }
    let tokens = KnownTokens::read(context);
    for it in &waiting {
        printer.line(it.line(&tokens));
    }
    if waiting.is_empty() {
        printer.hint("every paid call has been answered");
        return Ok(ExitStatus::Success);
    }
    printer.hint("ask for an answer again, with the same payment: openlora call --again ID");
    printer.hint("give an answer up: openlora receipts forget ID");
    Ok(ExitStatus::Success)
}

/// Gives up the answer of a call: its payment is not sent again. What it may have cost stays counted,
/// because the server could still use the payment.
pub fn forget(context: &CommandContext, id: &str) -> Result<ExitStatus, Failure> {
    let store = PayerStore::open(&context.dirs.data)?;
    let attempt = store.attempt_named(id)?;
    store.forget_attempt(&attempt.order.request_id)?;
    let forgotten = UnansweredCall::from_attempt(attempt);
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&[forgotten]);
        return Ok(ExitStatus::Success);
    }
    printer.line(forgotten.line(&KnownTokens::read(context)));
    printer.note("its payment is not sent again, and counts with the most that it may cost");
    Ok(ExitStatus::Success)
}

pub(super) fn unknown(id: &str) -> Failure {
    Failure::new(
        ExitClass::Usage,
        format!("no call with the id {id} was paid from here"),
    )
    .with_hint(
        "list the paid calls: openlora receipts list; a free call's receipt is at its server: \
         name it with --url URL",
    )
}

/// Compares a receipt, given by id or as a file, with the signed payment and with the chain.
/// A free call's receipt is compared with its server's.
pub async fn verify(
    context: &CommandContext,
    what: &str,
    url: Option<&str>,
) -> Result<ExitStatus, Failure> {
    let store = PayerStore::open(&context.dirs.data)?;
    let path = Path::new(what);
    let is_path = path.components().count() > 1 || context.settings.working_dir.join(path).exists();
    let given = match is_path && !what.is_empty() {
        true => Some(read(&named_paths::file(context, path, "a receipt")?)?),
        false => None,
    };
    let id = given
        .as_ref()
        .map_or(what, |receipt| &receipt.id)
        .to_owned();
    let Some(record) = find(&store, &id)? else {
        return verify_free_call(context, &id, given, url).await;
    };
    let id = record.request_id.clone();
    let receipt = given.or_else(|| StoredReceipt::from_record(&record).receipt);
    let charge = match &receipt {
        Some(receipt) => receipt.payment.clone(),
        None => record.charge(),
    };
    let tokens = KnownTokens::read(context);
    let money = |sum: Amount| tokens.format(record.chain_id, record.token, sum);
    let mut lines: Vec<ComparisonLine> = against_statement(&record, &money).into_iter().collect();
    match &charge {
        Some(charge) => {
            let channel = channel(&store, charge)?;
            lines.extend(against_signature(charge, &record, channel.as_ref(), &money));
            let agreed = agreed(&store.payment_records()?, charge);
            lines.push(on_chain(context, charge, &record, agreed, &money).await?);
        }
        None if lines.is_empty() => {
            let message = format!("the receipt of {id} names no payment");
            return Err(Failure::new(ExitClass::Verification, message));
        }
        None => {}
    }
    if let Some(receipt) = &receipt {
        let server = url.unwrap_or(&record.server);
        lines.extend(logged::against_log(context, receipt, Some(server)).await);
    }
    let checks: Vec<ReceiptCheck> = lines.into_iter().map(check).collect();
    let verified = ReceiptVerification {
        ok: checks.iter().all(|check| check.status != CheckStatus::Fail),
        id,
        checks,
    };
    Ok(report(context, &verified))
}

/// Compares what a free call's receipt says with itself and with the receipt that its server has.
async fn verify_free_call(
    context: &CommandContext,
    id: &str,
    given: Option<PublishedReceipt>,
    url: Option<&str>,
) -> Result<ExitStatus, Failure> {
    let url = match url {
        Some(url) => Some(url.to_owned()),
        None => own_server(context).await?,
    };
    let published = match &url {
        Some(url) => ServerClient::new(context, Some(url))?.receipt(id).await?,
        None => None,
    };
    let receipt = given.as_ref().or(published.as_ref());
    let receipt = receipt.filter(|receipt| receipt.payment.is_none());
    let receipt = receipt.ok_or_else(|| unknown(id))?;
    let mut lines = vec![
        ("charge", free_charge(receipt)),
        ("usage", token_sum(receipt)),
    ];
    if given.is_some() {
        lines.push(("server", against_published(receipt, published.as_ref())));
    }
    lines.extend(logged::against_log(context, receipt, url.as_deref()).await);
    let nothing = "nothing was paid: the call was free, so no signature and no chain tells of it";
    lines.push(("payment", ComparisonResult::Unknown(nothing.to_owned())));
    let checks: Vec<ReceiptCheck> = lines.into_iter().map(check).collect();
    let verified = ReceiptVerification {
        ok: checks.iter().all(|check| check.status != CheckStatus::Fail),
        id: receipt.id.clone(),
        checks,
    };
    Ok(report(context, &verified))
}

fn free_charge(receipt: &PublishedReceipt) -> ComparisonResult {
    match receipt.paid.is_zero() {
        true => ComparisonResult::Fits,
        false => {
            ComparisonResult::Differs("the receipt states a charge and names no payment".to_owned())
        }
    }
}

fn token_sum(receipt: &PublishedReceipt) -> ComparisonResult {
    let usage = &receipt.usage;
    let expected = usage.prompt_tokens.saturating_add(usage.completion_tokens);
    match usage.total_tokens == expected {
        true => ComparisonResult::Fits,
        false => ComparisonResult::Differs(format!(
            "the receipt states {} tokens in total, expected {expected}",
            usage.total_tokens
        )),
    }
}

/// A receipt of a file and its server's; shares and proofs are stated later than the rest.
fn against_published(
    receipt: &PublishedReceipt,
    published: Option<&PublishedReceipt>,
) -> ComparisonResult {
    let Some(published) = published else {
        return ComparisonResult::Unknown(
            "no server that has it is known here: name it with --url URL".to_owned(),
        );
    };
    let same = PublishedReceipt {
        attribution: published.attribution.clone(),
        log: published.log.clone(),
        ..receipt.clone()
    };
    match same == *published {
        true => ComparisonResult::Fits,
        false => ComparisonResult::Differs("the server's receipt of this call differs".to_owned()),
    }
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
    money: AmountFormat<'_>,
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
    Ok(against_chain(charge, record, agreed, &chain, money).await?)
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
        print_checks(printer, &verified.checks);
    }
    match verified.ok {
        true => ExitStatus::Success,
        false => ExitStatus::Verdict(ExitClass::Verification),
    }
}

fn print_checks(printer: &Printer, checks: &[ReceiptCheck]) {
    for ReceiptCheck {
        name,
        status,
        reason,
    } in checks
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
