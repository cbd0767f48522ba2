//! The sums over today, seven days, thirty days and all time, per token and per chain.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    IncomeLedger,
    audit::ReceiverAudit,
    recipients::{RecipientReport, recipients},
    table::EarningsRow,
};
use crate::commands::{CommandContext, money::coin, printer::Printer};
use openlora_chain::balance::shown_amount;
use openlora_core::{Amount, error::Failure};
use openlora_ledger::{DayRange, ReceiverKey};

/// What `earnings --json` prints. Amounts are in base units.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EarningsReport {
    /// Per token: amounts with equal symbol and decimals are added over chains.
    pub tokens: Vec<TokenReport>,
    pub chains: Vec<ChainReport>,
    /// With `--by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<EarningsRow>>,
    /// With `--audit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<Vec<ReceiverAudit>>,
    /// With `--audit`: contradictions within the journal, and what could not be audited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_problems: Option<Vec<String>>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenReport {
    pub symbol: String,
    pub decimals: u8,
    pub today: PeriodReport,
    pub seven_days: PeriodReport,
    pub thirty_days: PeriodReport,
    pub all: PeriodReport,
    /// Refund fees, in addition to the charges of calls.
    pub refund_fees: Amount,
    /// Charged and not yet at the receiver, as far as it can still be collected.
    pub pending: Amount,
    /// Charged, but withdrawn or refunded to payers before it was claimed.
    pub uncollectable: Amount,
    /// Charged, not worth the gas of its claim, and withdrawn by payers.
    pub written_off: Amount,
    /// The pending part that is not worth the gas of its claim yet.
    pub deferred: Amount,
    /// At the receiver and not yet released.
    pub withdrawable: Amount,
    /// Everyone who is paid from it, this home's accounts first. Empty where no split was read.
    pub recipients: Vec<RecipientReport>,
}

/// Sums over some days.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct PeriodReport {
    pub calls: u64,
    pub charged: Amount,
    /// Refund fees, in addition to the charges of calls.
    pub refund_fees: Amount,
    pub settled: Amount,
    pub released: Amount,
    /// Gas cost of this journal's transactions in wei.
    pub gas_wei: Amount,
    /// The same at `pricing.coin`, rounded up. Null without that price.
    pub gas: Option<Amount>,
    /// Charged, including refund fees, minus gas at `pricing.coin`; negative if gas cost more. Null
    /// without that price.
    #[schemars(with = "Option<String>")]
    pub net: Option<SignedAmount>,
}

/// Base units with a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedAmount(i128);

impl Serialize for SignedAmount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// One receiver on one chain, over all time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChainReport {
    pub network: Option<String>,
    pub chain_id: u64,
    #[schemars(with = "String")]
    pub receiver: openlora_core::Address,
    #[schemars(with = "String")]
    pub token: openlora_core::Address,
    pub symbol: String,
    pub decimals: u8,
    pub calls: u64,
    pub charged: Amount,
    pub refund_fees: Amount,
    pub claimed: Amount,
    pub settled: Amount,
    pub released: Amount,
    pub pending: Amount,
    pub uncollectable: Amount,
    pub written_off: Amount,
    pub deferred: Amount,
    pub withdrawable: Amount,
}

pub(super) fn build_report(
    context: &CommandContext,
    income: &IncomeLedger,
    rows: Option<Vec<EarningsRow>>,
) -> Result<EarningsReport, Failure> {
    let mut groups: BTreeMap<(String, u8), Vec<ReceiverKey>> = BTreeMap::new();
    for receiver in income.earnings.receivers() {
        groups
            .entry(income.token(&receiver))
            .or_default()
            .push(receiver);
    }
    let tokens = groups
        .iter()
        .map(|((symbol, decimals), receivers)| {
            let coin = coin(context, *decimals)?;
            let group = MoneyGroup {
                income,
                receivers,
                coin,
            };
            Ok(group.report(symbol, *decimals))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let receivers = income.earnings.receivers();
    let chains = receivers.iter().map(|it| chain(income, it)).collect();
    Ok(EarningsReport {
        tokens,
        chains,
        rows,
        audit: None,
        audit_problems: None,
    })
}

/// Receivers of the same token.
struct MoneyGroup<'a> {
    income: &'a IncomeLedger,
    receivers: &'a [ReceiverKey],
    coin: Option<u128>,
}

impl MoneyGroup<'_> {
    fn report(&self, symbol: &str, decimals: u8) -> TokenReport {
        let all = self.income.earnings.sums_of(self.receivers, DayRange::ALL);
        TokenReport {
            symbol: symbol.to_owned(),
            decimals,
            today: self.period(self.income.days(1)),
            seven_days: self.period(self.income.days(7)),
            thirty_days: self.period(self.income.days(30)),
            all: self.period(DayRange::ALL),
            refund_fees: all.refund_fees,
            pending: all.pending(),
            uncollectable: all.uncollectable,
            written_off: all.written_off,
            deferred: all.deferred,
            withdrawable: all.withdrawable(),
            recipients: recipients(self.income, self.receivers),
        }
    }

    fn period(&self, days: DayRange) -> PeriodReport {
        let earnings = &self.income.earnings;
        let period = earnings.period(self.receivers, days, self.coin);
        PeriodReport {
            calls: period.sums.calls,
            charged: period.sums.charged,
            refund_fees: period.sums.refund_fees,
            settled: period.sums.settled,
            released: period.sums.released,
            gas_wei: period.gas_wei,
            gas: period.gas,
            net: period.net.map(SignedAmount),
        }
    }
}

fn chain(income: &IncomeLedger, receiver: &ReceiverKey) -> ChainReport {
    let sums = income.earnings.sums(*receiver, DayRange::ALL);
    let (symbol, decimals) = income.token(receiver);
    ChainReport {
        network: income.network(receiver).map(|it| it.name.clone()),
        chain_id: receiver.chain_id,
        receiver: receiver.receiver,
        token: receiver.token,
        symbol,
        decimals,
        calls: sums.calls,
        charged: sums.charged,
        refund_fees: sums.refund_fees,
        claimed: sums.claimed,
        settled: sums.settled,
        released: sums.released,
        pending: sums.pending(),
        uncollectable: sums.uncollectable,
        written_off: sums.written_off,
        deferred: sums.deferred,
        withdrawable: sums.withdrawable(),
    }
}

/// Prints the report as text.
pub(super) fn print_report(printer: &Printer, report: &EarningsReport) {
    if report.tokens.is_empty() {
        printer.line("nothing was earned yet");
        printer.hint("take payment for calls: openlora serve --local");
    }
    for token in &report.tokens {
        show_token(printer, token);
    }
    if report.chains.len() > 1 {
        printer.line("");
        for chain in &report.chains {
            let name = chain.network.as_deref().unwrap_or("?");
            let amount = |amount: Amount| shown_amount(&amount.to_string(), chain.decimals);
            printer.line(format!(
                "{name:<13} {} {} charged, {} pending, {} withdrawable at {}",
                amount(chain.charged),
                chain.symbol,
                amount(chain.pending),
                amount(chain.withdrawable),
                chain.receiver
            ));
        }
    }
    if let Some(rows) = &report.rows {
        printer.line("");
        super::table::print_rows(printer, rows);
    }
    if let Some(audited) = &report.audit {
        printer.line("");
        let problems = report.audit_problems.as_deref().unwrap_or_default();
        super::audit::print_audits(printer, audited, problems);
    }
}

fn show_token(printer: &Printer, token: &TokenReport) {
    let amount = |amount: Amount| shown_amount(&amount.to_string(), token.decimals);
    let periods = [
        ("today", &token.today),
        ("7 days", &token.seven_days),
        ("30 days", &token.thirty_days),
        ("all", &token.all),
    ];
    for (name, period) in periods {
        let net = period.net.map_or(String::new(), |net| {
            let sign = if net.0 < 0 { "-" } else { "" };
            let size = shown_amount(&net.0.unsigned_abs().to_string(), token.decimals);
            format!(", net {sign}{size}")
        });
        let gas = period.gas.map_or(String::new(), |gas| {
            format!(" ({} {})", amount(gas), token.symbol)
        });
        printer.line(format!(
            "{name:<14}{:>12} {} from {} calls, gas {} ETH{gas}{net}",
            amount(period.charged),
            token.symbol,
            period.calls,
            shown_amount(&period.gas_wei.to_string(), 18)
        ));
    }
    let sums = [
        (
            "pending",
            token.pending,
            "charged, not yet settled on chain",
        ),
        ("settled", token.all.settled, "arrived at the splitter"),
        (
            "withdrawable",
            token.withdrawable,
            "of it, not yet paid out",
        ),
    ];
    for (name, sum, about) in sums {
        printer.line(format!(
            "{name:<14}{:>12} {}  {about}",
            amount(sum),
            token.symbol
        ));
    }
    let others = [
        (
            "refund fees",
            token.refund_fees,
            "charged for refunds, besides what calls cost",
        ),
        (
            "deferred",
            token.deferred,
            "pending, not yet worth the gas of a claim",
        ),
        (
            "written off",
            token.written_off,
            "not worth the gas of a claim, and withdrawn by payers",
        ),
        (
            "uncollectable",
            token.uncollectable,
            "charged, and taken back by payers before it was claimed",
        ),
    ];
    for (name, sum, about) in others.into_iter().filter(|(_, sum, _)| !sum.is_zero()) {
        printer.line(format!(
            "{name:<14}{:>12} {}  {about}",
            amount(sum),
            token.symbol
        ));
    }
    show_recipients(printer, token);
}

/// What belongs to this home's accounts, and what the others are owed.
fn show_recipients(printer: &Printer, token: &TokenReport) {
    let amount = |amount: Amount| shown_amount(&amount.to_string(), token.decimals);
    let line = |name: &str, sum: Amount, about: &str| {
        printer.line(format!(
            "{name:<14}{:>12} {}  {about}",
            amount(sum),
            token.symbol
        ));
    };
    let (own, others): (Vec<_>, Vec<_>) = token.recipients.iter().partition(|it| it.own);
    let sum = |of: fn(&RecipientReport) -> Amount| own.iter().map(|it| of(it)).sum::<Amount>();
    if !own.is_empty() {
        line("yours", sum(|it| it.earned), "of what was charged");
        line("fetched", sum(|it| it.fetched), "of it, paid out to you");
        let payable: Vec<_> = own.iter().filter(|it| !it.fetchable.is_zero()).collect();
        if payable.is_empty() {
            let about = "of it, nothing has arrived that you could fetch";
            line("to fetch", Amount::ZERO, about);
        }
        // Each account fetches its own part.
        let whose = |it: &RecipientReport| match own.len() {
            1 => "yours".to_owned(),
            _ => format!("{}'s", it.account),
        };
        for it in payable {
            let (whose, command) = (whose(it), it.fetched_by.as_deref().unwrap_or_default());
            let about = match it.pool {
                None => format!("of it, {whose} to fetch now: {command}"),
                Some(pool) => format!(
                    "of it, {whose} to fetch: {command}; from the pool: openlora claim --pool {pool}"
                ),
            };
            line("to fetch", it.fetchable, &about);
        }
    }
    for it in others {
        let owed = it.earned.max(it.collected).saturating_sub(it.fetched);
        let name = it.name.as_deref().unwrap_or("an unnamed account");
        let collected = amount(it.fetchable);
        // A pool pays by itself, also without this server.
        let about = match it.pool.is_some() {
            true => format!(
                "to {name}, {collected} of it for its pool to pay; {}",
                it.account
            ),
            false => format!("to {name}, {collected} of it collected; {}", it.account),
        };
        line("owed", owed, &about);
    }
}
