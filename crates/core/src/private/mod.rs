//! What stays between this program and its owner: addresses that carry credentials, files and
//! folders that nobody else may read, and keys in memory.
//!
//! Every other room may use it, so it knows none of them.

pub mod files;
pub mod memory;
pub mod redact;
