//! The detail view opened with Enter: a call's receipt, the explanation of its shares, and its
//! transactions; or a row of the sums by day.

use super::{
    figures,
    filter::{finish_name, kind_name},
    layout::Pane,
    model::{DashModel, PaneOverlay},
    money::TokenMoney,
    shown::{CallLine, DetailLine, ListPage},
    sums::{self, SumGroup},
    text,
    theme::standing_words,
};
use openlora_core::{Amount, calendar};
use openlora_ledger::{
    DayRange,
    event::AttributionMethod,
    fallback_reason,
    state::board::{Board, BoardCall, CallAttribution, MICRO, PaymentStanding},
};

use DetailLine::{Bar, Blank, Field, Heading, Text};

/// The lines of the open row; empty if none is open.
pub fn lines(model: &DashModel) -> Vec<DetailLine> {
    let PaneOverlay::Detail { pane, id, .. } = &model.overlay else {
        return Vec::new();
    };
    let Some(money) = model.chosen_money() else {
        return Vec::new();
    };
    match pane {
        Pane::Sums => sum(model, money, id),
        _ => match model.shown_board().calls.get(id) {
            Some(found) => call(model, money, found),
            None => vec![Text(format!("call {id} is older than the calls kept here"))],
        },
    }
}

/// The id of the selected row, which Enter opens.
pub fn selected_id(model: &DashModel, pane: Pane) -> Option<String> {
    fn row_id<T>(page: &ListPage<T>, id: fn(&T) -> &str) -> Option<String> {
        Some(id(page.rows.get(page.selected?)?).to_owned())
    }
    match pane {
        Pane::Calls => row_id(&model.shown.calls, |row: &CallLine| &row.id),
        Pane::Attribution => row_id(&model.shown.attribution, |row| &row.id),
        Pane::Sums => row_id(&model.shown.sums, |row| &row.id),
        Pane::Inflow | Pane::Pace | Pane::Flow => None,
    }
}

fn call(model: &DashModel, money: &TokenMoney, call: &BoardCall) -> Vec<DetailLine> {
    let board = model.shown_board();
    let (standing, tx) = board.payment_standing(call);
    let (sign, word) = standing_words(standing);
    let usage = call.usage;
    let mut lines = vec![
        Heading("Receipt".to_owned()),
        Field("call", call.request_id.clone()),
        DetailLine::Standing(standing, format!("{sign} {word}")),
        Field(
            "time",
            format!(
                "{} UTC, record {}",
                figures::moment(call.time_ms),
                call.sequence
            ),
        ),
        Field(
            "adapter",
            format!("{} {}", call.adapter, call.adapter_digest),
        ),
        Field(
            "work",
            format!(
                "{}, {} tokens in, {}, ended with {}",
                kind_name(call.kind),
                usage.prompt_tokens,
                output(call),
                finish_name(call.finish)
            ),
        ),
        Field("took", took(call)),
    ];
    if let Some(charge) = &call.charge {
        let amount = model.amount_shown(charge.amount, money.decimals);
        lines.push(Field("charged", format!("{amount} {}", money.symbol)));
        lines.push(Field("payer", charge.payer.to_string()));
        lines.push(Field(
            "paid to",
            format!("{} on chain {}", charge.receiver, charge.chain_id),
        ));
        lines.push(Field(
            "paid from",
            format!("{:?} {}", charge.scheme, charge.id),
        ));
    }
    lines.push(Blank);
    why(model, money, call, &mut lines);
    lines.push(Blank);
    transactions(board, call, standing, tx, &mut lines);
    lines
}

/// What came out of the model.
fn output(call: &BoardCall) -> String {
    match call.made {
        Some(made) => format!(
            "{} out by {} evaluations",
            figures::counted(made.pictures, "picture"),
            made.evaluations
        ),
        None => format!("{} out", call.usage.completion_tokens),
    }
}

fn took(call: &BoardCall) -> String {
    let first = call.first_token_milliseconds;
    let first = first.map_or(String::new(), |ms| format!(", first token after {ms} ms"));
    format!("{} ms{first}", call.milliseconds)
}

/// Method, shares, examples and spans.
fn why(model: &DashModel, money: &TokenMoney, call: &BoardCall, lines: &mut Vec<DetailLine>) {
    match &call.attribution {
        Some(attribution) => attributed(model, money, attribution, lines),
        None => {
            lines.push(Heading("Who shaped the answer".to_owned()));
            lines.push(Text("not attributed yet".to_owned()));
        }
    }
    let Some(trace) = &call.trace else { return };
    lines.push(Blank);
    let covered = figures::percent(trace.covered_ppm.into());
    lines.push(Heading(format!(
        "Repeated training text: {covered} of the answer"
    )));
    for span in &trace.spans {
        let example = span.examples.first().map_or(String::new(), |it| {
            format!(", such as {}", text::short_id(it))
        });
        lines.push(Text(format!(
            "tokens {} to {} stand in {} documents{example}",
            span.start,
            u64::from(span.start) + u64::from(span.tokens),
            span.documents
        )));
    }
}

fn attributed(
    model: &DashModel,
    money: &TokenMoney,
    it: &CallAttribution,
    lines: &mut Vec<DetailLine>,
) {
    let percent = |ppm: u32| figures::percent(ppm.into());
    lines.push(Heading("Who shaped the answer".to_owned()));
    let method = match it.method {
        AttributionMethod::Influence => "influence: gradients at checkpoints, damped Fisher",
        AttributionMethod::Datainf => "datainf: gradients at the last checkpoint",
        AttributionMethod::Gradient => "gradient: dot products at the last checkpoint",
        AttributionMethod::Static => "static: the shares that stand in the package",
    };
    lines.push(Field("method", method.to_owned()));
    if let Some(fallback) = &it.fallback {
        lines.push(Field("because", fallback_reason(fallback).to_owned()));
    }
    if let Some(index) = &it.index {
        lines.push(Field("index", index.clone()));
    }
    lines.push(Field(
        "weights",
        format!(
            "{} by this call ({} copied); leader has {}",
            percent(it.evidence_ppm),
            percent(it.trace_ppm),
            percent(it.confidence_ppm)
        ),
    ));
    lines.push(Field(
        "decided",
        format!("{} ms after the call", it.lag_milliseconds),
    ));
    match &it.amounts {
        Some(amounts) => {
            let whole: Amount = amounts.iter().map(|part| part.micro).sum();
            for part in amounts {
                let amount = model.micro_shown(part.micro.0, money.decimals);
                let ppm = figures::ppm(part.micro.0, whole.0);
                lines.push(Bar(
                    part.recipient.clone(),
                    ppm,
                    format!("{amount} {}", money.symbol),
                ));
            }
        }
        None => {
            for share in &it.shares {
                lines.push(Bar(
                    share.contributor.clone(),
                    share.ppm.into(),
                    String::new(),
                ));
            }
        }
    }
    if !it.examples.is_empty() {
        lines.push(Blank);
        lines.push(Heading("Examples that counted most".to_owned()));
    }
    for example in &it.examples {
        let id = text::short_id(&example.example);
        lines.push(Bar(
            example.contributor.clone(),
            example.ppm.into(),
            format!("example {id}"),
        ));
    }
}

fn transactions(
    board: &Board,
    call: &BoardCall,
    standing: PaymentStanding,
    tx: Option<&str>,
    lines: &mut Vec<DetailLine>,
) {
    lines.push(Heading("On the chain".to_owned()));
    match (standing, tx) {
        (PaymentStanding::Settled, Some(tx)) => lines.push(Field("settled by", tx.to_owned())),
        (PaymentStanding::Claimed, Some(tx)) => lines.push(Field("claimed by", tx.to_owned())),
        (PaymentStanding::Settled, None) => {
            lines.push(Text(
                "paid by a transfer of its own, before the call".to_owned(),
            ));
        }
        (PaymentStanding::Pending, _) => {
            lines.push(Text("signed for by the payer, not claimed yet".to_owned()));
        }
        _ => lines.push(Text("nothing to move".to_owned())),
    }
    let sent = tx.and_then(|tx| board.transactions.iter().find(|sent| sent.tx == tx));
    if let Some(sent) = sent {
        let block = sent
            .block
            .map_or(String::new(), |block| format!(", block {block}"));
        lines.push(Field("purpose", format!("{}{block}", sent.purpose)));
    }
    match board.root_of(call) {
        Some(root) => {
            lines.push(Field(
                "root",
                format!(
                    "{} of {} calls, as the server states",
                    root.root, root.count
                ),
            ));
            lines.push(Field("anchored by", root.tx.clone()));
        }
        None if call.attribution.is_some() => {
            lines.push(Text("in no anchored root yet".to_owned()));
        }
        None => {}
    }
}

/// A row of the sums by day, the newest day first.
fn sum(model: &DashModel, money: &TokenMoney, id: &str) -> Vec<DetailLine> {
    let board = model.shown_board();
    let of_all_time = sums::rows(board, money, DayRange::ALL, model.group);
    let found = of_all_time.iter().find(|row| row.id() == id);
    let name = found.map_or(id, |row| &row.name);
    let mut lines = vec![Heading(format!("{} {name}", model.group.name()))];
    let days: Vec<u64> = {
        let of = board
            .earnings
            .calls()
            .filter(|(key, _)| money.receivers.contains(&key.receiver));
        let mut days: Vec<u64> = of.map(|(key, _)| key.day).collect();
        days.sort_unstable();
        days.dedup();
        days.into_iter().rev().collect()
    };
    let mut whole = 0u128;
    for day in days {
        let one = DayRange {
            first: day,
            last: day,
        };
        let rows = sums::rows(board, money, one, model.group);
        let all = rows
            .iter()
            .fold(0u128, |sum, row| sum.saturating_add(row.micro));
        for row in rows.iter().filter(|row| row.id() == id) {
            whole = whole.saturating_add(row.micro);
            let amount = model.micro_shown(row.micro, money.decimals);
            let calls = figures::count(row.calls);
            let text = format!("{amount} {} from {calls} calls", money.symbol);
            lines.push(Bar(calendar::date(day), figures::ppm(row.micro, all), text));
        }
    }
    lines.push(Blank);
    let whole = model.micro_shown(whole, money.decimals);
    lines.push(Field("together", format!("{whole} {}", money.symbol)));
    if let Some(row) = found.filter(|_| model.group == SumGroup::Contributor) {
        if let Some(address) = row.address {
            lines.push(Field("account", address.to_string()));
        }
        let paid = row.paid.unwrap_or(Amount::ZERO).0.saturating_mul(MICRO);
        let paid = model.micro_shown(paid, money.decimals);
        lines.push(Field(
            "paid out",
            format!("{paid} {} from pools", money.symbol),
        ));
    }
    lines
}
