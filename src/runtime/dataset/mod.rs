//! The room's documentation comes with its code.
