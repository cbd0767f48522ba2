//! Income per time slot:
//!
//! ```text
//! ╭─ 1 Inflow ────────────────── 1h, 1 min a bar ─╮
//! │ 0.0123 dUSD, peak 0.0004          ▂           │
//! │      ▁      ▃▅  ▁▂▅█▆▂▁      ▂▄▆▇██▅▂         │
//! │ 13:02:00                              14:02:11│
//! ╰───────────────────────────────────────────────╯
//! ```

use ratatui::layout::Rect;

use super::{BufferPen, DashModel, Pane, bars, framed};
use crate::figures;

pub(super) fn draw(pen: &mut BufferPen, area: Rect, model: &DashModel) {
    let (palette, charts) = (pen.palette(), &model.shown.charts);
    let remark = format!("{}, {} a bar", charts.window, charts.step);
    let inner = framed(pen, area, model, Pane::Inflow, &remark);
    if inner.height < 3 {
        return;
    }
    let symbol = &model.shown.heading.symbol;
    let text = format!("{} {symbol}", charts.money.total);
    let end = pen.text((inner.x + 1, inner.y), inner.width, &text, palette.money);
    let peak = format!("  peak {}", charts.money.peak);
    pen.text(
        (end, inner.y),
        inner.right().saturating_sub(end),
        &peak,
        palette.dim,
    );
    let (top, bottom) = (inner.y + 1, inner.bottom() - 1);
    let chart = Rect::new(
        inner.x + 1,
        top,
        inner.width.saturating_sub(2),
        bottom - top,
    );
    bars::draw(pen, chart, &charts.money, palette.money, palette.money);
    axis(pen, inner, model);
}

/// The times at both ends of a chart.
pub(super) fn axis(pen: &mut BufferPen, inner: Rect, model: &DashModel) {
    let (palette, y) = (pen.palette(), inner.bottom() - 1);
    let now = figures::clock(model.now_ms);
    let cells = inner.width.saturating_sub(2);
    pen.text(
        (inner.x + 1, y),
        cells,
        &model.shown.charts.from,
        palette.dim,
    );
    pen.right((inner.x + 1, y), cells, &now, palette.dim);
}
