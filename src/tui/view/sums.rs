//! Sums by adapter, payer or contributor; the last line is their total, which equals the headline:
//!
//! ```text
//! ╭─ 6 Sums ─────────────────────────────────────────── 4, amount ↓ ─╮
//! │ payer                                calls     amount       part  │
//! │ 0x12ab…                                812     1.2310  ████ 80.0% │
//! │ sum of today, 5 rows                                   1.5310             │
//! ╰─ all time: written off 0.0001, deferred 0.0012 ───────────────────╯
//! ```

use ratatui::layout::Rect;

use super::{BufferPen, DashModel, Pane, calls, framed};
use crate::{figures, shown::SumLine, text};

pub(super) fn draw(pen: &mut BufferPen, area: Rect, model: &DashModel) {
    let (palette, page) = (pen.palette(), &model.shown.sums);
    let total = &model.shown.total;
    let remark = format!(
        "by {}: {}",
        total.group,
        calls::remark(model, Pane::Sums, page)
    );
    let inner = framed(pen, area, model, Pane::Sums, &remark);
    if inner.height < 2 {
        return;
    }
    let columns = columns(inner);
    head(pen, inner, &columns, total.group);
    let bottom = inner.bottom() - 1;
    let rows = page.rows.iter().zip(inner.y + 1..bottom);
    for (at, (line, y)) in rows.enumerate() {
        let area = Rect::new(inner.x, y, inner.width, 1);
        row(pen, area, &columns, line);
        if page.selected == Some(at) && model.focus == Pane::Sums {
            pen.restyle(area, palette.selected);
            pen.text((inner.x, y), 1, "▸", palette.focus.patch(palette.selected));
        }
    }
    let text = format!("sum of {}, {} rows", total.range, total.rows);
    pen.text((inner.x + 1, bottom), columns.name, &text, palette.strong);
    pen.right(
        (columns.amount, bottom),
        AMOUNT,
        &total.amount,
        palette.money,
    );
    rare(pen, area, model);
}

/// Charges that were not claimed, and refund fees, if there are any, on the frame. No amount is cut.
fn rare(pen: &mut BufferPen, area: Rect, model: &DashModel) {
    let cells = area.width.saturating_sub(4);
    let mut text = String::new();
    for (name, sum) in &model.shown.heading.rare {
        let between = if text.is_empty() { " all time: " } else { ", " };
        let more = format!("{between}{name} {sum}");
        if text::width(&text) + text::width(&more) + 2 > usize::from(cells) {
            text.push('…');
            break;
        }
        text.push_str(&more);
    }
    if !text.is_empty() {
        text.push(' ');
        let at = (area.x + 2, area.bottom() - 1);
        pen.text(at, cells, &text, pen.palette().warn);
    }
}

const CALLS: u16 = 7;
const AMOUNT: u16 = 18;
const PART: u16 = 7;

/// Column positions; the name takes the remaining width.
struct SumColumns {
    name: u16,
    calls: u16,
    amount: u16,
    part: u16,
    bar: u16,
    bar_cells: u16,
}

fn columns(inner: Rect) -> SumColumns {
    let bar_cells = (inner.width / 6).min(30);
    let fixed = CALLS + AMOUNT + PART + bar_cells + 6;
    let name = inner.width.saturating_sub(fixed);
    let calls = inner.x + 1 + name + 1;
    let amount = calls + CALLS + 1;
    let part = amount + AMOUNT + 1;
    SumColumns {
        name,
        calls,
        amount,
        part,
        bar: part + PART + 1,
        bar_cells,
    }
}

fn head(pen: &mut BufferPen, inner: Rect, columns: &SumColumns, group: &str) {
    let (dim, y) = (pen.palette().dim, inner.y);
    pen.text((inner.x + 1, y), columns.name, group, dim);
    pen.right((columns.calls, y), CALLS, "calls", dim);
    pen.right((columns.amount, y), AMOUNT, "amount", dim);
    pen.right((columns.part, y), PART, "part", dim);
}

fn row(pen: &mut BufferPen, area: Rect, columns: &SumColumns, line: &SumLine) {
    let (x, y) = (area.x, area.y);
    let palette = pen.palette();
    let name = match (&line.paid, line.rest) {
        (_, true) => palette.dim,
        _ => palette.other,
    };
    let end = pen.text((x + 1, y), columns.name, &line.name, name);
    if let Some(paid) = &line.paid {
        let left = (x + 1 + columns.name).saturating_sub(end);
        pen.text((end, y), left, &format!("  paid {paid}"), palette.dim);
    }
    pen.right((columns.calls, y), CALLS, &line.calls, palette.base);
    pen.right((columns.amount, y), AMOUNT, &line.amount, palette.money);
    pen.right(
        (columns.part, y),
        PART,
        &figures::percent(line.ppm),
        palette.base,
    );
    pen.meter(
        (columns.bar, y),
        columns.bar_cells,
        line.ppm,
        palette.accent,
    );
}
