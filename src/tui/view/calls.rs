//! The latest calls:
//!
//! ```text
//! ╭─ 3 Live calls ──────────────────────────────────────────── 512, by time ─╮
//! │ time     payer         adapter    kind      in/out     ms   amount  state │
//! │ 14:02:11 0x12ab…9f01   sentiment  classify    41/1     31   0.0001  ● settled
//! ╰───────────────────────────────────────────────────────────────────────────╯
//! ```

use ratatui::layout::{Position, Rect};

use super::{BufferPen, DashModel, Pane, framed};
use crate::{
    model::sort_columns,
    shown::{CallLine, ListPage},
    theme::standing_words,
};

/// Columns in display order: name, width on a narrow and on a wide screen, and whether the text is
/// right-aligned. The adapter's column takes the remaining width.
const COLUMNS: [(&str, u16, u16, bool); 8] = [
    ("time", 8, 8, false),
    ("payer", 11, 11, false),
    ("adapter", 0, 0, false),
    ("kind", 8, 10, false),
    ("in/out", 7, 9, true),
    ("ms", 5, 6, true),
    ("amount", 8, 12, true),
    ("state", 10, 10, false),
];
const ADAPTER: usize = 2;
/// Minimum width of a wide list, in cells.
const BROAD: u16 = 90;

/// The status text of a list, at its top right.
pub(super) fn remark<T>(model: &DashModel, pane: Pane, page: &ListPage<T>) -> String {
    let sort = model.sort(pane);
    let by = sort_columns(pane).get(sort.column).copied().unwrap_or("");
    let arrow = if sort.reversed { "↑" } else { "↓" };
    let filtered = match page.total == page.all {
        true => format!("{}", page.all),
        false => format!("{} of {}", page.total, page.all),
    };
    format!("{filtered}, {by} {arrow}")
}

/// The width of each column. Without room, the adapter's column is left out: most servers have one
/// adapter, and the receipt names it.
fn widths(cells: u16) -> [u16; 8] {
    let mut widths = COLUMNS.map(|(_, narrow, broad, _)| match cells >= BROAD {
        true => broad,
        false => narrow,
    });
    let used: u16 = widths.iter().filter(|it| **it > 0).map(|it| it + 1).sum();
    let left = cells.saturating_sub(used);
    widths[ADAPTER] = if left >= 8 { left.min(24) } else { 0 };
    widths
}

pub(super) fn draw(pen: &mut BufferPen, area: Rect, model: &DashModel) {
    let (palette, page) = (pen.palette(), &model.shown.calls);
    let remark = remark(model, Pane::Calls, page);
    let inner = framed(pen, area, model, Pane::Calls, &remark);
    if inner.height < 2 {
        return;
    }
    let widths = widths(inner.width.saturating_sub(1));
    let mut x = inner.x + 1;
    for ((name, _, _, right), cells) in COLUMNS.iter().zip(widths) {
        match right {
            true => pen.right((x, inner.y), cells, name, palette.dim),
            false => {
                pen.text((x, inner.y), cells, name, palette.dim);
            }
        }
        x += if cells > 0 { cells + 1 } else { 0 };
    }
    if page.rows.is_empty() {
        return empty(pen, inner, model);
    }
    let rows = page.rows.iter().zip(inner.y + 1..inner.bottom());
    for (at, (line, y)) in rows.enumerate() {
        row(pen, Position::new(inner.x + 1, y), line, widths);
        if page.selected == Some(at) && model.focus == Pane::Calls {
            pen.restyle(Rect::new(inner.x, y, inner.width, 1), palette.selected);
            pen.text((inner.x, y), 1, "▸", palette.focus.patch(palette.selected));
        }
    }
}

fn row(pen: &mut BufferPen, at: Position, line: &CallLine, widths: [u16; 8]) {
    let palette = pen.palette();
    let (sign, word) = standing_words(line.standing);
    let state = format!("{sign} {word}");
    let texts = [
        (line.time.as_str(), palette.dim),
        (line.payer.as_str(), palette.other),
        (line.adapter.as_str(), palette.base),
        (line.kind, palette.base),
        (line.tokens.as_str(), palette.base),
        (line.took.as_str(), palette.base),
        (line.amount.as_str(), palette.money),
        (state.as_str(), palette.standing(line.standing)),
    ];
    let Position { mut x, y } = at;
    for (((text, style), (_, _, _, right)), cells) in texts.into_iter().zip(COLUMNS).zip(widths) {
        match right {
            true => pen.right((x, y), cells, text, style),
            false => {
                pen.text((x, y), cells, text, style);
            }
        }
        x += if cells > 0 { cells + 1 } else { 0 };
    }
}

/// Explains why a list is empty.
pub(super) fn empty(pen: &mut BufferPen, inner: Rect, model: &DashModel) {
    let palette = pen.palette();
    let (text, style) = match &model.filter.error {
        Some(error) => (error.as_str(), palette.bad),
        None if !model.filter.filter.is_empty() => ("nothing passes the filter", palette.dim),
        None => (
            "nothing yet: `openlora call \"…\"` makes the first",
            palette.dim,
        ),
    };
    let at = (inner.x + 1, inner.y + 1);
    pen.text(at, inner.width.saturating_sub(2), text, style);
}
