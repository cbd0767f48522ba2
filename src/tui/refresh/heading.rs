//! The figures above the panes.

use super::{DashModel, TokenMoney};
use crate::{
    figures,
    model::{FeedLink, SumRange},
    money,
    shown::{HeadingView, StateTone},
    text,
};
use openlora_core::{Amount, in_units};
use openlora_ledger::{
    DAY_MS, DayRange, EarningsPeriod, EarningsSums,
    state::board::{Board, DurationHistogram},
};

/// Wei per millionth of a coin.
const GAS_STEP: u128 = 1_000_000_000_000;

pub(super) fn heading(model: &DashModel, money: &TokenMoney) -> HeadingView {
    let board = model.shown_board();
    let days = model.range.days(model.now_ms);
    let period = |range: SumRange| {
        let days = range.days(model.now_ms);
        board.earnings.period(&money.receivers, days, money.coin)
    };
    let (now, all) = (period(model.range), period(SumRange::All));
    let amount = |amount: Amount| model.amount_shown(amount, money.decimals);
    let net = |period: &EarningsPeriod| {
        let net = period.net?;
        Some(money::shown_net(net, money.decimals, model.units))
    };
    let mut heading = HeadingView {
        adapter: adapter(board),
        network: network(model, money),
        link: link(model, board),
        clock: figures::clock(model.now_ms),
        up: up(model, board),
        range: model.range.name(),
        symbol: match model.units {
            money::AmountUnits::Token => symbol(money),
            money::AmountUnits::Base => "base units".to_owned(),
        },
        net: net(&now),
        gross: amount(now.sums.charged),
        gas: match now.gas {
            Some(gas) => format!("−{}", amount(gas)),
            // Millionths of a coin are precise enough here; `earnings --json` has the exact wei.
            None => format!("{} ETH", in_units(now.gas_wei.0.div_ceil(GAS_STEP), 6)),
        },
        settled: amount(now.sums.settled),
        pending: amount(all.sums.pending()),
        withdrawable: amount(all.sums.withdrawable()),
        rare: rare(&all.sums)
            .map(|(name, sum)| (name, amount(sum)))
            .collect(),
        ranges: SumRange::ALL
            .iter()
            .map(|range| (range.name(), period(*range)))
            .map(|(name, it)| (name, amount(it.sums.charged), net(&it)))
            .collect(),
        queue: figures::count(board.open.len() as u64),
        ..HeadingView::default()
    };
    pace(model, board, money, days, &mut heading);
    heading
}

/// Sums over all time that most journals do not have, as `earnings` names them.
fn rare(sums: &EarningsSums) -> impl Iterator<Item = (&'static str, Amount)> {
    let each = [
        ("uncollectable", sums.uncollectable),
        ("written off", sums.written_off),
        ("deferred", sums.deferred),
        ("refund fees", sums.refund_fees),
    ];
    each.into_iter().filter(|(_, sum)| !sum.is_zero())
}

/// Calls, errors, tokens and their price over the range; speed over the last ten seconds.
fn pace(
    model: &DashModel,
    board: &Board,
    money: &TokenMoney,
    days: DayRange,
    heading: &mut HeadingView,
) {
    let (mut calls, mut failed, mut tokens) = (0u64, 0u64, 0u64);
    let mut first_token = DurationHistogram::default();
    let mut charged = Amount::ZERO;
    for slot in board.pace.days.since(days.first) {
        calls += slot.calls;
        failed += slot.failed;
        tokens += slot.prompt_tokens + slot.completion_tokens;
        first_token.merge(&slot.first_token);
        charged = charged.saturating_add(slot.charged(&money.receivers));
    }
    heading.calls = figures::count(calls);
    heading.errors = figures::percent(figures::ppm(failed.into(), calls.into()));
    heading.has_errors = failed > 0;
    let second = model.now_ms / 1_000;
    let lately = board.pace.seconds.since(second.saturating_sub(10));
    let whole = lately.filter(|slot| slot.index < second);
    let delivered: u64 = whole.map(|slot| slot.completion_tokens).sum();
    heading.tokens_per_second = format!("{}.{}", delivered / 10, delivered % 10);
    heading.first_token = quantiles(&first_token);
    let per_thousand = charged.0.saturating_mul(1_000) / u128::from(tokens.max(1));
    heading.per_thousand = model.amount_shown(Amount(per_thousand), money.decimals);
}

/// `p50/p95` in milliseconds; a dash if there are none.
pub(super) fn quantiles(durations: &DurationHistogram) -> String {
    let at = |permille| {
        let found = durations.quantile_ms(permille);
        found.map_or("–".to_owned(), figures::format_duration)
    };
    format!("{}/{}", at(500), at(950))
}

pub(super) fn adapter(board: &Board) -> String {
    let latest = board.adapters.iter().max_by_key(|(_, it)| it.loaded_ms);
    let Some((name, loaded)) = latest else {
        return board.deployment.as_ref().map_or(String::new(), |it| {
            format!("{} {}", text::clean(&it.name), text::clean(&it.release))
        });
    };
    let digest: String = loaded.digest.chars().take(4).collect();
    let more = board.adapters.len() - 1;
    let others = if more > 0 {
        format!(" +{more}")
    } else {
        String::new()
    };
    format!("{}@{}{others}", text::clean(name), text::clean(&digest))
}

/// A token that is not configured is named by its shortened address.
fn symbol(money: &TokenMoney) -> String {
    match money.symbol.strip_prefix("base units of ") {
        Some(address) => format!("base units of {}", text::short_id(address)),
        None => text::clean(&money.symbol).into_owned(),
    }
}

fn network(model: &DashModel, money: &TokenMoney) -> String {
    let mut chains: Vec<u64> = money.receivers.iter().map(|it| it.chain_id).collect();
    chains.dedup();
    let name = |chain: u64| {
        let known = model.options.tokens.iter().find(|it| it.chain_id == chain);
        known.map_or(format!("chain {chain}"), |it| {
            format!("{} {chain}", text::clean(&it.network))
        })
    };
    match (&chains[..], model.options.tokens.first()) {
        ([], Some(token)) => name(token.chain_id),
        _ => {
            let names: Vec<String> = chains.iter().map(|it| name(*it)).collect();
            names.join(", ")
        }
    }
}

fn link(model: &DashModel, board: &Board) -> (StateTone, String) {
    let since = |since_ms: u64| match model.now_ms.saturating_sub(since_ms) / 1_000 {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds => figures::span(seconds * 1_000),
    };
    let waiting = |text: &str| (StateTone::Waiting, text.to_owned());
    match model.link {
        link if model.training.is_some() && !link.is_over() => waiting("▶ training"),
        // Nothing is stale before the first server.
        FeedLink::Stale { .. } if model.board.session.is_none() => waiting("◌ waiting"),
        FeedLink::Reading { done, total } => {
            let part = figures::percent(figures::ppm(done.into(), total.into()));
            (StateTone::Waiting, format!("◌ reading the journal {part}"))
        }
        FeedLink::Live => match gas_alarm(model, board) {
            Some(alarm) => (StateTone::Bad, format!("● live, {alarm}")),
            None => (StateTone::Good, "● live".to_owned()),
        },
        FeedLink::Stale { since_ms } => (StateTone::Bad, format!("○ stale {}", since(since_ms))),
        FeedLink::Reconnecting { since_ms } => {
            let text = format!("◌ stale {}, reconnecting", since(since_ms));
            (StateTone::Bad, text)
        }
        FeedLink::Replay => waiting("▶ replay"),
        FeedLink::Ended => waiting("■ replay ended"),
        FeedLink::Finished => (StateTone::Good, "■ finished".to_owned()),
        FeedLink::Failed => (StateTone::Bad, "✗ failed".to_owned()),
    }
}

/// Why payers' transactions are not sent, on the day (UTC) on which this was detected.
fn gas_alarm(model: &DashModel, board: &Board) -> Option<&'static str> {
    let alarm = board.gas_alarm?;
    let is_of_today = alarm.time_ms / DAY_MS == model.now_ms / DAY_MS;
    is_of_today.then_some(match alarm.is_budget {
        true => "gas budget spent",
        false => "gas low",
    })
}

fn up(model: &DashModel, board: &Board) -> String {
    let Some(session) = &board.session else {
        return "no server yet".to_owned();
    };
    match session.stopped_ms {
        Some(stopped) => format!("stopped {}", figures::clock(stopped % DAY_MS)),
        None => {
            let up = model.now_ms.saturating_sub(session.started_ms);
            format!("up {}", figures::span(up))
        }
    }
}
