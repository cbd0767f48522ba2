//! A training run, over the first pane while it lasts:
//!
//! ```text
//! ╭─ Training ────────────────────────── 12 s left ─╮
//! │ step 120/400  loss 0.4321  1520 tokens/s        │
//! │ ██████████████▌                                 │
//! │ ▇▅▄▃▃▂▂▂▂                                       │  loss
//! ╰─────────────────────────────────────────────────╯
//! ```

use ratatui::layout::Rect;

use super::{BufferPen, bars};
use openlora_core::in_units;

use crate::{figures, shown::BarSeries, training::TrainingProgress};

/// Left parts of a cell, an eighth to a whole.
const PARTS: [&str; 8] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

pub(super) fn draw(pen: &mut BufferPen, area: Rect, progress: &TrainingProgress) {
    let palette = pen.palette();
    pen.fill(area, palette.base);
    let left = match progress.remaining_ms() {
        Some(0) => "evaluating and indexing".to_owned(),
        Some(left) => format!("{} left", figures::span(left)),
        None => String::new(),
    };
    let inner = pen.frame(area, " Training ", &left, true);
    if inner.height < 2 || inner.width < 4 {
        return;
    }
    let (x, cells) = (inner.x + 1, inner.width - 2);
    let (step, steps) = (progress.step(), progress.steps);
    let loss = progress.micro_losses.last().map_or(String::new(), |loss| {
        format!("  loss {}", in_units(*loss / 100, 4))
    });
    let text = match steps {
        0 => "loading the base and the data".to_owned(),
        _ => format!(
            "step {step}/{steps}{loss}  {} tokens/s",
            progress.tokens_per_second
        ),
    };
    pen.text((x, inner.y), cells, &text, palette.accent);
    let eighths = u64::from(cells) * 8 * step.min(steps) / steps.max(1);
    for cell in 0..cells {
        let filled = eighths.saturating_sub(u64::from(cell) * 8).min(8) as usize;
        if let Some(part) = filled.checked_sub(1).and_then(|at| PARTS.get(at)) {
            pen.text((x + cell, inner.y + 1), 1, part, palette.accent);
        }
    }
    let chart = Rect::new(x, inner.y + 2, cells, inner.height - 2);
    let losses = BarSeries {
        values: progress.loss_bars(cells),
        ..BarSeries::default()
    };
    bars::draw(pen, chart, &losses, palette.other, palette.other);
}
