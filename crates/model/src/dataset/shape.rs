//! Row formats, and the keys that identify them.

use std::fmt;

/// The row formats as messages list them.
pub const FORMATS: &str = "messages, conversations, instruction and output, prompt and \
    completion, text and label, or text";

/// The layout of a row's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowShape {
    Chat,
    ShareGpt,
    Alpaca,
    Prompt,
    Labelled,
    Text,
}

/// Keys that identify a format, the strongest first, and the format's name.
pub(super) const SHAPES: &[(RowShape, &str, &[&str])] = &[
    (RowShape::Chat, "messages", &["messages"]),
    (RowShape::ShareGpt, "conversations", &["conversations"]),
    (
        RowShape::Alpaca,
        "instruction/output",
        &["instruction", "output"],
    ),
    (
        RowShape::Prompt,
        "prompt/completion",
        &["prompt", "completion"],
    ),
    (RowShape::Labelled, "text/label", &["label", "text"]),
    (RowShape::Text, "text", &["text"]),
];

impl fmt::Display for RowShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SHAPES
            .iter()
            .find(|entry| entry.0 == *self)
            .map_or("", |entry| entry.1);
        f.write_str(name)
    }
}

impl RowShape {
    /// Every key that some format knows.
    pub fn known_keys() -> impl Iterator<Item = &'static str> {
        SHAPES
            .iter()
            .flat_map(|entry| entry.2)
            .copied()
            .chain(["input", "system", "system_prompt"])
    }
}
