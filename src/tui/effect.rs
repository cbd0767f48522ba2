//! What the state machine asks of the world, as data.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DashEffect {
    Quit,
    /// Write a file into the working directory.
    Write {
        name: String,
        contents: String,
    },
    /// Put a text on the clipboard, through the terminal (OSC 52).
    Copy(String),
    Mouse(bool),
    /// Draw every cell again.
    Redraw,
    Suspend,
}
