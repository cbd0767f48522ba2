//! Sanitises foreign text for terminal cells.
//!
//! Names come from other parties. Characters that would move the cursor, change direction, combine
//! with their neighbour or have an ambiguous width are removed or replaced by a dot.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ratatui::text::Span;

use openlora_core::private::foreign_text::{clean_line, is_steering};

/// Stands for a letter that cannot be shown safely.
const DOT: char = '·';

/// Keeps only characters to which every terminal gives one or two cells.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter_map(shown).collect())
}

fn shown(letter: char) -> Option<char> {
    if letter.is_ascii() {
        return Some(if letter.is_control() { DOT } else { letter });
    }
    if is_steering(letter) || is_unsafe(letter) {
        return Some(DOT);
    }
    match letter_width(letter) {
        0 => None,
        1 | 2 => Some(letter),
        _ => Some(DOT),
    }
}

/// Characters that affect their neighbours or are written right to left.
fn is_unsafe(letter: char) -> bool {
    matches!(u32::from(letter),
        // Hebrew to Arabic, their presentation forms, and other right-to-left scripts.
        0x0590..=0x08ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff | 0x10800..=0x10fff | 0x1e800..=0x1efff
        // The narrow no-break space.
        | 0x202f
        // Components that combine into one syllable or one emoji.
        | 0x1100..=0x11ff | 0xa960..=0xa97f | 0xd7b0..=0xd7ff | 0xfe00..=0xfe0f
        | 0x1f1e6..=0x1f1ff | 0x1f3fb..=0x1f3ff
        // Private-use and unassigned characters.
        | 0xe000..=0xf8ff | 0xfff0..=0xffff | 0xf0000..)
}

/// The sequence that puts a text into the terminal's clipboard (OSC 52). Pasted into a shell, line
/// ends would run commands, so the text becomes one clean line.
pub fn clipboard_sequence(text: &str) -> String {
    let code = BASE64_STANDARD.encode(clean_line(text).as_bytes());
    format!("\x1b]52;c;{code}\x07")
}

/// Width of a sanitised text in cells.
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.chars().map(letter_width).sum()
}

/// Width of one character in cells.
pub fn letter_width(letter: char) -> usize {
    let mut buffer = [0; 4];
    Span::raw(&*letter.encode_utf8(&mut buffer)).width()
}

/// The beginning of a text in at most `cells` cells, with an ellipsis if it is cut.
pub fn clip(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut used = 0;
    for letter in text.chars() {
        used += letter_width(letter);
        if used + 1 > cells {
            break;
        }
        kept.push(letter);
    }
    // An id that is shortened already has one.
    kept.truncate(kept.trim_end_matches('…').len());
    if cells > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

/// A long id, shortened to its beginning and end.
pub fn short_id(id: &str) -> String {
    let letters = id.chars().count();
    if letters <= 13 {
        return id.to_owned();
    }
    let first: String = id.chars().take(6).collect();
    let last: String = id.chars().skip(letters - 4).collect();
    format!("{first}…{last}")
}
