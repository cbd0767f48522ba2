//! The header above the panes:
//!
//! ```text
//! openlora · sentiment@9f2c · local 31337 · ● live 14:02:11 · up 3h12m          FROZEN, 12 new
//! EARNED today  net 1.2043  gross 1.231  gas −0.0267 dUSD │ settled 1.1  pending 0.1  withdrawable 1
//! today 1.231 │ 7 days 8.4 │ 30 days 31.2 │ all 99.1
//! calls 812  err 0.4%  tok/s 41.0  TTFT p50/p95 120/310 ms  queue 2  0.02 per 1k tokens
//! ```

use ratatui::style::Style;

use super::{BufferPen, DashModel, ScreenLayout};
use crate::{figures, layout::LayoutForm, shown::StateTone};

pub(super) fn draw(pen: &mut BufferPen, layout: &ScreenLayout, model: &DashModel) {
    title(pen, layout, model);
    money(pen, layout, model);
    match layout.form {
        LayoutForm::Full => {
            ranges(pen, layout, model);
            pace(pen, layout, model, 3);
        }
        _ => pace(pen, layout, model, 2),
    }
}

/// Segments of a line, each with its style.
type LinePieces<'a> = Vec<(&'a str, Style)>;

fn line(pen: &mut BufferPen, layout: &ScreenLayout, y: u16, pieces: LinePieces) {
    let (mut x, end) = (1, layout.header.width.saturating_sub(1));
    for (text, style) in pieces {
        x = pen.text((x, y), end.saturating_sub(x), text, style);
    }
}

fn title(pen: &mut BufferPen, layout: &ScreenLayout, model: &DashModel) {
    let (palette, heading) = (pen.palette(), &model.shown.heading);
    let link = match heading.link.0 {
        StateTone::Good => palette.money,
        StateTone::Waiting => palette.accent,
        StateTone::Bad => palette.bad,
    };
    let clock = figures::clock(model.now_ms);
    let dot = (" · ", palette.dim);
    let mut pieces = vec![("openlora", palette.focus)];
    for text in [&heading.adapter, &heading.network] {
        if !text.is_empty() {
            pieces.extend([dot, (text.as_str(), palette.strong)]);
        }
    }
    pieces.extend([dot, (heading.link.1.as_str(), link), (" ", palette.base)]);
    pieces.extend([
        (clock.as_str(), palette.base),
        dot,
        (heading.up.as_str(), palette.base),
    ]);
    line(pen, layout, 0, pieces);
    let mark = mark(model);
    if !mark.is_empty() {
        let (wide, mark) = (layout.header.width, format!("  {mark} "));
        let cells = (mark.chars().count() as u16).min(wide);
        pen.right((wide - cells, 0), cells, &mark, palette.warn);
    }
}

/// Watermark and frozen state, displayed before any figure.
fn mark(model: &DashModel) -> String {
    let mut mark = model.options.watermark.clone().unwrap_or_default();
    if model.frozen.is_some() {
        let gap = if mark.is_empty() { "" } else { "  " };
        mark = format!("{mark}{gap}FROZEN, {} new", model.shown.missed);
    }
    mark
}

fn money(pen: &mut BufferPen, layout: &ScreenLayout, model: &DashModel) {
    let (palette, it) = (pen.palette(), &model.shown.heading);
    let (name, value) = (palette.dim, palette.base);
    let mut pieces = vec![("EARNED ", palette.strong), (it.range, palette.accent)];
    if let Some(net) = &it.net {
        pieces.extend([("  net ", name), (net, palette.money)]);
    }
    let gross = match it.net {
        Some(_) => value,
        None => palette.money,
    };
    pieces.extend([("  gross ", name), (&it.gross, gross), (" ", value)]);
    pieces.push((it.symbol.as_str(), name));
    let full = layout.form == LayoutForm::Full;
    if full {
        pieces.extend([("  gas ", name), (&it.gas, value)]);
    }
    pieces.extend([
        (" │ ", palette.line),
        ("settled ", name),
        (&it.settled, value),
    ]);
    pieces.extend([("  pending ", name), (&it.pending, palette.warn)]);
    if full {
        pieces.extend([("  withdrawable ", name), (&it.withdrawable, value)]);
    }
    line(pen, layout, 1, pieces);
}

fn ranges(pen: &mut BufferPen, layout: &ScreenLayout, model: &DashModel) {
    let (palette, heading) = (pen.palette(), &model.shown.heading);
    let mut pieces = Vec::new();
    for (name, gross, net) in &heading.ranges {
        if !pieces.is_empty() {
            pieces.push((" │ ", palette.line));
        }
        let chosen = *name == heading.range;
        let style = if chosen { palette.accent } else { palette.dim };
        pieces.extend([(*name, style), (" ", style)]);
        pieces.push((net.as_ref().unwrap_or(gross), palette.base));
    }
    let what = match heading.net {
        Some(_) => "  net of gas",
        None => "  gross",
    };
    pieces.push((what, palette.dim));
    line(pen, layout, 2, pieces);
}

fn pace(pen: &mut BufferPen, layout: &ScreenLayout, model: &DashModel, y: u16) {
    let (palette, it) = (pen.palette(), &model.shown.heading);
    let (name, value) = (palette.dim, palette.base);
    let errors = if it.has_errors { palette.bad } else { value };
    let mut pieces = vec![
        ("calls ", name),
        (it.calls.as_str(), value),
        ("  err ", name),
        (&it.errors, errors),
        ("  tok/s ", name),
        (&it.tokens_per_second, value),
        ("  TTFT p50/p95 ", name),
        (&it.first_token, value),
        (" ms  queue ", name),
        (&it.queue, value),
    ];
    if layout.form == LayoutForm::Full {
        pieces.extend([("  ", name), (&it.per_thousand, value)]);
        pieces.push((" per 1k tokens", name));
    }
    line(pen, layout, y, pieces);
}
