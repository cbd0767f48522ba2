//! The detail view over the panes: fields, bars and headings, scrolled with j and k.

use ratatui::layout::{Position, Rect};

use super::{BufferPen, DashModel, Pane};
use crate::{figures, shown::DetailLine};

const NAMES: u16 = 13;
const BAR: u16 = 20;

pub(super) fn draw(
    pen: &mut BufferPen,
    screen: Rect,
    model: &DashModel,
    pane: Pane,
    scroll: usize,
) {
    let palette = pen.palette();
    let area = model.overlay_area().intersection(screen);
    pen.fill(area, palette.base);
    let title = match pane {
        Pane::Sums => " Days ",
        _ => " Call ",
    };
    let inner = pen.frame(area, title, "j k scroll, y copy, Esc back", true);
    let lines = model.detail.iter().skip(scroll);
    for (line, y) in lines.zip(inner.y..inner.bottom()) {
        let at = Position::new(inner.x + 1, y);
        one(pen, at, inner.width.saturating_sub(2), line);
    }
}

fn one(pen: &mut BufferPen, at: Position, cells: u16, line: &DetailLine) {
    let Position { x, y } = at;
    let palette = pen.palette();
    let rest = |from: u16| cells.saturating_sub(from);
    match line {
        DetailLine::Blank => {}
        DetailLine::Heading(text) => {
            pen.text((x, y), cells, text, palette.accent);
        }
        DetailLine::Text(text) => {
            pen.text((x + 2, y), rest(2), text, palette.base);
        }
        DetailLine::Field(name, value) => {
            pen.text((x + 2, y), NAMES, name, palette.dim);
            pen.text((x + 2 + NAMES, y), rest(2 + NAMES), value, palette.base);
        }
        DetailLine::Standing(standing, text) => {
            pen.text((x + 2, y), NAMES, "state", palette.dim);
            let style = palette.standing(*standing);
            pen.text((x + 2 + NAMES, y), rest(2 + NAMES), text, style);
        }
        DetailLine::Bar(name, ppm, text) => {
            pen.text((x + 2, y), 24, name, palette.other);
            let from = 2 + 25;
            pen.meter((x + from, y), BAR.min(rest(from)), *ppm, palette.money);
            let from = from + BAR + 1;
            pen.right(
                (x + from, y),
                7.min(rest(from)),
                &figures::percent(*ppm),
                palette.base,
            );
            let from = from + 9;
            pen.text((x + from, y), rest(from), text, palette.base);
        }
    }
}
