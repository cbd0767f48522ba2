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
use crate::{layout::LayoutForm, shown::StateTone, text, theme::Palette};

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

/// A segment of a line and its style.
type LinePiece<'a> = (&'a str, Style);

fn line(pen: &mut BufferPen, layout: &ScreenLayout, y: u16, pieces: Vec<LinePiece>) {
    line_until(pen, layout.header.width.saturating_sub(1), y, pieces);
}

fn line_until(pen: &mut BufferPen, end: u16, y: u16, pieces: Vec<LinePiece>) {
    let mut x = 1;
    for (text, style) in pieces {
        x = pen.text((x, y), end.saturating_sub(x), text, style);
    }
}

/// The state of the source is whole at every width: what stands around it gives way.
fn title(pen: &mut BufferPen, layout: &ScreenLayout, model: &DashModel) {
    let (palette, wide) = (pen.palette(), layout.header.width);
    let state = text::width(&model.shown.heading.link.1);
    let mark = mark(model, usize::from(wide).saturating_sub(1 + state));
    let used = u16::try_from(text::width(&mark)).unwrap_or(wide);
    let end = wide.saturating_sub(used.max(1));
    let pieces = title_pieces(palette, usize::from(end.saturating_sub(1)), model);
    line_until(pen, end, 0, pieces);
    pen.text((end, 0), used, &mark, palette.warn);
}

/// What fits into a title of so many cells.
fn title_pieces(palette: Palette, room: usize, model: &DashModel) -> Vec<LinePiece<'_>> {
    let heading = &model.shown.heading;
    let tone = match heading.link.0 {
        StateTone::Good => palette.money,
        StateTone::Waiting => palette.accent,
        StateTone::Bad => palette.bad,
    };
    let (gap, dot) = ((" ", palette.base), (" · ", palette.dim));
    let state = heading.link.1.as_str();
    let mut before = [
        ("openlora", palette.focus),
        (heading.adapter.as_str(), palette.strong),
        (heading.network.as_str(), palette.strong),
    ];
    let used = |before: &[LinePiece]| {
        let texts = before.iter().map(|(text, _)| *text);
        let texts = texts.filter(|text| !text.is_empty());
        let cells = texts.map(|text| text::width(text) + text::width(dot.0));
        cells.sum::<usize>() + text::width(state)
    };
    // The network gives way first, the adapter last.
    for least in [2, 0, 1] {
        if used(&before) > room {
            before[least].0 = "";
        }
    }
    let mut left = room.saturating_sub(used(&before));
    let mut pieces = Vec::new();
    for piece in before.into_iter().filter(|(text, _)| !text.is_empty()) {
        pieces.extend([piece, dot]);
    }
    pieces.push((state, tone));
    for (between, text, shortest) in [
        (gap, &heading.clock, usize::MAX),
        (dot, &heading.up, SHORTEST),
    ] {
        let cells = text::width(text);
        if left < text::width(between.0) + cells.min(shortest) {
            break;
        }
        left = left.saturating_sub(text::width(between.0) + cells);
        pieces.extend([between, (text.as_str(), palette.base)]);
    }
    pieces
}

/// What is known of the server is cut to no fewer cells.
const SHORTEST: usize = 8;

/// Watermark and frozen state in at most so many cells, displayed before any figure. The watermark
/// is cut.
fn mark(model: &DashModel, room: usize) -> String {
    let frozen = match model.frozen {
        Some(_) => format!("  FROZEN, {} new", model.shown.missed),
        None => String::new(),
    };
    let mut mark = match &model.options.watermark {
        Some(text) => {
            let room = room.saturating_sub(text::width(&frozen) + 1);
            text::clip(&format!("  {text}"), room).into_owned()
        }
        None => String::new(),
    };
    mark.push_str(&frozen);
    if !mark.is_empty() {
        mark.push(' ');
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
