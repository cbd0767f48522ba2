//! Rows of the panes: filtered, sorted, and limited to the visible ones.

use super::{DashModel, TokenMoney};
use crate::{
    figures,
    filter::kind_name,
    layout::Pane,
    model::{RowSelection, RowSort},
    shown::{AttributionLine, CallLine, ListPage, RewardPart, SumLine, TotalLine},
    sums::{self, REST, SumRow},
    text,
};
use openlora_core::Amount;
use openlora_ledger::state::board::{Board, BoardCall, MICRO, PaymentStanding};

/// Adjusts offset and position so that the selected row stays visible.
fn placed(ids: &[&str], selection: &RowSelection, fits: usize) -> RowSelection {
    let mut next = selection.clone();
    if ids.is_empty() {
        return RowSelection::default();
    }
    let found = selection.id.as_deref();
    let found = found.and_then(|id| ids.iter().position(|it| *it == id));
    next.at = match (&selection.id, found) {
        (_, Some(at)) => at,
        (Some(_), None) => selection.at.min(ids.len() - 1),
        (None, None) => 0,
    };
    if selection.id.is_some() && found.is_none() {
        next.id = Some(ids[next.at].to_owned());
    }
    let fits = fits.max(1);
    let last = ids.len().saturating_sub(fits);
    next.offset = next
        .offset
        .clamp((next.at + 1).saturating_sub(fits), next.at)
        .min(last);
    next
}

/// The visible part of the rows.
fn page<T, R>(
    rows: &[T],
    selection: &RowSelection,
    fits: usize,
    all: usize,
    line: impl Fn(&T) -> R,
) -> ListPage<R> {
    let shown = rows.iter().skip(selection.offset).take(fits);
    ListPage {
        rows: shown.map(line).collect(),
        all,
        total: rows.len(),
        offset: selection.offset,
        selected: (!rows.is_empty()).then(|| selection.at - selection.offset),
    }
}

/// The calls that match the filter, sorted, each with its payment state.
pub(crate) fn filtered_calls<'a>(
    model: &DashModel,
    board: &'a Board,
    decimals: u8,
) -> Vec<(&'a BoardCall, PaymentStanding)> {
    let filter = &model.filter.filter;
    let newest = board.calls.iter().rev();
    let with = newest.map(|call| (call, board.payment_standing(call).0));
    let mut calls: Vec<_> = with
        .filter(|(call, standing)| filter.passes(call, *standing, decimals))
        .collect();
    let amount = |call: &BoardCall| call.charge.as_ref().map(|it| it.amount);
    let tokens = |call: &BoardCall| call.usage.prompt_tokens + call.usage.completion_tokens;
    let RowSort { column, reversed } = model.sort(Pane::Calls);
    match column {
        1 => calls.sort_by_key(|(call, _)| std::cmp::Reverse(amount(call))),
        2 => calls.sort_by_key(|(call, _)| std::cmp::Reverse(call.milliseconds)),
        3 => calls.sort_by_key(|(call, _)| std::cmp::Reverse(tokens(call))),
        _ => {}
    }
    if reversed {
        calls.reverse();
    }
    calls
}

pub(super) fn calls(
    model: &DashModel,
    money: &TokenMoney,
    fits: usize,
) -> (ListPage<CallLine>, RowSelection) {
    let board = model.shown_board();
    let calls = filtered_calls(model, board, money.decimals);
    let ids: Vec<&str> = calls.iter().map(|(it, _)| it.request_id.as_str()).collect();
    let selection = placed(&ids, model.selection(Pane::Calls), fits);
    let page = page(
        &calls,
        &selection,
        fits,
        board.calls.iter().len(),
        |(call, standing)| {
            let charge = call.charge.as_ref();
            CallLine {
                id: call.request_id.clone(),
                time: figures::clock(call.time_ms),
                payer: charge.map_or("–".to_owned(), |it| text::short_id(&it.payer.to_string())),
                adapter: text::clean(&call.adapter).into_owned(),
                kind: kind_name(call.kind),
                tokens: tokens(call),
                took: figures::format_duration(call.milliseconds),
                amount: charge.map_or("free".to_owned(), |it| {
                    model.amount_shown(it.amount, money.decimals)
                }),
                standing: *standing,
            }
        },
    );
    (page, selection)
}

fn tokens(call: &BoardCall) -> String {
    let shown = figures::count;
    let usage = call.usage;
    if let Some(made) = call.made {
        return format!("{}p/{}e", shown(made.pictures), shown(made.evaluations));
    }
    format!(
        "{}/{}",
        shown(usage.prompt_tokens),
        shown(usage.completion_tokens)
    )
}

/// A call's shares, and whether they are final.
fn parts(call: &BoardCall) -> Option<(Vec<RewardPart>, bool)> {
    let named = |name: &str, ppm: u64| RewardPart {
        name: text::clean(name).into_owned(),
        ppm,
    };
    let Some(attribution) = &call.attribution else {
        let shares = call.trace.as_ref()?.shares.iter();
        let parts = shares.map(|it| named(&it.contributor, it.ppm.into()));
        return Some((parts.collect(), false));
    };
    let parts = match &attribution.amounts {
        Some(amounts) => {
            let whole: Amount = amounts.iter().map(|it| it.micro).sum();
            let each = amounts.iter();
            each.map(|it| named(&it.recipient, figures::ppm(it.micro.0, whole.0)))
                .collect()
        }
        None => {
            let each = attribution.shares.iter();
            each.map(|it| named(&it.contributor, it.ppm.into()))
                .collect()
        }
    };
    Some((parts, true))
}

/// The calls with an attribution, the newest first by default.
fn attributed<'a>(
    model: &DashModel,
    board: &'a Board,
    decimals: u8,
) -> Vec<(&'a BoardCall, PaymentStanding)> {
    let mut calls = filtered_calls(model, board, decimals);
    calls.retain(|(call, _)| call.attribution.is_some() || call.trace.is_some());
    calls.sort_by_key(|(call, _)| std::cmp::Reverse(call.sequence));
    let RowSort { column, reversed } = model.sort(Pane::Attribution);
    if column == 1 {
        let amount = |call: &BoardCall| call.charge.as_ref().map(|it| it.amount);
        calls.sort_by_key(|(call, _)| std::cmp::Reverse(amount(call)));
    }
    if reversed {
        calls.reverse();
    }
    calls
}

/// The ids of a pane's rows, including those that are not visible.
pub(crate) fn ids(model: &DashModel, money: &TokenMoney, pane: Pane) -> Vec<String> {
    let of_calls = |calls: Vec<(&BoardCall, PaymentStanding)>| {
        let each = calls.iter();
        each.map(|(call, _)| call.request_id.clone()).collect()
    };
    let board = model.shown_board();
    match pane {
        Pane::Calls => of_calls(filtered_calls(model, board, money.decimals)),
        Pane::Attribution => of_calls(attributed(model, board, money.decimals)),
        Pane::Sums => sorted_sums(model, money).iter().map(SumRow::id).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn attribution(
    model: &DashModel,
    money: &TokenMoney,
    fits: usize,
) -> (ListPage<AttributionLine>, RowSelection) {
    let board = model.shown_board();
    let all = board.calls.iter();
    let all = all
        .filter(|it| it.attribution.is_some() || it.trace.is_some())
        .count();
    let calls = attributed(model, board, money.decimals);
    let ids: Vec<&str> = calls.iter().map(|(it, _)| it.request_id.as_str()).collect();
    let selection = placed(&ids, model.selection(Pane::Attribution), fits);
    let page = page(&calls, &selection, fits, all, |(call, _)| {
        let (mut parts, settled) = parts(call).unwrap_or_default();
        parts.sort_by_key(|part| std::cmp::Reverse(part.ppm));
        let charge = call.charge.as_ref();
        AttributionLine {
            id: call.request_id.clone(),
            time: figures::clock(call.time_ms),
            amount: charge.map_or("free".to_owned(), |it| {
                model.amount_shown(it.amount, money.decimals)
            }),
            settled,
            parts,
        }
    });
    (page, selection)
}

/// The rows of the chosen group, sorted.
pub(crate) fn sorted_sums(model: &DashModel, money: &TokenMoney) -> Vec<SumRow> {
    let days = model.range.days(model.now_ms);
    let mut rows = sums::rows(model.shown_board(), money, days, model.group);
    let RowSort { column, reversed } = model.sort(Pane::Sums);
    match column {
        1 => rows.sort_by_key(|row| std::cmp::Reverse(row.calls)),
        2 => {}
        _ => rows.sort_by_key(|row| std::cmp::Reverse(row.micro)),
    }
    if reversed {
        rows.reverse();
    }
    // Unattributed amounts come last in every sort order.
    rows.sort_by_key(|row| row.name == REST);
    rows
}

pub(super) fn sums(
    model: &DashModel,
    money: &TokenMoney,
    fits: usize,
) -> (ListPage<SumLine>, TotalLine, RowSelection) {
    let rows = sorted_sums(model, money);
    let micro = rows
        .iter()
        .fold(0u128, |sum, row| sum.saturating_add(row.micro));
    let ids: Vec<String> = rows.iter().map(SumRow::id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let selection = placed(&ids, model.selection(Pane::Sums), fits);
    let page = page(&rows, &selection, fits, rows.len(), |row| SumLine {
        id: row.id(),
        name: match row.address {
            Some(address) if row.name == address.to_string() => row.name.clone(),
            Some(address) => format!(
                "{}  {}",
                text::clean(&row.name),
                text::short_id(&address.to_string())
            ),
            None => text::clean(&row.name).into_owned(),
        },
        calls: figures::count(row.calls),
        amount: model.micro_shown(row.micro, money.decimals),
        ppm: figures::ppm(row.micro, micro),
        paid: row
            .paid
            .filter(|it| !it.is_zero())
            .map(|it| model.micro_shown(it.0.saturating_mul(MICRO), money.decimals)),
        rest: row.name == REST,
    });
    let total = TotalLine {
        group: model.group.name(),
        range: model.range.name(),
        micro,
        amount: model.micro_shown(micro, money.decimals),
        rows: rows.len(),
    };
    (page, total, selection)
}
