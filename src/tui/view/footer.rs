//! The bottom line: text input, a notice, or the program's progress and the keys.

use ratatui::layout::Rect;

use super::{BufferPen, DashModel};
use crate::keymap::BINDINGS;

pub(super) fn draw(pen: &mut BufferPen, area: Rect, model: &DashModel) {
    let palette = pen.palette();
    let (mut x, end) = (area.x + 1, area.right().saturating_sub(1));
    if model.filter.typing {
        x = pen.text((x, area.y), end - x, "/", palette.accent);
        x = pen.text(
            (x, area.y),
            end.saturating_sub(x),
            &model.filter.text,
            palette.base,
        );
        x = pen.text((x, area.y), end.saturating_sub(x), "▏ ", palette.accent);
        let (text, style) = match &model.filter.error {
            Some(error) => (error.as_str(), palette.bad),
            None => (
                "payer: adapter: kind: status: id: contributor: >0.01 ms>200",
                palette.dim,
            ),
        };
        pen.text((x, area.y), end.saturating_sub(x), text, style);
        return;
    }
    if let Some((text, _)) = &model.notice {
        pen.text((x, area.y), end.saturating_sub(x), text, palette.accent);
        return;
    }
    if !model.filter.text.is_empty() {
        let text = format!("filter: {}  ", model.filter.text);
        x = pen.text((x, area.y), end.saturating_sub(x), &text, palette.accent);
    }
    if !model.story.is_empty() {
        let text = format!("{}  ", model.story);
        x = pen.text((x, area.y), end.saturating_sub(x), &text, palette.accent);
    }
    for binding in BINDINGS.iter().filter(|it| !it.short.is_empty()) {
        let keys = binding.keys.first().into_iter().copied().flatten();
        let key: String = keys.map(ToString::to_string).collect();
        let short = format!(" {}  ", binding.short);
        if x as usize + key.len() + short.len() > usize::from(end) {
            break;
        }
        x = pen.text((x, area.y), end - x, &key, palette.focus);
        x = pen.text((x, area.y), end - x, &short, palette.dim);
    }
}
