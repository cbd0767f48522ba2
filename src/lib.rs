//! openlora: train a LoRA adapter, serve it, count every call.
//!
//! The binary parses the command line, settles the settings and dispatches to one file per verb
//! in `commands`. What the product does lives in `runtime`, which knows no terminal.

pub mod error;
pub mod printer;
pub mod runtime;
