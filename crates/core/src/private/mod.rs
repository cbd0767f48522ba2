//! What stays between this program and its owner: addresses that carry credentials, files and
//! folders that nobody else may read, keys in memory, and terminals that texts of others must not
//! steer.
//!
//! Every other module may use this one, so it depends on none of them.

pub mod files;
pub mod foreign_text;
pub mod memory;
pub mod redact;
