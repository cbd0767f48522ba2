//! Side effects requested by the state machine, as data.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DashEffect {
    Quit,
    /// Write a file into the working directory.
    Write {
        name: String,
        contents: String,
    },
    /// Copy a text to the clipboard, through the terminal (OSC 52).
    Copy(String),
    Mouse(bool),
    /// Redraw every cell.
    Redraw,
    Suspend,
}
