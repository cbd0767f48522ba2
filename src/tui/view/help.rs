//! The searchable help screen, generated from the table of keys.

use ratatui::layout::Rect;

use super::BufferPen;
use crate::keymap::BINDINGS;

pub(super) fn draw(pen: &mut BufferPen, screen: Rect, query: &str, scroll: usize) {
    let palette = pen.palette();
    let wide = screen.width.min(84);
    let high = screen
        .height
        .saturating_sub(2)
        .min(BINDINGS.len() as u16 + 4);
    let area = Rect::new(
        (screen.width - wide) / 2,
        (screen.height - high) / 2,
        wide,
        high,
    );
    pen.fill(area, palette.base);
    let inner = pen.frame(area, " Keys ", "Esc closes, type to search", true);
    let (x, cells) = (inner.x + 1, inner.width.saturating_sub(2));
    let end = pen.text((x, inner.y), cells, "search: ", palette.dim);
    let end = pen.text((end, inner.y), cells, query, palette.base);
    pen.text((end, inner.y), 1, "▏", palette.accent);
    let wanted = query.to_lowercase();
    let found = BINDINGS.iter().filter(|binding| {
        let about = binding.about.to_lowercase();
        about.contains(&wanted) || binding.keys_shown().contains(query)
    });
    let lines = inner.y + 2..inner.bottom();
    let fits = usize::from(inner.height.saturating_sub(2));
    let found: Vec<_> = found.collect();
    let from = scroll.min(found.len().saturating_sub(fits));
    for (binding, y) in found.iter().skip(from).zip(lines) {
        pen.text((x, y), 16, &binding.keys_shown(), palette.focus);
        pen.text(
            (x + 17, y),
            cells.saturating_sub(17),
            binding.about,
            palette.base,
        );
    }
    if found.is_empty() {
        pen.text((x, inner.y + 2), cells, "no key does that", palette.dim);
    }
}
