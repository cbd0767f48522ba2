//! Texts of others (sellers, packages, logs, chains) on a terminal or in a log.
//!
//! Control characters can control a terminal, format characters can reorder or hide the text next
//! to them, and line breaks let a text look like lines of this program. All of them are replaced.
//! Only texts that have several lines by nature, such as an answer, keep their line breaks.

use std::borrow::Cow;

/// Stands for a character that is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// Whether a character controls a terminal or changes how others are shown: the general categories
/// Cc, Cf, Zl and Zp of Unicode 16, and the rest of the block of tags.
pub fn is_steering(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    matches!(u32::from(letter),
        // C1 controls, soft hyphen.
        0x0080..=0x009f | 0x00ad
        // Arabic and Syriac number and abbreviation marks, the Arabic letter mark.
        | 0x0600..=0x0605 | 0x061c | 0x06dd | 0x070f | 0x0890..=0x0891 | 0x08e2
        | 0x180e
        // Zero width, direction marks, line and paragraph separators, embeddings and overrides.
        | 0x200b..=0x200f | 0x2028..=0x202e
        // Word joiner, invisible operators, isolates, deprecated format characters.
        | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb
        | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
        | 0xe0000..=0xe0fff)
}

/// A text of several lines: line feeds and tabs stay.
pub fn clean_text(text: &str) -> Cow<'_, str> {
    replaced(text, |letter| {
        is_steering(letter) && !matches!(letter, '\n' | '\t')
    })
}

/// A text of one line: a name, a code, a message.
pub fn clean_line(text: &str) -> Cow<'_, str> {
    replaced(text, |letter| is_steering(letter) && letter != '\t')
}

/// A text that this program has coloured: SGR sequences (ECMA-48 8.3.117) stay as well.
pub fn clean_painted(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return clean_text(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(start);
        cleaned.push_str(&clean_text(before));
        let length = sgr_length(sequence);
        match length {
            Some(length) => cleaned.push_str(&sequence[..length]),
            None => cleaned.push(REPLACEMENT),
        }
        rest = &sequence[length.unwrap_or(1)..];
    }
    cleaned.push_str(&clean_text(rest));
    Cow::Owned(cleaned)
}

/// A record of a log, with its line end: what it quotes cannot begin another one.
pub fn clean_record(text: &str) -> String {
    let line = text.strip_suffix('\n').unwrap_or(text);
    format!("{}\n", clean_painted(&line.replace('\n', "\u{fffd}")))
}

/// JSON with the characters escaped that a terminal would follow; its value is the same.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // Outside of strings JSON is printable ASCII and its white space; inside of them the controls
    // below the space are escaped already.
    let steers = |letter: char| letter >= '\u{7f}' && is_steering(letter);
    if !json.contains(steers) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        if steers(letter) {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

fn replaced(text: &str, steers: impl Fn(char) -> bool) -> Cow<'_, str> {
    match text.contains(&steers) {
        true => Cow::Owned(text.replace(&steers, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// The bytes of the SGR sequence that a text begins with.
fn sgr_length(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    parameters[end..].starts_with('m').then_some(end + 3)
}
