//! Export of the focused pane's rows to a file: all that pass the filter, in display order, amounts
//! in base units.

use serde_json::{Value, json};

use super::{
    figures,
    filter::{finish_name, kind_name},
    layout::Pane,
    model::DashModel,
    money::TokenMoney,
    refresh::{filtered_calls, sorted_sums},
    sums::SumRow,
    theme::standing_words,
};
use openlora_core::{in_units, private::foreign_text::escape_json};
use openlora_ledger::state::board::BoardCall;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    Csv,
    Json,
}

/// A file's name and contents; none for a pane without rows.
pub fn export(model: &DashModel, pane: Pane, format: ExportFormat) -> Option<(String, String)> {
    let money = model.chosen_money()?;
    let (name, rows) = match pane {
        Pane::Calls => ("calls", calls(model, money)),
        Pane::Attribution => ("attribution", attributions(model, money)),
        Pane::Sums => (model.group.name(), sums(model, money)),
        Pane::Inflow | Pane::Pace | Pane::Flow => return None,
    };
    let stamp = figures::stamp(model.now_ms);
    Some(match format {
        ExportFormat::Csv => (format!("openlora-{name}-{stamp}.csv"), csv(&rows)),
        ExportFormat::Json => {
            let text = serde_json::to_string_pretty(&rows).unwrap_or_default();
            (
                format!("openlora-{name}-{stamp}.json"),
                format!("{}\n", escape_json(&text)),
            )
        }
    })
}

fn calls(model: &DashModel, money: &TokenMoney) -> Vec<Value> {
    let calls = filtered_calls(model, model.shown_board(), money.decimals);
    let row = |(call, standing): &(&BoardCall, _)| {
        let charge = call.charge.as_ref();
        json!({
            "sequence": call.sequence,
            "time": figures::moment(call.time_ms),
            "request_id": call.request_id,
            "adapter": call.adapter,
            "kind": kind_name(call.kind),
            "prompt_tokens": call.usage.prompt_tokens,
            "completion_tokens": call.usage.completion_tokens,
            "pictures": call.made.map(|it| it.pictures),
            "evaluations": call.made.map(|it| it.evaluations),
            "milliseconds": call.milliseconds,
            "finish": finish_name(call.finish),
            "payer": charge.map(|it| it.payer.to_string()),
            "amount": charge.map(|it| it.amount),
            "symbol": money.symbol,
            "status": standing_words(*standing).1,
        })
    };
    calls.iter().map(row).collect()
}

/// One row per call and recipient, in millionths of base units.
fn attributions(model: &DashModel, money: &TokenMoney) -> Vec<Value> {
    let calls = filtered_calls(model, model.shown_board(), money.decimals);
    let mut rows = Vec::new();
    for (call, _) in calls {
        let amounts = call.attribution.iter().flat_map(|it| &it.amounts).flatten();
        rows.extend(amounts.map(|part| {
            json!({
                "request_id": call.request_id,
                "time": figures::moment(call.time_ms),
                "recipient": part.recipient,
                "address": part.address,
                "micro": part.micro,
                "symbol": money.symbol,
            })
        }));
    }
    rows
}

fn sums(model: &DashModel, money: &TokenMoney) -> Vec<Value> {
    let rows = sorted_sums(model, money);
    let row = |row: &SumRow| {
        json!({
            "key": row.name,
            "address": row.address,
            "calls": row.calls,
            // Base units, with millionths as decimals.
            "amount": in_units(row.micro, 6),
            "symbol": money.symbol,
            "range": model.range.name(),
        })
    };
    rows.iter().map(row).collect()
}

/// With a header line (RFC 4180).
fn csv(rows: &[Value]) -> String {
    let Some(Value::Object(first)) = rows.first() else {
        return String::new();
    };
    let mut text = first.keys().cloned().collect::<Vec<_>>().join(",") + "\r\n";
    for row in rows {
        let fields = row.as_object().into_iter().flat_map(|row| row.values());
        let fields: Vec<String> = fields.map(field).collect();
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A text that a spreadsheet would interpret as a formula is prefixed with an apostrophe.
fn field(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => super::text::clean(text).into_owned(),
        other => return other.to_string(),
    };
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text };
    match text.contains([',', '"']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}
