//! The attribution of each answer to contributors:
//!
//! ```text
//! ╭─ 4 Attribution ──────────────────────────────────── 210, by time ─╮
//! │ time     amount   who got which part                               │
//! │ 14:02:11 0.0001   ██████▍▓▓▓░░  creator 60.0%  Harbor 25.0%  …     │
//! ╰────────────────────────────────────────────────────────────────────╯
//! ```

use ratatui::{layout::Rect, style::Style};

use super::{BufferPen, DashModel, Pane, calls, framed};
use crate::{figures, shown::AttributionLine};

/// Width of the bar in a narrow and in a wide pane.
const BARS: (u16, u16) = (8, 12);
const BROAD: u16 = 60;

pub(super) fn draw(pen: &mut BufferPen, area: Rect, model: &DashModel) {
    let (palette, page) = (pen.palette(), &model.shown.attribution);
    let remark = calls::remark(model, Pane::Attribution, page);
    let inner = framed(pen, area, model, Pane::Attribution, &remark);
    if inner.height < 2 {
        return;
    }
    pen.text((inner.x + 1, inner.y), 8, "time", palette.dim);
    pen.right((inner.x + 10, inner.y), 9, "amount", palette.dim);
    let cells = inner.right().saturating_sub(inner.x + 20);
    pen.text(
        (inner.x + 20, inner.y),
        cells,
        "who got which part",
        palette.dim,
    );
    if page.rows.is_empty() {
        let text = match page.all {
            0 => "no call has been attributed yet",
            _ => "nothing passes the filter",
        };
        let at = (inner.x + 1, inner.y + 1);
        pen.text(at, inner.width.saturating_sub(2), text, palette.dim);
        return;
    }
    let rows = page.rows.iter().zip(inner.y + 1..inner.bottom());
    for (at, (line, y)) in rows.enumerate() {
        row(pen, Rect::new(inner.x, y, inner.width, 1), line);
        if page.selected == Some(at) && model.focus == Pane::Attribution {
            pen.restyle(Rect::new(inner.x, y, inner.width, 1), palette.selected);
            pen.text((inner.x, y), 1, "▸", palette.focus.patch(palette.selected));
        }
    }
}

fn row(pen: &mut BufferPen, area: Rect, line: &AttributionLine) {
    let (left, y) = (area.x, area.y);
    let palette = pen.palette();
    pen.text((left + 1, y), 8, &line.time, palette.dim);
    pen.right((left + 10, y), 9, &line.amount, palette.money);
    let styles = [
        palette.accent,
        palette.money,
        palette.warn,
        palette.other,
        palette.dim,
    ];
    let bar = if area.width < BROAD { BARS.0 } else { BARS.1 };
    stacked(pen, Rect::new(left + 20, y, bar, 1), line, styles);
    let (mut x, end) = (left + 20 + bar + 1, area.right());
    if !line.settled {
        x = pen.text((x, y), end.saturating_sub(x), "traced: ", palette.warn);
    }
    for (at, part) in line.parts.iter().enumerate() {
        if end.saturating_sub(x) < 4 {
            break;
        }
        let style = styles[at.min(styles.len() - 1)];
        x = pen.text((x, y), end.saturating_sub(x), &part.name, style);
        let share = format!(" {}  ", figures::percent(part.ppm));
        x = pen.text((x, y), end.saturating_sub(x), &share, palette.base);
    }
}

/// Adjacent segments, each with its own fill character, so that they differ without colour too.
fn stacked(pen: &mut BufferPen, area: Rect, line: &AttributionLine, styles: [Style; 5]) {
    const FILLINGS: [&str; 5] = ["█", "▓", "▒", "░", "·"];
    let (mut from, mut sum) = (0u16, 0u64);
    for (at, part) in line.parts.iter().enumerate() {
        sum += part.ppm;
        let to = (u64::from(area.width) * sum.min(1_000_000) + 500_000) / 1_000_000;
        let at = at.min(FILLINGS.len() - 1);
        for cell in from..to as u16 {
            pen.text((area.x + cell, area.y), 1, FILLINGS[at], styles[at]);
        }
        from = from.max(to as u16);
    }
}
