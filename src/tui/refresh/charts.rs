//! Chart bars over time, and the lanes of the payment flow.

use super::{DashModel, TokenMoney, heading::quantiles};
use crate::{
    figures,
    flow::FlowLeg,
    layout::{Pane, ScreenLayout},
    model::ChartWindow,
    shown::{BarSeries, ChartView, FlowDot, FlowLane, FlowLanes},
    sums::{self, REST, SumGroup},
    text,
};
use openlora_core::Amount;
use openlora_ledger::state::board::{DurationHistogram, MICRO, PaceSlot, SlotRing};

/// Slots per bar, and number of bars, of a window at its finest.
fn shape(window: ChartWindow) -> (u64, u64) {
    match window {
        ChartWindow::Minute | ChartWindow::Hour => (1, 60),
        ChartWindow::Day => (30, 48),
        ChartWindow::Month => (1, 30),
    }
}

/// How many of `bars` bars share a column so that all of them fit into `columns`. It divides the
/// number of bars, so that every column covers the same time and together they cover the window.
fn merged_bars(bars: u64, columns: u16) -> u64 {
    let fits = |per: &u64| bars.is_multiple_of(*per) && bars / per <= u64::from(columns.max(1));
    (1..=bars).find(fits).unwrap_or(bars)
}

/// A duration of whole seconds, minutes, hours or days.
fn bar_duration(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (86_400_000, "day"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1_000, "s"),
    ];
    let whole = UNITS.iter().find(|(unit, _)| ms.is_multiple_of(*unit));
    let (unit, name) = whole.copied().unwrap_or((1, "ms"));
    let count = ms / unit;
    let plural = if name == "day" && count > 1 { "s" } else { "" };
    format!("{count} {name}{plural}")
}

pub(super) fn charts(model: &DashModel, money: &TokenMoney, layout: &ScreenLayout) -> ChartView {
    let pace = &model.shown_board().pace;
    let ring = match model.window {
        ChartWindow::Minute => &pace.seconds,
        ChartWindow::Hour | ChartWindow::Day => &pace.minutes,
        ChartWindow::Month => &pace.days,
    };
    let (group, bars) = shape(model.window);
    let panes = [Pane::Inflow, Pane::Pace].into_iter();
    let narrowest = panes.filter_map(|pane| layout.chart_columns(pane)).min();
    let merged = merged_bars(bars, narrowest.unwrap_or(u16::MAX));
    let (group, bars) = (group * merged, bars / merged);
    let (slots, from_ms) = grouped(ring, model.now_ms, group, bars);
    let each = |value: fn(&PaceSlot) -> u128| slots.iter().map(value).collect::<Vec<_>>();
    let charged: Vec<u128> = slots
        .iter()
        .map(|it| it.charged(&money.receivers).0)
        .collect();
    let shown = |amount: u128| model.micro_shown(amount.saturating_mul(MICRO), money.decimals);
    let calls = each(|slot| slot.calls.into());
    let latency = each(|slot| slot.latency.quantile_ms(950).unwrap_or(0).into());
    let merged = |of: fn(&PaceSlot) -> &DurationHistogram| {
        let mut all = DurationHistogram::default();
        slots.iter().for_each(|slot| all.merge(of(slot)));
        quantiles(&all)
    };
    ChartView {
        window: model.window.name(),
        step: bar_duration(group * ring.width_ms),
        whole_call: merged(|slot| &slot.latency),
        first_token: merged(|slot| &slot.first_token),
        from: match model.window {
            ChartWindow::Month => figures::moment(from_ms).chars().take(10).collect(),
            _ => figures::clock(from_ms),
        },
        money: bars_of(charged, Vec::new(), shown),
        calls: bars_of(calls, each(|slot| slot.failed.into()), |it| {
            figures::count(u64::try_from(it).unwrap_or(u64::MAX))
        }),
        latency: bars_of(latency, Vec::new(), |it| {
            format!(
                "{} ms",
                figures::format_duration(u64::try_from(it).unwrap_or(u64::MAX))
            )
        }),
    }
}

fn bars_of(values: Vec<u128>, marked: Vec<u128>, shown: impl Fn(u128) -> String) -> BarSeries {
    let peak = values.iter().copied().max().unwrap_or(0);
    let total = values.iter().fold(0u128, |sum, it| sum.saturating_add(*it));
    BarSeries {
        peak: shown(peak),
        total: shown(total),
        values,
        marked,
    }
}

/// The last `bars` bars of `group` slots each, including the current one.
fn grouped(ring: &SlotRing, now_ms: u64, group: u64, bars: u64) -> (Vec<PaceSlot>, u64) {
    let last = now_ms / ring.width_ms / group;
    let first = (last + 1).saturating_sub(bars);
    let mut all = vec![PaceSlot::default(); bars as usize];
    for slot in ring.since(first * group) {
        if let Some(bar) = all.get_mut((slot.index / group - first) as usize) {
            bar.merge(slot);
        }
    }
    (all, first * group * ring.width_ms)
}

/// Lanes on each side; further ones share the last lane.
const LANES: usize = 8;

pub(super) fn lanes(model: &DashModel, money: &TokenMoney) -> FlowLanes {
    let (board, days) = (model.shown_board(), model.range.days(model.now_ms));
    let rows = |group| {
        let mut rows = sums::rows(board, money, days, group);
        rows.sort_by(|a, b| b.micro.cmp(&a.micro).then_with(|| a.name.cmp(&b.name)));
        // Unattributed amounts have no recipient to flow to.
        rows.retain(|row| row.name != REST);
        rows
    };
    let (payers, contributors) = (rows(SumGroup::Payer), rows(SumGroup::Contributor));
    let lane = |row: &sums::SumRow, name: String| FlowLane {
        name,
        // Rounded to whole base units; the sums pane has the exact amounts.
        amount: model.amount_shown(Amount(row.micro / MICRO), money.decimals),
    };
    let second = model.now_ms / 1_000;
    let mut lanes = FlowLanes {
        payers: payers
            .iter()
            .take(LANES)
            .map(|row| lane(row, text::short_id(&row.name)))
            .collect(),
        model: super::heading::adapter(board),
        contributors: contributors
            .iter()
            .take(LANES)
            .map(|row| lane(row, text::clean(&row.label(&contributors)).into_owned()))
            .collect(),
        dots: Vec::new(),
        flows: board
            .pace
            .seconds
            .since(second.saturating_sub(60))
            .next()
            .is_some(),
    };
    if !model.options.animation {
        return lanes;
    }
    let of_payer = |payer| payers.iter().position(|row| row.address == Some(payer));
    let of_recipient = |name: &str, address| {
        let mut rows = contributors.iter();
        rows.position(|row| row.name == name && row.address == address)
    };
    for (particle, permille, width) in model.flow.dots(model.now_ms) {
        let (out, lane) = match &particle.leg {
            FlowLeg::In(payer) => (false, of_payer(*payer)),
            FlowLeg::Out { name, address } => (true, of_recipient(name, *address)),
        };
        lanes.dots.push(FlowDot {
            out,
            lane: lane.unwrap_or(0),
            permille,
            width,
        });
    }
    lanes
}
