//! What stays between this program and its owner: addresses that carry credentials, files and
//! folders that nobody else may read, keys in memory, and terminals that texts of others must not
//! steer.
//!
//! Every other room may use it, so it knows none of them.

pub mod files;
pub mod foreign_text;
pub mod memory;
pub mod redact;
