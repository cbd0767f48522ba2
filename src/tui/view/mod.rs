//! Draws the model. Views place texts and compute nothing but their geometry.
//!
//! ```text
//! header   openlora · adapter · network · link                    watermark
//!          EARNED range  net gross gas │ settled pending withdrawable
//!          today … │ 7 days … │ 30 days … │ all …
//!          calls err tok/s TTFT queue price
//! panes    1 inflow │ 2 calls + latency / 3 live calls │ 4 attribution / 5 flow / 6 sums
//! footer   keys, the filter, or a remark
//! ```

mod attribution;
mod bars;
mod calls;
mod detail;
mod flow;
mod footer;
mod header;
mod help;
mod inflow;
mod pace;
mod pen;
mod sums;
mod training;

pub use pen::BufferPen;

use ratatui::{Frame, buffer::Buffer, layout::Rect};

use super::{
    layout::{LayoutForm, PANES, Pane, ScreenLayout},
    model::{DashModel, PaneOverlay},
};

/// Draws a frame.
pub fn draw(frame: &mut Frame, model: &DashModel) {
    let area = frame.area();
    draw_into(frame.buffer_mut(), area, model);
}

/// Draws into any buffer.
pub fn draw_into(buffer: &mut Buffer, area: Rect, model: &DashModel) {
    let mut pen = BufferPen::new(buffer, model.palette);
    let palette = model.palette;
    pen.fill(area, palette.base);
    // Between a resize and its message, the model's size differs from the buffer's.
    let layout = ScreenLayout::divide((area.width, area.height), model.focus, model.expanded);
    if layout.form == LayoutForm::Small {
        return small(&mut pen, area);
    }
    header::draw(&mut pen, &layout, model);
    if let Some(area) = layout.tabs {
        tabs(&mut pen, area, model);
    }
    for (pane, area) in &layout.panes {
        let draw = match pane {
            Pane::Inflow => inflow::draw,
            Pane::Pace => pace::draw,
            Pane::Calls => calls::draw,
            Pane::Attribution => attribution::draw,
            Pane::Flow => flow::draw,
            Pane::Sums => sums::draw,
        };
        draw(&mut pen, *area, model);
    }
    if let (Some(progress), Some((_, area))) = (&model.training, layout.panes.first()) {
        training::draw(&mut pen, *area, progress);
    }
    footer::draw(&mut pen, layout.footer, model);
    match &model.overlay {
        PaneOverlay::None => {}
        PaneOverlay::Help { query, scroll } => help::draw(&mut pen, area, query, *scroll),
        PaneOverlay::Detail { pane, scroll, .. } => {
            detail::draw(&mut pen, area, model, *pane, *scroll);
        }
    }
}

/// The message for a screen that is too small.
fn small(pen: &mut BufferPen, area: Rect) {
    let palette = pen.palette();
    let lines = [
        "openlora dash",
        "needs 60 columns and 15 lines",
        "enlarge, or q to quit",
    ];
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        pen.text((area.x, y), area.width, line, palette.base);
    }
}

/// The panes by name, the focused one inverted.
fn tabs(pen: &mut BufferPen, area: Rect, model: &DashModel) {
    let palette = pen.palette();
    for (at, pane) in PANES.iter().enumerate() {
        let (from, to) = (share(area.width, at), share(area.width, at + 1));
        let (style, mark) = match *pane == model.focus {
            true => (palette.focus, "▸"),
            false => (palette.dim, " "),
        };
        let text = format!("{mark}{} {}", pane.number(), pane.short());
        pen.text((area.x + from, area.y), to - from, &text, style);
    }
}

/// The start of a tab.
fn share(width: u16, at: usize) -> u16 {
    let whole = usize::from(width) * at / PANES.len();
    u16::try_from(whole).unwrap_or(width)
}

/// Draws a pane's frame with its number, name and a remark; returns the inner area.
fn framed(pen: &mut BufferPen, area: Rect, model: &DashModel, pane: Pane, remark: &str) -> Rect {
    let focused = model.focus == pane;
    let title = format!(" {} {} ", pane.number(), pane.name());
    pen.frame(area, &title, remark, focused)
}
