//! Calls per time slot, and their latency:
//!
//! ```text
//! ╭─ 2 Calls + latency ───────── 1h, 1 min a bar ─╮
//! │ 812 calls, peak 31          p50/p95 140/420 ms│
//! │      ▁      ▃▅  ▁▂▅█▆▂▁      ▂▄▆▇██▅▂         │  calls, failed ones marked
//! │      ▁      ▁▁  ▁▁▂▂▁▁▁      ▁▁▂▃▂▁▁▁         │  95th percentile
//! │ 13:02:00                              14:02:11│
//! ╰───────────────────────────────────────────────╯
//! ```

use ratatui::layout::Rect;

use super::{BufferPen, DashModel, Pane, bars, framed, inflow::axis};

pub(super) fn draw(pen: &mut BufferPen, area: Rect, model: &DashModel) {
    let (palette, charts) = (pen.palette(), &model.shown.charts);
    let remark = format!("{}, {} a bar", charts.window, charts.step);
    let inner = framed(pen, area, model, Pane::Pace, &remark);
    if inner.height < 3 {
        return;
    }
    let (x, cells) = (inner.x + 1, inner.width.saturating_sub(2));
    let text = format!("{} calls", charts.calls.total);
    let end = pen.text((x, inner.y), cells, &text, palette.accent);
    let peak = format!("  peak {}", charts.calls.peak);
    pen.text((end, inner.y), cells, &peak, palette.dim);
    let text = format!(
        "p50/p95 {} ms  TTFT {} ms",
        charts.whole_call, charts.first_token
    );
    let left = (x + cells).saturating_sub(end + 12);
    pen.right((end + 12, inner.y), left, &text, palette.other);
    let (top, bottom) = (inner.y + 1, inner.bottom() - 1);
    let slow = if bottom - top >= 4 {
        (bottom - top) / 3
    } else {
        1
    };
    let fast = (bottom - top).saturating_sub(slow);
    let chart = Rect::new(x, top, cells, fast);
    bars::draw(pen, chart, &charts.calls, palette.accent, palette.bad);
    let chart = Rect::new(x, top + fast, cells, slow);
    bars::draw(pen, chart, &charts.latency, palette.other, palette.other);
    axis(pen, inner, model);
}
