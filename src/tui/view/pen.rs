//! The only access to screen cells: every text is sanitised and clipped before it is written.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
};

use crate::{
    text::{clean, clip, letter_width, width},
    theme::Palette,
};

pub struct BufferPen<'a> {
    buffer: &'a mut Buffer,
    palette: Palette,
}

impl<'a> BufferPen<'a> {
    pub fn new(buffer: &'a mut Buffer, palette: Palette) -> Self {
        Self { buffer, palette }
    }

    pub fn palette(&self) -> Palette {
        self.palette
    }

    /// Clears an area.
    pub fn fill(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            self.part(area.x, y);
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
        }
    }

    /// Writes at most `cells` cells starting at `at`; returns the column after the text.
    pub fn text(&mut self, at: impl Into<Position>, cells: u16, text: &str, style: Style) -> u16 {
        let Position { mut x, y } = at.into();
        let area = self.buffer.area;
        if y >= area.bottom() || x >= area.right() || cells == 0 {
            return x;
        }
        let cells = cells.min(area.right() - x);
        let text = clean(text);
        let text = clip(&text, usize::from(cells));
        self.part(x, y);
        // One character per cell: combining characters would take other cells than computed.
        for letter in text.chars() {
            if let Some(cell) = self.buffer.cell_mut((x, y)) {
                cell.set_char(letter);
                cell.set_style(style);
            }
            x += 1;
            if !letter.is_ascii() && letter_width(letter) > 1 {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                    cell.set_style(style);
                }
                x += 1;
            }
        }
        x
    }

    /// Clears a wide character whose second cell is about to be overwritten.
    fn part(&mut self, x: u16, y: u16) {
        let Some(before) = x.checked_sub(1) else {
            return;
        };
        if let Some(cell) = self.buffer.cell_mut((before, y))
            && cell.symbol().len() > 1
            && width(cell.symbol()) > 1
        {
            cell.set_char(' ');
        }
    }

    /// Writes right-aligned within `cells`.
    pub fn right(&mut self, at: impl Into<Position>, cells: u16, text: &str, style: Style) {
        let Position { x, y } = at.into();
        let text = clean(text);
        let text = clip(&text, usize::from(cells));
        let used = u16::try_from(width(&text)).unwrap_or(cells).min(cells);
        self.text((x + cells - used, y), used, &text, style);
    }

    /// Changes the style of cells that are already drawn.
    pub fn restyle(&mut self, area: Rect, style: Style) {
        self.buffer.set_style(area, style);
    }

    /// Draws a frame with a title at the left and a remark at the right; returns the inner area.
    pub fn frame(&mut self, area: Rect, title: &str, remark: &str, focused: bool) -> Rect {
        let line = match focused {
            true => self.palette.focus,
            false => self.palette.line,
        };
        if area.width < 2 || area.height < 2 {
            return Rect::default();
        }
        let (right, bottom) = (area.right() - 1, area.bottom() - 1);
        for x in area.x + 1..right {
            self.text((x, area.y), 1, "─", line);
            self.text((x, bottom), 1, "─", line);
        }
        for y in area.y + 1..bottom {
            self.text((area.x, y), 1, "│", line);
            self.text((right, y), 1, "│", line);
        }
        for (at, corner) in [
            ((area.x, area.y), "╭"),
            ((right, area.y), "╮"),
            ((area.x, bottom), "╰"),
            ((right, bottom), "╯"),
        ] {
            self.text(at, 1, corner, line);
        }
        let inner = area.width.saturating_sub(4);
        let style = match focused {
            true => self.palette.focus,
            false => self.palette.strong,
        };
        let end = self.text((area.x + 2, area.y), inner, title, style);
        let left = (area.x + 2 + inner).saturating_sub(end + 1);
        if !remark.is_empty() && left > 4 {
            let remark = format!(" {remark} ");
            self.right((end + 1, area.y), left, &remark, self.palette.dim);
        }
        Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
    }

    /// A horizontal bar with a resolution of an eighth of a cell: `ppm` of `cells`.
    pub fn meter(&mut self, at: impl Into<Position>, cells: u16, ppm: u64, style: Style) {
        const EIGHTHS: [&str; 7] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let Position { x, y } = at.into();
        let eighths = (u64::from(cells) * 8 * ppm.min(1_000_000)).div_ceil(1_000_000);
        let (whole, rest) = (eighths / 8, eighths % 8);
        for at in 0..whole {
            self.text((x + at as u16, y), 1, "█", style);
        }
        if rest > 0 {
            self.text((x + whole as u16, y), 1, EIGHTHS[rest as usize - 1], style);
        }
    }
}
