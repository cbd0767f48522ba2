//! Quoting of words for a POSIX shell, so that shown command lines can be pasted.

use std::{borrow::Cow, path::Path};

/// A word that a shell reads as this text: unchanged if no character is special, otherwise in single
/// quotes.
pub fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
}

/// The same for a path.
pub fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy()).into_owned()
}
