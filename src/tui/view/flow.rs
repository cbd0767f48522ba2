//! Animated payments, one particle each; larger payments are wider and faster:
//!
//! ```text
//! ╭─ 5 Flow ───────────────────────────────────────────────────────────────────────╮
//! │ 0x12ab…9f01 0.0123 ──•─────────●──▶ ╭───────────╮ ──•─────▶ creator      0.0074 │
//! │ 0x77cd…1122 0.0042 ────•──────────▶ │ sentiment │ ────●───▶ Harbor Forum 0.0031 │
//! │                                     ╰───────────╯                               │
//! ╰─────────────────────────────────────────────────────────────────────────────────╯
//! ```

use ratatui::layout::{Position, Rect};

use super::{BufferPen, DashModel, Pane, framed};
use crate::{
    shown::{FlowLane, FlowLanes},
    text,
};

/// By size, the smallest first.
const DOTS: [&str; 4] = ["·", "•", "●", "◆"];

/// Column positions from the left: names, lane, box, lane, names.
struct FlowColumns {
    names: u16,
    lane: u16,
    middle: (u16, u16),
    out: u16,
}

pub(super) fn draw(pen: &mut BufferPen, area: Rect, model: &DashModel) {
    let lanes = &model.shown.lanes;
    let remark = match (model.options.animation, lanes.flows) {
        (_, false) => "nothing within the last minute",
        (true, true) => "one particle per payment",
        (false, true) => "animation off",
    };
    let inner = framed(pen, area, model, Pane::Flow, remark);
    if inner.height < 1 || inner.width < 40 {
        return;
    }
    let columns = columns(inner, &lanes.model);
    middle(pen, inner, &columns, &lanes.model);
    let (left, right) = (inner.x + 1, inner.right() - 1 - columns.names);
    for (at, y) in (inner.y..inner.bottom()).enumerate() {
        if let Some(lane) = lanes.payers.get(at) {
            named(pen, Position::new(left, y), columns.names, lane);
            let from = Position::new(left + columns.names + 1, y);
            wire(pen, from, columns.lane);
        }
        if let Some(lane) = lanes.contributors.get(at) {
            wire(pen, Position::new(columns.out, y), columns.lane);
            named(pen, Position::new(right, y), columns.names, lane);
        }
    }
    dots(pen, inner, &columns, lanes);
    if lanes.payers.is_empty() {
        let text = "no payment in this range yet";
        let palette = pen.palette();
        pen.text(
            (left, inner.y),
            columns.names + columns.lane,
            text,
            palette.dim,
        );
    }
}

fn columns(inner: Rect, name: &str) -> FlowColumns {
    let wide = inner.width.saturating_sub(2);
    let middle = (text::width(name) as u16 + 4).clamp(10, 30).min(wide / 4);
    // A short address and a name of some length fit beside an amount in millionths.
    let names = (wide / 5).max((wide * 4 / 15).min(24)).clamp(10, 34);
    let lane = wide.saturating_sub(middle + 2 * names + 4) / 2;
    let from = inner.x + 1 + names + 1 + lane + 1;
    FlowColumns {
        names,
        lane,
        middle: (from, middle),
        out: from + middle + 1,
    }
}

/// The box in the middle, over the full height.
fn middle(pen: &mut BufferPen, inner: Rect, columns: &FlowColumns, name: &str) {
    let palette = pen.palette();
    let (x, width) = columns.middle;
    let area = Rect::new(x, inner.y, width, inner.height);
    if inner.height < 3 {
        pen.text((x, inner.y), width, name, palette.accent);
        return;
    }
    pen.frame(area, "", "", false);
    let used = (text::width(name) as u16).min(width.saturating_sub(2));
    let start = x + (width - used) / 2;
    pen.text(
        (start, inner.y + inner.height / 2),
        used,
        name,
        palette.accent,
    );
}

fn named(pen: &mut BufferPen, at: Position, cells: u16, lane: &FlowLane) {
    let Position { x, y } = at;
    let palette = pen.palette();
    let amount = (text::width(&lane.amount) as u16).min(cells / 2 + 2);
    pen.text(
        (x, y),
        cells.saturating_sub(amount + 1),
        &lane.name,
        palette.other,
    );
    pen.right((x + cells - amount, y), amount, &lane.amount, palette.money);
}

fn wire(pen: &mut BufferPen, from: Position, cells: u16) {
    let Position { x, y } = from;
    let palette = pen.palette();
    for at in 0..cells.saturating_sub(1) {
        pen.text((x + at, y), 1, "─", palette.line);
    }
    if cells > 0 {
        pen.text((x + cells - 1, y), 1, "▶", palette.line);
    }
}

/// Lanes without room share the last visible one.
fn dots(pen: &mut BufferPen, inner: Rect, columns: &FlowColumns, lanes: &FlowLanes) {
    let palette = pen.palette();
    let fits = usize::from(inner.height);
    for dot in &lanes.dots {
        let (x, known) = match dot.out {
            true => (columns.out, lanes.contributors.len()),
            false => (inner.x + 1 + columns.names + 1, lanes.payers.len()),
        };
        let last = fits.min(known).saturating_sub(1);
        let y = inner.y + dot.lane.min(last) as u16;
        let cells = u64::from(columns.lane.saturating_sub(2));
        let at = (cells * dot.permille.min(1_000) / 1_000) as u16;
        let style = if dot.out { palette.money } else { palette.warn };
        pen.text((x + at, y), 1, DOTS[dot.width.min(3)], style);
    }
}
