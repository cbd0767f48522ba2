//! One row per day, adapter, payer or contributor.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{EarningsGrouping, IncomeLedger};
use crate::commands::printer::Printer;
use openlora_chain::balance::shown_amount;
use openlora_core::{
    Amount,
    calendar::date,
    error::{ExitClass, Failure},
};
use openlora_ledger::{CallsKey, DayRange, ReceiverKey};

/// Amounts are in base units.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EarningsRow {
    /// The day, the adapter's name, or the account.
    pub key: String,
    /// The contributor's name; null if it is unknown, and for other rows.
    pub name: Option<String>,
    /// The token's symbol, such as `dUSD`.
    pub symbol: String,
    pub decimals: u8,
    /// None for contributors, whose share is not counted in calls.
    pub calls: Option<u64>,
    pub charged: Amount,
    /// None if it is unknown which payer's or adapter's money was settled.
    pub settled: Option<Amount>,
    pub released: Option<Amount>,
}

type RowKey = (String, String, u8);

pub(super) fn rows(income: &IncomeLedger, by: EarningsGrouping) -> Vec<EarningsRow> {
    let mut rows: BTreeMap<RowKey, EarningsRow> = BTreeMap::new();
    if by == EarningsGrouping::Contributor {
        for receiver in income.earnings.receivers() {
            add_accruals(income, receiver, &mut rows);
        }
        return rows.into_values().collect();
    }
    for (key, calls) in income.earnings.calls() {
        let row = row(income, &mut rows, &key.receiver, name(key, by));
        row.charged = row.charged.saturating_add(calls.charged);
        let before = row.calls.unwrap_or_default();
        row.calls = Some(before.saturating_add(calls.calls));
    }
    rows.into_values().collect()
}

fn name(key: &CallsKey, by: EarningsGrouping) -> String {
    match by {
        EarningsGrouping::Day => date(key.day),
        EarningsGrouping::Adapter => key.adapter.clone(),
        EarningsGrouping::Payer | EarningsGrouping::Contributor => key.payer.to_string(),
    }
}

fn row<'a>(
    income: &IncomeLedger,
    rows: &'a mut BTreeMap<RowKey, EarningsRow>,
    receiver: &ReceiverKey,
    key: String,
) -> &'a mut EarningsRow {
    let (symbol, decimals) = income.token(receiver);
    let place = (key.clone(), symbol.clone(), decimals);
    rows.entry(place).or_insert_with(|| EarningsRow {
        key,
        name: None,
        symbol,
        decimals,
        calls: None,
        charged: Amount::ZERO,
        settled: None,
        released: None,
    })
}

fn add_accruals(
    income: &IncomeLedger,
    receiver: ReceiverKey,
    rows: &mut BTreeMap<RowKey, EarningsRow>,
) {
    for (account, accrual) in income
        .earnings
        .accruals(receiver, DayRange::ALL, &income.allotted)
    {
        let row = row(income, rows, &receiver, account.to_string());
        row.name = income.recipients.name(account);
        let more = |sum: Option<Amount>, add: Amount| {
            Some(sum.unwrap_or(Amount::ZERO).saturating_add(add))
        };
        row.charged = row.charged.saturating_add(accrual.charged);
        row.settled = more(row.settled, accrual.settled);
        row.released = more(row.released, accrual.released);
    }
}

/// With a header line; amounts in base units.
pub(super) fn csv(rows: &[EarningsRow]) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(ExitClass::Internal, format!("cannot write CSV: {error}"))
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

pub(super) fn print_rows(printer: &Printer, rows: &[EarningsRow]) {
    for row in rows {
        let amount = |amount: Amount| shown_amount(&amount.to_string(), row.decimals);
        let calls = row
            .calls
            .map_or(String::new(), |calls| format!("  {calls} calls"));
        let settled = row.settled.map_or(String::new(), |settled| {
            format!("  {} settled", amount(settled))
        });
        let name = row
            .name
            .as_ref()
            .map_or(String::new(), |name| format!("  {name}"));
        printer.line(format!(
            "{:<43} {:>12} {}{calls}{settled}{name}",
            row.key,
            amount(row.charged),
            row.symbol
        ));
    }
}
