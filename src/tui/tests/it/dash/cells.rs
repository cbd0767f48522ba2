//! What reaches a terminal's cells: hostile text breaks none, a resize leaves none behind.

use std::{cell::RefCell, io::Write, rc::Rc};

use openlora_tui::{
    model::DashModel,
    text::{clean, clip, width},
    theme::Theme,
    update::{DashMessage, update},
    view,
};
use proptest::prelude::*;
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

use super::{
    model,
    screens::{drawn, text},
};
use crate::scenarios::SIZES;

/// Keeps what is written where the emulator finds it.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Vec<u8>>>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A screen of an emulator, fed with what is drawn.
struct Emulated {
    screen: Terminal<CrosstermBackend<Wire>>,
    emulator: vt100::Parser,
    wire: Wire,
}

impl Emulated {
    fn new((columns, lines): (u16, u16)) -> Self {
        let area = Rect::new(0, 0, columns, lines);
        let options = TerminalOptions {
            viewport: Viewport::Fixed(area),
        };
        let wire = Wire::default();
        let backend = CrosstermBackend::new(wire.clone());
        let (lines, columns) = (lines.try_into().unwrap(), columns.try_into().unwrap());
        Self {
            screen: Terminal::with_options(backend, options).unwrap(),
            emulator: vt100::Parser::new(lines, columns, 0),
            wire,
        }
    }

    /// The terminal changes its size, and the program learns of it.
    fn resize(&mut self, (columns, lines): (u16, u16)) {
        let (high, wide) = (lines.try_into().unwrap(), columns.try_into().unwrap());
        self.emulator.screen_mut().set_size(high, wide);
        self.screen.resize(Rect::new(0, 0, columns, lines)).unwrap();
    }

    fn draw(&mut self, model: &DashModel) {
        self.screen.draw(|frame| view::draw(frame, model)).unwrap();
        self.emulator.process(&self.wire.0.take());
    }

    /// The emulator's cells as lines.
    fn text(&self) -> String {
        let (lines, columns) = self.emulator.screen().size();
        let mut text = String::new();
        for row in 0..lines.get() {
            let mut line = String::new();
            for column in 0..columns.get() {
                let cell = self.emulator.screen().cell(row, column).unwrap();
                if cell.is_wide_continuation() {
                    continue;
                }
                let contents = cell.contents();
                line.push_str(if contents.is_empty() { " " } else { contents });
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[test]
fn an_emulator_shows_what_was_drawn_in_every_scenario() {
    for name in ["busy", "free", "hostile"] {
        for size in SIZES {
            let model = model(name, size, Theme::Dark);
            let mut emulated = Emulated::new(size);
            emulated.draw(&model);
            assert_eq!(emulated.text(), text(&drawn(&model)), "{name} {size:?}");
        }
    }
}

#[test]
fn no_resize_leaves_a_stray_cell() {
    let mut model = model("hostile", (120, 40), Theme::Dark);
    let mut emulated = Emulated::new((120, 40));
    let mut seed = 7u32;
    let mut dice = |sides: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % sides
    };
    for _ in 0..120 {
        let size = (dice(220) as u16 + 1, dice(70) as u16 + 1);
        emulated.resize(size);
        update(&mut model, DashMessage::Resize(size.0, size.1));
        let now_ms = model.now_ms;
        update(&mut model, DashMessage::Frame(now_ms));
        emulated.draw(&model);
        assert_eq!(emulated.text(), text(&drawn(&model)), "{size:?}");
    }
}

proptest! {
    #[test]
    fn clean_text_takes_the_cells_it_says(dirty in "\\PC{0,40}|[\\x00-\\x1f\\x7f-\\x9f\\u{200b}-\\u{206f}\\u{0590}-\\u{06ff}\\u{1f1e6}-\\u{1f9ff}a\\u{0300}-\\u{036f}\\u{fe00}-\\u{fe0f}]{0,40}", cells in 0usize..30) {
        let shown = clean(&dirty);
        prop_assert!(!shown.chars().any(char::is_control));
        // An emulator gives every letter the cells that are counted for it.
        let mut emulator = vt100::Parser::new(1.try_into().unwrap(), 200.try_into().unwrap(), 0);
        emulator.process(shown.as_bytes());
        prop_assert_eq!(usize::from(emulator.screen().cursor_position().1), width(&shown));
        let clipped = clip(&shown, cells);
        prop_assert!(width(&clipped) <= cells);
        let again = clean(&shown);
        prop_assert_eq!(again.as_ref(), shown.as_ref());
    }
}

#[test]
fn hostile_names_are_made_harmless_in_known_ways() {
    for (dirty, shown) in [
        ("\u{1b}[31mred", "·[31mred"),
        ("a\tb\nc", "a·b·c"),
        ("\u{202e}abc", "·abc"),
        ("a\u{301}b\u{200d}c", "ab·c"),
        ("日本語", "日本語"),
        ("שלום", "····"),
        ("Ærø", "Ærø"),
    ] {
        assert_eq!(clean(dirty), shown, "{dirty:?}");
    }
    assert_eq!(clip("日本語", 5), "日本…");
    assert_eq!(clip("日本語", 4), "日…");
    assert_eq!(clip("abc", 3), "abc");
    // A shortened address that is cut again.
    assert_eq!(clip("0x90F7…b906", 7), "0x90F7…");
    assert_eq!(clip("0x90F7…b906", 8), "0x90F7…");
}
