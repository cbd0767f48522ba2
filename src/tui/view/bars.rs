//! Bar charts over time, with a resolution of an eighth of a cell.

use ratatui::{layout::Rect, style::Style};

use super::BufferPen;
use crate::shown::BarSeries;

const EIGHTHS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws bars into an area, the newest at the right; the highlighted part is at the bottom of each
/// bar.
pub(super) fn draw(pen: &mut BufferPen, area: Rect, bars: &BarSeries, style: Style, marked: Style) {
    let (columns, peak) = (columns(bars, area.width), bars.values.iter().max());
    let peak = match peak {
        Some(peak) if *peak > 0 && area.height > 0 => *peak,
        _ => return,
    };
    let full = u128::from(area.height) * 8;
    for (x, bar) in columns {
        let value = bars.values.get(bar).copied().unwrap_or(0);
        let bad = bars.marked.get(bar).copied().unwrap_or(0);
        // Any positive value is at least an eighth.
        let eighths = |it: u128| it.saturating_mul(full).div_ceil(peak).min(full) as u16;
        let (high, low) = (eighths(value), eighths(bad));
        for row in 0..area.height {
            let left = high.saturating_sub(row * 8);
            if left == 0 {
                break;
            }
            let sign = EIGHTHS[usize::from(left.min(8)) - 1];
            let style = if low > row * 8 { marked } else { style };
            pen.text((area.x + x, area.bottom() - 1 - row), 1, sign, style);
        }
    }
}

/// The bar of each column: bars are spread over the width, with gaps if there is room. If there are
/// more bars than columns, which a resize may cause for one frame, the newest ones are shown.
fn columns(bars: &BarSeries, width: u16) -> Vec<(u16, usize)> {
    let wide = usize::from(width);
    let all = bars.values.len().max(1);
    let count = all.min(wide.max(1));
    let per_bar = wide / count;
    let column = |x: usize| {
        let bar = x * count / wide.max(1);
        let begins = x == 0 || (x - 1) * count / wide.max(1) != bar;
        // The first column of a wide bar stays empty.
        (per_bar < 3 || !begins).then_some((x as u16, all - count + bar))
    };
    (0..wide).filter_map(column).collect()
}
